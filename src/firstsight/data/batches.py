"""Batches: which samples, in which order, on which process - pure functions of seed, epoch and position."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from firstsight.data.augment import Augmentation
from firstsight.data.image_io import Preprocess, frame
from firstsight.data.images.image_set import ImageSet
from firstsight.data.rng import permutation


@dataclass(frozen=True, kw_only=True)
class BatchShard:
    """One process's share of a global batch, whatever it is of.

    Parameters
    ----------
    ids : NDArray[np.int64]
        (N,) sample numbers in the training set.
    epoch, index : int
        The batch's place, both from 0.
    global_size : int
        Samples in the whole batch, over all processes.
    world : int
        Number of processes.
    progress : float
        How much of the whole training lies before this batch, in [0, 1).
    """

    ids: NDArray[np.int64]
    epoch: int
    index: int
    global_size: int
    world: int
    progress: float

    def mean(self, per_sample: Tensor) -> Tensor:
        """The share of this process in the mean over the global batch: averaged over the processes it *is* that mean.

        Gradients are averaged over processes, and shares may differ by one sample; a plain mean of means would not be
        the mean.
        """
        return per_sample.sum() * (self.world / self.global_size)


@dataclass(frozen=True, kw_only=True)
class Batch(BatchShard):
    """Pictures and their classes.

    Parameters
    ----------
    images : Tensor
        (N, C, H, W) normalised float tensor.
    labels : Tensor
        (N,) int64 tensor.
    """

    images: Tensor
    labels: Tensor


def cut(n: int, batch_size: int) -> NDArray[np.int64]:
    """Where an epoch of ``n`` samples is cut: ceil(n / batch_size) batches whose sizes differ by one at most.

    No batch exceeds ``batch_size``, no sample is dropped, and no small rest upsets batch norm.

    >>> cut(10, 4)
    array([ 0,  3,  6, 10])
    """
    steps = -(-n // batch_size)
    return np.arange(steps + 1) * n // steps


class BatchSource:
    """Which samples make which batch: what every source of batches has in common."""

    batch_size: int
    epochs: int
    seed: int
    _order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, dtype=np.int64))  # of the epoch at hand

    @property
    def samples(self) -> int:
        """Samples in an epoch."""
        raise NotImplementedError

    @cached_property
    def borders(self) -> NDArray[np.int64]:
        """Where an epoch is cut; see `cut`."""
        return cut(self.samples, self.batch_size)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(self.borders) - 1

    def ids(self, epoch: int, index: int) -> NDArray[np.int64]:
        """Sample numbers of one global batch, over all processes."""
        if self._order[0] != epoch:
            self._order = (epoch, permutation(self.samples, seed=self.seed, epoch=epoch))
        return self._order[1][self.borders[index] : self.borders[index + 1]]

    def progress(self, epoch: int, index: int) -> float:
        """How much of the whole training lies before a batch, in [0, 1)."""
        return (epoch * self.steps + index) / (self.epochs * self.steps)


class ProgressiveResizing(BatchSource):
    """Samples that are smaller in the first epochs, the share ``early`` of them: a network of convolutions takes both.

    Small ones teach most of it in less time; ``progress`` counts each of the two parts for itself.
    """

    early: float

    @property
    def early_epochs(self) -> int:
        """So many epochs are on smaller samples; never the last one."""
        return min(round(self.early * self.epochs), self.epochs - 1)

    def progress(self, epoch: int, index: int) -> float:
        """How much of the training, or of its early or its later part, lies before a batch, in [0, 1)."""
        early = self.early_epochs
        first, epochs = (0, early) if epoch < early else (early, self.epochs - early)
        return ((epoch - first) * self.steps + index) / (epochs * self.steps)


@dataclass
class Batches(BatchSource):
    """The training batches of an `ImageSet`, held as one uint8 tensor on the training device.

    Parameters
    ----------
    rank, world : int
        This process and how many there are; process r takes every ``world``-th sample from the r-th.
    """

    source: ImageSet
    preprocess: Preprocess
    batch_size: int
    epochs: int
    seed: int
    augmentation: Augmentation = field(default_factory=Augmentation)
    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        self.images = fit_images(self.source, self.preprocess).to(self.device)
        self.labels = self.source.labels.to(self.device)
        self._black = self.preprocess.normalize(
            torch.zeros(1, self.preprocess.channels, 1, 1, dtype=torch.uint8), self.dtype
        )
        self._black = self._black.flatten().to(self.device)

    @property
    def samples(self) -> int:
        """Samples in an epoch."""
        return len(self.source)

    def get(self, epoch: int, index: int) -> Batch:
        """The share of this process in one batch, augmented and normalised."""
        whole = self.ids(epoch, index)
        ids = whole[self.rank :: self.world]
        taken = self.augmentation.gather(self.images, ids, seed=self.seed, epoch=epoch)
        images = self.preprocess.normalize(taken, self.dtype)
        images = self.augmentation.warp(images, ids, seed=self.seed, epoch=epoch, fill=self._black)
        return Batch(
            images=images.contiguous(memory_format=torch.channels_last),
            labels=self.labels[torch.from_numpy(ids).to(self.device)],
            ids=ids,
            epoch=epoch,
            index=index,
            global_size=len(whole),
            world=self.world,
            progress=self.progress(epoch, index),
        )


def fit_images(source: ImageSet, preprocess: Preprocess) -> Tensor:
    """All images of a set at the network's size; see `fit_pixels`."""
    return fit_pixels(source.images, preprocess)


def fit_pixels(images: Tensor, preprocess: Preprocess) -> Tensor:
    """Images at the network's size: cut out as `Preprocess.picture` does, bordered with zeros.

    (N, C, H, W) uint8 to (N, channels, S, S) uint8.

    Images that have the side ``preprocess.resize`` already are left as they are: `load` has cut them.
    """
    side = preprocess.resize
    if images.shape[1] != preprocess.channels:
        images = _channels(images, preprocess.channels)
    if images.shape[2:] != (side, side):
        wide, high, left, top = frame(images.shape[3], images.shape[2], size=side, shorter=preprocess.shorter)
        resized = [
            F.interpolate(chunk.float(), size=(high, wide), mode="bilinear", antialias=True, align_corners=False)
            [:, :, top : top + side, left : left + side].round().clamp_(0, 255).to(torch.uint8)
            for chunk in images.split(256)
        ]  # fmt: skip
        images = torch.cat(resized)
    return F.pad(images, (preprocess.pad,) * 4) if preprocess.pad else images


def _channels(images: Tensor, channels: int) -> Tensor:
    """Grey to RGB by repetition, RGB to grey by ITU-R 601 luma."""
    if channels == 3:
        return images.expand(-1, 3, -1, -1)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return torch.cat([(chunk * weights).sum(1, keepdim=True).round_().to(torch.uint8) for chunk in images.split(1024)])
