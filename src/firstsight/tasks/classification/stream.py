"""Predictions of any number of images: files are decoded by threads while the network computes."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from firstsight.data.image_input import SEVERAL_FORMS, image_name, is_single, to_pil
from firstsight.data.image_source import ImageSource, find_images
from firstsight.errors import DataError, FirstsightError, UsageError

Prepare: TypeAlias = Callable[[Any], tuple[NDArray[np.uint8], tuple[str, ...]]]
Prepared: TypeAlias = tuple[int, str, NDArray[np.uint8], tuple[str, ...]]
"""Index among the images, name, (C, S, S) pixels and remarks of an image."""
OnError: TypeAlias = Callable[[DataError], None]

MAX_BATCH = 256
BATCH_VALUES = 5_000_000
"""Maximum number of input values of a batch by default: 33 images of 3x224x224."""
MAX_WORKERS = 8


def default_batch_size(input_shape: tuple[int, ...]) -> int:
    """Return the number of images in a batch for an input shape (C, S, S).

    >>> default_batch_size((1, 32, 32)), default_batch_size((3, 224, 224))
    (256, 33)
    """
    return max(1, min(MAX_BATCH, BATCH_VALUES // int(np.prod(input_shape))))


def prepare_images(
    images: Any, prepare: Prepare, *, bgr: bool = False, ahead: int = MAX_BATCH, on_error: OnError | None = None
) -> Iterator[Prepared]:
    """Yield images as inputs of a network, in order.

    Files are decoded by threads, at most ``ahead`` of them in advance. Images in memory are converted at once, so a
    generator may reuse its buffer.

    Parameters
    ----------
    images : Any
        One image or several; a path may be a folder, a zip file or a pattern.
    prepare : Prepare
        Returns the pixels of a PIL image, and remarks.
    bgr : bool
        Channels of arrays and tensors are blue, green, red (OpenCV); images of other forms are not changed.
    ahead : int
        Maximum number of files that are decoded in advance.
    on_error : OnError | None
        Called for each image that cannot be read, which is left out. None raises the error. The attributes ``image``
        and ``index`` of the error say which image it is.

    Raises
    ------
    UsageError
        If it is of another type.
    DataError
        If an image cannot be read and ``on_error`` is None.
    """
    workers = min(MAX_WORKERS, os.cpu_count() or 1)
    queue: deque[tuple[int, str, Future[tuple[NDArray[np.uint8], tuple[str, ...]]]]] = deque()
    on_error = on_error or _raise
    is_one = is_single(images)
    with _threads(workers) as pool:

        def next_result() -> Iterator[Prepared]:
            index, name, future = queue.popleft()
            try:
                yield index, name, *future.result()
            except DataError as error:
                on_error(DataError(_locate(error, name, index, is_one), image=name, index=index))
            except UsageError as error:
                raise UsageError(_locate(error, name, index, is_one)) from None

        for index, image in enumerate(_list_images(images)):
            if isinstance(image, ImageSource | bytes | bytearray | memoryview):
                name = image.name if isinstance(image, ImageSource) else image_name(image)
                queue.append((index, name, pool.submit(_open_and_prepare, image, prepare)))
            elif isinstance(image, DataError):
                queue.append((index, image.image, _failed(image)))
            else:
                queue.append((index, image_name(image), _done(image, prepare, bgr=bgr)))
            while len(queue) > ahead:
                yield from next_result()
        while queue:
            yield from next_result()


def batches(items: Iterable[Prepared], size: int) -> Iterator[list[Prepared]]:
    """Yield lists of ``size`` items; the last one may be shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _locate(error: FirstsightError, name: str, index: int, is_one: bool) -> str:
    """Return the message of an error; that of an image without a name says which one of several it is."""
    text = str(error)
    if is_one or (text.startswith(f"{name}: ") and name != "image"):
        return text
    return f"image {index + 1} of the list: {text.removeprefix('`image`: ').removeprefix('image: ')}"


def _list_images(images: Any) -> Iterator[Any]:
    """Yield images; a path becomes the image files that it has, or the error if it has none."""
    sequence: Any = [images] if is_single(images) or isinstance(images, ImageSource) else images
    if not isinstance(sequence, Iterable) or isinstance(sequence, dict):
        raise UsageError(f"`images` must be {SEVERAL_FORMS}; got {type(images).__name__}")
    for image in sequence:
        if isinstance(image, str | Path):
            try:
                yield from find_images(image)
            except DataError as error:
                yield DataError(str(error), image=str(image))
        else:
            yield image


def _open_and_prepare(image: Any, prepare: Prepare) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    return prepare(image.open() if isinstance(image, ImageSource) else to_pil(image))


def _done(image: Any, prepare: Prepare, *, bgr: bool) -> "Future[tuple[NDArray[np.uint8], tuple[str, ...]]]":
    """Return a future that has the result."""
    try:
        result = prepare(to_pil(image, bgr=bgr))
    except (DataError, UsageError) as error:
        return _failed(error)
    future: Future[tuple[NDArray[np.uint8], tuple[str, ...]]] = Future()
    future.set_result(result)
    return future


def _failed(error: FirstsightError) -> "Future[tuple[NDArray[np.uint8], tuple[str, ...]]]":
    """Return a future that raises an error."""
    future: Future[tuple[NDArray[np.uint8], tuple[str, ...]]] = Future()
    future.set_exception(error)
    return future


def _raise(error: DataError) -> None:
    raise error


@contextmanager
def _threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Context manager of a thread pool that drops the waiting work at its end."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="firstsight-images")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
