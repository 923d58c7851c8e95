"""Augmentation: what is done to a sample is a pure function of (seed, epoch, sample id), for a whole batch at once."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from firstsight.data.rng import random_bits, uniform

FLIP, SHIFT_Y, SHIFT_X, ANGLE, ZOOM, CUT_Y, CUT_X = range(1, 8)
"""Streams of the counter-based generator; stream 0 is the order of the samples."""


@dataclass(frozen=True)
class Augmentation:
    """How training images are varied.

    Parameters
    ----------
    translate : int
        Maximum shift in pixels, in each direction; uncovered pixels reflect the edge.
    flip : Literal['none', 'random', 'alternating']
        "none", "random", or "alternating" (each image is flipped in every second epoch, half of them in the first:
        every view is seen once in two epochs; Jordan 2024, airbench).
    rotate : float
        Up to so many degrees either way, bilinear, with zeros from outside.
    scale : float
        Scale factor from 1 - scale to 1 + scale.
    cutout : int
        Side in pixels of a square set to zero (DeVries and Taylor 2017).
    """

    translate: int = 0
    flip: Literal["none", "random", "alternating"] = "none"
    rotate: float = 0.0
    scale: float = 0.0
    cutout: int = 0

    def gather(self, images: Tensor, ids: NDArray[np.int64], *, seed: int, epoch: int) -> Tensor:
        """Take the samples ``ids`` out of (N, C, H, W) uint8 images, shifted and flipped in the same pass.

        Returns
        -------
        Tensor
            (len(ids), C, H, W) uint8, on the device of ``images``.
        """
        index = torch.from_numpy(ids).to(images.device)
        if self.translate == 0 and self.flip == "none":
            return images[index]
        height, width = images.shape[2:]
        rows = np.broadcast_to(np.arange(height), (len(ids), height))
        columns = np.broadcast_to(np.arange(width), (len(ids), width))
        if self.translate:
            span = 2 * self.translate + 1
            rows = _mirror(rows + self._offsets(ids, span, seed, epoch, SHIFT_Y), height)
            columns = _mirror(columns + self._offsets(ids, span, seed, epoch, SHIFT_X), width)
        if self.flip != "none":
            turned = self.flipped(ids, seed=seed, epoch=epoch)[:, None]
            columns = np.where(turned, width - 1 - columns, columns)
        row_index = torch.from_numpy(np.ascontiguousarray(rows)).to(images.device)
        column_index = torch.from_numpy(np.ascontiguousarray(columns)).to(images.device)
        taken = images[index[:, None, None], :, row_index[:, :, None], column_index[:, None, :]]  # (N, H, W, C)
        return taken.permute(0, 3, 1, 2)

    def _offsets(self, ids: NDArray[np.int64], span: int, seed: int, epoch: int, stream: int) -> NDArray[np.int64]:
        chance = uniform(ids, seed=seed, epoch=epoch, stream=stream)
        return (np.floor(chance * span).astype(np.int64) - self.translate)[:, None]

    def flipped(self, ids: NDArray[np.int64], *, seed: int, epoch: int) -> NDArray[np.bool_]:
        """Which samples are mirrored in this epoch; (N,) bool."""
        if self.flip == "alternating":
            first = random_bits(ids, seed=seed, epoch=0, stream=FLIP) >> np.uint64(63)
            return ((first + np.uint64(epoch)) % np.uint64(2)).astype(np.bool_)
        return (random_bits(ids, seed=seed, epoch=epoch, stream=FLIP) >> np.uint64(63)).astype(np.bool_)

    def warp(self, images: Tensor, ids: NDArray[np.int64], *, seed: int, epoch: int, fill: Tensor) -> Tensor:
        """Rotate, zoom and cut out, on normalised (N, C, H, W) float images.

        Parameters
        ----------
        fill : Tensor
            (C,) the normalised value of black, used where the picture ends and in the cut-out square.
        """
        height, width = images.shape[2:]
        black = fill.view(1, -1, 1, 1)
        if self.rotate or self.scale:
            angle = math.radians(self.rotate) * (2 * uniform(ids, seed=seed, epoch=epoch, stream=ANGLE) - 1)
            scale = 1 / (1 + self.scale * (2 * uniform(ids, seed=seed, epoch=epoch, stream=ZOOM) - 1))
            cos, sin = scale * np.cos(angle), scale * np.sin(angle)
            zero = np.zeros_like(cos)
            matrix = np.stack([cos, -sin * height / width, zero, sin * width / height, cos, zero], 1).reshape(-1, 2, 3)
            grid = F.affine_grid(
                torch.from_numpy(matrix).to(images.device, images.dtype), list(images.shape), align_corners=False
            )
            images = F.grid_sample(images - black, grid, align_corners=False) + black
        if self.cutout:
            top = np.floor(uniform(ids, seed=seed, epoch=epoch, stream=CUT_Y) * height) - self.cutout // 2
            left = np.floor(uniform(ids, seed=seed, epoch=epoch, stream=CUT_X) * width) - self.cutout // 2
            inside_rows = _within(top, height, self.cutout)
            inside_columns = _within(left, width, self.cutout)
            hole = torch.from_numpy(inside_rows[:, None, :, None] & inside_columns[:, None, None, :]).to(images.device)
            images = torch.where(hole, black, images)
        return images


def _mirror(positions: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Reflect positions outside 0..size-1 at the borders: -1 becomes 1, size becomes size - 2."""
    if size == 1:
        return np.zeros_like(positions)
    period = 2 * (size - 1)
    positions = np.abs(positions) % period
    return np.minimum(positions, period - positions)


def _within(start: NDArray[np.float64], size: int, length: int) -> NDArray[np.bool_]:
    places = np.arange(size)[None, :]
    return (places >= start[:, None]) & (places < start[:, None] + length)
