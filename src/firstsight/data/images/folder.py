"""Reader of images in class folders (``class/image.png``), in a folder or in zip files.

``train/``, ``val/`` and ``test/`` above the class folders, folders or zip files, are optional, see `find_layout`.
"""

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from firstsight.data.image_io import read_header, resize_to_square, to_channels
from firstsight.data.images.image_set import ImageSet, SkippedImage, holdout_fraction, stratified_split
from firstsight.data.images.layout import Layout, Sample, describe_unread_zips, find_layout
from firstsight.data.images.tree import ImageFile, ImageTree, plain_name
from firstsight.errors import DataError

CHUNK = 512
CHUNK_BYTES = 64_000_000
"""Files are read in chunks of at most this size; one file more is read than fits."""
LARGE_PIXELS = 4_000_000
"""Images with more pixels are decoded one at a time, which limits the memory."""
IN_MEMORY_BYTES = 4 << 30
"""A larger array of decoded pixels is stored in a memory-mapped temporary file."""

T = TypeVar("T")


def read_folder(
    path: Path,
    split: str,
    *,
    size: int,
    channels: int | None,
    strict: bool,
    shorter: int = 0,
    letterbox: bool = False,
    memory: int = IN_MEMORY_BYTES,
    labeled: bool = True,
    whole: bool = False,
) -> ImageSet:
    """Read one split of the images in a folder or zip file.

    With split folders, "train" is ``train/`` and "test" is ``test/`` (``val/`` if there is no ``test/``). With only
    one of them, and without any, `stratified_split` holds out a fraction of each class for testing.

    Parameters
    ----------
    path : Path
        Folder or zip file. The zip files of a folder without images are read like folders, see `ImageTree`.
    split : str
        "train" or "test".
    size : int
        Side of the images in pixels, after resize and center crop.
    channels : int | None
        1 or 3. None chooses 1 if all files are gray, else 3.
    strict : bool
        Refuse data with unusable images instead of leaving them out.
    shorter : int
        Resize the shorter side to this many pixels before the crop (see `Preprocess`).
    letterbox : bool
        Pad the images instead of the crop.
    memory : int
        Maximum size in bytes of decoded pixels in memory.
    labeled : bool
        Require at least two class folders. If False, images may also be in no class folder or all in one.
    whole : bool
        For "test" of data that have no training or no test split: return all images instead of holding some out.

    Returns
    -------
    ImageSet
        Images and labels of the split.

    Raises
    ------
    DataError
        If there are no usable images, there is only one class, or the test split has a class that the training split
        lacks.
    """
    tree = ImageTree(path, labeled=labeled)
    layout = find_layout(tree, labeled=labeled)
    left_out = layout.notes(tree)
    if left_out and strict:
        raise DataError(f"{path}: {left_out[0]}")
    train, test, note = _train_test(tree, layout, labeled=labeled, whole=whole and split == "test")
    classes = sorted({sample.label for sample in train})
    unknown = sorted({sample.label for sample in test} - set(classes))
    if unknown:
        text = f"{path}: the test split has classes that the training split lacks: {', '.join(unknown)}"
        raise DataError(text)
    samples = train if split == "train" else test
    reader = _Reader(tree, size=size, channels=channels, shorter=shorter, letterbox=letterbox)
    value_range, range_note = reader.find_value_range([sample.file for sample in (*train, *test)])
    pixels, usable, skipped = reader.decode([sample.file for sample in samples], value_range, memory=memory)
    if skipped and (strict or not usable):
        first = f"{skipped[0].path}: {skipped[0].reason}"
        if usable:
            text = f"{path}: {len(skipped)} of {len(samples)} images are unusable, the first {first}"
        else:
            text = f"{path}: none of the {len(samples)} {split} images can be used; {first}"
        raise DataError(text)
    labels = [samples[i].label for i in usable]
    missing = sorted(set(classes) - set(labels))
    zip_note = describe_unread_zips(tree)
    absent = [f"no {split} images of: {', '.join(missing)}"] if missing else []
    return ImageSet(
        images=torch.from_numpy(pixels),
        labels=torch.tensor(np.searchsorted(classes, labels)),
        classes=tuple(classes),
        name=plain_name(path.stem),
        split=split,
        source=str(path),
        notes=tuple(text for text in (note, *absent, *left_out, zip_note, range_note) if text),
        skipped=tuple(skipped),
    )


