"""Labeled images in memory, and the stratified split that holds out a part of them."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstsight.errors import DataError


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


@dataclass(frozen=True)
class ImageSet:
    """Labeled images of one size.

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
