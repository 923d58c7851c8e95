"""Labeled images in memory, and the stratified split that holds out a part of them."""

import hashlib
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from firstsight import display
from firstsight.arguments import check_type, describe, expand_user
from firstsight.data.images.class_folders import write_class_folders
from firstsight.display import Result
from firstsight.errors import DataError, UsageError

SHOWN_CLASSES = 15
SHOWN_IMAGES = 4
"""Number of classes, and of images of each class, that a notebook shows."""
THUMBNAIL = 32
"""Maximum side of these images in pixels."""
SHEET_COLUMNS = 10
"""Number of images of a class on a contact sheet."""
SHEET_SIDE = 64
"""Smaller images are enlarged on a contact sheet, by a whole factor, to at least this side in pixels."""


class LabeledImage(NamedTuple):
    """An image of an `ImageSet`: ``image, label = data[3]``."""

    image: Tensor
    """(C, H, W) uint8."""
    label: int
    """Index into ``classes`` of the set."""


@dataclass(frozen=True)
class SkippedImage:
    """Unusable image file.

    Parameters
    ----------
    path : str
        Path inside the data set.
    reason : str
        Why the file cannot be used.
    """

    path: str
    reason: str


@dataclass(frozen=True, repr=False)
class ImageSet(Result):
    """Labeled images of one size: a sequence of (image, label).

    ``data[3]`` is an image and its label, ``data[:100]`` and ``data[[3, 7]]`` are sets; ``len``, ``for`` and
    `to_torch` work.

    Parameters
    ----------
    images : Tensor
        (N, C, H, W) uint8 tensor, C = 1 (gray) or 3 (RGB).
    labels : Tensor
        (N,) int64 tensor of indices into ``classes``.
    classes : tuple[str, ...]
        Class names.
    name : str
        Name of the data set ("digits", "fashion-mnist", the name of a folder).
    split : str
        "train" or "test".
    source : str
        Path of the files.
    notes : tuple[str, ...]
        Facts that a reader of the results must know, such as images that were held out for testing.
    skipped : tuple[SkippedImage, ...]
        Files that cannot be used.

    Raises
    ------
    DataError
        If shapes, data types, labels and number of classes do not match.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str
    split: str
    source: str = ""
    notes: tuple[str, ...] = ()
    skipped: tuple[SkippedImage, ...] = ()

    IMAGE_FORMATS: ClassVar[tuple[str, ...]] = (".png", ".jpg")
    PATH_ADVICE: ClassVar[str] = "write its images first, with data.save('FOLDER'), and give the folder"

    def __post_init__(self) -> None:
        name = f"{self.name} ({self.split})"
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError(
                f"{name}: images must be uint8 (N, C, H, W); got {self.images.dtype} with {self.images.ndim} axes"
            )
        if self.labels.dtype != torch.int64 or self.labels.ndim != 1:
            raise DataError(f"{name}: labels must be int64 (N,); got {self.labels.dtype} with {self.labels.ndim} axes")
        if len(self.images) != len(self.labels):
            raise DataError(
                f"{name}: {len(self.images)} images but {len(self.labels)} labels; the files do not belong together"
            )
        if len(self.images) == 0:
            raise DataError(f"{name}: no images")
        if not self.classes:
            raise DataError(f"{name}: no classes")
        if int(self.labels.min()) < 0 or int(self.labels.max()) >= len(self.classes):
            raise DataError(f"{name}: labels run to {int(self.labels.max())} but there are {len(self.classes)} classes")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> LabeledImage: ...

    @overload
    def __getitem__(self, index: "slice | Sequence[int] | NDArray[Any] | Tensor") -> "ImageSet": ...

    def __getitem__(self, index: Any) -> "LabeledImage | ImageSet":
        """Return an image and its label; for a slice, indices or a boolean mask, the set of these images.

        Raises
        ------
        IndexError
            If an index is out of range.
        UsageError
            If it is of another type.
        DataError
            If no image is selected.
        """
        if isinstance(index, slice):
            return self.select(np.arange(len(self), dtype=np.int64)[index].copy())  # of any direction
        try:
            position = operator.index(index)
        except TypeError:
            return self.select(self._positions(index))
        position = self._positions([position]).item()
        return LabeledImage(self.images[position], int(self.labels[position]))

    def _positions(self, index: Any) -> NDArray[np.int64]:
        """Return the positions (N,) that indices or a mask select."""
        array = np.asarray(index.cpu() if isinstance(index, Tensor) else index)
        if array.dtype == np.bool_ and array.shape == (len(self),):
            return np.flatnonzero(array)
        if isinstance(index, str) or array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
            raise UsageError(
                f"an index must be an integer, a slice, a list of integers, or {len(self):,} booleans;"
                f" got {describe(index)}"
            )
        outside = array[(array < -len(self)) | (array >= len(self))]
        if len(outside):
            raise IndexError(f"index {outside[0]} is out of range for {len(self):,} images")
        return array.astype(np.int64) % len(self)

    def __iter__(self) -> Iterator[LabeledImage]:
        """Iterate over images and labels."""
        return (LabeledImage(image, int(label)) for image, label in zip(self.images, self.labels, strict=True))

    @property
    def counts(self) -> dict[str, int]:
        """Number of images of each class."""
        numbers = torch.bincount(self.labels, minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, numbers, strict=True))

    def to_torch(self, transform: Callable[[Tensor], Any] | None = None) -> "TorchImages":
        """Return the images as a data set of PyTorch, for a ``DataLoader``.

        Parameters
        ----------
        transform : Callable[[Tensor], Any] | None
            Applied to every image (C, H, W), float32 in [0, 1], when it is read; for example a transform of
            torchvision.

        Examples
        --------
        >>> from torch.utils.data import DataLoader
        >>> from firstsight import load_data
        >>> images, labels = next(iter(DataLoader(load_data("digits").to_torch(), batch_size=64, shuffle=True)))
        >>> images.shape, images.dtype, labels.shape
        (torch.Size([64, 1, 32, 32]), torch.float32, torch.Size([64]))
        """
        return TorchImages(self, transform)

    def to_dict(self) -> dict[str, Any]:
        """Return name, size, classes and counts as plain data for JSON; without pixels."""
        return {
            "name": self.name,
            "split": self.split,
            "source": self.source,
            "shape": list(self.images.shape),
            "classes": self.counts,
            "notes": list(self.notes),
            "skipped": [{"path": item.path, "reason": item.reason} for item in self.skipped],
        }

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.images.shape[1:]))
        number = f"{len(self):,} image{'s' if len(self) != 1 else ''}"
        return f"ImageSet({self.name}, {self.split}: {number} of {shape}, {len(self.classes)} classes)"

    def _repr_html_(self) -> str:
        rows = [
            (name, f"{count:,}", self._thumbnails(label))
            for label, (name, count) in enumerate([*self.counts.items()][:SHOWN_CLASSES])
        ]
        remarks = [f"and {len(self.classes) - len(rows)} more classes"] if len(self.classes) > len(rows) else []
        remarks += [f"note: {note}" for note in self.notes]
        remarks += [f"{len(self.skipped):,} files were left out"] if self.skipped else []
        return (
            display.paragraph(repr(self))
            + display.table(rows, ("class", "images", "examples"), numbers=[1])
            + "".join(map(display.paragraph, remarks))
        )

    def save(self, path: str | Path) -> Path:
        """Write class folders, which every ``data=`` takes, or a file.

        ``data.save("photos")`` writes ``photos/CLASS/0000.png`` for each image. For both splits of a data set, use
        ``photos/train`` and ``photos/test``.

        Parameters
        ----------
        path : str | Path
            A new folder; or a file, whose suffix chooses the format: .png or .jpg (a contact sheet), .json, .html or
            .txt.

        Returns
        -------
        Path
            The folder or the file.

        Raises
        ------
        UsageError
            If the folder is not empty, the suffix is another one, or the files cannot be written.
        """
        check_type("path", path, str | Path)
        target = expand_user(path)
        if target.suffix:
            return super().save(target)
        write_class_folders(target, self.images.numpy(), self.labels.numpy(), self.classes)
        return target

    def encode(self, suffix: str) -> bytes:
        """Return the content of a file with this suffix: the contact sheet, or the data of `to_dict`; see `save`."""
        if suffix.lower() not in self.IMAGE_FORMATS:
            return super().encode(suffix)
        out = BytesIO()
        self.contact_sheet().save(out, "png" if suffix.lower() == ".png" else "jpeg")
        return out.getvalue()

    def contact_sheet(self) -> Image.Image:
        """Return an image with a row of images per class, of the first 15 classes that have images."""
        rows = [row for label in range(len(self.classes)) if (row := self._row(label, SHEET_COLUMNS))][:SHOWN_CLASSES]
        scale = max(1, -(-SHEET_SIDE // max(self.size)))
        height, width = self.size
        sheet = Image.new(rows[0].mode, (width * max(row.width // width for row in rows), height * len(rows)))
        for number, row in enumerate(rows):
            sheet.paste(row, (0, number * height))
        return sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.NEAREST)

    def _show_in_terminal(self) -> None:
        display.write_line(str(self))
        display.open_image(self.contact_sheet())

    def _row(self, label: int, columns: int) -> Image.Image | None:
        """Return the first images of a class, next to each other; None if it has none."""
        chosen = torch.nonzero(self.labels == label).flatten()[:columns]
        if not len(chosen):
            return None
        row = torch.cat([*self.images[chosen]], dim=2)  # (C, H, N W)
        return Image.fromarray((row[0] if self.channels == 1 else row.permute(1, 2, 0)).numpy())

    def _thumbnails(self, label: int) -> display.Html:
        """Return the first images of a class, next to each other, as HTML."""
        image = self._row(label, SHOWN_IMAGES)
        if image is None:
            return display.Html()
        side = max(self.size)
        if side > THUMBNAIL:
            image.thumbnail((image.width * THUMBNAIL // side, image.height * THUMBNAIL // side))
        return display.embed(image, scale=max(1, THUMBNAIL // side), alt=self.classes[label])

    @property
    def channels(self) -> int:
        """Number of channels: 1 for gray, 3 for RGB."""
        return self.images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Image size (height, width) in pixels."""
        return self.images.shape[2], self.images.shape[3]

    def mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Compute the mean and standard deviation of each channel, for values in [0, 1].

        The result is exact: it is computed from a histogram of the 256 values. A constant channel has std 1.
        """
        means, stds = [], []
        for channel in range(self.channels):
            counts = np.zeros(256, dtype=np.int64)
            for chunk in self.images[:, channel].split(4096):
                counts += np.bincount(chunk.numpy().ravel(), minlength=256)
            values = np.arange(256, dtype=np.float64) / 255
            mean = float((counts * values).sum() / counts.sum())
            variance = float((counts * (values - mean) ** 2).sum() / counts.sum())
            means.append(mean)
            stds.append(variance**0.5 or 1.0)
        return tuple(means), tuple(stds)

    def select(self, indices: NDArray[np.int64], *, split: str | None = None, note: str = "") -> "ImageSet":
        """Return a set of the images at ``indices``, in that order.

        Parameters
        ----------
        indices : NDArray[np.int64]
            (N,) positions in this set.
        split : str | None
            Split of the new set. None keeps that of this set.
        note : str
            Note to add.
        """
        chosen = torch.from_numpy(indices)
        notes = (*self.notes, note) if note else self.notes
        return replace(
            self, images=self.images[chosen], labels=self.labels[chosen], split=split or self.split, notes=notes
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 of shape, class names, pixels and labels, which does not depend on the path."""
        digest = hashlib.sha256(repr((tuple(self.images.shape), self.classes)).encode())
        for chunk in self.images.split(4096):
            digest.update(chunk.contiguous().numpy().data)
        digest.update(self.labels.numpy().data)
        return digest.hexdigest()


