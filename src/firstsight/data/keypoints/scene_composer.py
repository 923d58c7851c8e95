"""How a picture with people in it is made for training: a part of a photograph, or people from several pictures."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from firstsight.data.affine import Affine, Floats
from firstsight.data.image_cache import ImageCache
from firstsight.data.keypoints.keypoint_set import KeypointSet, boxes_with_joints
from firstsight.errors import DataError

Kind = Literal["composed", "photographs"]
PER_SCENE, PER_PERSON = 2, 6
"""Random numbers for a scene, and for each person in it."""
GREY = (128, 128, 128)
"""Where a photograph ends; the networks are given it as 0."""
BOX_MARGIN = 0.15
"""What is pasted of a picture: the person's box, grown on every side by so much of its longer side."""
MUTED = 1 / 40
"""Width of the soft border of what is pasted, as a share of the scene's side."""
LONGEST: dict[Kind, float] = {"composed": 1.1, "photographs": 2.0}
"""Pictures are kept with at most so many times the scene's side."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A square picture of S pixels a side with P people. Places are in pixels, pixel centres at integers.

    Parameters
    ----------
    image : NDArray[np.uint8]
        (S, S, 3) uint8.
    keypoints : Floats
        (P, K, 2) x, y; also of joints that are not visible, where they are known.
    visible : NDArray[np.bool_]
        (P, K) bool: labelled, inside the scene, and not covered.
    boxes : Floats
        (P, 4) x, y, width, height; areas : (P,) squared pixels.
    counts : NDArray[np.bool_]
        (S / stride, S / stride) bool: from which cells may be learnt.
    """

    image: NDArray[np.uint8]
    keypoints: Floats
    visible: NDArray[np.bool_]
    boxes: Floats
    areas: Floats
    counts: NDArray[np.bool_]


