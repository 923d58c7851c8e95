"""From a name or a path to an `ImageSet`: the one way in for data."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from firstsight.data.datasets import SOURCES, DatasetInfo
from firstsight.data.fetch import fetch, home
from firstsight.data.find import embedded, find, recognize
from firstsight.data.images.cifar import is_cifar, read_cifar
from firstsight.data.images.folder import read_folder
from firstsight.data.images.idx import find_idx, read_idx
from firstsight.data.images.image_set import ImageSet, held_out_share, stratified_split
from firstsight.errors import DataError, UsageError, unknown_name

DIGITS_SIDE, DIGITS_BORDER = 24, 4


@dataclass(frozen=True)
class Options:
    """How pictures in folders are read (published sets have their own size)."""

    size: int = 32
    channels: int | None = None
    strict: bool = False
    shorter: int = 0
    labelled: bool = True


def load(
    where: str | Path, split: str = "train", *, size: int = 32, channels: int | None = None, strict: bool = False,
    shorter: int = 0, labelled: bool = True, notify: Callable[[str], None] = lambda line: None,
) -> ImageSet:  # fmt: skip
    """Load one split of a data set.

    Looked for in this order: an explicit path; for a name, ``$FIRSTSIGHT_HOME/data``, well-known places of the system,
    a verified download (never when ``FIRSTSIGHT_OFFLINE=1``). A path is recognised by what is in it: the four IDX
    files, CIFAR-10's binary batches, ``class/picture`` folders or a zip of them.

    Parameters
    ----------
    where : str | Path
        A name of `SOURCES`, or a path.
    split : str
        "train" or "test".
    size : int
        Side in pixels of pictures from a folder; published sets keep their own.
    channels : int | None
        1 or 3 for pictures from a folder; None decides by how they are stored.
    strict : bool
        Refuse a folder with an unusable picture instead of leaving it out.
    shorter : int
        What the shorter side of a picture from a folder is resized to before a square of ``size`` is cut out of its
        middle; ``size`` if 0 (see `Preprocess`).
    labelled : bool
        See `read_folder`: without, pictures need no class folders.
    notify : Callable[[str], None]
        Called with a line for every download.

    Raises
    ------
    UsageError
        Unknown name, no such path, unknown split, ``shorter`` below ``size``.
    DataError
        The data cannot be used; the message says why.
    """
    if split not in ("train", "test"):
        raise UsageError(f"unknown split '{split}' (train or test)")
    if 0 < shorter < size:
        raise UsageError(f"a square of {size} pixels cannot be cut from a side of {shorter}")
    options = Options(size=size, channels=channels, strict=strict, shorter=shorter, labelled=labelled)
    name = str(where)
    if name == "digits":
        return _digits(split)
    if name in SOURCES:
        source = SOURCES[name]
        found = find(source) or _download(source, notify)
        return replace(read(found, split, options), name=name, classes=source.classes)
    check_place(name)
    return read(Path(where).expanduser(), split, options)


def check_place(where: str) -> None:
    """Is it the name of a data set, or a path that is there?

    Raises
    ------
    UsageError
        Neither; close matches of a name are offered.
    """
    path = Path(where).expanduser()
    if where in SOURCES or path.exists():
        return
    if not ({"/", "\\"} & set(where) or path.suffix):
        raise unknown_name("data set", where, SOURCES, "see: firstsight data; or give a path")
    raise UsageError(f"no such file or folder: {path}")


def read(path: Path, split: str, options: Options) -> ImageSet:
    """Read a split from a path, recognised by what is in it.

    Raises
    ------
    DataError
        No data set, or one of a single class.
    """
    if is_cifar(path):
        images, labels = read_cifar(path, split)
        return _published(images, labels, SOURCES["cifar10"], name="cifar10", split=split, path=path)
    if path.is_dir():
        pairs = find_idx(path)
        if pairs:
            found = _idx(path, pairs, split)
            if options.labelled and len(found.classes) < 2:
                raise DataError(f"{path}: only one class ({found.classes[0]}); a classifier needs at least two")
            return found
    if path.is_dir() or path.suffix.lower() == ".zip":
        return read_folder(
            path, split, size=options.size, channels=options.channels, strict=options.strict, shorter=options.shorter,
            labelled=options.labelled,
        )  # fmt: skip
    raise DataError(
        f"{path}: not a data set (a folder or zip of class/picture, IDX files, or CIFAR-10's binary archive)"
    )


def _download(source: DatasetInfo, notify: Callable[[str], None]) -> Path:
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
        raise DataError(
            f"{wrong}: has {images.ndim if images.ndim != 3 else labels.ndim} axes; images have 3, labels 1"
        )
    if len(images) != len(labels):
        raise DataError(f"{path}: {len(images):,} images but {len(labels):,} labels; the files do not belong together")
    source = recognize(labels_path)
    name = source.name if source else path.resolve().name
    result = _published(
        images[:, None].copy(), labels.astype(np.int64), source, name=name, split=alone or split, path=path
    )
    if alone is None:
        return result
    share = held_out_share(len(result))
    kept, held = stratified_split([str(i) for i in range(len(result))], result.labels.numpy(), share)
    which = f"{len(held):,} of {len(result):,} images ({share:.0%} of each class)"
    note = f"only the {alone} files are there: {which} held out for testing"
    return result.select(kept if split == "train" else held, split=split, note=note)


def _published(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    source: DatasetInfo | None,
    *,
    name: str,
    split: str,
    path: Path,
) -> ImageSet:
    count = int(labels.max(initial=-1)) + 1
    classes = source.classes if source else tuple(str(i) for i in range(count))
    return ImageSet(torch.from_numpy(images), torch.from_numpy(labels), classes, name, split, source=str(path))


def _digits(split: str) -> ImageSet:
    """The embedded digits: 8x8 pixels enlarged to 24x24 bilinearly, in the middle of 32x32; a fifth is the test split.

    As in LeNet's paper, a figure of about 20 pixels on a field of 32x32, with room to move.
    """
    images, labels = (
        read_idx(embedded() / "digits-images-idx3-ubyte.gz"),
        read_idx(embedded() / "digits-labels-idx1-ubyte.gz"),
    )
    side = (DIGITS_SIDE, DIGITS_SIDE)
    enlarged = np.stack(
        [np.asarray(Image.fromarray(image).resize(side, Image.Resampling.BILINEAR)) for image in images]
    )
    margin = (DIGITS_BORDER, DIGITS_BORDER)
    enlarged = np.pad(enlarged, ((0, 0), margin, margin))
    kept, held = stratified_split([str(i) for i in range(len(labels))], labels, held_out_share(len(labels)))
    chosen = kept if split == "train" else held
    return _published(
        enlarged[chosen, None],
        labels[chosen].astype(np.int64),
        SOURCES["digits"],
        name="digits",
        split=split,
        path=Path("embedded"),
    )
