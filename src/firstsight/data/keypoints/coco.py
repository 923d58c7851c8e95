"""What a COCO annotation file says, checked piece by piece: numbers, ids, categories, pictures, outlines."""

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from firstsight.data.image_io import MAX_PIXELS
from firstsight.errors import DataError

Record = Mapping[str, Any]
LARGEST = 1e9
"""Coordinates, sides and areas of pictures that can be read stay far below."""


@dataclass(frozen=True)
class KeypointPicture:
    """A picture's id in the annotations, its file, and its size in pixels."""

    id: int
    path: Path
    width: int
    height: int


def records(content: Any, key: str) -> list[Record]:
    """The list of objects at ``key`` of a file's content.

    Raises
    ------
    DataError
        There is no such list.
    """
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise DataError(
            f"'{key}' must be a list of objects (expected COCO annotations: images, annotations, categories)"
        )
    return found


def unique_ids(found: Sequence[Record], what: str) -> list[int]:
    """The ``id`` of each record: whole numbers, each once.

    Raises
    ------
    DataError
        An id is no whole number, or there twice.
    """
    seen: set[int] = set()
    for place, each in enumerate(found):
        number = each.get("id")
        if not isinstance(number, int) or abs(number) >= 1 << 63:
            raise DataError(f"{what} {place + 1} of {len(found)} has the id {number!r}; expected a whole number")
        if number in seen:
            raise DataError(f"the {what} id {number} is there twice; give each {what} an id of its own")
        seen.add(number)
    return [each["id"] for each in found]


def numbers(value: Any, what: str, *, count: int | None = None, hint: str = "") -> NDArray[np.float64]:
    """A list of finite numbers, ``count`` of them if given, as an array; errors end in the hint.

    Raises
    ------
    DataError
        No list, another number of them, or one that is not finite.
    """
    if not isinstance(value, list) or not all(isinstance(each, int | float) for each in value):
        raise DataError(f"{what} must be a list of numbers; got {reprlib.repr(value)}{hint}")
    if count is not None and len(value) != count:
        raise DataError(f"{what} must be {count} numbers; got {len(value)}{hint}")
    strange = next((each for each in value if not abs(each) <= LARGEST), None)
    if strange is not None:
        raise DataError(f"{what} holds {reprlib.repr(strange)}; expected finite numbers of pixels{hint}")
    return np.array(value, dtype=np.float64)


def category_with_joints(categories: Sequence[Record]) -> Record:
    """The category with ``keypoints``; of several, the one called "person".

    Raises
    ------
    DataError
        There is none, or there are several and not one alone is "person".
    """
    able = [each for each in categories if each.get("keypoints")]
    if len(able) > 1:
        names = ", ".join(repr(each.get("name")) for each in able)
        able = [each for each in able if each.get("name") == "person"]
        if len(able) != 1:
            raise DataError(
                f"several categories have keypoints ({names}), and not one alone is 'person'; keep only one"
            )
    joints = able[0]["keypoints"] if able else None
    if not isinstance(joints, list) or not all(isinstance(joint, str) for joint in joints):
        raise DataError(
            "no category lists its joints in 'keypoints' (COCO's person_keypoints files do, instances do not)"
        )
    return able[0]


def usual_folders(json_path: Path) -> tuple[Path, Path]:
    """Where pictures lie if nobody says: in ``images`` beside the annotations, or right beside them."""
    return json_path.parent / "images", json_path.parent


