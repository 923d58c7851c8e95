"""People with labeled joints in images, as in COCO's keypoint annotations.

A joint is x, y, v. Coordinates are in pixels of the file, from 0 to the width and height of the image. v is 0 for not
labeled, 1 for hidden, 2 for visible. Unlike in COCO, it may also be -1 for uncertain: such a joint counts as not
labeled, and the training of bottom-up networks ignores the parts of the maps that it would change.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from firstsight.atomic_io import replace_file
from firstsight.data.image_io import read_header
from firstsight.data.keypoints import coco
from firstsight.data.keypoints.coco import KeypointImage
from firstsight.data.limits import max_bytes
from firstsight.documents.decode import read_document
from firstsight.documents.keypoints import MAX_BYTES, Annotations, decode_info, parse_id
from firstsight.errors import DataError
from firstsight.pose.skeleton import SKELETONS, Skeleton
from firstsight.text import one_line

__all__ = [
    "KeypointImage",
    "KeypointSet",
    "convert_skeleton",
    "expand_boxes_to_joints",
    "load_keypoints",
    "save_keypoints",
]


@dataclass(frozen=True, eq=False)
class KeypointSet:
    """P people with K joints each, in images.

    Parameters
    ----------
    skeleton : Skeleton
        Skeleton with K joints.
    images : tuple[KeypointImage, ...]
        Images sorted by id, including those without people. Their files may be missing or damaged (`find_unusable`).
    keypoints : NDArray[np.float32]
        (P, K, 3) array of x, y, v.
    boxes : NDArray[np.float32]
        (P, 4) array of x, y, width, height in pixels.
    areas : NDArray[np.float64]
        (P,) areas of the segmentations in square pixels.
    crowd : NDArray[np.bool_]
        (P,) whether the segmentation is of many people, whose joints are not labeled.
    image_index : NDArray[np.int64]
        (P,) indices into ``images``.
    ids : NDArray[np.int64]
        (P,) ids of the annotations.
    segmentations : tuple[Any, ...]
        P times COCO's ``segmentation`` (a list of polygons, or run lengths), or None.
    name : str
        Name of the set.
    notes : tuple[str, ...]
        Facts that a reader of the results must know.
    category_id : int
        Id of the category in the file.

    Raises
    ------
    DataError
        If the shapes do not match.
    """

    skeleton: Skeleton
    images: tuple[KeypointImage, ...]
    keypoints: NDArray[np.float32]
    boxes: NDArray[np.float32]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    image_index: NDArray[np.int64]
    ids: NDArray[np.int64]
    segmentations: tuple[Any, ...]
    name: str
    notes: tuple[str, ...] = ()
    category_id: int = 1

    def __post_init__(self) -> None:
        count, joints = len(self.ids), len(self.skeleton)
        lengths = [len(field) for field in (self.boxes, self.areas, self.crowd, self.image_index, self.segmentations)]
        if self.keypoints.shape != (count, joints, 3) or set(lengths) != {count}:
            raise DataError(
                f"{self.name}: {count} people with {joints} joints need keypoints of shape ({count}, {joints}, 3) and"
                f" {count} rows of all other fields; got {self.keypoints.shape} and {lengths}"
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def people_in(self, index: int) -> NDArray[np.int64]:
        """Return the indices of the people in image ``index``."""
        return np.flatnonzero(self.image_index == index)

    def select(self, indices: Sequence[int] | NDArray[np.int64]) -> "KeypointSet":
        """Return a set of some images with their people.

        Parameters
        ----------
        indices : Sequence[int] | NDArray[np.int64]
            (N,) image indices. Order and repetition do not matter: each image is in the result once, in the order of
            this set.
        """
        chosen = np.unique(np.arange(len(self))[list(indices)])
        people = np.flatnonzero(np.isin(self.image_index, chosen))
        return replace(
            self,
            images=tuple(self.images[i] for i in chosen),
            keypoints=self.keypoints[people],
            boxes=self.boxes[people],
            areas=self.areas[people],
            crowd=self.crowd[people],
            image_index=np.searchsorted(chosen, self.image_index[people]),
            ids=self.ids[people],
            segmentations=tuple(self.segmentations[i] for i in people),
        )

    def open(self, index: int) -> Image.Image:
        """Read image ``index`` as mode "L" or "RGB".

        Raises
        ------
        DataError
            If the file is missing or is not an image (see `open_image`), or its size differs from the annotations.
        """
        record = self.images[index]
        header = read_header(record.path)
        width, height = header.upright_size
        if (width, height) != (record.width, record.height):
            reason = f"is {width}x{height} pixels, but the annotations say {record.width}x{record.height}"
            hint = "was it resized or rotated? its joints would be misplaced"
            raise DataError(f"{record.path}: {reason} ({hint})")
        return header.decode()

    def ignore_mask(self, index: int) -> NDArray[np.bool_]:
        """Return the regions of image ``index`` to exclude from training.

        These are crowds, and people without a labeled joint.

        Returns
        -------
        NDArray[np.bool_]
            (H, W) mask.

        Raises
        ------
        DataError
            If a segmentation is invalid.
        """
        image = self.images[index]
        mask = np.zeros((image.height, image.width), dtype=bool)
        for i in self.people_in(index):
            if self.crowd[i] or not self.keypoints[i, :, 2].any():
                try:
                    box = self.boxes[i].tolist()
                    mask |= coco.segmentation_to_mask(self.segmentations[i], box=box, size=mask.shape)
                except DataError as error:
                    raise DataError(f"{self.name}: annotation {self.ids[i]}: {error}") from None
        return mask


def load_keypoints(
    json_path: str | Path, images: str | Path | None = None, *, skeleton: Skeleton | None = None
) -> KeypointSet:
    """Load COCO keypoint annotations of the category with ``keypoints``; if there are several, of "person".

    Parameters
    ----------
    json_path : str | Path
        File with ``images``, ``annotations`` and ``categories``.
    images : str | Path | None
        Folder of the images. None means ``images`` next to the file, or else the folder of the file.
    skeleton : Skeleton | None
        Skeleton with the joints of the category, in any order. None means the built-in skeleton with exactly these
        joints, or else that of the category.

    Returns
    -------
    KeypointSet
        All people of the category.

    Raises
    ------
    DataError
        If a file is missing, or the annotations are incomplete, invalid or contradictory.
    """
    path = Path(json_path)
    try:
        content = read_document(path, Annotations, max_bytes=max_bytes(MAX_BYTES))
    except DataError as error:
        raise DataError(f"{one_line(str(error), 240)} (expected a JSON file of COCO keypoints)") from None
    try:
        return _parse(content, path, Path(images) if images is not None else None, skeleton)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def save_keypoints(people: KeypointSet, path: str | Path) -> Path:
    """Write COCO keypoint annotations, which `load_keypoints` reads; images are not copied.

    Parameters
    ----------
    people : KeypointSet
        Set to write.
    path : str | Path
        JSON file to write.

    Returns
    -------
    Path
        Folder to pass as ``images`` to `load_keypoints`: a default folder if it has all images, or else their innermost
        common folder.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    path = Path(path)
    files = [image.path.absolute() for image in people.images]
    defaults = [folder.absolute() for folder in coco.default_image_folders(path)]
    suitable = [folder for folder in defaults if all(file.is_relative_to(folder) for file in files)]
    folder = suitable[0] if suitable else Path(os.path.commonpath([file.parent for file in files]))
    category = people.skeleton.to_category() | {"id": people.category_id}
    content = {
        "info": {"set_name": people.name, "notes": list(people.notes)},
        "images": [
            {
                "id": image.id,
                "file_name": file.relative_to(folder).as_posix(),
                "width": image.width,
                "height": image.height,
            }
            for image, file in zip(people.images, files, strict=True)
        ],
        "annotations": [_annotation(people, i, category["id"]) for i in range(len(people.ids))],
        "categories": [category],
    }
    try:
        replace_file(path, json.dumps(content).encode())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from None
    return folder


