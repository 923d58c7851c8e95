"""Reader of images in class folders (``class/image.png``), in a folder or a zip file.

``train/``, ``val/`` and ``test/`` folders above the class folders are optional.
"""

import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from firstsight.data.image_io import SUFFIXES, open_image, resize_and_crop
from firstsight.data.images.image_set import ImageSet, SkippedImage, holdout_fraction, stratified_split
from firstsight.errors import DataError

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
MAX_IMAGE_BYTES = 256 << 20
CHUNK = 512
IN_MEMORY_BYTES = 4 << 30
"""A larger array of decoded pixels is stored in a memory-mapped temporary file."""
UNLABELED = "pictures"  # prose: ok
"""Class of images in no class folder; part of the fingerprint, so it does not change."""


@dataclass(frozen=True)
class ImageFile:
    """Image file in a data set.

    Parameters
    ----------
    parts : tuple[str, ...]
        Path components relative to the root of the data set.
    """

    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """Path relative to the root of the data set, with slashes."""
        return "/".join(self.parts)


@dataclass(frozen=True)
class Sample:
    """Image file with its class.

    Parameters
    ----------
    file : ImageFile
        The file.
    label : str
        Name of the class.
    key : tuple[str, ...]
        Path from the class folder on, which `stratified_split` uses. It does not depend on the folders above.
    """

    file: ImageFile
    label: str
    key: tuple[str, ...]


class ImageTree:
    """Image files below a folder or in a zip file; nothing is ever extracted.

    Parameters
    ----------
    path : Path
        Folder or zip file.

    Raises
    ------
    DataError
        If the zip file cannot be read, or a member's path is outside of the archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip = _open_zip(path) if path.is_file() else None
        self.files = sorted((ImageFile(parts) for parts in self._walk()), key=lambda file: file.parts)

    def _walk(self) -> Iterator[tuple[str, ...]]:
        """Yield the path of each image file, without hidden files."""
        if self._zip is None:
            names = (item.relative_to(self.path).as_posix() for item in self.path.rglob("*") if item.is_file())
        else:
            names = (info.filename for info in self._zip.infolist() if not info.is_dir())
        for name in names:
            parts = PurePosixPath(name).parts
            is_hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
            if not is_hidden and PurePosixPath(name).suffix.lower() in SUFFIXES:
                yield parts

    def read(self, file: ImageFile) -> bytes:
        """Return the content of an image file.

        Raises
        ------
        DataError
            If the file is too large or cannot be read.
        """
        try:
            if self._zip is None:
                path = self.path.joinpath(*file.parts)
                if path.stat().st_size > MAX_IMAGE_BYTES:
                    raise DataError(f"larger than {MAX_IMAGE_BYTES >> 20} MiB")
                return path.read_bytes()
            info = self._zip.getinfo(file.name)
            if info.file_size > MAX_IMAGE_BYTES:
                raise DataError(f"larger than {MAX_IMAGE_BYTES >> 20} MiB")
            return self._zip.read(info)
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
            raise DataError(str(error)) from None


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: not a readable zip file ({error})") from None
    for name in archive.namelist():
        member = PurePosixPath(name.replace("\\", "/"))
        if member.is_absolute() or ".." in member.parts or ":" in member.parts[0]:
            raise DataError(f"{path}: member '{name}' points outside the archive; refused")
    return archive


def read_folder(
    path: Path,
    split: str,
    *,
    size: int,
    channels: int | None,
    strict: bool,
    shorter: int = 0,
    memory: int = IN_MEMORY_BYTES,
    labeled: bool = True,
) -> ImageSet:
    """Read one split of the images in a folder or zip file.

    With split folders, "train" is ``train/`` and "test" is ``test/`` (``val/`` if there is no ``test/``). Without
    them, `stratified_split` holds out a fraction of each class for testing.

    Parameters
    ----------
    path : Path
        Folder or zip file.
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
    memory : int
        Maximum size in bytes of decoded pixels in memory.
    labeled : bool
        Require at least two class folders. If False, images may also be in no class folder or all in one.

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
    tree = ImageTree(path)
    train, test, note = _train_test(path, _find_splits(tree, labeled=labeled), labeled=labeled)
    classes = sorted({sample.label for sample in train})
    unknown = sorted({sample.label for sample in test} - set(classes))
    if unknown:
        raise DataError(f"{path}: the test split has classes that the training split lacks: {', '.join(unknown)}")
    samples = train if split == "train" else test
    pixels, usable, skipped = _decode(
        tree, [sample.file for sample in samples], size=size, channels=channels, shorter=shorter, memory=memory
    )
    if skipped and strict:
        first = skipped[0]
        raise DataError(
            f"{path}: {len(skipped)} of {len(samples)} images are unusable, the first {first.path}: {first.reason}"
        )
    if not usable:
        raise DataError(
            f"{path}: none of the {len(samples)} {split} images can be used; {skipped[0].path}: {skipped[0].reason}"
        )
    labels = [samples[i].label for i in usable]
    missing = sorted(set(classes) - set(labels))
    notes = [note] if note else []
    if missing:
        notes.append(f"no {split} images of: {', '.join(missing)}")
    return ImageSet(
        images=torch.from_numpy(pixels),
        labels=torch.tensor([classes.index(label) for label in labels]),
        classes=tuple(classes),
        name=path.stem,
        split=split,
        source=str(path),
        notes=tuple(notes),
        skipped=tuple(skipped),
    )


