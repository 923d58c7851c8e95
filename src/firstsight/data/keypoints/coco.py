"""Parser of COCO keypoint annotations: ids, categories, images and segmentations, after the check of their schema."""

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from firstsight.data.image_io import MAX_PIXELS
from firstsight.data.limits import describe_pixels, max_pixels
from firstsight.documents.keypoints import MAX_LENGTH, Annotation, Category, parse_id
from firstsight.documents.keypoints import Image as ImageRecord
from firstsight.errors import DataError


@dataclass(frozen=True)
class KeypointImage:
    """Image of a keypoint data set.

    Parameters
    ----------
    id : int
        Id in the annotations.
    path : Path
        File of the image.
    width : int
        Width in pixels.
    height : int
        Height in pixels.
    """

    id: int
    path: Path
    width: int
    height: int


def get_unique_ids(records: Sequence[ImageRecord | Annotation], kind: str) -> list[int]:
    """Return the ``id`` of each record; digits are read as a number.

    Parameters
    ----------
    records : Sequence[ImageRecord | Annotation]
        Images or annotations.
    kind : str
        Name of a record in error messages.

    Raises
    ------
    DataError
        If an id is not an integer or is not unique.
    """
    ids: dict[int, None] = {}
    for index, record in enumerate(records):
        number = parse_id(record.id)
        if number is None:
            value = reprlib.repr(record.id)
            raise DataError(f"{kind} {index + 1} of {len(records)} has the id {value}; expected an integer")
        if number in ids:
            raise DataError(f"the {kind} id {number} is not unique; give each {kind} a different id")
        ids[number] = None
    return list(ids)


def to_floats(value: Any, name: str, *, count: int | None = None, hint: str = "") -> NDArray[np.float64]:
    """Convert a list of finite numbers to an array.

    Parameters
    ----------
    value : Any
        The list.
    name : str
        Name of the value in error messages.
    count : int | None
        Required length. None accepts any length.
    hint : str
        End of the error messages.

    Returns
    -------
    NDArray[np.float64]
        (count,) array.

    Raises
    ------
    DataError
        If the value is not a list of numbers, has another length, or has a number that is not finite.
    """
    if not isinstance(value, list) or not all(isinstance(number, int | float) for number in value):
        raise DataError(f"{name} must be a list of numbers; got {reprlib.repr(value)}{hint}")
    if count is not None and len(value) != count:
        raise DataError(f"{name} must be {count} numbers; got {len(value)}{hint}")
    invalid = next((number for number in value if not abs(number) <= MAX_LENGTH), None)
    if invalid is not None:
        raise DataError(f"{name} contains {reprlib.repr(invalid)}; expected finite numbers of pixels{hint}")
    return np.array(value, dtype=np.float64)


def find_keypoint_category(categories: Sequence[Category]) -> Category:
    """Return the category with ``keypoints``; if there are several, the one named "person".

    Raises
    ------
    DataError
        If there is no such category, or several of which not exactly one is "person".
    """
    candidates = [category for category in categories if category.keypoints]
    if len(candidates) > 1:
        names = ", ".join(repr(category.name) for category in candidates)
        candidates = [category for category in candidates if category.name == "person"]
        if len(candidates) != 1:
            raise DataError(f"several categories have keypoints ({names}), and not exactly one is 'person'; keep one")
    if not candidates:
        raise DataError("no category lists its joints in 'keypoints' (COCO's person_keypoints files have them)")
    return candidates[0]


def default_image_folders(json_path: Path) -> tuple[Path, Path]:
    """Return the folders in which images are searched: ``images`` next to the annotation file, and its own folder."""
    return json_path.parent / "images", json_path.parent


def find_images(records: Sequence[ImageRecord], json_path: Path, folder: Path | None) -> tuple[KeypointImage, ...]:
    """Return the images of an annotation file with absolute paths, sorted by id.

    Parameters
    ----------
    records : Sequence[ImageRecord]
        ``images`` of the annotation file.
    json_path : Path
        Annotation file.
    folder : Path | None
        Folder of the images. None searches `default_image_folders`.

    Raises
    ------
    DataError
        If a record is invalid, or none of the files exists.
    """
    ids = get_unique_ids(records, "image")
    for number, record in zip(ids, records, strict=True):
        _check_image(record, f"image {number}")
    if folder is None:
        folders = default_image_folders(json_path)
        names = [record.file_name for record in records]
        likely = (path for name in names for path in folders if _is_file(path / name))
        folder = next(likely, None) or next(path for path in folders if path.is_dir())
    images = [
        KeypointImage(number, folder.absolute() / record.file_name, record.width, record.height)
        for number, record in zip(ids, records, strict=True)
    ]
    if images and not any(_is_file(image.path) for image in images):
        raise DataError(
            f"{len(images)} of {len(images)} images are missing, the first {images[0].path}"
            " (if they are in another folder, pass it as `images`)"
        )
    return tuple(sorted(images, key=lambda image: image.id))


