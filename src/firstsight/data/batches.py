"""Batches: sample ids, order and shard of each process are pure functions of seed, epoch and index."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from firstsight.data.augment import Augmentation
from firstsight.data.image_io import Preprocess, center_crop_box, letterbox_box
from firstsight.data.images.image_set import ImageSet
from firstsight.data.rng import permutation


@dataclass(frozen=True, kw_only=True)
class BatchShard:
    """Part of a global batch that one process computes.

    Parameters
    ----------
    ids : NDArray[np.int64]
        (N,) sample ids in the training set.
    epoch : int
        Epoch, from 0.
    index : int
        Index of the batch in its epoch, from 0.
    global_size : int
        Number of samples in the batch, over all processes.
    world_size : int
        Number of processes.
    progress : float
        Fraction of the training before this batch, in [0, 1).
    """

    ids: NDArray[np.int64]
    epoch: int
    index: int
    global_size: int
    world_size: int
    progress: float

    def mean(self, per_sample: Tensor) -> Tensor:
        """Return this process's part of the mean over the global batch.

        The average over the processes, which is how gradients are reduced, is exactly the mean over the global batch.
        An average of plain means is not, as shards may differ in size by one sample.

        Parameters
        ----------
        per_sample : Tensor
            (N,) values of the samples.

        Returns
        -------
        Tensor
            Scalar.
        """
        return per_sample.sum() * (self.world_size / self.global_size)


@dataclass(frozen=True, kw_only=True)
class Batch(BatchShard):
    """Batch of images and labels.

    Parameters
    ----------
    images : Tensor
        (N, C, H, W) normalized float tensor.
    labels : Tensor
        (N,) int64 tensor.
    """

    images: Tensor
    labels: Tensor


def batch_offsets(n: int, batch_size: int) -> NDArray[np.int64]:
    """Return the positions where ``n`` samples are divided into ceil(n / batch_size) batches.

    The sizes differ by at most one. No batch exceeds ``batch_size``, no sample is dropped, and there is no small last
    batch that would disturb batch normalization.

    Parameters
    ----------
    n : int
        Number of samples in an epoch.
    batch_size : int
        Maximum size of a batch.

    Returns
    -------
    NDArray[np.int64]
        (steps + 1,) positions. Batch i has the samples from position i to position i + 1.

    Examples
    --------
    >>> batch_offsets(10, 4)
    array([ 0,  3,  6, 10])
    """
    steps = -(-n // batch_size)
    return np.arange(steps + 1) * n // steps


class BatchSource:
    """Base class of batch sources: determines which samples are in which batch.

    Attributes
    ----------
    batch_size : int
        Maximum size of a global batch.
    epochs : int
        Number of epochs.
    seed : int
        Seed of the order of the samples.
    """

    batch_size: int
    epochs: int
    seed: int
    _order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, dtype=np.int64))  # the last epoch and its sample ids

    @property
    def samples(self) -> int:
        """Number of samples in an epoch."""
        raise NotImplementedError

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Array (steps + 1,) of the positions where an epoch is divided into batches (see `batch_offsets`)."""
        return batch_offsets(self.samples, self.batch_size)

    @property
    def steps(self) -> int:
        """Number of batches in an epoch."""
        return len(self.offsets) - 1

    def ids(self, epoch: int, index: int) -> NDArray[np.int64]:
        """Return the (N,) sample ids of a global batch, over all processes."""
        if self._order[0] != epoch:
            self._order = (epoch, permutation(self.samples, seed=self.seed, epoch=epoch))
        return self._order[1][self.offsets[index] : self.offsets[index + 1]]

    def progress(self, epoch: int, index: int) -> float:
        """Return the fraction of the training before a batch, in [0, 1)."""
        return (epoch * self.steps + index) / (self.epochs * self.steps)


class ProgressiveResizing(BatchSource):
    """Batch source with smaller samples in the first epochs (progressive resizing).

    A convolutional network accepts both sizes, and learns most from small samples in less time.

    Attributes
    ----------
    low_res_fraction : float
        Fraction of the epochs with smaller samples.
    """

    low_res_fraction: float

    @property
    def low_res_epochs(self) -> int:
        """Number of epochs with smaller samples; the last epoch is never one of them."""
        return min(round(self.low_res_fraction * self.epochs), self.epochs - 1)

    def progress(self, epoch: int, index: int) -> float:
        """Return the fraction before a batch of the low-resolution or the full-resolution epochs, in [0, 1)."""
        low_res = self.low_res_epochs
        first, epochs = (0, low_res) if epoch < low_res else (low_res, self.epochs - low_res)
        return ((epoch - first) * self.steps + index) / (epochs * self.steps)