def read_thumbnails(
    tree: ImageTree, samples: Sequence[Sample], all_samples: Sequence[Sample], side: int
) -> list[NDArray[np.uint8]]:
    """Return images as (channels, height, width) that fit into a square; small ones are not enlarged.

    Parameters
    ----------
    tree : ImageTree
        The files.
    samples : Sequence[Sample]
        Images to read; those that cannot be read are left out.
    all_samples : Sequence[Sample]
        All images of the data set, which give the range of floating-point values.
    side : int
        Side of the square in pixels.
    """
    reader = _Reader(tree, size=side, channels=None, shorter=0, letterbox=True)
    value_range, _ = reader.find_value_range([sample.file for sample in all_samples])
    result = []
    for sample in samples:
        try:
            image = read_header(tree.read(sample.file), name=sample.file.name).decode(value_range=value_range)
        except DataError:
            continue
        image.thumbnail((side, side))
        result.append(to_channels(image))
    return result


def split_samples(tree: ImageTree, *, labeled: bool = True) -> tuple[list[Sample], list[Sample], str]:
    """Return the training samples and the test samples of a tree, as `read_folder` splits them, and a note.

    Parameters
    ----------
    tree : ImageTree
        The files.
    labeled : bool
        See `read_folder`.

    Raises
    ------
    DataError
        If there are no training images, or only one class.
    """
    return _train_test(tree, find_layout(tree, labeled=labeled), labeled=labeled, whole=False)


def _train_test(
    tree: ImageTree, layout: Layout, *, labeled: bool, whole: bool
) -> tuple[list[Sample], list[Sample], str]:
    """Return the training samples, the test samples, and a note if these are held out."""
    more = next((f"; {text}" for text in (describe_unread_zips(tree), *layout.notes(tree)) if text), "")
    train = layout.splits.get("train", [])
    test = layout.splits.get("test") or layout.splits.get("val") or []
    if whole and not train:  # test/ and val/
        train = test
    if not train:
        text = f"{tree.path}: no training images (expected class/image.png, or train/class/image.png){more}"
        raise DataError(text)
    classes = sorted({sample.label for sample in train})
    if labeled and len(classes) < 2:
        text = f"{tree.path}: only one class ({classes[0]}); a classifier needs at least two class folders{more}"
        raise DataError(text)
    if test:
        return train, test, ""
    if whole:
        return train, train, "" if layout.only_split else "no test split found: using all images"
    labels = np.array([classes.index(sample.label) for sample in train])
    fraction = holdout_fraction(len(train))
    kept, held_out = stratified_split(["/".join(sample.key) for sample in train], labels, fraction)
    if not len(held_out):
        raise DataError(
            f"{tree.path}: {len(train)} images in {len(classes)} classes leave none for testing; expected at least two"
            " images in a class, or a folder test/ with other images"
        )
    reason = f"only a {layout.only_split} split was found" if layout.only_split else "no test split found"
    note = f"{reason}: holding out {fraction:.0%} of the images of each class for testing"
    return [train[i] for i in kept], [train[i] for i in held_out], note


