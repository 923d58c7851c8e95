"""People in pictures with their joints, as in COCO's keypoint annotations: read, written, told in other joints.

A joint is x, y, v: pixels as the file has them, the picture from 0 to its width and height; v is 0 for not labelled, 1
for hidden, 2 for visible.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from firstsight.data.image_io import open_image
from firstsight.data.keypoints import coco
from firstsight.data.keypoints.coco import KeypointPicture
from firstsight.errors import DataError
from firstsight.pose.skeleton import SKELETONS, Skeleton

__all__ = ["KeypointPicture", "KeypointSet", "load_keypoints", "save_keypoints", "with_skeleton"]


@dataclass(frozen=True, eq=False)
class KeypointSet:
    """P people with K joints each, in pictures.

    Parameters
    ----------
    skeleton : Skeleton
        Of K joints.
    pictures : tuple[KeypointPicture, ...]
        Sorted by id; those without people are among them.
    keypoints : NDArray[np.float32]
        (P, K, 3) float32 array of x, y, v.
    boxes : NDArray[np.float32]
        (P, 4) float32 array of x, y, width, height in pixels.
    areas : NDArray[np.float64]
        (P,) float64 array, of the outline in square pixels.
    crowd : NDArray[np.bool_]
        (P,) bool array; the outline is of many people, whose joints nobody labelled.
    picture : NDArray[np.int64]
        (P,) int64 array, indices into ``pictures``.
    ids : NDArray[np.int64]
        (P,) int64 array, of the annotations.
    outlines
        P times COCO's ``segmentation`` (a list of polygons, or run lengths), or None.
    name : str
        What the set is called.
    notes : tuple[str, ...]
        What a reader of the results must know.
    category_id : int
        What the file calls the kind of body.

    Raises
    ------
    DataError
        Shapes do not fit together.
    """

    skeleton: Skeleton
    pictures: tuple[KeypointPicture, ...]
    keypoints: NDArray[np.float32]
    boxes: NDArray[np.float32]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    picture: NDArray[np.int64]
    ids: NDArray[np.int64]
    segmentations: tuple[Any, ...]
    name: str
    notes: tuple[str, ...] = ()
    category_id: int = 1

    def __post_init__(self) -> None:
        count = len(self.ids)
        lengths = [len(each) for each in (self.boxes, self.areas, self.crowd, self.picture, self.segmentations)]
        if self.keypoints.shape != (count, len(self.skeleton), 3) or set(lengths) != {count}:
            raise DataError(
                f"{self.name}: {count} people with {len(self.skeleton)} joints need keypoints of"
                f" ({count}, {len(self.skeleton)}, 3) and {count} of all else; got {self.keypoints.shape} and {lengths}"
            )

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.pictures)

    def people(self, index: int) -> NDArray[np.int64]:
        """The numbers of the people in picture ``index``."""
        return np.flatnonzero(self.picture == index)

    def select(self, indices: Sequence[int] | NDArray[np.int64]) -> "KeypointSet":
        """Keep the pictures at ``indices``, each once and in the set's own order, with their people."""
        chosen = np.unique(np.arange(len(self))[list(indices)])
        kept = np.flatnonzero(np.isin(self.picture, chosen))
        return replace(
            self, pictures=tuple(self.pictures[i] for i in chosen), keypoints=self.keypoints[kept],
            boxes=self.boxes[kept], areas=self.areas[kept], crowd=self.crowd[kept],
            picture=np.searchsorted(chosen, self.picture[kept]), ids=self.ids[kept],
            segmentations=tuple(self.segmentations[i] for i in kept),
        )  # fmt: skip

    def open(self, index: int) -> Image.Image:
        """Picture ``index`` as mode "L" or "RGB".

        Raises
        ------
        DataError
            The file is missing, no picture (see `open_image`), or of another size than the annotations say.
        """
        picture = self.pictures[index]
        image = open_image(picture.path)
        if image.size != (picture.width, picture.height):
            raise DataError(
                f"{picture.path}: is {image.width}x{image.height} pixels, but the annotations say"
                f" {picture.width}x{picture.height} (was it resized or turned? its joints would be misplaced)"
            )
        return image

    def ignored(self, index: int) -> NDArray[np.bool_]:
        """(H, W) bool array of picture ``index``: crowds, and people without a labelled joint; not to be learnt from.

        Raises
        ------
        DataError
            An outline is neither polygons nor the run lengths of this picture.
        """
        picture = self.pictures[index]
        mask = np.zeros((picture.height, picture.width), dtype=bool)
        for i in self.people(index):
            if self.crowd[i] or not self.keypoints[i, :, 2].any():
                try:
                    mask |= coco.outline_mask(self.segmentations[i], box=self.boxes[i].tolist(), size=mask.shape)
                except DataError as error:
                    raise DataError(f"{self.name}: annotation {self.ids[i]}: {error}") from None
        return mask


