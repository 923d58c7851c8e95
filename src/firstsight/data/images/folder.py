"""Pictures in ``class/picture`` order, in a folder or a zip, with or without ``train/``, ``val/``, ``test/`` above."""

import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from firstsight.data.image_io import SUFFIXES, open_image, to_pixels
from firstsight.data.images.image_set import ImageSet, SkippedImage, held_out_share, stratified_split
from firstsight.errors import DataError

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
MAX_PICTURE_BYTES = 256 << 20
CHUNK = 512
IN_MEMORY_BYTES = 4 << 30
"""Decoded pixels beyond this go to a temporary file that the system pages in and out."""


@dataclass(frozen=True)
class Entry:
    """A picture's place: the folders above it and its name."""

    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """The path inside the set, with slashes."""
        return "/".join(self.parts)


@dataclass(frozen=True)
class Sample:
    """A picture with its class, and the path by which the holding out knows it (independent of what lies above)."""

    entry: Entry
    label: str
    key: tuple[str, ...]


class Tree:
    """The pictures below a folder or in a zip, read one by one; nothing is ever extracted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip = _open_zip(path) if path.is_file() else None
        self.entries = sorted((Entry(parts) for parts in self._walk()), key=lambda entry: entry.parts)

    def _walk(self) -> Iterator[tuple[str, ...]]:
        if self._zip is None:
            names = (item.relative_to(self.path).as_posix() for item in self.path.rglob("*") if item.is_file())
        else:
            names = (info.filename for info in self._zip.infolist() if not info.is_dir())
        for name in names:
            parts = PurePosixPath(name).parts
            hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
            if not hidden and PurePosixPath(name).suffix.lower() in SUFFIXES:
                yield parts

    def read(self, entry: Entry) -> bytes:
        """The bytes of one picture.

        Raises
        ------
        DataError
            It is too large, or cannot be read.
        """
        try:
            if self._zip is None:
                file = self.path.joinpath(*entry.parts)
                if file.stat().st_size > MAX_PICTURE_BYTES:
                    raise DataError(f"larger than {MAX_PICTURE_BYTES >> 20} MiB")
                return file.read_bytes()
            info = self._zip.getinfo(entry.name)
            if info.file_size > MAX_PICTURE_BYTES:
                raise DataError(f"larger than {MAX_PICTURE_BYTES >> 20} MiB")
            return self._zip.read(info)
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
            raise DataError(str(error)) from None


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: not a readable zip file ({error})") from None
    for name in archive.namelist():
        inside = PurePosixPath(name.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts or ":" in inside.parts[0]:
            raise DataError(f"{path}: member '{name}' points outside the archive; refused")
    return archive


def read_folder(
    path: Path, split: str, *, size: int, channels: int | None, strict: bool, shorter: int = 0,
    memory: int = IN_MEMORY_BYTES, labelled: bool = True,
) -> ImageSet:  # fmt: skip
    """Read one split of a folder or zip of pictures.

    With split folders, "train" is ``train/`` and "test" is ``test/`` (or ``val/`` where there is no ``test/``). Without
    them, a stated share of each class is held out by rule (`stratified_split`).

    Parameters
    ----------
    size : int
        Side in pixels that every picture is brought to.
    channels : int | None
        1, 3, or None for 1 when every picture is stored as grey, else 3.
    strict : bool
        Refuse the set when a picture is unusable, instead of leaving it out.
    shorter : int
        See `Preprocess`.
    memory : int
        Bytes of decoded pixels to hold in memory.
    labelled : bool
        The pictures stand in folders of two classes at least; else they may also all be of one class, or stand in no
        class folder at all.

    Raises
    ------
    DataError
        No pictures, one class only, no usable picture, classes in the test split that are not in the training split.
    """
    tree = Tree(path)
    splits = _splits(tree, labelled=labelled)
    train, note = splits.get("train", []), ""
    if not train:
        raise DataError(f"{path}: no training pictures (expected class/picture, or train/class/picture)")
    classes = sorted({sample.label for sample in train})
    if labelled and len(classes) < 2:
        raise DataError(f"{path}: only one class ({classes[0]}); a classifier needs at least two folders of pictures")
    test = splits.get("test") or splits.get("val") or []
    if not test:
        labels = np.array([classes.index(sample.label) for sample in train])
        share = held_out_share(len(train))
        kept, held = stratified_split(["/".join(sample.key) for sample in train], labels, share)
        if not len(held):
            raise DataError(
                f"{path}: {len(train)} pictures in {len(classes)} classes leave none to test on; expected two or more"
                " in a class, or a folder test/ with others"
            )
        note = f"no test split: {len(held)} of {len(train)} pictures ({share:.0%} of each class) held out for testing"
        train, test = [train[i] for i in kept], [train[i] for i in held]
    strange = sorted({sample.label for sample in test} - set(classes))
    if strange:
        raise DataError(f"{path}: the test pictures have classes that the training pictures lack: {', '.join(strange)}")
    chosen = train if split == "train" else test
    pixels, good, skipped = _decode(
        tree, [sample.entry for sample in chosen], size=size, channels=channels, shorter=shorter, memory=memory
    )
    if skipped and strict:
        first = skipped[0]
        raise DataError(
            f"{path}: {len(skipped)} of {len(chosen)} pictures are unusable, the first {first.path}: {first.reason}"
        )
    if not good:
        raise DataError(
            f"{path}: none of the {len(chosen)} {split} pictures can be used; {skipped[0].path}: {skipped[0].reason}"
        )
    kept_labels = [chosen[i].label for i in good]
    missing = sorted(set(classes) - set(kept_labels))
    notes = [note] if note else []
    if missing:
        notes.append(f"no {split} pictures of: {', '.join(missing)}")
    return ImageSet(
        images=torch.from_numpy(pixels),
        labels=torch.tensor([classes.index(label) for label in kept_labels]),
        classes=tuple(classes),
        name=path.stem,
        split=split,
        source=str(path),
        notes=tuple(notes),
        skipped=tuple(skipped),
    )


UNLABELLED = "pictures"
"""The class of pictures that stand in no class folder."""


def _splits(tree: Tree, *, labelled: bool) -> dict[str, list[Sample]]:
    """Samples by split; a set without split folders is all "train". A single folder around everything is entered."""
    if not tree.entries:
        raise DataError(f"{tree.path}: no pictures (expected class/picture.png, or train/class/picture.png)")
    every = [entry.parts for entry in tree.entries]
    depth = 0
    while (
        all(len(parts) >= depth + 3 for parts in every)
        and len({parts[depth] for parts in every}) == 1
        and every[0][depth].lower() not in SPLIT_NAMES
    ):
        depth += 1
    least = 1 if not labelled and any(len(parts) < depth + 3 for parts in every) else 2  # parts below a split folder
    named = all(len(parts) > depth + least and parts[depth].lower() in SPLIT_NAMES for parts in every)
    flat = not labelled and any(len(parts) < depth + 2 + named for parts in every)
    result: dict[str, list[Sample]] = {}
    for entry in tree.entries:
        if not flat and len(entry.parts) < depth + 2:
            raise DataError(f"{tree.path}: {entry.name} stands in no class folder (expected class/picture.png)")
        split = SPLIT_NAMES[entry.parts[depth].lower()] if named else "train"
        label = UNLABELLED if flat else entry.parts[depth + named]
        result.setdefault(split, []).append(Sample(entry, label, entry.parts[depth + named :]))
    if "train" not in result and len(result) == 1:  # only test/ or only val/: a set to be split like any other
        result["train"] = result.pop(next(iter(result)))
    return result


def _decode(
    tree: Tree, entries: list[Entry], *, size: int, channels: int | None, shorter: int, memory: int
) -> tuple[NDArray[np.uint8], list[int], list[SkippedImage]]:
    """Decode on all cores; pixels of the usable pictures, their positions, and what was left out."""

    def one(entry: Entry, content: bytes | DataError) -> tuple[NDArray[np.uint8], bool] | DataError:
        try:
            if isinstance(content, DataError):
                raise content
            picture = open_image(content, name=entry.name)
            return to_pixels(picture, channels=channels or 3, size=size, shorter=shorter), picture.mode == "L"
        except DataError as error:
            return error

    shape = (len(entries), channels or 3, size, size)
    pixels = _pixel_store(shape, memory)
    good: list[int] = []
    skipped: list[SkippedImage] = []
    all_grey = True
    numbered = list(enumerate(entries))
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(entries), CHUNK):
            chunk = numbered[start : start + CHUNK]
            contents = [_read(tree, entry) for _, entry in chunk]
            for (position, entry), result in zip(chunk, pool.map(one, [e for _, e in chunk], contents), strict=True):
                if isinstance(result, DataError):
                    skipped.append(SkippedImage(entry.name, str(result).removeprefix(f"{entry.name}: ")))
                    continue
                pixels[len(good)], grey = result
                all_grey &= grey
                good.append(position)
    pixels = pixels[: len(good)]
    if channels is None and all_grey and good:
        pixels = np.ascontiguousarray(pixels[:, :1])  # stored as grey: the three channels are equal
    return pixels, good, skipped


def _read(tree: Tree, entry: Entry) -> bytes | DataError:
    try:
        return tree.read(entry)
    except DataError as error:
        return error


def _pixel_store(shape: tuple[int, ...], memory: int) -> NDArray[np.uint8]:
    if int(np.prod(shape)) <= memory:
        return np.empty(shape, dtype=np.uint8)
    with tempfile.NamedTemporaryFile(prefix="firstsight-pixels-") as file:  # unlinked at once; the map keeps it alive
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)
