"""From a name or a path to an `ImageSet`: the one way in for data."""

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from firstsight.data.cifar import is_cifar, read_cifar
from firstsight.data.fetch import fetch, home
from firstsight.data.folder import read_folder
from firstsight.data.idx import find_idx, read_idx
from firstsight.data.imageset import ImageSet, held_out_share, hold_out
from firstsight.data.sources import SOURCES, Source
from firstsight.errors import DataError, UsageError, unknown_name

DIGITS_SIDE = 32
SYSTEM_PLACES = (Path("data"), Path("~/data"), Path("~/datasets"), Path("/usr/local/share/datasets"), Path("/usr/share/datasets"))


@dataclass(frozen=True)
class Options:
    """How pictures in folders are read (published sets have their own size)."""

    size: int = 32
    channels: int | None = None
    strict: bool = False


def load(
    where: str | Path, split: str = "train", *, size: int = 32, channels: int | None = None, strict: bool = False,
    notify: Callable[[str], None] = lambda line: None,
) -> ImageSet:  # fmt: skip
    """Load one split of a data set.

    Looked for in this order: an explicit path; for a name, ``$FIRSTSIGHT_HOME/data``, well-known places of the system,
    a verified download (never when ``FIRSTSIGHT_OFFLINE=1``). A path is recognised by what is in it: the four IDX
    files, CIFAR-10's binary batches, ``class/picture`` folders or a zip of them.

    Parameters
    ----------
    where : a name of `SOURCES`, or a path.
    split : "train" or "test".
    size : side in pixels of pictures from a folder; published sets keep their own.
    channels : 1 or 3 for pictures from a folder; None decides by how they are stored.
    strict : refuse a folder with an unusable picture instead of leaving it out.
    notify : called with a line for every download.

    Raises
    ------
    UsageError
        Unknown name, no such path, unknown split.
    DataError
        The data cannot be used; the message says why.
    """
    if split not in ("train", "test"):
        raise UsageError(f"unknown split '{split}' (train or test)")
    options = Options(size=size, channels=channels, strict=strict)
    name = str(where)
    if name == "digits":
        return _digits(split)
    if name in SOURCES:
        source = SOURCES[name]
        found = find(source) or _download(source, notify)
        return replace(read(found, split, options), name=name, classes=source.classes)
    path = Path(where).expanduser()
    if not path.exists():
        if path.parent == Path() and not path.suffix:
            raise unknown_name("data set", name, SOURCES, "see: firstsight data; or give a path")
        raise UsageError(f"no such file or folder: {path}")
    return read(path, split, options)


def read(path: Path, split: str, options: Options) -> ImageSet:
    """Read a split from a path, recognised by what is in it."""
    if is_cifar(path):
        images, labels = read_cifar(path, split)
        return _published(images, labels, SOURCES["cifar10"], "cifar10", split, path)
    if path.is_dir():
        pairs = find_idx(path)
        if pairs:
            return _idx(path, pairs, split)
        return read_folder(path, split, size=options.size, channels=options.channels, strict=options.strict)
    if path.suffix.lower() == ".zip":
        return read_folder(path, split, size=options.size, channels=options.channels, strict=options.strict)
    raise DataError(f"{path}: not a data set (a folder or zip of class/picture, IDX files, or CIFAR-10's binary archive)")


def find(source: Source) -> Path | None:
    """Where a named set already is on this machine, if it is."""
    if source.name == "digits":
        return Path(str(_embedded()))
    places = [home() / "data" / source.name]
    for place in (place.expanduser() for place in SYSTEM_PLACES):
        places += [place / source.name, place / source.name.replace("-", ""), place / source.title.split()[0] / "raw"]
    for place in places:
        if not place.is_dir():
            continue
        if source.name == "cifar10":
            for candidate in (place / "cifar-10-batches-bin", place, place / source.files[0].name):
                if candidate.exists() and is_cifar(candidate):
                    return candidate
        elif len(find_idx(place)) == 2:
            return place
    return None


def _download(source: Source, notify: Callable[[str], None]) -> Path:
    folder = home() / "data" / source.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror or error})") from error
    fetched = [fetch(file, source.mirrors, folder, notify=notify) for file in source.files]
    return fetched[0] if source.name == "cifar10" else folder


def _idx(path: Path, pairs: dict[str, tuple[Path, Path]], split: str) -> ImageSet:
    alone = next(iter(pairs)) if len(pairs) == 1 else None
    images_path, labels_path = pairs[alone or split]
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or labels.ndim != 1:
        wrong = images_path if images.ndim != 3 else labels_path
        raise DataError(f"{wrong}: has {images.ndim if images.ndim != 3 else labels.ndim} axes; images have 3, labels 1")
    if len(images) != len(labels):
        raise DataError(f"{path}: {len(images):,} images but {len(labels):,} labels; the files do not belong together")
    source = recognise(labels_path)
    name = source.name if source else path.resolve().name
    result = _published(images[:, None].copy(), labels.astype(np.int64), source, name, alone or split, path)
    if alone is None:
        return result
    share = held_out_share(len(result))
    kept, held = hold_out([str(i) for i in range(len(result))], result.labels.numpy(), share)
    note = f"only the {alone} files are there: {len(held):,} of {len(result):,} images ({share:.0%} of each class) held out for testing"
    return result.select(kept if split == "train" else held, split=split, note=note)


def recognise(labels_path: Path) -> Source | None:
    """Which published set a label file belongs to, by the hash of its bytes or of what it unpacks to."""
    content = labels_path.read_bytes()
    packed = hashlib.sha256(content).hexdigest()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    unpacked = hashlib.sha256(content).hexdigest()
    for source in SOURCES.values():
        if unpacked in source.contents or packed in {file.sha256 for file in source.files}:
            return source
    return None


def _published(
    images: NDArray[np.uint8], labels: NDArray[np.int64], source: Source | None, name: str, split: str, path: Path
) -> ImageSet:
    count = int(labels.max(initial=-1)) + 1
    classes = source.classes if source else tuple(str(i) for i in range(count))
    return ImageSet(torch.from_numpy(images), torch.from_numpy(labels), classes, name, split, source=str(path))


def _embedded() -> Path:
    return Path(str(files("firstsight.data") / "embedded"))


def _digits(split: str) -> ImageSet:
    """The embedded digits: 8x8 with 17 grey levels, enlarged to 32x32 bilinearly; a fifth of each class is the test."""
    images, labels = read_idx(_embedded() / "digits-images-idx3-ubyte.gz"), read_idx(_embedded() / "digits-labels-idx1-ubyte.gz")
    side = (DIGITS_SIDE, DIGITS_SIDE)
    enlarged = np.stack([np.asarray(Image.fromarray(image).resize(side, Image.Resampling.BILINEAR)) for image in images])
    kept, held = hold_out([str(i) for i in range(len(labels))], labels, held_out_share(len(labels)))
    chosen = kept if split == "train" else held
    return _published(
        enlarged[chosen, None], labels[chosen].astype(np.int64), SOURCES["digits"], "digits", split, Path("embedded")
    )