def find_pictures(images: Sequence[Record], json_path: Path, folder: Path | None) -> tuple[KeypointPicture, ...]:
    """The pictures of a file, sorted by id, with absolute paths; all of them are there.

    Raises
    ------
    DataError
        One is missing.
    """
    ids = unique_ids(images, "image")
    for number, each in zip(ids, images, strict=True):
        _check_picture(each, f"image {number}")
    if folder is None:
        likely = [each for each in usual_folders(json_path) if images and _is_file(each / images[0]["file_name"])]
        folder = likely[0] if likely else next(each for each in usual_folders(json_path) if each.is_dir())
    pictures = [
        KeypointPicture(number, folder.absolute() / each["file_name"], each["width"], each["height"])
        for number, each in zip(ids, images, strict=True)
    ]
    missing = [picture.path for picture in pictures if not _is_file(picture.path)]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(pictures)} pictures are missing, the first {missing[0]}"
            " (if they lie elsewhere, give their folder as images)"
        )
    return tuple(sorted(pictures, key=lambda picture: picture.id))


def _check_picture(record: Record, who: str) -> None:
    name, width, height = (record.get(key) for key in ("file_name", "width", "height"))
    if not isinstance(name, str) or not name.strip("./"):
        raise DataError(f"{who}: 'file_name' must be the picture's path in its folder; got {name!r}")
    inside = PurePosixPath(name.replace("\\", "/"))
    if inside.is_absolute() or ".." in inside.parts or ":" in inside.parts[0]:
        raise DataError(f"{who}: file_name '{name}' points outside the folder of pictures; refused")
    if not all(isinstance(side, int) and side > 0 for side in (width, height)):
        raise DataError(f"{who}: 'width' and 'height' must be whole numbers of pixels; got {width!r} and {height!r}")
    if record["width"] * record["height"] > MAX_PIXELS:
        raise DataError(f"{who}: {width}x{height} pixels; at most {MAX_PIXELS // 1_000_000} million are read")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, a folder that may not be entered, a zero byte
        return False


@dataclass(frozen=True)
class People:
    """The fields of a `KeypointSet` that come from annotations, and how many of these have no area."""

    keypoints: NDArray[np.float32]
    boxes: NDArray[np.float32]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    picture: NDArray[np.int64]
    ids: NDArray[np.int64]
    segmentations: tuple[Any, ...]
    without_area: int


def read_people(annotations: Sequence[Record], *, joints: int, pictures: Sequence[int]) -> People:
    """Annotations of people with so many ``joints``, in the pictures of these ids.

    Raises
    ------
    DataError
        One is of no known picture, has impossible numbers, or an outline of another kind.
    """
    ids = unique_ids(annotations, "annotation")
    places = {number: place for place, number in enumerate(pictures)}
    keypoints = np.zeros((len(ids), joints, 3), dtype=np.float32)
    boxes, areas = np.zeros((len(ids), 4), dtype=np.float32), np.zeros(len(ids), dtype=np.float64)
    picture = np.zeros(len(ids), dtype=np.int64)
    for i, each in enumerate(annotations):
        who, image, outline = f"annotation {ids[i]}", each.get("image_id"), each.get("segmentation")
        if not isinstance(image, int) or image not in places:
            raise DataError(f"{who} is in image {image!r}, which is not among 'images' (add it or drop the annotation)")
        picture[i] = places[image]
        boxes[i] = box = numbers(each.get("bbox"), f"{who}: 'bbox'", count=4)
        areas[i] = box[2] * box[3] if each.get("area") is None else numbers([each["area"]], f"{who}: 'area'")[0]
        if box[2:].min() < 0 or areas[i] < 0:
            raise DataError(
                f"{who}: width, height and area must not be negative; got box {box.tolist()}, area {areas[i]}"
            )
        if each.get("keypoints"):
            what, hint = (
                f"{who}: 'keypoints', x, y, v of {joints} joints,",
                " (0, 0, 0 for a joint that is not labelled)",
            )
            keypoints[i] = numbers(each["keypoints"], what, count=3 * joints, hint=hint).reshape(-1, 3)
        if not np.isin(keypoints[i, :, 2], (0, 1, 2)).all():
            raise DataError(f"{who}: v of a joint must be 0, 1 or 2; got {keypoints[i, :, 2].tolist()}")
        if not isinstance(outline, list | dict | None):
            raise DataError(f"{who}: 'segmentation' must be polygons or run lengths; got {reprlib.repr(outline)}")
    return People(
        keypoints=keypoints, boxes=boxes, areas=areas, picture=picture, ids=np.array(ids, dtype=np.int64),
        crowd=np.array([bool(each.get("iscrowd")) for each in annotations], dtype=bool),
        segmentations=tuple(each.get("segmentation") for each in annotations),
        without_area=sum(each.get("area") is None for each in annotations),
    )  # fmt: skip


