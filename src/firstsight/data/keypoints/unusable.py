"""Images of a keypoint data set that cannot be used: found before a training, counted and named."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import numpy as np

from firstsight.data.keypoints.keypoint_set import KeypointSet
from firstsight.errors import DataError
from firstsight.text import one_line

LARGE_PIXELS = 4_000_000
"""Images with more pixels are decoded one at a time, which limits the memory."""
MAX_NAMED = 4
"""Number of unusable images that are named in a note."""


def find_unusable(
    people: KeypointSet, indices: Sequence[int] | None = None, *, masks: bool = False
) -> list[tuple[int, str]]:
    """Decode images on all cores and return those that cannot be used.

    Parameters
    ----------
    people : KeypointSet
        Data set with the images.
    indices : Sequence[int] | None
        Images to decode. None means all of them.
    masks : bool
        Check `KeypointSet.ignore_mask` too.

    Returns
    -------
    list[tuple[int, str]]
        Index and reason of each unusable image, in the order of ``indices``.
    """
    one_at_a_time = threading.Lock()

    def check(index: int) -> str:
        record = people.images[index]
        try:
            with one_at_a_time if record.width * record.height > LARGE_PIXELS else nullcontext():
                people.open(index)
                if masks:
                    people.ignore_mask(index)
        except DataError as error:
            return str(error)
        return ""

    chosen = range(len(people)) if indices is None else indices
    with ThreadPoolExecutor() as pool:
        return [(index, reason) for index, reason in zip(chosen, pool.map(check, chosen), strict=True) if reason]


def leave_out(
    people: KeypointSet, unusable: Sequence[tuple[int, str]], *, kind: str = "images", strict: bool = False
) -> KeypointSet:
    """Return the set without its unusable images and their people, with a note on them.

    Parameters
    ----------
    people : KeypointSet
        Data set.
    unusable : Sequence[tuple[int, str]]
        Result of `find_unusable`.
    kind : str
        Name of the images in messages, such as "training images".
    strict : bool
        Refuse a set with unusable images.

    Raises
    ------
    DataError
        If no image can be used, or one cannot and ``strict`` is true.
    """
    if not unusable:
        return people
    first = unusable[0][1]
    if len(unusable) == len(people):
        raise DataError(f"{people.name}: none of its {len(people)} {kind} can be used; {first}")
    if strict:
        count = f"{len(unusable)} of {len(people)} {kind}"
        raise DataError(f"{people.name}: {count} cannot be used, the first {first}")
    kept = np.setdiff1d(np.arange(len(people)), [index for index, _ in unusable])
    note = describe_unusable([reason for _, reason in unusable], len(people), kind=kind)
    return replace(people.select(kept), notes=(*people.notes, note))


def describe_unusable(reasons: Sequence[str], total: int, *, kind: str = "images") -> str:
    """Return a note that counts unusable images and names the first ones.

    >>> describe_unusable(["a.png: not an image"], 3)
    '1 of 3 images cannot be used and are left out (a.png: not an image)'
    """
    named = "; ".join(one_line(reason) for reason in reasons[:MAX_NAMED])
    more = f"; and {len(reasons) - MAX_NAMED} more" if len(reasons) > MAX_NAMED else ""
    return f"{len(reasons)} of {total} {kind} cannot be used and are left out ({named}{more})"
