"""Loading of a data set as an `ImageSet`, by its name or from a path."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from firstsight.arguments import check_arguments, expand_user, ignore
from firstsight.data.datasets import DATASETS, DatasetInfo, RemoteFile
from firstsight.data.fetch import fetch, get_home
from firstsight.data.images.cifar import find_cifar, is_cifar, read_cifar
from firstsight.data.images.find import check_exists, embedded_folder, find_dataset, recognize
from firstsight.data.images.folder import read_folder
from firstsight.data.images.idx import find_idx, read_idx
from firstsight.data.images.image_set import ImageSet, holdout_fraction, stratified_split
from firstsight.data.images.tree import plain_name
from firstsight.errors import DataError, UsageError

DIGITS_SIZE = 24
DIGITS_PADDING = 4


@dataclass(frozen=True)
class ReadOptions:
    """Options of `load_data` for images in folders; published data sets have a fixed size."""

    size: int = 32
    channels: int | None = None
    strict: bool = False
    shorter: int = 0
    letterbox: bool = False
    labeled: bool = True
    whole: bool = False


def load_data(
    name_or_path: str | Path,
    split: str = "train",
    *,
    size: int = 32,
    channels: int | None = None,
    strict: bool = False,
    shorter: int = 0,
    letterbox: bool = False,
    labeled: bool = True,
    whole: bool = False,
    notify: Callable[[str], None] = ignore,
) -> ImageSet:
    """Load one split of a data set.

    A named data set is looked up in ``$FIRSTSIGHT_HOME/data`` and in common folders of the system. If it is absent, the
    files of the split are downloaded and verified, unless ``FIRSTSIGHT_OFFLINE`` is 1. The format of a path is detected
    from its content: IDX files, CIFAR-10's binary batches, or images in class folders (``class/image.png``), also in a
    zip file, or in zip files that are named after splits (``train.zip`` and ``test.zip``).

    Parameters
    ----------
    name_or_path : str | Path
        Name of a data set (a key of `DATASETS`), or a path.
    split : str
        "train" or "test".
    size : int
        Side of images from a folder in pixels. Published data sets keep their size.
    channels : int | None
        1 or 3 channels for images from a folder. None chooses 1 if all files are gray, else 3.
    strict : bool
        Refuse data with unusable images instead of leaving them out.
    shorter : int
        Resize the shorter side of images from a folder to this many pixels before the center crop of ``size``. 0
        means ``size`` (see `Preprocess`).
    letterbox : bool
        Pad images from a folder with black to a square, instead of the center crop.
    labeled : bool
        Require class folders. If False, images may also be in no class folder or all in one (see `read_folder`).
    whole : bool
        For "test" of a path without splits, or with only one: return all images instead of holding some out. If they
        are not a test split, a note says so.
    notify : Callable[[str], None]
        Called with one line for each download.

    Returns
    -------
    ImageSet
        Images and labels of the split.

    Raises
    ------
    UsageError
        If the name, the path or the split does not exist, or ``shorter`` is less than ``size``.
    DataError
        If the data cannot be used. The message gives the reason.
    """
    check_arguments(load_data, locals())
    if split not in ("train", "test"):
        raise UsageError(f"unknown split '{split}' (train or test)")
    if 0 < shorter < size:
        raise UsageError(f"`shorter` must be at least `size` ({size}), got {shorter}")
    options = ReadOptions(
        size=size,
        channels=channels,
        strict=strict,
        shorter=shorter,
        letterbox=letterbox,
        labeled=labeled,
        whole=whole,
    )
    name = str(name_or_path)
    if name == "digits":
        return _load_digits(split)
    if name in DATASETS:
        info = DATASETS[name]
        path = find_dataset(info)
        if path is None:
            files = _download(info, info.split_files(split), notify)
            if len(files) < len(info.files):
                return _read_published(info, split, files)
            path = files[0] if name == "cifar10" else files[0].parent
        return replace(read_split(path, split, options), name=name, classes=info.classes)
    check_exists(name)
    return read_split(expand_user(name_or_path), split, options)


def read_split(path: Path, split: str, options: ReadOptions) -> ImageSet:
    """Read one split from a path, whose format is detected from its content.

    Raises
    ------
    DataError
        If there is no data set, or it has only one class.
    """
    cifar = find_cifar(path) if path.is_dir() else path
    if cifar is not None and is_cifar(cifar):
        images, labels = read_cifar(cifar, split)
        return _image_set(images, labels, DATASETS["cifar10"].classes, name="cifar10", split=split, path=path)
    if path.is_dir():
        files = find_idx(path)
        if files:
            result = _read_idx_split(path, files, split, whole=options.whole)
            if options.labeled and len(result.classes) < 2:
                raise DataError(f"{path}: only one class ({result.classes[0]}); a classifier needs at least two")
            return result
    if path.is_dir() or path.suffix.lower() == ".zip":
        return read_folder(
            path,
            split,
            size=options.size,
            channels=options.channels,
            strict=options.strict,
            shorter=options.shorter,
            letterbox=options.letterbox,
            labeled=options.labeled,
            whole=options.whole,
        )
    raise DataError(
        f"{path}: not a data set (expected a folder or zip file with one subfolder per class, IDX files, or CIFAR-10's"
        " binary archive)"
    )


def is_image_folder(path: Path) -> bool:
    """Return whether a path is a folder or a zip file of images, and not of IDX files or CIFAR-10's batches."""
    if path.is_file():
        return path.suffix.lower() == ".zip"
    try:
        return path.is_dir() and find_cifar(path) is None and not find_idx(path)
    except DataError:
        return False