class TorchImages(Dataset[tuple[Any, int]]):
    """Images and labels as a data set of PyTorch.

    Parameters
    ----------
    data : ImageSet
        Images and labels.
    transform : Callable[[Tensor], Any] | None
        Applied to every image (C, H, W), float32 in [0, 1].
    """

    def __init__(self, data: ImageSet, transform: Callable[[Tensor], Any] | None = None) -> None:
        self.data = data
        self.transform = transform

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""
        return self.data.classes

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image, label = self.data[index]
        pixels = image.float() / 255
        return (self.transform(pixels) if self.transform else pixels), label


def holdout_fraction(n: int) -> float:
    """Return the default fraction to hold out of ``n`` samples: 0.1 from 10,000 samples on, else 0.2."""
    return 0.1 if n >= 10_000 else 0.2


def stratified_split(
    keys: list[str], labels: NDArray[np.integer[Any]], fraction: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split samples into two parts with the same class frequencies.

    Each class is sorted by the SHA-256 of the keys, and its first samples are held out. The result does not depend on
    the order of the samples. A class with two or more samples has at least one sample in each part.

    Parameters
    ----------
    keys : list[str]
        One string per sample (a file name, or the index of the sample).
    labels : NDArray[np.integer[Any]]
        (N,) class indices.
    fraction : float
        Fraction to hold out, in (0, 1).

    Returns
    -------
    tuple[NDArray[np.int64], NDArray[np.int64]]
        Ascending indices of the remaining and of the held-out samples.
    """
    ranks = np.array(
        [int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8]) for key in keys],
        dtype=np.uint64,
    )
    held_out: list[int] = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        ordered = members[np.argsort(ranks[members], kind="stable")]
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        held_out.extend(ordered[:count].tolist())
    held_out_ids = np.sort(np.array(held_out, dtype=np.int64))
    kept_ids = np.setdiff1d(np.arange(len(labels), dtype=np.int64), held_out_ids)
    return kept_ids, held_out_ids
