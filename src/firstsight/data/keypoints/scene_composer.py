"""Composition of training scenes: a part of a photograph, or people from several images."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from firstsight.data.affine import Affine, Floats
from firstsight.data.keypoints.image_cache import ImageCache
from firstsight.data.keypoints.keypoint_set import KeypointSet, expand_boxes_to_joints
from firstsight.errors import DataError

Kind = Literal["composed", "photographs", "mosaics"]
SCENE_DRAWS = 2
"""Random numbers per scene."""
PERSON_DRAWS = 6
"""Random numbers per person."""
GRAY = (128, 128, 128)
"""Color outside of a photograph; the networks get it as 0."""
BOX_MARGIN = 0.15
"""Margin on each side of a person's box that is pasted with it, as a fraction of the longer side."""
FEATHER = 1 / 40
"""Width of the soft border of a pasted person, as a fraction of the scene's side."""
CACHE_SCALE: dict[Kind, float] = {"composed": 1.1, "photographs": 2.0, "mosaics": 2.0}
"""Maximum side of images in the cache, as a multiple of the scene's side."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Square image of S pixels a side with P people. Coordinates are in pixels, with pixel centers at integers.

    Parameters
    ----------
    image : NDArray[np.uint8]
        (S, S, 3) RGB.
    keypoints : Floats
        (P, K, 2) x, y, also of joints that are labeled but not visible.
    visible : NDArray[np.bool_]
        (P, K) whether a joint is labeled, inside the scene, and not covered.
    uncertain : NDArray[np.bool_]
        (P, K) whether the label of a joint inside the scene is uncertain.
    boxes : Floats
        (P, 4) x, y, width, height.
    areas : Floats
        (P,) in square pixels.
    loss_mask : NDArray[np.bool_]
        (S / stride, S / stride) cells to train on.
    """

    image: NDArray[np.uint8]
    keypoints: Floats
    visible: NDArray[np.bool_]
    uncertain: NDArray[np.bool_]
    boxes: Floats
    areas: Floats
    loss_mask: NDArray[np.bool_]