def _download(info: DatasetInfo, remote: Sequence[RemoteFile], notify: Callable[[str], None]) -> list[Path]:
    """Download files of a data set, unless they are in the folder for downloads; return their paths.

    Only one of several processes downloads. The others wait, and find its files.
    """
    folder = get_home() / "data" / info.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            return [fetch(file, info.mirrors, folder, notify=notify, title=info.name) for file in remote]
    except (OSError, NotImplementedError) as error:  # NotImplementedError: the file system has no locks
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{folder}: cannot be used for downloads ({reason})") from error


def _read_published(info: DatasetInfo, split: str, paths: Sequence[Path]) -> ImageSet:
    """Read a split of a published data set from its IDX files: images and labels. The other split is not needed."""
    images, labels = _read_pair(*paths)
    folder = paths[0].parent
    return _image_set(images[:, None], labels.astype(np.int64), info.classes, name=info.name, split=split, path=folder)


def _read_pair(images_path: Path, labels_path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the images (N, H, W) and the labels (N,) of two IDX files."""
    images, labels = read_idx(images_path), _read_labels(labels_path)
    if images.ndim != 3:
        raise DataError(f"{images_path}: has {images.ndim} axes; images have 3, labels 1")
    if len(images) != len(labels):
        text = f"{len(images):,} images but {len(labels):,} labels; the files do not belong together"
        raise DataError(f"{images_path.parent}: {text}")
    if not min(len(images), *images.shape[1:]):
        raise DataError(f"{images_path}: no images (its shape is {images.shape})")
    return images, labels


def _read_idx_split(path: Path, files: dict[str, tuple[Path, Path]], split: str, *, whole: bool) -> ImageSet:
    """Read a split of IDX files; if the folder has only one split, a part of it is held out for testing."""
    only_split = next(iter(files)) if len(files) == 1 else None
    images_path, labels_path = files[only_split or split]
    images, labels = _read_pair(images_path, labels_path)
    info = recognize(labels_path)
    train_labels = labels if only_split or split == "train" else _read_labels(files["train"][1])
    test_labels = labels if only_split or split == "test" else _read_labels(files["test"][1])
    values = np.unique(train_labels)
    unknown = np.setdiff1d(test_labels, values)
    if len(unknown) and info is None:
        text = f"the test split has labels that the training split lacks: {', '.join(map(str, unknown))}"
        raise DataError(f"{path}: {text}")
    result = _image_set(
        images[:, None],
        labels.astype(np.int64) if info else np.searchsorted(values, labels),
        info.classes if info else tuple(map(str, values)),
        name=info.name if info else plain_name(path.resolve().name),
        split=only_split or split,
        path=path,
    )
    if only_split is None:
        return result
    if whole and split == "test":
        return replace(result, notes=(*result.notes, f"only the {only_split} files were found: using all their images"))
    fraction = holdout_fraction(len(result))
    kept, held_out = stratified_split([str(i) for i in range(len(result))], result.labels.numpy(), fraction)
    note = (
        f"only the {only_split} files were found: holding out {len(held_out):,} of {len(result):,} images"
        f" ({fraction:.0%} of each class) for testing"
    )
    return result.select(kept if split == "train" else held_out, split=split, note=note)


def _read_labels(path: Path) -> NDArray[np.uint8]:
    labels = read_idx(path)
    if labels.ndim != 1:
        raise DataError(f"{path}: has {labels.ndim} axes; images have 3, labels 1")
    return labels


def _image_set(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    *,
    name: str,
    split: str,
    path: Path,
) -> ImageSet:
    return ImageSet(torch.from_numpy(images), torch.from_numpy(labels), classes, name, split, source=str(path))


def _load_digits(split: str) -> ImageSet:
    """Load the embedded digits: 8x8 pixels, resized to 24x24 (bilinear) and padded to 32x32; 20 % are the test split.

    As in the LeNet paper, a character of about 20 pixels is centered in a field of 32x32.
    """
    images = read_idx(embedded_folder() / "digits-images-idx3-ubyte.gz")
    labels = read_idx(embedded_folder() / "digits-labels-idx1-ubyte.gz")
    size = (DIGITS_SIZE, DIGITS_SIZE)
    images = np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)) for image in images])
    padding = (DIGITS_PADDING, DIGITS_PADDING)
    images = np.pad(images, ((0, 0), padding, padding))
    kept, held_out = stratified_split([str(i) for i in range(len(labels))], labels, holdout_fraction(len(labels)))
    chosen = kept if split == "train" else held_out
    return _image_set(
        images[chosen, None],
        labels[chosen].astype(np.int64),
        DATASETS["digits"].classes,
        name="digits",
        split=split,
        path=Path("embedded"),
    )