def _train_test(
    path: Path, splits: dict[str, list[Sample]], *, labeled: bool
) -> tuple[list[Sample], list[Sample], str]:
    """Return the training samples, the test samples, and a note if these are held out."""
    train = splits.get("train", [])
    if not train:
        raise DataError(f"{path}: no training images (expected class/image.png, or train/class/image.png)")
    classes = sorted({sample.label for sample in train})
    if labeled and len(classes) < 2:
        raise DataError(f"{path}: only one class ({classes[0]}); a classifier needs at least two class folders")
    test = splits.get("test") or splits.get("val") or []
    if test:
        return train, test, ""
    labels = np.array([classes.index(sample.label) for sample in train])
    fraction = holdout_fraction(len(train))
    kept, held_out = stratified_split(["/".join(sample.key) for sample in train], labels, fraction)
    if not len(held_out):
        raise DataError(
            f"{path}: {len(train)} images in {len(classes)} classes leave none for testing; expected at least two"
            " images in a class, or a folder test/ with other images"
        )
    note = (
        f"no test split found: holding out {len(held_out)} of {len(train)} images ({fraction:.0%} of each class)"
        " for testing"
    )
    return [train[i] for i in kept], [train[i] for i in held_out], note


def _find_splits(tree: ImageTree, *, labeled: bool) -> dict[str, list[Sample]]:
    """Return the samples of each split; without split folders, all samples are "train".

    A single folder around all others is skipped.
    """
    if not tree.files:
        raise DataError(f"{tree.path}: no images (expected class/image.png, or train/class/image.png)")
    paths = [file.parts for file in tree.files]
    depth = 0  # number of outer folders
    while (
        all(len(parts) >= depth + 3 for parts in paths)
        and len({parts[depth] for parts in paths}) == 1
        and paths[0][depth].lower() not in SPLIT_NAMES
    ):
        depth += 1
    min_parts = 1 if not labeled and any(len(parts) < depth + 3 for parts in paths) else 2  # below a split folder
    has_splits = all(len(parts) > depth + min_parts and parts[depth].lower() in SPLIT_NAMES for parts in paths)
    is_flat = not labeled and any(len(parts) < depth + 2 + has_splits for parts in paths)
    splits: dict[str, list[Sample]] = {}
    for file in tree.files:
        if not is_flat and len(file.parts) < depth + 2:
            raise DataError(f"{tree.path}: {file.name} is in no class folder (expected class/image.png)")
        split = SPLIT_NAMES[file.parts[depth].lower()] if has_splits else "train"
        label = UNLABELED if is_flat else file.parts[depth + has_splits]
        splits.setdefault(split, []).append(Sample(file, label, file.parts[depth + has_splits :]))
    if "train" not in splits and len(splits) == 1:  # only test/ or only val/: used like a set without split folders
        splits["train"] = splits.pop(next(iter(splits)))
    return splits


def _decode(
    tree: ImageTree, files: list[ImageFile], *, size: int, channels: int | None, shorter: int, memory: int
) -> tuple[NDArray[np.uint8], list[int], list[SkippedImage]]:
    """Decode images on all cores.

    Returns
    -------
    tuple[NDArray[np.uint8], list[int], list[SkippedImage]]
        Pixels (N, C, size, size) of the usable images, their N positions in ``files``, and the skipped files.
    """

    def decode(file: ImageFile, content: bytes | DataError) -> tuple[NDArray[np.uint8], bool] | DataError:
        try:
            if isinstance(content, DataError):
                raise content
            image = open_image(content, name=file.name)
            return resize_and_crop(image, channels=channels or 3, size=size, shorter=shorter), image.mode == "L"
        except DataError as error:
            return error

    pixels = _allocate((len(files), channels or 3, size, size), memory)
    usable: list[int] = []
    skipped: list[SkippedImage] = []
    all_gray = True
    numbered = list(enumerate(files))
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), CHUNK):
            chunk = numbered[start : start + CHUNK]
            contents = [_read(tree, file) for _, file in chunk]
            results = pool.map(decode, [file for _, file in chunk], contents)
            for (position, file), result in zip(chunk, results, strict=True):
                if isinstance(result, DataError):
                    skipped.append(SkippedImage(file.name, str(result).removeprefix(f"{file.name}: ")))
                    continue
                pixels[len(usable)], is_gray = result
                all_gray &= is_gray
                usable.append(position)
    pixels = pixels[: len(usable)]
    if channels is None and all_gray and usable:
        pixels = np.ascontiguousarray(pixels[:, :1])  # the three channels are equal
    return pixels, usable, skipped


def _read(tree: ImageTree, file: ImageFile) -> bytes | DataError:
    try:
        return tree.read(file)
    except DataError as error:
        return error


def _allocate(shape: tuple[int, ...], memory: int) -> NDArray[np.uint8]:
    """Return an uninitialized array, in a temporary file if it needs more than ``memory`` bytes."""
    if int(np.prod(shape)) <= memory:
        return np.empty(shape, dtype=np.uint8)
    with tempfile.NamedTemporaryFile(prefix="firstsight-pixels-") as file:  # deleted at once; the map keeps it alive
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)