class SceneComposer:
    """Composer of scenes from the usable images of a set, whose indices are ``used``.

    Parameters
    ----------
    people : KeypointSet
        People and images.
    kind : Kind
        See `Scenes`.
    side : int
        See `Scenes`.
    min_scale : float
        See `Scenes`.
    max_scale : float
        See `Scenes`.
    rotate : float
        See `Scenes`.
    flip : bool
        See `Scenes`.
    max_people : int
        See `Scenes`.
    stride : int
        See `Scenes`.

    Raises
    ------
    DataError
        If no image is usable.
    """

    def __init__(
        self,
        people: KeypointSet,
        kind: Kind,
        *,
        side: int,
        min_scale: float,
        max_scale: float,
        rotate: float,
        flip: bool,
        max_people: int,
        stride: int,
    ) -> None:
        self.people = people
        self.kind = kind
        self.side = side
        self.stride = stride
        self.min_scale = min_scale
        self.max_scale = max_scale
        self.rotate = rotate
        self.flip = flip
        self.max_people = max_people
        is_labeled = (people.keypoints[..., 2] > 0).any(1) & ~people.crowd
        people_in = [people.people_in(i) for i in range(len(people))]
        is_annotated = (people.keypoints[..., 2] != 0).any(1) & ~people.crowd
        self._labeled = [ids[is_labeled[ids]] for ids in people_in]
        self._annotated = [ids[is_annotated[ids]] for ids in people_in]
        self._has_ignored = [
            len(ids) > len(annotated) for ids, annotated in zip(people_in, self._annotated, strict=True)
        ]
        if kind == "mosaics":
            used, problem = list(range(len(people))), "no image"
        elif kind == "composed":
            used = [i for i, ids in enumerate(people_in) if len(ids) == len(self._labeled[i]) == 1]
            problem = "no image with exactly one person, as composed scenes need (use `scenes=photographs`)"
        else:
            used = [i for i, labeled in enumerate(self._labeled) if len(labeled)]
            problem = "no image with a labeled person"
        if not used:
            raise DataError(f"{people.name}: {problem}")
        self.used = np.array(used, np.int64)
        self.cache = ImageCache(people, max_side=round(CACHE_SCALE[kind] * side))
        self._factors, self._boxes = self._boxes_in_cache()
        self._flip_order = list(people.skeleton.flip)

    @property
    def num_draws(self) -> int:
        """Number of random numbers of a scene."""
        return SCENE_DRAWS + PERSON_DRAWS * self.max_people

    def scene(self, sample: int, draws: Floats) -> Scene:
        """Compose the scene of a sample.

        Parameters
        ----------
        sample : int
            Sample number.
        draws : Floats
            (num_draws,) random numbers in [0, 1).
        """
        scene_draws, person_draws = draws[:SCENE_DRAWS], draws[SCENE_DRAWS:].reshape(-1, PERSON_DRAWS)
        if self.kind == "composed":
            return self._compose(sample, scene_draws, person_draws)
        return self._part_of_photograph(sample, person_draws[0])

    def letterbox(self, sample: int) -> Scene:
        """Return the whole photograph of a sample, as large as possible in the center of the scene, on gray."""
        index = int(self.used[sample])
        width, height = self.cache.size(index)
        transform = Affine(
            scale=self.side / max(width, height),
            degrees=0,
            flipped=False,
            origin=(width / 2, height / 2),
            target=(self.side / 2, self.side / 2),
        )
        return self._photograph(index, transform)

    def _compose(self, sample: int, scene_draws: Floats, person_draws: Floats) -> Scene:
        """Paste people over a blurred background; the person of the sample is the last one."""
        count = 1 + int(scene_draws[0] * self.max_people)
        background = int(self.used[int(scene_draws[1] * len(self.used))])
        canvas = self.cache.thumbnail(background).resize((self.side, self.side), Image.Resampling.BICUBIC)
        transforms: list[Affine] = []
        rectangles: list[Floats] = []
        people: list[int] = []
        for i in range(count):
            index = int(self.used[sample if i == count - 1 else int(person_draws[i, 0] * len(self.used))])
            person = int(self._labeled[index][0])
            box = self._boxes[person]
            transforms.append(self._random_placement(box, float(box[2:].max()), count, person_draws[i]))
            rectangles.append(self._paste(canvas, index, None if count == 1 else box, transforms[-1]))
            people.append(person)
        scene = self._to_scene(canvas, people, transforms)
        for i in range(1, count):
            low, high = np.split(rectangles[i], 2)
            source = transforms[i].inverse(scene.keypoints[:i] + 0.5)
            scene.visible[:i] &= ~((source > low) & (source < high)).all(-1)
        return scene

    def _random_placement(self, box: Floats, size: float, count: int, draws: Floats) -> Affine:
        """Return a random transform of a person with that box and size into a scene with ``count`` people."""
        _, scale_draw, angle_draw, flip_draw, x, y = draws
        max_scale = max(self.min_scale, self.max_scale / count ** (1 / 3))
        scale = self.min_scale + (max_scale - self.min_scale) * scale_draw
        margin = min(0.375 * scale, 0.5)
        target = self.side * (margin + (1 - 2 * margin) * np.array([x, y]))
        return self._transform(box, self.side * scale / size, angle_draw, flip_draw, target)

    def _transform(self, box: Floats, scale: float, angle_draw: float, flip_draw: float, target: Floats) -> Affine:
        """Return the transform that moves the center of a box to ``target``."""
        x, y = (box[:2] + box[2:] / 2).tolist()
        return Affine(
            scale=scale,
            degrees=self.rotate * (2 * angle_draw - 1),
            flipped=self.flip and flip_draw < 0.5,
            origin=(x, y),
            target=(float(target[0]), float(target[1])),
        )

    def _paste(self, canvas: Image.Image, index: int, box: Floats | None, transform: Affine) -> Floats:
        """Paste an image, or the region around a box, with a soft border; return the covered rectangle of the image.

        The rectangle (x, y of the first and of the last corner) ends in the middle of the soft border.
        """
        pixels = self.cache.pixels(index)
        height, width, _ = pixels.shape
        left, top, right, bottom = 0, 0, width, height
        if box is not None:
            margin = BOX_MARGIN * box[2:].max()
            left, top = np.maximum(np.floor(box[:2] - margin), 0).astype(int).tolist()
            right, bottom = np.minimum(np.ceil(box[:2] + box[2:] + margin), (width, height)).astype(int).tolist()
        feather = FEATHER * self.side / transform.scale  # in pixels of the image
        layer = Image.fromarray(pixels[top:bottom, left:right])
        mask = Image.fromarray(np.minimum.outer(_ramp(bottom - top, feather), _ramp(right - left, feather)))
        layer_transform = replace(transform, origin=(transform.origin[0] - left, transform.origin[1] - top))
        corners = layer_transform([(0, 0), (right - left, 0), (0, bottom - top), (right - left, bottom - top)])
        low = np.maximum(np.floor(corners.min(0)), 0).astype(int)
        high = np.minimum(np.ceil(corners.max(0)), self.side).astype(int)
        if (high > low).all():
            offset, size = (int(low[0]), int(low[1])), (int(high[0] - low[0]), int(high[1] - low[1]))
            alpha = layer_transform.warp(mask, size=size, offset=offset, resample=Image.Resampling.NEAREST)
            canvas.paste(layer_transform.warp(layer, size=size, offset=offset), offset, alpha)
        return np.array([left, top, right, bottom]) + np.array([1, 1, -1, -1]) * feather / 2

    def _part_of_photograph(self, sample: int, draws: Floats) -> Scene:
        """Return a part of a photograph with a random one of its people in the center."""
        person_draw, scale_draw, angle_draw, flip_draw, *_ = draws
        index = int(self.used[sample])
        labeled = self._labeled[index]
        box = self._boxes[labeled[int(person_draw * len(labeled))]]
        size = self.side * (self.min_scale + (self.max_scale - self.min_scale) * scale_draw)
        center = np.array([self.side / 2, self.side / 2])
        return self._photograph(index, self._transform(box, size / max(box[3], 1), angle_draw, flip_draw, center))

    def _photograph(self, index: int, transform: Affine) -> Scene:
        """Return a transformed photograph with all its labeled people."""
        image = Image.fromarray(self.cache.pixels(index))
        warped = transform.warp(image, size=(self.side, self.side), fill=GRAY)
        people = self._annotated[index].tolist()
        loss_mask = self._loss_mask(index, transform) if self._has_ignored[index] else None
        return self._to_scene(warped, people, [transform] * len(people), loss_mask)

    def _loss_mask(self, index: int, transform: Affine) -> NDArray[np.bool_]:
        """Return the cells whose center is in no ignored region."""
        ignored = self.people.ignore_mask(index)
        centers = np.arange(self.side // self.stride) * self.stride + self.stride / 2
        points = transform.inverse(np.stack(np.meshgrid(centers, centers), -1)) / self.cache.scale_factor(index)
        x, y = np.floor(np.moveaxis(points, -1, 0)).astype(np.int64)
        height, width = ignored.shape
        is_inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        is_ignored = is_inside & ignored[y.clip(0, height - 1), x.clip(0, width - 1)]
        return np.asarray(~is_ignored)

    def _boxes_in_cache(self) -> tuple[Floats, Floats]:
        """Return the scale factors (P, 2) of cached images, and the boxes (P, 4) in their pixels.

        The boxes contain all labeled joints and are not empty.
        """
        factors = np.array([self.cache.scale_factor(i) for i in range(len(self.people))]).reshape(-1, 2)
        factors = factors[self.people.image_index]
        corner, size = np.split(expand_boxes_to_joints(self.people), 2, axis=1)
        return factors, np.concatenate([corner * factors, size * factors], 1)

    def _to_scene(
        self,
        image: Image.Image,
        people: list[int],
        transforms: list[Affine],
        loss_mask: NDArray[np.bool_] | None = None,
        *,
        window: tuple[float, float, float, float] | None = None,
    ) -> Scene:
        """Return a scene with the transformed annotations of its people.

        Joints outside of ``window`` (left, top, right, bottom; None for the whole scene) are not visible.
        """
        joints, cells = len(self.people.skeleton), self.side // self.stride
        left, top, right, bottom = window or (0, 0, self.side, self.side)
        low, high = np.array([left, top]) - 0.5, np.array([right, bottom]) - 0.5
        keypoints = np.zeros((len(people), joints, 2))
        visible = np.zeros((len(people), joints), bool)
        uncertain = np.zeros((len(people), joints), bool)
        boxes = np.zeros((len(people), 4))
        areas = np.zeros(len(people))
        for i, (person, transform) in enumerate(zip(people, transforms, strict=True)):
            factor = self._factors[person]
            labels = self.people.keypoints[person][self._flip_order if transform.flipped else slice(None)]
            keypoints[i] = transform(labels[:, :2] * factor) - 0.5
            is_inside = ((keypoints[i] >= low) & (keypoints[i] < high)).all(1)
            visible[i] = (labels[:, 2] > 0) & is_inside
            uncertain[i] = (labels[:, 2] < 0) & is_inside
            x, y, width, height = self._boxes[person].tolist()
            corners = transform([(x, y), (x + width, y), (x, y + height), (x + width, y + height)]) - 0.5
            boxes[i] = np.concatenate([corners.min(0), np.ptp(corners, axis=0)])
            areas[i] = self.people.areas[person] * factor.prod() * transform.scale**2
        return Scene(
            image=np.asarray(image),
            keypoints=keypoints,
            visible=visible,
            uncertain=uncertain,
            boxes=boxes,
            areas=areas,
            loss_mask=np.ones((cells, cells), bool) if loss_mask is None else loss_mask,
        )


def _ramp(length: int, feather: float) -> NDArray[np.uint8]:
    """Return the opacity along a side, which rises from 0 to 255 within ``feather`` pixels of both ends."""
    position = np.arange(length) + 0.5
    opacity = np.minimum(np.minimum(position, length - position) / feather, 1)
    return np.asarray(opacity * 255, dtype=np.uint8)
