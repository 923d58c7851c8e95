"""Where to look for people, one box each: read from a file, taken from a bottom-up network, or all of the picture."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstsight.errors import DataError
from firstsight.pose.parts import Pose

BOX_MARGIN = 0.1
"""The box of a pose holds its joints; a person's is larger by so much of its longer side, on every side."""
INSIDE = 0.8
"""More than this share of a fragment's box lies within that of the person it belongs to."""
MOST = 10_000
"""Boxes in one picture."""

Floats = NDArray[np.float64]


def read_boxes(file: str | Path) -> dict[str, Floats]:
    """Boxes of pictures, as COCO has them: x, y of the first corner, width, height, in pixels.

    Parameters
    ----------
    file : str | Path
        JSON. A list of boxes, for one picture; or an object with a list of boxes for each picture's file name.

    Returns
    -------
    dict[str, Floats]
        By file name, (N, 4) each; a list alone is that of "".

    Raises
    ------
    DataError
        It cannot be read, or is something else.
    """
    path = Path(file)
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error} (expected a JSON file of boxes)") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}); expected boxes") from None
    lists = content if isinstance(content, dict) else {"": content}
    return {name: _boxes(rows, f"{path}: {name}" if name else str(path)) for name, rows in lists.items()}


def _boxes(rows: Any, where: str) -> Floats:
    wanted = "expected boxes [x, y, width, height], of one picture in a list, of several under their file names"
    if not isinstance(rows, list):
        raise DataError(f"{where}: {wanted}; got {type(rows).__name__}")
    for number, row in enumerate(rows):
        if (
            not isinstance(row, list) or len(row) != 4
            or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in row)
        ):  # fmt: skip
            raise DataError(f"{where}: box {number}: {wanted}; got {str(row)[:60]}")
    return np.array(rows, np.float64).reshape(-1, 4)


def boxes_for(boxes: dict[str, Floats], picture: str | Path) -> Floats:
    """Those of a picture: under its path as it was given, under its file name, or the only list there is.

    Raises
    ------
    DataError
        There are none for it.
    """
    for name in (str(picture), Path(picture).name, ""):
        if name in boxes:
            return boxes[name]
    raise DataError(f"{picture}: the file of boxes has none for it; it has {', '.join(list(boxes)[:4])}")


def validate_boxes(boxes: Any, size: tuple[int, int], name: str | Path) -> Floats:
    """Boxes of a picture of (width, height), checked.

    Raises
    ------
    DataError
        A number that is not finite, no width or no height, or wholly outside of the picture.
    """
    found = np.asarray(boxes, np.float64).reshape(-1, 4)
    if len(found) > MOST:
        raise DataError(f"{name}: {len(found):,} boxes; at most {MOST:,} are taken in one picture")
    for number, (x, y, width, height) in enumerate(found.tolist()):
        told = f"{name}: box {number} ({x:g}, {y:g}, {width:g}, {height:g})"
        if not np.isfinite([x, y, width, height]).all():
            raise DataError(f"{told} has a number that is not finite")
        if width <= 0 or height <= 0:
            raise DataError(f"{told} is empty: width and height must be above 0")
        if x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0:
            raise DataError(f"{told} lies outside of the picture of {size[0]}x{size[1]} pixels")
    return found


def drop_fragments(poses: Sequence[Pose]) -> list[Pose]:
    """Without fragments: those who have fewer joints than somebody whose box holds more than `INSIDE` of theirs.

    A bottom-up network may leave an arm of a person as somebody of its own; looked at one at a time, each fragment
    would be made whole, and the person be there twice. So is who is half hidden before somebody larger.
    """
    joints = np.array([(pose.keypoints[:, 2] >= 0).sum() for pose in poses])
    boxes = boxes_of_poses(poses)
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    shared = (np.minimum(high[:, None], high) - np.maximum(low[:, None], low)).clip(0).prod(2)  # of each with each
    inside = shared > INSIDE * boxes[:, 2:].prod(1)[:, None]
    fragment = (inside & (joints[:, None] < joints)).any(1)
    return [pose for pose, dropped in zip(poses, fragment, strict=True) if not dropped]


def boxes_of_poses(poses: Sequence[Pose]) -> Floats:
    """(N, 4) boxes of people whose joints were found, grown; from pixel centres at integers to corners."""
    boxes = np.array([pose.box for pose in poses], np.float64).reshape(-1, 4)
    grown = BOX_MARGIN * np.maximum(boxes[:, 2:].max(1, initial=0), 1)[:, None]
    return np.concatenate([boxes[:, :2] - grown + 0.5, boxes[:, 2:] + 2 * grown], 1)