@dataclass
class Batches(BatchSource):
    """Training batches of an `ImageSet`, which is kept as a uint8 tensor on the training device.

    Parameters
    ----------
    source : ImageSet
        Training set.
    preprocess : Preprocess
        Size and normalization of the images.
    batch_size : int
        Maximum size of a global batch.
    epochs : int
        Number of epochs.
    seed : int
        Seed of order and augmentation.
    augmentation : Augmentation
        Random transforms.
    rank : int
        Index of this process. It gets every ``world_size``-th sample of a batch, from sample ``rank`` on.
    world_size : int
        Number of processes.
    device : torch.device
        Device of the batches.
    dtype : torch.dtype
        Data type of the images.
    """

    source: ImageSet
    preprocess: Preprocess
    batch_size: int
    epochs: int
    seed: int
    augmentation: Augmentation = field(default_factory=Augmentation)
    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        self.images = fit_images(self.source, self.preprocess).to(self.device)
        self.labels = self.source.labels.to(self.device)
        black = torch.zeros(1, self.preprocess.channels, 1, 1, dtype=torch.uint8)
        self._black = self.preprocess.normalize(black, self.dtype).flatten().to(self.device)

    @property
    def samples(self) -> int:
        """Number of samples in an epoch."""
        return len(self.source)

    def get(self, epoch: int, index: int) -> Batch:
        """Return this process's part of a batch, augmented and normalized."""
        global_ids = self.ids(epoch, index)
        ids = global_ids[self.rank :: self.world_size]
        pixels = self.augmentation.gather(self.images, ids, seed=self.seed, epoch=epoch)
        images = self.preprocess.normalize(pixels, self.dtype)
        images = self.augmentation.warp(images, ids, seed=self.seed, epoch=epoch, fill=self._black)
        return Batch(
            images=images.contiguous(memory_format=torch.channels_last),
            labels=self.labels[torch.from_numpy(ids).to(self.device)],
            ids=ids,
            epoch=epoch,
            index=index,
            global_size=len(global_ids),
            world_size=self.world_size,
            progress=self.progress(epoch, index),
        )


def fit_images(source: ImageSet, preprocess: Preprocess) -> Tensor:
    """Return the images of a set at the size of the network's input (see `fit_pixels`)."""
    return fit_pixels(source.images, preprocess)


def fit_pixels(images: Tensor, preprocess: Preprocess) -> Tensor:
    """Resize, crop and pad images like `Preprocess.to_pixels`, on tensors.

    Images of the side ``preprocess.resize`` are not resized: `load_data` has already cropped them.

    Parameters
    ----------
    images : Tensor
        (N, C, H, W) uint8.
    preprocess : Preprocess
        Size, padding and number of channels.

    Returns
    -------
    Tensor
        (N, channels, S, S) uint8, S = ``preprocess.input_size``.
    """
    side = preprocess.resize
    if images.shape[1] != preprocess.channels:
        images = _convert_channels(images, preprocess.channels)
    if images.shape[2:] != (side, side):
        shape = images.shape[3], images.shape[2]
        if preprocess.letterbox:
            width, height, left, top = letterbox_box(*shape, size=side)
        else:
            width, height, left, top = center_crop_box(*shape, size=side, shorter=preprocess.shorter)
        chunks = []
        for chunk in images.split(256):
            resized = F.interpolate(
                chunk.float(), size=(height, width), mode="bilinear", antialias=True, align_corners=False
            )
            if preprocess.letterbox:
                square = F.pad(resized, (left, side - width - left, top, side - height - top))
            else:
                square = resized[:, :, top : top + side, left : left + side]
            chunks.append(square.round().clamp_(0, 255).to(torch.uint8))
        images = torch.cat(chunks)
    return F.pad(images, (preprocess.pad,) * 4) if preprocess.pad else images


def _convert_channels(images: Tensor, channels: int) -> Tensor:
    """Convert gray to RGB by repetition, or RGB to gray by ITU-R 601 luma."""
    if channels == 3:
        return images.expand(-1, 3, -1, -1)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return torch.cat([(chunk * weights).sum(1, keepdim=True).round_().to(torch.uint8) for chunk in images.split(1024)])