class SceneComposer:
    """Makes scenes of the pictures ``used`` of a set; see `Scenes`, whose parameters these are.

    Raises
    ------
    DataError
        No picture can be used.
    """

    def __init__(
        self, people: KeypointSet, kind: Kind, *, side: int, smallest: float, largest: float, rotate: float,
        flip: bool, most: int, stride: int,
    ) -> None:  # fmt: skip
        self.people, self.kind, self.side, self.stride = people, kind, side, stride
        self.smallest, self.largest, self.rotate, self.flip, self.most = smallest, largest, rotate, flip, most
        known = (people.keypoints[..., 2] > 0).any(1) & ~people.crowd
        whose = [people.people(i) for i in range(len(people))]
        self._labelled = [ids[known[ids]] for ids in whose]
        self._doubtful = [len(ids) > len(good) for ids, good in zip(whose, self._labelled, strict=True)]
        alone = kind == "composed"
        chosen = [
            i for i, good in enumerate(self._labelled) if (len(good) == len(whose[i]) == 1 if alone else len(good))
        ]
        if not chosen:
            raise DataError(
                f"{people.name}: no picture of one person alone to compose scenes of (--scenes photographs needs none)"
                if alone
                else f"{people.name}: no picture with a labelled person"
            )
        self.used = np.array(chosen, np.int64)
        self.pool = ImageCache(people, longest=round(LONGEST[kind] * side))
        self._factor, self._box = self._boxes()
        self._flipped = list(people.skeleton.flip)

    def scene(self, sample: int, draws: Floats) -> Scene:
        """Made of sample number ``sample``, by so many numbers from 0 to 1: `PER_SCENE`, and `PER_PERSON` a person."""
        first, rest = draws[:PER_SCENE], draws[PER_SCENE:].reshape(-1, PER_PERSON)
        return self._composed(sample, first, rest) if self.kind == "composed" else self._part(sample, rest[0])

    def fitted(self, sample: int) -> Scene:
        """The photograph as it is, as large as the square holds, in its middle on grey."""
        picture = int(self.used[sample])
        width, height = self.pool.size(picture)
        move = Affine(
            scale=self.side / max(width, height), degrees=0, mirrored=False, origin=(width / 2, height / 2),
            target=(self.side / 2, self.side / 2),
        )  # fmt: skip
        return self._photograph(picture, move)

    def _composed(self, sample: int, draws: Floats, rest: Floats) -> Scene:
        count, behind = 1 + int(draws[0] * self.most), int(self.used[int(draws[1] * len(self.used))])
        scene = self.pool.thumbnail(behind).resize((self.side, self.side), Image.Resampling.BICUBIC)
        moves, rectangles, pictures = [], [], []
        for turn in range(count):
            of = sample if turn == count - 1 else int(rest[turn, 0] * len(self.used))
            picture = int(self.used[of])
            box = self._box[self._labelled[picture][0]]
            moves.append(self._move(box, float(box[2:].max()), count, rest[turn]))
            rectangles.append(self._paste(scene, picture, None if count == 1 else box, moves[-1]))
            pictures.append(picture)
        people = [int(self._labelled[picture][0]) for picture in pictures]
        found = self._people(scene, people, moves)
        for later in range(1, count):
            low, high = np.split(rectangles[later], 2)
            source = moves[later].back(found.keypoints[:later] + 0.5)
            found.visible[:later] &= ~((source > low) & (source < high)).all(-1)
        return found

    def _move(self, box: Floats, size: float, count: int, draws: Floats) -> Affine:
        """Of a person with that box and size into a scene with so many."""
        _, large, angle, mirrored, x, y = draws
        most = max(self.smallest, self.largest / count ** (1 / 3))
        share = self.smallest + (most - self.smallest) * large
        margin = min(0.375 * share, 0.5)
        place = self.side * (margin + (1 - 2 * margin) * np.array([x, y]))
        return self._turned(box, self.side * share / size, angle, mirrored, place)

    def _turned(self, box: Floats, scale: float, angle: float, mirrored: float, place: Floats) -> Affine:
        x, y = (box[:2] + box[2:] / 2).tolist()
        return Affine(
            scale=scale, degrees=self.rotate * (2 * angle - 1), mirrored=self.flip and mirrored < 0.5,
            origin=(x, y), target=(float(place[0]), float(place[1])),
        )  # fmt: skip

    def _paste(self, scene: Image.Image, picture: int, box: Floats | None, move: Affine) -> Floats:
        """Lay the rectangle around the box, or all of the picture, over the scene; the (4,) rectangle that covers."""
        pixels = self.pool.pixels(picture)
        height, width, _ = pixels.shape
        left, top, right, bottom = 0, 0, width, height
        if box is not None:
            grown = BOX_MARGIN * box[2:].max()
            left, top = np.maximum(np.floor(box[:2] - grown), 0).astype(int).tolist()
            right, bottom = np.minimum(np.ceil(box[:2] + box[2:] + grown), (width, height)).astype(int).tolist()
        soft = MUTED * self.side / move.scale  # in pixels of the picture
        layer = Image.fromarray(pixels[top:bottom, left:right])
        mask = Image.fromarray(np.minimum.outer(_ramp(bottom - top, soft), _ramp(right - left, soft)))
        inner = replace(move, origin=(move.origin[0] - left, move.origin[1] - top))
        corners = inner([(0, 0), (right - left, 0), (0, bottom - top), (right - left, bottom - top)])
        low = np.maximum(np.floor(corners.min(0)), 0).astype(int)
        high = np.minimum(np.ceil(corners.max(0)), self.side).astype(int)
        if (high > low).all():
            at, size = (int(low[0]), int(low[1])), (int(high[0] - low[0]), int(high[1] - low[1]))
            cover = inner.picture(mask, size=size, at=at, resample=Image.Resampling.NEAREST)  # smooth already
            scene.paste(inner.picture(layer, size=size, at=at), at, cover)
        return np.array([left, top, right, bottom]) + np.array([1, 1, -1, -1]) * soft / 2

    def _part(self, sample: int, draws: Floats) -> Scene:
        """Of a photograph, around one of its people."""
        which, large, angle, mirrored, *_ = draws
        picture = int(self.used[sample])
        labelled = self._labelled[picture]
        box = self._box[labelled[int(which * len(labelled))]]
        size = self.side * (self.smallest + (self.largest - self.smallest) * large)
        middle = np.array([self.side / 2, self.side / 2])
        return self._photograph(picture, self._turned(box, size / max(box[3], 1), angle, mirrored, middle))

    def _photograph(self, picture: int, move: Affine) -> Scene:
        image = Image.fromarray(self.pool.pixels(picture))
        moved = move.picture(image, size=(self.side, self.side), fill=GREY)
        people = self._labelled[picture].tolist()
        counts = self._counts(picture, move) if self._doubtful[picture] else None
        return self._people(moved, people, [move] * len(people), counts)

    def _counts(self, picture: int, move: Affine) -> NDArray[np.bool_]:
        """Cells whose centre lies on nothing that is to be ignored."""
        ignored = self.people.ignored(picture)
        centres = np.arange(self.side // self.stride) * self.stride + self.stride / 2
        places = move.back(np.stack(np.meshgrid(centres, centres), -1)) / self.pool.factor(picture)
        x, y = np.floor(np.moveaxis(places, -1, 0)).astype(np.int64)
        height, width = ignored.shape
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        hidden = inside & ignored[y.clip(0, height - 1), x.clip(0, width - 1)]
        return np.asarray(~hidden)

    def _boxes(self) -> tuple[Floats, Floats]:
        """Of all people, in pixels of the pictures as they are kept: what those are multiplied by (2,), the box (4,).

        The boxes hold all labelled joints, and are not empty.
        """
        factors = np.array([self.pool.factor(i) for i in range(len(self.people))]).reshape(-1, 2)[self.people.picture]
        corner, size = np.split(boxes_with_joints(self.people), 2, axis=1)
        return factors, np.concatenate([corner * factors, size * factors], 1)

    def _people(
        self, image: Image.Image, people: list[int], moves: list[Affine], counts: NDArray[np.bool_] | None = None
    ) -> Scene:
        """A scene, with its people where they were moved to."""
        total, cells = len(self.people.skeleton), self.side // self.stride
        keypoints, visible = np.zeros((len(people), total, 2)), np.zeros((len(people), total), bool)
        boxes, areas = np.zeros((len(people), 4)), np.zeros(len(people))
        for place, (person, move) in enumerate(zip(people, moves, strict=True)):
            factor = self._factor[person]
            joints = self.people.keypoints[person][self._flipped if move.mirrored else slice(None)]
            keypoints[place] = move(joints[:, :2] * factor) - 0.5
            inside = ((keypoints[place] >= -0.5) & (keypoints[place] < self.side - 0.5)).all(1)
            visible[place] = (joints[:, 2] > 0) & inside
            x, y, width, height = self._box[person].tolist()
            corners = move([(x, y), (x + width, y), (x, y + height), (x + width, y + height)]) - 0.5
            boxes[place] = np.concatenate([corners.min(0), np.ptp(corners, axis=0)])
            areas[place] = self.people.areas[person] * factor.prod() * move.scale**2
        everywhere = np.ones((cells, cells), bool)
        return Scene(
            image=np.asarray(image), keypoints=keypoints, visible=visible, boxes=boxes, areas=areas,
            counts=everywhere if counts is None else counts,
        )  # fmt: skip


def _ramp(length: int, soft: float) -> NDArray[np.uint8]:
    """Opacity along a side: from nothing at both ends to full after ``soft`` pixels."""
    place = np.arange(length) + 0.5
    share = np.minimum(np.minimum(place, length - place) / soft, 1)
    return np.asarray(share * 255, dtype=np.uint8)