def _annotation(people: KeypointSet, i: int, category_id: int) -> dict[str, Any]:
    """Return the annotation of person ``i``."""
    annotation = {
        "id": int(people.ids[i]),
        "image_id": people.images[people.image_index[i]].id,
        "category_id": category_id,
        "iscrowd": int(people.crowd[i]),
        "bbox": people.boxes[i].tolist(),
        "area": float(people.areas[i]),
        "num_keypoints": int((people.keypoints[i, :, 2] > 0).sum()),
        "keypoints": people.keypoints[i].ravel().tolist(),
    }
    if people.segmentations[i] is not None:
        annotation["segmentation"] = people.segmentations[i]
    return annotation


def convert_skeleton(people: KeypointSet, skeleton: Skeleton) -> KeypointSet:
    """Return the people with the joints of another skeleton, matched by name.

    If the source has no neck, it is the midpoint of the shoulders if both are labeled, with the smaller v of the two
    (Cao 2017). Other joints that the source lacks are not labeled.

    Parameters
    ----------
    people : KeypointSet
        Source.
    skeleton : Skeleton
        Target skeleton.

    Returns
    -------
    KeypointSet
        The same people with other keypoints.

    Raises
    ------
    DataError
        If the skeletons have no common joint.
    """
    indices = np.array(skeleton.indices_in(people.skeleton))
    if not (indices >= 0).any():
        source, target = (f"{each.name} ({', '.join(each.joints)})" for each in (people.skeleton, skeleton))
        raise DataError(f"{people.name}: skeletons {source} and {target} have no joint in common")
    keypoints = np.where(indices[:, None] >= 0, people.keypoints[:, indices], np.float32(0))
    joints = people.skeleton.joints
    if "neck" in skeleton.joints and "neck" not in joints and {"left_shoulder", "right_shoulder"} <= set(joints):
        shoulders = people.keypoints[:, [joints.index("left_shoulder"), joints.index("right_shoulder")]]
        visibility = shoulders[..., 2].min(axis=1, keepdims=True)
        neck = np.concatenate([shoulders[..., :2].mean(axis=1), visibility], axis=1)
        keypoints[:, skeleton.joints.index("neck")] = np.where((shoulders[..., 2] != 0).all(1, keepdims=True), neck, 0)
    return replace(people, skeleton=skeleton, keypoints=keypoints)


