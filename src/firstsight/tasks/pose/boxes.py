"""Boxes of people for top-down pose estimation: read from a file, validated, or derived from poses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstsight.documents.boxes import MAX_BOXES, MAX_BYTES, BoxFile
from firstsight.documents.decode import read_document
from firstsight.errors import DataError
from firstsight.pose.parts import Pose
from firstsight.text import one_line

BOX_MARGIN = 0.1
"""Margin around the joints on every side, as a fraction of the longer side: a person extends beyond the joints."""
FRAGMENT_OVERLAP = 0.8
"""A pose is a fragment if the box of a more complete pose covers more than this fraction of it."""
EXPECTED = "expected a list of boxes [x, y, width, height] for one image, or an object of such lists by file name"
FORM = "a list with 4 numbers for each person, [x, y, width, height]"

Floats = NDArray[np.float64]


def read_boxes(file: str | Path) -> dict[str, Floats]:
    """Read the boxes of people in one or several images.

    Parameters
    ----------
    file : str | Path
        JSON file with a list of boxes for one image, or with an object of such lists by file name. A box is x and y of
        the upper left corner, width and height in pixels, as in COCO.

    Returns
    -------
    dict[str, Floats]
        (N, 4) boxes by file name. The name of a single list is "".

    Raises
    ------
    DataError
        If the file cannot be read, or has other content.
    """
    try:
        content: Any = read_document(Path(file), BoxFile, max_bytes=MAX_BYTES)  # type: ignore[arg-type]  # a union
    except DataError as error:
        raise DataError(f"{one_line(str(error), 180)}; {EXPECTED}") from None
    lists = content if isinstance(content, dict) else {"": content}
    return {name: np.array(rows, np.float64).reshape(-1, 4) for name, rows in lists.items()}


def select_boxes(boxes: dict[str, Floats], image: str | Path) -> Floats:
    """Return the boxes of an image, by its path, by its file name, or the only list.

    Parameters
    ----------
    boxes : dict[str, Floats]
        Boxes that `read_boxes` returned.
    image : str | Path
        Path of the image.

    Raises
    ------
    DataError
        If there is no entry for the image.
    """
    for name in (str(image), Path(image).name, ""):
        if name in boxes:
            return boxes[name]
    names = ", ".join(list(boxes)[:4])
    raise DataError(f"{image}: the file of boxes has no entry for this image; it has {names}")


def validate_boxes(boxes: Any, size: tuple[int, int], name: str | Path) -> Floats:
    """Return the boxes of an image as an array after checking them.

    Parameters
    ----------
    boxes : Any
        (N, 4) x, y, width, height in pixels.
    size : tuple[int, int]
        (width, height) of the image.
    name : str | Path
        Name of the image in error messages.

    Raises
    ------
    DataError
        If there are too many boxes, or a box is not finite, is empty, or is entirely outside of the image.
    """
    try:
        array = np.asarray(boxes, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"`boxes` must be {FORM}; got {one_line(repr(boxes), 60)}") from None
    if array.size and (array.ndim > 2 or array.shape[-1:] != (4,)):
        raise DataError(f"`boxes` must be {FORM}; got the shape {array.shape}")
    array = array.reshape(-1, 4)
    if len(array) > MAX_BOXES:
        raise DataError(f"{name}: {len(array):,} boxes are too many; the maximum for one image is {MAX_BOXES:,}")
    for index, (x, y, width, height) in enumerate(array.tolist()):
        box = f"{name}: box {index} ({x:g}, {y:g}, {width:g}, {height:g})"
        if not np.isfinite([x, y, width, height]).all():
            raise DataError(f"{box} has a value that is not finite")
        if width <= 0 or height <= 0:
            raise DataError(f"{box} is empty: width and height must be above 0")
        if x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0:
            raise DataError(f"{box} is outside of the image, which has {size[0]}x{size[1]} pixels")
    return array


def drop_fragments(poses: Sequence[Pose]) -> list[Pose]:
    """Return the poses without fragments of other poses.

    A bottom-up network may detect an arm of a person as a second person. A top-down network completes each of its
    detections, so it would return this person twice. A fragment has fewer joints than another pose, whose box covers
    more than `FRAGMENT_OVERLAP` of the fragment's box. A half hidden person in front of a larger one is dropped too.

    Parameters
    ----------
    poses : Sequence[Pose]
        Poses in one image.
    """
    num_joints = np.array([(pose.keypoints[:, 2] >= 0).sum() for pose in poses])
    boxes = boxes_from_poses(poses)
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    overlaps = (np.minimum(high[:, None], high) - np.maximum(low[:, None], low)).clip(0).prod(2)  # (N, N)
    is_covered = overlaps > FRAGMENT_OVERLAP * boxes[:, 2:].prod(1)[:, None]
    is_fragment = (is_covered & (num_joints[:, None] < num_joints)).any(1)
    return [pose for pose, dropped in zip(poses, is_fragment, strict=True) if not dropped]


def boxes_from_poses(poses: Sequence[Pose]) -> Floats:
    """Return the boxes of people with these poses: the bounding boxes of the joints with a margin.

    Parameters
    ----------
    poses : Sequence[Pose]
        N poses, pixel centers at integers.

    Returns
    -------
    Floats
        (N, 4) x, y, width, height, measured from the corners of pixels.
    """
    boxes = np.array([pose.box for pose in poses], np.float64).reshape(-1, 4)
    margin = BOX_MARGIN * np.maximum(boxes[:, 2:].max(1, initial=0), 1)[:, None]
    return np.concatenate([boxes[:, :2] - margin + 0.5, boxes[:, 2:] + 2 * margin], 1)
