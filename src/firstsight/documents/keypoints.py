"""Schemas of COCO keypoint annotations and of skeletons.

The limits are wider than those of known data sets. They bound the time and the memory that a file can take.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from firstsight.documents.decode import decode_document
from firstsight.errors import DataError
from firstsight.text import one_line

MAX_ID = 2**63 - 1
MAX_LENGTH = 1e9
"""Limit of coordinates and sides in pixels; those of readable images are much smaller."""
MAX_JOINTS = 1000
MAX_LIMBS = 2000
MAX_BYTES = 512 * 2**20
"""Limit of the size of an annotation file; COCO's largest one with keypoints has 239 MB."""

Id = Annotated[int, Meta(ge=-MAX_ID, le=MAX_ID)] | Annotated[str, Meta(max_length=200)]
"""Id of an image, an annotation or a category; some programs write numbers as text."""
Name = Annotated[str, Meta(max_length=200)]
Pixels = Annotated[float, Meta(ge=-MAX_LENGTH, le=MAX_LENGTH)]
Side = Annotated[int, Meta(ge=1, le=int(MAX_LENGTH))]
JointNumber = Annotated[int, Meta(ge=1, le=MAX_JOINTS)]
Pairs = Annotated[list[tuple[JointNumber, JointNumber]], Meta(max_length=MAX_LIMBS)]


class Image(Struct, kw_only=True):
    """Image of an annotation file."""

    id: Id
    file_name: Annotated[str, Meta(min_length=1, max_length=4096)]
    width: Side
    height: Side


class Annotation(Struct, kw_only=True):
    """Annotation of a person; those of other categories may lack every field."""

    id: Id | None = None
    image_id: Id | None = None
    category_id: Id | None = None
    bbox: list[Pixels] | None = None
    area: Annotated[float, Meta(ge=0, le=MAX_LENGTH**2)] | None = None
    iscrowd: int | bool | None = None
    keypoints: list[Pixels] | None = None
    num_keypoints: int | float | None = None
    segmentation: list[Any] | dict[str, Any] | None = None


class Category(Struct, kw_only=True):
    """Category of an annotation file. With ``keypoints`` and ``skeleton``, it describes a `Skeleton`."""

    id: Id | None = None
    name: Name = "skeleton"
    keypoints: Annotated[list[Name], Meta(max_length=MAX_JOINTS)] | None = None
    skeleton: Pairs | None = None
    sigmas: Annotated[list[float], Meta(max_length=MAX_JOINTS)] | None = None
    flip_pairs: Pairs | None = None
    skeleton_name: Name | None = None


class Info(Struct, kw_only=True):
    """Description of a data set that `save_keypoints` wrote."""

    set_name: str = ""
    notes: list[str] = []


class Annotations(Struct, kw_only=True):
    """COCO keypoint annotations."""

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]
    info: Any = None


def decode_category(category: Mapping[str, Any]) -> Category:
    """Return a category that is already decoded, such as that of a card, checked against the schema.

    Parameters
    ----------
    category : Mapping[str, Any]
        Values as in JSON.

    Raises
    ------
    DataError
        If a value has another type or is out of its range. The message names the category.
    """
    name = category.get("name", "skeleton")
    source = one_line(f"category {name!r}" if isinstance(name, str) else "category", 80)
    try:
        data = msgspec.json.encode(dict(category))
    except Exception as error:  # objects that JSON does not have, and integers of more than 64 bits
        raise DataError(f"{source}: {error or type(error).__name__}") from None
    return decode_document(data, Category, source=source)


def decode_info(info: Any) -> Info:
    """Return the description that `save_keypoints` wrote; an empty one if the value is of another kind."""
    try:
        return msgspec.convert(info, Info)
    except msgspec.ValidationError:
        return Info()


def parse_id(value: int | str | None) -> int | None:
    """Return an id as an integer; None if it is a text that is not one.

    >>> parse_id(7), parse_id("007"), parse_id("a7"), parse_id("²")
    (7, 7, None, None)
    """
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None
    return value