def expand_boxes_to_joints(people: KeypointSet) -> NDArray[np.float64]:
    """Return the boxes of all people, expanded to all their labeled joints.

    Returns
    -------
    NDArray[np.float64]
        (P, 4) x, y, width, height as in COCO. Width and height are at least 1.
    """
    xy, is_labeled = people.keypoints[..., :2].astype(np.float64), people.keypoints[..., 2:] > 0
    corner, size = np.split(people.boxes.astype(np.float64), 2, axis=1)
    low = np.minimum(corner, np.where(is_labeled, xy, np.inf).min(1))
    high = np.maximum(corner + size, np.where(is_labeled, xy, -np.inf).max(1))
    return np.concatenate([low, np.maximum(high - low, 1)], 1)


def _parse(content: Annotations, path: Path, folder: Path | None, skeleton: Skeleton | None) -> KeypointSet:
    category = coco.find_keypoint_category(content.categories)
    joints = category.keypoints or []
    skeleton = skeleton or next((known for known in SKELETONS.values() if known.joints == tuple(joints)), None)
    skeleton = skeleton or Skeleton.from_category(msgspec.to_builtins(category))
    if sorted(skeleton.joints) != sorted(joints):
        both = ((joints, skeleton.joints), (skeleton.joints, joints))
        only = [", ".join(sorted(set(a) - set(b))[:4]) or "none" for a, b in both]
        raise DataError(
            f"its joints are not those of skeleton {skeleton.name} (only in the file: {only[0]}; only in the skeleton:"
            f" {only[1]}); load it without a skeleton, then call convert_skeleton"
        )
    images = coco.find_images(content.images, path, folder)
    own_ids = {None, category.id, *([parse_id(category.id)] if isinstance(category.id, str) else [str(category.id)])}
    records = [annotation for annotation in content.annotations if annotation.category_id in own_ids]
    people = coco.parse_people(records, joints=len(joints), image_ids=[image.id for image in images])
    sizes = np.array([(image.width, image.height) for image in images], dtype=np.float32).reshape(-1, 1, 2)
    xy, v = people.keypoints[..., :2], people.keypoints[..., 2]
    is_outside = (v != 0) & ((xy < -1) | (xy > sizes[people.image_index] + 1)).any(axis=2)
    v[is_outside] = 0
    info = decode_info(content.info)
    notes = [*info.notes, *_notes_on(people)]
    if is_outside.any():
        notes.append(f"{is_outside.sum()} joints are more than a pixel outside of the image: treated as not labeled")
    if not (v[~people.crowd] > 0).any():
        reasons = "; ".join((f"none of the {len(records)} people has a labeled joint", *notes))
        raise DataError(f"{reasons} (a joint is labeled if its v is 1 or 2)")
    return KeypointSet(
        skeleton=skeleton,
        images=images,
        keypoints=people.keypoints[:, [joints.index(name) for name in skeleton.joints]],
        boxes=people.boxes,
        areas=people.areas,
        crowd=people.crowd,
        image_index=people.image_index,
        ids=people.ids,
        segmentations=people.segmentations,
        name=info.set_name or path.stem,
        notes=tuple(notes),
        category_id=parse_id(category.id) or 1,
    )


def _notes_on(people: coco.PersonAnnotations) -> list[str]:
    """Return notes on annotations that are incomplete or contradict themselves."""
    total = len(people.ids)
    notes = []
    if people.num_without_area:
        notes.append(f"{people.num_without_area} of {total} people have no 'area': using the area of the box")
    num_without_size = int(((people.areas == 0) & (people.keypoints[..., 2] > 0).any(1) & ~people.crowd).sum())
    if num_without_size:
        notes.append(f"{num_without_size} of {total} people have joints, but a box of no size: no pose can match them")
    if people.num_contradictions:
        text = "differs from their labeled joints: using the joints"
        notes.append(f"{people.num_contradictions} of {total} people have a 'num_keypoints' that {text}")
    return notes
