"""Augmentation of whole batches; the result is a pure function of seed, epoch and sample id."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from firstsight.data.rng import random_bits, uniform

FLIP, SHIFT_Y, SHIFT_X, ANGLE, SCALE, CUTOUT_Y, CUTOUT_X = range(1, 8)
"""Random streams (see `firstsight.data.rng`); stream 0 is the order of the samples."""


@dataclass(frozen=True)
class Augmentation:
    """Random transforms of training images.

    Parameters
    ----------
    translate : int
        Maximum shift in pixels along each axis. Uncovered pixels reflect the image at its edge.
    flip : Literal['none', 'random', 'alternating']
        Horizontal flip. "random" flips half of the images in each epoch. "alternating" flips each image in every
        second epoch, half of them in the first (Jordan 2024, airbench), so two epochs show both views of an image.
    rotate : float
        Maximum rotation in degrees, in both directions. Bilinear; black outside of the image.
    scale : float
        Maximum relative change of size: the factor is in [1 - scale, 1 + scale].
    cutout : int
        Side in pixels of a square that is set to black (DeVries and Taylor 2017).
    """

    translate: int = 0
    flip: Literal["none", "random", "alternating"] = "none"
    rotate: float = 0.0
    scale: float = 0.0
    cutout: int = 0

    def gather(self, images: Tensor, ids: NDArray[np.int64], *, seed: int, epoch: int) -> Tensor:
        """Select samples, shifted and flipped in the same step.

        Parameters
        ----------
        images : Tensor
            (N, C, H, W) uint8 images of the whole data set.
        ids : NDArray[np.int64]
            (B,) samples to select.
        seed : int
            Seed of the run.
        epoch : int
            Epoch, from 0.

        Returns
        -------
        Tensor
            (B, C, H, W) uint8, on the device of ``images``.
        """
        index = torch.from_numpy(ids).to(images.device)
        if self.translate == 0 and self.flip == "none":
            return images[index]
        height, width = images.shape[2:]
        rows = np.broadcast_to(np.arange(height), (len(ids), height))
        columns = np.broadcast_to(np.arange(width), (len(ids), width))
        if self.translate:
            span = 2 * self.translate + 1
            rows = _reflect(rows + self._offsets(ids, span, seed, epoch, SHIFT_Y), height)
            columns = _reflect(columns + self._offsets(ids, span, seed, epoch, SHIFT_X), width)
        if self.flip != "none":
            is_flipped = self.flip_mask(ids, seed=seed, epoch=epoch)[:, None]
            columns = np.where(is_flipped, width - 1 - columns, columns)
        row_index = torch.from_numpy(np.ascontiguousarray(rows)).to(images.device)
        column_index = torch.from_numpy(np.ascontiguousarray(columns)).to(images.device)
        selected = images[index[:, None, None], :, row_index[:, :, None], column_index[:, None, :]]  # (B, H, W, C)
        return selected.permute(0, 3, 1, 2)

    def _offsets(self, ids: NDArray[np.int64], span: int, seed: int, epoch: int, stream: int) -> NDArray[np.int64]:
        """Return a shift in [-translate, translate] for each sample, (B, 1)."""
        draws = uniform(ids, seed=seed, epoch=epoch, stream=stream)
        return (np.floor(draws * span).astype(np.int64) - self.translate)[:, None]

    def flip_mask(self, ids: NDArray[np.int64], *, seed: int, epoch: int) -> NDArray[np.bool_]:
        """Return whether each sample is flipped in this epoch.

        Parameters
        ----------
        ids : NDArray[np.int64]
            (B,) samples.
        seed : int
            Seed of the run.
        epoch : int
            Epoch, from 0.

        Returns
        -------
        NDArray[np.bool_]
            (B,) mask.
        """
        if self.flip == "alternating":
            first = random_bits(ids, seed=seed, epoch=0, stream=FLIP) >> np.uint64(63)
            return ((first + np.uint64(epoch)) % np.uint64(2)).astype(np.bool_)
        return (random_bits(ids, seed=seed, epoch=epoch, stream=FLIP) >> np.uint64(63)).astype(np.bool_)

    def warp(self, images: Tensor, ids: NDArray[np.int64], *, seed: int, epoch: int, fill: Tensor) -> Tensor:
        """Rotate and scale images, and apply cutout.

        Parameters
        ----------
        images : Tensor
            (B, C, H, W) normalized float images.
        ids : NDArray[np.int64]
            (B,) samples that these are.
        seed : int
            Seed of the run.
        epoch : int
            Epoch, from 0.
        fill : Tensor
            (C,) normalized value of black, for pixels outside of the image and for cutout.

        Returns
        -------
        Tensor
            (B, C, H, W) images.
        """
        height, width = images.shape[2:]
        black = fill.view(1, -1, 1, 1)
        if self.rotate or self.scale:
            angle = math.radians(self.rotate) * (2 * uniform(ids, seed=seed, epoch=epoch, stream=ANGLE) - 1)
            scale = 1 / (1 + self.scale * (2 * uniform(ids, seed=seed, epoch=epoch, stream=SCALE) - 1))
            cos, sin = scale * np.cos(angle), scale * np.sin(angle)
            zero = np.zeros_like(cos)
            matrix = np.stack([cos, -sin * height / width, zero, sin * width / height, cos, zero], 1).reshape(-1, 2, 3)
            grid = F.affine_grid(
                torch.from_numpy(matrix).to(images.device, images.dtype), list(images.shape), align_corners=False
            )
            images = F.grid_sample(images - black, grid, align_corners=False) + black
        if self.cutout:
            top = np.floor(uniform(ids, seed=seed, epoch=epoch, stream=CUTOUT_Y) * height) - self.cutout // 2
            left = np.floor(uniform(ids, seed=seed, epoch=epoch, stream=CUTOUT_X) * width) - self.cutout // 2
            row_mask = _interval_mask(top, height, self.cutout)
            column_mask = _interval_mask(left, width, self.cutout)
            mask = torch.from_numpy(row_mask[:, None, :, None] & column_mask[:, None, None, :]).to(images.device)
            images = torch.where(mask, black, images)
        return images


def _reflect(positions: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Reflect positions outside 0..size-1 at the borders: -1 becomes 1, size becomes size - 2."""
    if size == 1:
        return np.zeros_like(positions)
    period = 2 * (size - 1)
    positions = np.abs(positions) % period
    return np.minimum(positions, period - positions)


def _interval_mask(start: NDArray[np.float64], size: int, length: int) -> NDArray[np.bool_]:
    """Return (B, size): whether each position is in [start, start + length)."""
    positions = np.arange(size)[None, :]
    return (positions >= start[:, None]) & (positions < start[:, None] + length)
