"""A set of labelled images in memory, and the choice of which samples of a set without a test split become one."""

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
    """A file that could not be used, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class ImageSet:
    """Labelled images of one size.

    Parameters
    ----------
    images : Tensor
        (N, C, H, W) uint8 tensor, C = 1 (grey) or 3 (RGB).
    labels : Tensor
        (N,) int64 tensor, indices into ``classes``.
    classes : tuple[str, ...]
        The names of the classes.
    name : str
        What the set is called ("digits", "fashion-mnist", a folder's name).
    split : str
        "train" or "test".
    source : str
        Where the files were found.
    notes : tuple[str, ...]
        What a reader of the results must know ("no test split: a fifth was held out").
    skipped : tuple[SkippedImage, ...]
        Files that could not be used.

    Raises
    ------
    DataError
        When shapes, types, labels or class count do not fit together.
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
        where = f"{self.name} ({self.split})"
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError(
                f"{where}: images must be uint8 (N, C, H, W); got {self.images.dtype} of {self.images.ndim} axes"
            )
        if self.labels.dtype != torch.int64 or self.labels.ndim != 1:
            raise DataError(f"{where}: labels must be int64 (N,); got {self.labels.dtype} of {self.labels.ndim} axes")
        if len(self.images) != len(self.labels):
            raise DataError(
                f"{where}: {len(self.images)} images but {len(self.labels)} labels; the files do not belong together"
            )
        if len(self.images) == 0:
            raise DataError(f"{where}: no images")
        if not self.classes:
            raise DataError(f"{where}: no class")
        if int(self.labels.min()) < 0 or int(self.labels.max()) >= len(self.classes):
            raise DataError(
                f"{where}: labels run to {int(self.labels.max())} but there are {len(self.classes)} classes"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return self.images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.images.shape[2], self.images.shape[3]

    def mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, in [0, 1], computed from this set's own pixels.

        Exact: each channel's histogram of 256 values is summed in whole numbers. A constant channel has std 1.
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
        """Keep the samples at ``indices``, in that order."""
        chosen = torch.from_numpy(indices)
        notes = (*self.notes, note) if note else self.notes
        return replace(
            self, images=self.images[chosen], labels=self.labels[chosen], split=split or self.split, notes=notes
        )

    def fingerprint(self) -> str:
        """SHA-256 of pixels, labels and class names: the same data, wherever it was found."""
        digest = hashlib.sha256(repr((tuple(self.images.shape), self.classes)).encode())
        for chunk in self.images.split(4096):
            digest.update(chunk.contiguous().numpy().data)
        digest.update(self.labels.numpy().data)
        return digest.hexdigest()


def held_out_share(n: int) -> float:
    """How much of a set without a test split is held out: a tenth of 10,000 samples or more, a fifth of fewer."""
    return 0.1 if n >= 10_000 else 0.2


def stratified_split(
    keys: list[str], labels: NDArray[np.integer[Any]], share: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split a set by rule: in each class, in the order of the SHA-256 of the keys, the first ``share`` is held out.

    The rule does not depend on the order of the samples, and a class of two or more keeps at least one sample on
    either side.

    Parameters
    ----------
    keys : list[str]
        One string a sample (a file name, or the sample's number).
    labels : NDArray[np.integer[Any]]
        (N,) class indices.
    share : float
        Fraction to hold out, in (0, 1).

    Returns
    -------
    tuple[NDArray[np.int64], NDArray[np.int64]]
        (kept, held_out) : ascending sample numbers.
    """
    ranks = np.array([int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) for key in keys], dtype=np.uint64)
    held: list[int] = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        ordered = members[np.argsort(ranks[members], kind="stable")]
        count = min(max(1, round(share * len(members))), len(members) - 1)
        held.extend(ordered[:count].tolist())
    held_out = np.sort(np.array(held, dtype=np.int64))
    kept = np.setdiff1d(np.arange(len(labels), dtype=np.int64), held_out)
    return kept, held_out