def load_keypoints(
    json_path: str | Path, images: str | Path | None = None, *, skeleton: Skeleton | None = None
) -> KeypointSet:
    """Read COCO keypoint annotations of one category: the one with ``keypoints``, or "person" among several.

    Parameters
    ----------
    json_path : str | Path
        The file with ``images``, ``annotations`` and ``categories``.
    images : str | Path | None
        Folder of the pictures; if not given, ``images`` beside the file, or else the file's own folder.
    skeleton : Skeleton | None
        With the joints of the category, in any order. If not given, a built-in skeleton with just these joints, or else
        the category's own.

    Raises
    ------
    DataError
        The file or a picture is missing, or something in the file is missing, impossible or contradicts itself.
    """
    path = Path(json_path)
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error} (expected a JSON file of COCO keypoints)") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}); expected COCO keypoints") from None
    try:
        return _parse(content, path, Path(images) if images is not None else None, skeleton)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def save_keypoints(people: KeypointSet, path: str | Path) -> Path:
    """Write COCO keypoint annotations that `load_keypoints` reads back equal; only those, no picture is copied.

    Returns
    -------
    Path
        The folder to be given as ``images``: where `load_keypoints` looks by itself if all pictures lie there, or else
        the innermost folder that holds them all.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    path = Path(path)
    files = [picture.path.absolute() for picture in people.pictures]
    usual = [folder.absolute() for folder in coco.usual_folders(path)]
    inside = [folder for folder in usual if all(file.is_relative_to(folder) for file in files)]
    folder = inside[0] if inside else Path(os.path.commonpath([file.parent for file in files]))
    category = people.skeleton.category() | {"id": people.category_id}
    content = {
        "info": {"set_name": people.name, "notes": list(people.notes)},
        "images": [
            {"id": picture.id, "file_name": file.relative_to(folder).as_posix(),
             "width": picture.width, "height": picture.height}
            for picture, file in zip(people.pictures, files, strict=True)
        ],
        "annotations": [
            {"id": int(people.ids[i]), "image_id": people.pictures[people.picture[i]].id, "category_id": category["id"],
             "iscrowd": int(people.crowd[i]), "bbox": people.boxes[i].tolist(), "area": float(people.areas[i]),
             "num_keypoints": int((people.keypoints[i, :, 2] > 0).sum()),
             "keypoints": people.keypoints[i].ravel().tolist()}
            | ({} if people.segmentations[i] is None else {"segmentation": people.segmentations[i]})
            for i in range(len(people.ids))
        ],
        "categories": [category],
    }  # fmt: skip
    try:
        path.write_text(json.dumps(content), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from None
    return folder


def with_skeleton(people: KeypointSet, skeleton: Skeleton) -> KeypointSet:
    """The same people in the joints of another skeleton, matched by name.

    A neck that the source lacks lies midway between the shoulders where both are labelled, as visible as the less
    visible of them (Cao 2017). What else it lacks is not labelled.

    Raises
    ------
    DataError
        The skeletons share no joint.
    """
    places = np.array(skeleton.places_in(people.skeleton))
    if not (places >= 0).any():
        here, there = (f"{each.name} ({', '.join(each.joints)})" for each in (people.skeleton, skeleton))
        raise DataError(f"{people.name}: skeletons {here} and {there} have no joint in common")
    keypoints = np.where(places[:, None] >= 0, people.keypoints[:, places], np.float32(0))
    source = people.skeleton.joints
    if "neck" in skeleton.joints and "neck" not in source and {"left_shoulder", "right_shoulder"} <= set(source):
        shoulders = people.keypoints[:, [source.index("left_shoulder"), source.index("right_shoulder")]]
        lower = shoulders[..., 2].min(axis=1, keepdims=True)
        neck = np.concatenate([shoulders[..., :2].mean(axis=1), lower], axis=1)
        keypoints[:, skeleton.joints.index("neck")] = np.where(lower > 0, neck, 0)
    return replace(people, skeleton=skeleton, keypoints=keypoints)


def boxes_with_joints(people: KeypointSet) -> NDArray[np.float64]:
    """(P, 4) boxes of all people as COCO has them, made to hold all labelled joints, and at least a pixel a side."""
    xy, known = people.keypoints[..., :2].astype(np.float64), people.keypoints[..., 2:] > 0
    corner, size = np.split(people.boxes.astype(np.float64), 2, axis=1)
    low = np.minimum(corner, np.where(known, xy, np.inf).min(1))
    high = np.maximum(corner + size, np.where(known, xy, -np.inf).max(1))
    return np.concatenate([low, np.maximum(high - low, 1)], 1)


def _parse(content: Any, path: Path, folder: Path | None, skeleton: Skeleton | None) -> KeypointSet:
    images, annotations, categories = (coco.records(content, key) for key in ("images", "annotations", "categories"))
    category = coco.category_with_joints(categories)
    joints = category["keypoints"]
    found = skeleton or next((known for known in SKELETONS.values() if known.joints == tuple(joints)), None)
    found = found or Skeleton.from_category(category)
    if sorted(found.joints) != sorted(joints):
        raise DataError(
            f"its joints are {', '.join(joints)}, but those of skeleton {found.name} are {', '.join(found.joints)}"
            " (load it without a skeleton, then take the joints by with_skeleton)"
        )
    pictures = coco.find_pictures(images, path, folder)
    ours = [each for each in annotations if each.get("category_id", category.get("id")) == category.get("id")]
    people = coco.read_people(ours, joints=len(joints), pictures=[picture.id for picture in pictures])
    sizes = np.array([(p.width, p.height) for p in pictures], dtype=np.float32).reshape(-1, 1, 2)[people.picture]
    xy, v = people.keypoints[..., :2], people.keypoints[..., 2]
    outside = (v > 0) & ((xy < -1) | (xy > sizes + 1)).any(axis=2)
    v[outside] = 0
    name, notes = coco.read_info(content)
    if people.without_area:
        notes.append(f"{people.without_area} of {len(ours)} people have no 'area': that of their box is taken")
    if outside.any():
        notes.append(f"{outside.sum()} joints lie more than a pixel outside their picture: taken as not labelled")
    if not v[~people.crowd].any():
        said = "; ".join((f"none of the {len(ours)} people has a labelled joint", *notes))
        raise DataError(f"{said} (a joint is labelled where its v is 1 or 2)")
    return KeypointSet(
        skeleton=found, pictures=pictures, keypoints=people.keypoints[:, [joints.index(name) for name in found.joints]],
        boxes=people.boxes, areas=people.areas, crowd=people.crowd, picture=people.picture, ids=people.ids,
        segmentations=people.segmentations, name=name or path.stem, notes=tuple(notes),
        category_id=category["id"] if isinstance(category.get("id"), int) else 1,
    )  # fmt: skip