@dataclass(frozen=True)
class _Reader:
    """Decoder of the images of a tree, on all cores; see `read_folder` for the other parameters."""

    tree: ImageTree
    size: int
    channels: int | None
    shorter: int
    letterbox: bool

    def find_value_range(self, files: Sequence[ImageFile]) -> tuple[float | None, str]:
        """Return the range of the values of all floating-point and 32-bit images, and a note on it.

        One range applies to all of them, so a dark image stays dark. Only TIFF files have such values.
        """

        def find(file: ImageFile, content: bytes) -> float | None:
            header = read_header(content, name=file.name)
            return header.find_value_range() if header.has_value_range else None

        candidates = [file for file in files if PurePosixPath(file.parts[-1]).suffix.lower() in (".tif", ".tiff")]
        results = [result for _, result in self._map(find, candidates)] if candidates else []
        ranges = [result for result in results if isinstance(result, float)]
        if not ranges:
            return None, ""
        note = f"{len(ranges):,} floating-point or 32-bit images: values from 0 to {max(ranges):g} become 0 to 255"
        return max(ranges), note

    def decode(
        self, files: Sequence[ImageFile], value_range: float | None, *, memory: int
    ) -> tuple[NDArray[np.uint8], list[int], list[SkippedImage]]:
        """Decode images.

        Returns
        -------
        tuple[NDArray[np.uint8], list[int], list[SkippedImage]]
            Pixels (N, C, size, size) of the usable images, their N positions in ``files``, and the skipped files.
        """
        channels = self.channels or 3
        one_at_a_time = threading.Lock()

        def decode(file: ImageFile, content: bytes) -> tuple[NDArray[np.uint8], bool]:
            header = read_header(content, name=file.name)
            width, height = header.image.size
            with one_at_a_time if width * height > LARGE_PIXELS else nullcontext():
                image = header.decode(value_range=value_range)
                pixels = resize_to_square(
                    image, channels=channels, size=self.size, shorter=self.shorter, letterbox=self.letterbox
                )
            return pixels, image.mode == "L"

        pixels = _allocate((len(files), channels, self.size, self.size), memory)
        usable: list[int] = []
        skipped: list[SkippedImage] = []
        all_gray = True
        for position, result in self._map(decode, files):
            if isinstance(result, DataError):
                name = files[position].name
                skipped.append(SkippedImage(name, str(result).removeprefix(f"{name}: ")))
                continue
            pixels[len(usable)], is_gray = result
            all_gray &= is_gray
            usable.append(position)
        pixels = pixels[: len(usable)]
        if self.channels is None and all_gray and usable:
            pixels = np.ascontiguousarray(pixels[:, :1])  # the three channels are equal
        return pixels, usable, skipped

    def _map(
        self, function: Callable[[ImageFile, bytes], T], files: Sequence[ImageFile]
    ) -> Iterator[tuple[int, T | DataError]]:
        """Yield the position of each file, and the result of the function for its content, or the error."""

        def call(file: ImageFile, content: bytes | DataError) -> T | DataError:
            try:
                if isinstance(content, DataError):
                    return content
                return function(file, content)
            except DataError as error:
                return error

        with ThreadPoolExecutor() as pool:
            position = 0
            while position < len(files):
                contents = self._read_chunk(files, position)
                chunk = files[position : position + len(contents)]
                for offset, result in enumerate(pool.map(call, chunk, contents)):
                    yield position + offset, result
                position += len(contents)

    def _read_chunk(self, files: Sequence[ImageFile], start: int) -> list[bytes | DataError]:
        """Return the contents of the next files, at most `CHUNK` of them and about `CHUNK_BYTES`."""
        contents: list[bytes | DataError] = []
        num_bytes = 0
        for file in files[start : start + CHUNK]:
            try:
                content: bytes | DataError = self.tree.read(file)
            except DataError as error:
                content = error
            contents.append(content)
            num_bytes += len(content) if isinstance(content, bytes) else 0
            if num_bytes > CHUNK_BYTES:
                break
        return contents


def _allocate(shape: tuple[int, ...], memory: int) -> NDArray[np.uint8]:
    """Return an uninitialized array, in a temporary file if it needs more than ``memory`` bytes."""
    if int(np.prod(shape)) <= memory:
        return np.empty(shape, dtype=np.uint8)
    with tempfile.NamedTemporaryFile(prefix="firstsight-pixels-") as file:  # deleted at once; the map keeps it alive
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)