def _check_image(record: ImageRecord, who: str) -> None:
    if not record.file_name.strip("./"):
        raise DataError(f"{who}: 'file_name' must be a path relative to the image folder; got {record.file_name!r}")
    path = PurePosixPath(record.file_name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise DataError(f"{who}: file_name '{record.file_name}' points outside the image folder; refused")
    limit = max_pixels(MAX_PIXELS)
    if record.width * record.height > limit:
        raise DataError(f"{who}: {record.width}x{record.height} pixels; {describe_pixels(limit)}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # the name is too long or has a null byte, or the folder is not accessible
        return False


@dataclass(frozen=True)
class PersonAnnotations:
    """Fields of a `KeypointSet` that come from annotations, for P people with K joints.

    Parameters
    ----------
    keypoints : NDArray[np.float32]
        (P, K, 3) x, y, v.
    boxes : NDArray[np.float32]
        (P, 4) x, y, width, height in pixels.
    areas : NDArray[np.float64]
        (P,) in square pixels.
    crowd : NDArray[np.bool_]
        (P,) whether the annotation is a crowd.
    image_index : NDArray[np.int64]
        (P,) positions of the images.
    ids : NDArray[np.int64]
        (P,) ids of the annotations.
    segmentations : tuple[Any, ...]
        P segmentations as in the file.
    num_without_area : int
        Number of annotations without an area, or with the area 0.
    num_contradictions : int
        Number of annotations whose ``num_keypoints`` differs from their labeled joints.
    """

    keypoints: NDArray[np.float32]
    boxes: NDArray[np.float32]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    image_index: NDArray[np.int64]
    ids: NDArray[np.int64]
    segmentations: tuple[Any, ...]
    num_without_area: int
    num_contradictions: int


def parse_people(annotations: Sequence[Annotation], *, joints: int, image_ids: Sequence[int]) -> PersonAnnotations:
    """Parse and check the annotations of people.

    An annotation without an area, or with the area 0, gets the area of its box: OKS divides by the area.

    Parameters
    ----------
    annotations : Sequence[Annotation]
        Annotations of one category.
    joints : int
        Number of joints K.
    image_ids : Sequence[int]
        Ids of the images. ``image_index`` refers to them.

    Raises
    ------
    DataError
        If an annotation has an unknown image, no box, a negative size, or other keypoints than the category.
    """
    ids = get_unique_ids(annotations, "annotation")
    index_of = {number: index for index, number in enumerate(image_ids)}
    keypoints = np.zeros((len(ids), joints, 3), dtype=np.float32)
    boxes = np.zeros((len(ids), 4), dtype=np.float32)
    areas = np.zeros(len(ids), dtype=np.float64)
    image_index = np.zeros(len(ids), dtype=np.int64)
    for i, record in enumerate(annotations):
        who = f"annotation {ids[i]}"
        image_id = parse_id(record.image_id)
        if image_id not in index_of:
            value = reprlib.repr(record.image_id)
            raise DataError(f"{who} is in image {value}, which is not among 'images' (add it or delete the annotation)")
        image_index[i] = index_of[image_id]
        boxes[i] = box = to_floats(record.bbox, f"{who}: 'bbox'", count=4)
        if box[2:].min() < 0:
            raise DataError(f"{who}: width, height and area must not be negative; got box {box.tolist()}")
        areas[i] = record.area or box[2] * box[3]
        if record.keypoints:
            name = f"{who}: 'keypoints', x, y, v of {joints} joints,"
            hint = " (0, 0, 0 for a joint that is not labeled)"
            keypoints[i] = to_floats(record.keypoints, name, count=3 * joints, hint=hint).reshape(-1, 3)
        if not np.isin(keypoints[i, :, 2], (-1, 0, 1, 2)).all():
            values = reprlib.repr(keypoints[i, :, 2].tolist())
            raise DataError(f"{who}: v of a joint must be 0, 1 or 2 (or -1 if uncertain); got {values}")
    counts = [record.num_keypoints for record in annotations]
    num_labeled = (keypoints[..., 2] > 0).sum(1).tolist()
    return PersonAnnotations(
        keypoints=keypoints,
        boxes=boxes,
        areas=areas,
        image_index=image_index,
        ids=np.array(ids, dtype=np.int64),
        crowd=np.array([bool(record.iscrowd) for record in annotations], dtype=bool),
        segmentations=tuple(record.segmentation for record in annotations),
        num_without_area=sum(not record.area for record in annotations),
        num_contradictions=sum(a is not None and a != b for a, b in zip(counts, num_labeled, strict=True)),
    )


def segmentation_to_mask(segmentation: Any, *, box: Sequence[float], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Convert COCO's ``segmentation`` to a mask.

    Parameters
    ----------
    segmentation : Any
        Polygons [[x, y, x, y, ...], ...], run lengths {"size": [height, width], "counts": ...}, or None for the box.
    box : Sequence[float]
        x, y, width, height in pixels.
    size : tuple[int, int]
        (height, width) of the mask.

    Returns
    -------
    NDArray[np.bool_]
        (height, width) mask.

    Raises
    ------
    DataError
        If the segmentation is of another type or another size.
    """
    if isinstance(segmentation, dict):
        return decode_rle(segmentation.get("counts"), size=size, declared=segmentation.get("size"))
    x, y, width, height = box
    canvas = Image.new("1", size[::-1])
    draw = ImageDraw.Draw(canvas)
    if not isinstance(segmentation, list | None):
        raise DataError(f"its segmentation must be polygons or run lengths; got {reprlib.repr(segmentation)}")
    for polygon in segmentation or [[x, y, x + width, y, x + width, y + height, x, y + height]]:
        corners = to_floats(polygon, "a polygon of its segmentation")
        if len(corners) % 2:
            raise DataError(f"a polygon of its segmentation must be pairs of x and y; got {len(corners)} numbers")
        if len(corners) >= 6:  # COCO has polygons with two corners
            draw.polygon((corners - 0.5).tolist(), fill=1)  # Pillow has pixel centers at integers
    return np.asarray(canvas, dtype=bool)


def decode_rle(counts: Any, *, size: tuple[int, int], declared: Any = None) -> NDArray[np.bool_]:
    """Decode COCO's run-length encoding (RLE) to a mask.

    The pixels are in column-major order, and the first run is of zeros. A string is a compressed list of runs: each
    number has digits of 5 bits, the lowest first, in the characters from code 48 on. Bit 32 is set if another digit
    follows. From the fourth number on, the difference to the number before the last one is stored.

    Parameters
    ----------
    counts : Any
        List of run lengths, or a string.
    size : tuple[int, int]
        (height, width) of the mask.
    declared : Any
        Size that the file declares. None is not checked.

    Returns
    -------
    NDArray[np.bool_]
        (height, width) mask.

    Raises
    ------
    DataError
        If the runs do not match the size.

    Examples
    --------
    >>> decode_rle([1, 2, 3], size=(2, 3)).astype(int).tolist()
    [[0, 1, 0], [1, 0, 0]]
    >>> decode_rle("123", size=(2, 3)).astype(int).tolist()
    [[0, 1, 0], [1, 0, 0]]
    """
    runs = _decode_string(counts) if isinstance(counts, str) else to_floats(counts, "run lengths").astype(np.int64)
    pixels = size[0] * size[1]
    if not ((runs >= 0) & (runs <= pixels)).all() or runs.sum() != pixels or (declared or list(size)) != list(size):
        raise DataError(f"its run lengths do not match an image of {size[0]} rows and {size[1]} columns")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size[::-1]).T


def _decode_string(counts: str) -> NDArray[np.int64]:
    """Return the run lengths of COCO's compressed RLE."""
    digits = np.frombuffer(counts.encode(), dtype=np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(digits & 32 == 0)  # the last digit of each number
    first = np.concatenate([[0], last[:-1] + 1])[: len(last)]
    runs = np.zeros(len(last), dtype=np.int64)
    if len(last):
        shift = 5 * (np.arange(len(digits)) - np.repeat(first, np.diff(first, append=len(digits))))
        runs = np.add.reduceat((digits & 31) << np.minimum(shift, 60), first)
        runs -= np.where(digits[last] & 16, 1 << np.minimum(shift[last] + 5, 60), 0)  # sign
    runs[1::2], runs[2::2] = np.cumsum(runs[1::2]), np.cumsum(runs[2::2])
    return runs
