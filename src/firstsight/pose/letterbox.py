"""Resizing and padding of an image for a pose network, and the way back from the network's maps to image pixels.

Positions are x, y, with pixel centers at integers. The image is resized and padded with zeros, so that its sides are
multiples of the stride. The center of cell i of the maps is at pixel ``stride * i + (stride - 1) / 2`` of this input.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

STRIDE = 8
"""Input pixels per cell of the maps."""
UPSAMPLING = 4
"""Factor by which maps are upsampled for the published decoding."""


@dataclass(frozen=True)
class Letterbox:
    """Geometry of an image in the input of a network: resized with its aspect ratio kept, and padded.

    Attributes
    ----------
    width : int
        Width of the image in pixels.
    height : int
        Height of the image in pixels.
    resized_width : int
        Width of the resized image, without padding.
    resized_height : int
        Height of the resized image, without padding.
    """

    width: int
    height: int
    resized_width: int
    resized_height: int

    @classmethod
    def for_image(cls, size: tuple[int, int], *, height: float) -> "Letterbox":
        """Return the geometry of an image that is resized to a given height.

        Parameters
        ----------
        size : tuple[int, int]
            (width, height) of the image.
        height : float
            Height of the resized image, rounded to pixels. The width keeps the aspect ratio.

        Returns
        -------
        Letterbox
            Geometry of the image in the input.

        Examples
        --------
        >>> Letterbox.for_image((640, 427), height=256)
        Letterbox(width=640, height=427, resized_width=384, resized_height=256)
        """
        image_width, image_height = size
        resized_width = max(1, round(image_width * height / image_height))
        return cls(image_width, image_height, resized_width, max(1, round(height)))

    @property
    def pad_left(self) -> int:
        """Padding on the left in pixels; the padding on the right is equal or one pixel wider."""
        return -self.resized_width % STRIDE // 2

    @property
    def pad_top(self) -> int:
        """Padding at the top in pixels; the padding at the bottom is equal or one pixel wider."""
        return -self.resized_height % STRIDE // 2

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        return _padded(self.resized_height), _padded(self.resized_width)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge of the maps in image pixels, as matplotlib's ``extent``."""
        height, width = (side / STRIDE for side in self.input_size)
        corners = np.array([(-0.5, -0.5), (width - 0.5, height - 0.5)])
        (left, top), (right, bottom) = self.cells_to_image(corners).tolist()
        return left, right, bottom, top

    def network_input(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Return the padded and normalized network input.

        Parameters
        ----------
        pixels : NDArray[np.uint8]
            (resized_height, resized_width, 3) RGB image, already resized.

        Returns
        -------
        Tensor
            (1, 3, H, W) BGR image with values (pixel - 128) / 256, in channels_last format; the padding is 0.
        """
        padded = np.zeros((*self.input_size, 3), dtype=np.float32)
        rows = slice(self.pad_top, self.pad_top + self.resized_height)
        columns = slice(self.pad_left, self.pad_left + self.resized_width)
        image = padded[rows, columns]
        np.subtract(pixels[..., ::-1], np.float32(128), out=image)
        image *= np.float32(1 / 256)
        return torch.from_numpy(padded)[None].permute(0, 3, 1, 2)

    def cells_to_image(self, xy: NDArray[Any]) -> NDArray[np.float64]:
        """Convert positions in the network's maps to image pixels.

        Parameters
        ----------
        xy : NDArray[Any]
            (..., 2) x, y in cells.

        Returns
        -------
        NDArray[np.float64]
            (..., 2) x, y in pixels of the image.
        """
        edge = STRIDE * (xy + 0.5) - (self.pad_left, self.pad_top)  # from the edge of the resized image
        return np.asarray(edge * self._scale - 0.5, dtype=np.float64)

    def upsampled_to_image(self, xy: NDArray[Any]) -> NDArray[np.float64]:
        """Convert positions in upsampled maps to image pixels, like the published code, which ignores half pixels.

        The results are left of and above those of `cells_to_image`: by half a pixel if the image was not resized, and
        by r - 1/2 pixels if it was downscaled by a factor r.

        Parameters
        ----------
        xy : NDArray[Any]
            (..., 2) x, y in pixels of maps that are upsampled by `UPSAMPLING`.

        Returns
        -------
        NDArray[np.float64]
            (..., 2) x, y in pixels of the image.
        """
        edge = xy * (STRIDE / UPSAMPLING) - (self.pad_left, self.pad_top)
        return np.asarray(edge * self._scale, dtype=np.float64)

    @property
    def _scale(self) -> tuple[float, float]:
        """Image pixels per pixel of the resized image, in x and y."""
        return self.width / self.resized_width, self.height / self.resized_height


def align_maps(maps: Tensor, source: Letterbox, target: Letterbox) -> Tensor:
    """Resample the maps of an image from one input geometry to another (bicubic), so that both can be averaged.

    Parameters
    ----------
    maps : Tensor
        (N, C, h, w) maps in the geometry of ``source``.
    source : Letterbox
        Geometry of the maps.
    target : Letterbox
        Geometry of the result, for the same image.

    Returns
    -------
    Tensor
        (N, C, h', w') maps in the geometry of ``target``.
    """
    height, width = (side // STRIDE for side in target.input_size)
    theta = torch.zeros(1, 2, 3)
    theta[0, 0, 0], theta[0, 0, 2] = _map_axis(
        source.resized_width, source.pad_left, target.resized_width, target.pad_left
    )
    theta[0, 1, 1], theta[0, 1, 2] = _map_axis(
        source.resized_height, source.pad_top, target.resized_height, target.pad_top
    )
    theta = theta.to(maps).expand(len(maps), 2, 3)
    grid = F.affine_grid(theta, [len(maps), maps.shape[1], height, width], align_corners=False)
    return F.grid_sample(maps, grid, mode="bicubic", padding_mode="border", align_corners=False)


def _map_axis(source: int, source_pad: int, target: int, target_pad: int) -> tuple[float, float]:
    """Return scale and offset that map target coordinates in [-1, 1] to source coordinates, along one axis.

    ``source`` and ``target`` are sides of the resized image, and ``source_pad`` and ``target_pad`` the padding before.
    """
    source_side = _padded(source)
    target_side = _padded(target)
    ratio = source / target
    middle = (target_side / 2 - target_pad) * ratio + source_pad
    return ratio * target_side / source_side, 2 * middle / source_side - 1


def _padded(side: int) -> int:
    """Return the smallest multiple of the stride that is at least ``side``."""
    return side + -side % STRIDE