def read_info(content: Record) -> tuple[str, list[str]]:
    """Name and notes of a set that was saved by this package; else neither."""
    info = content.get("info")
    name, notes = (info.get("set_name"), info.get("notes")) if isinstance(info, dict) else ("", [])
    kept = [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
    return name if isinstance(name, str) else "", kept


def outline_mask(outline: Any, *, box: Sequence[float], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Draw COCO's ``segmentation`` as a bool array of ``size`` (height, width); the box where there is none.

    Parameters
    ----------
    outline : Any
        Polygons [[x, y, x, y, ...], ...], or run lengths {"size": [height, width], "counts": ...}, or None.
    box : Sequence[float]
        x, y, width, height in pixels.

    Raises
    ------
    DataError
        The outline is neither, or of another size.
    """
    if isinstance(outline, dict):
        return decode_runs(outline.get("counts"), size=size, declared=outline.get("size"))
    x, y, width, height = box
    canvas = Image.new("1", size[::-1])
    pen = ImageDraw.Draw(canvas)
    for polygon in outline or [[x, y, x + width, y, x + width, y + height, x, y + height]]:
        corners = numbers(polygon, "a polygon of its outline")
        if len(corners) % 2:
            raise DataError(f"a polygon of its outline must be pairs of x and y; got {len(corners)} numbers")
        if len(corners) >= 6:  # COCO has some of two corners
            pen.polygon((corners - 0.5).tolist(), fill=1)  # Pillow has the centres of pixels at whole numbers
    return np.asarray(canvas, dtype=bool)


def decode_runs(counts: Any, *, size: tuple[int, int], declared: Any = None) -> NDArray[np.bool_]:
    """COCO's run lengths as a bool array of ``size``: columns one after the other, the first run is of zeros.

    A string holds them in digits of five bits, the lowest first, from character 48 on; 32 says that more follow, and
    from the fourth number on each is the difference to the last but one.

    Raises
    ------
    DataError
        They are not those of a picture of that size.

    >>> decode_runs([1, 2, 3], size=(2, 3)).astype(int).tolist()
    [[0, 1, 0], [1, 0, 0]]
    >>> decode_runs("123", size=(2, 3)).astype(int).tolist()
    [[0, 1, 0], [1, 0, 0]]
    """
    if isinstance(counts, str):
        digits = np.frombuffer(counts.encode(), dtype=np.uint8).astype(np.int64) - 48
        last = np.flatnonzero(digits & 32 == 0)
        first = np.concatenate([[0], last[:-1] + 1])[: len(last)]
        runs = np.zeros(len(last), dtype=np.int64)
        if len(last):
            place = 5 * (np.arange(len(digits)) - np.repeat(first, np.diff(first, append=len(digits))))
            runs = np.add.reduceat((digits & 31) << np.minimum(place, 60), first)
            runs -= np.where(digits[last] & 16, 1 << np.minimum(place[last] + 5, 60), 0)
        runs[1::2], runs[2::2] = np.cumsum(runs[1::2]), np.cumsum(runs[2::2])
    else:
        runs = numbers(counts, "run lengths").astype(np.int64)
    pixels = size[0] * size[1]
    if not ((runs >= 0) & (runs <= pixels)).all() or runs.sum() != pixels or (declared or list(size)) != list(size):
        raise DataError(f"its run lengths are not those of a picture of {size[0]} rows and {size[1]} columns")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size[::-1]).T
