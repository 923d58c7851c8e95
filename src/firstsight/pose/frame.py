"""Where a picture lies in a network's input, and how places in its maps become places in the picture.

Positions are x then y, pixel centres at integers. A picture is resized, and a border of zeros brings its sides to
multiples of the stride; the centre of cell i of the maps stands for pixel ``stride * i + (stride - 1) / 2`` of that.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

STRIDE = 8
UPSAMPLING = 4
"""By so much maps are enlarged for the published decoding."""


@dataclass(frozen=True)
class Frame:
    """A picture in the input of a network.

    Parameters
    ----------
    width, height : int
        Of the picture, in pixels.
    wide, high : int
        Of the resized picture.
    """

    width: int
    height: int
    wide: int
    high: int

    @classmethod
    def of(cls, size: tuple[int, int], *, height: float) -> "Frame":
        """For a picture of (width, height) that is brought to a height; its width keeps the aspect.

        >>> Frame.of((640, 427), height=256)
        Frame(width=640, height=427, wide=384, high=256)
        """
        width, own = size
        return cls(width, own, max(1, round(width * height / own)), max(1, round(height)))

    @property
    def left(self) -> int:
        """Border on the left, in pixels; on the right is as much, or one more."""
        return -self.wide % STRIDE // 2

    @property
    def top(self) -> int:
        """Border above, in pixels; below is as much, or one more."""
        return -self.high % STRIDE // 2

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        return self.high + -self.high % STRIDE, self.wide + -self.wide % STRIDE

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge of the maps, in pixels of the picture."""
        high, wide = (side / STRIDE for side in self.input_size)
        (left, top), (right, bottom) = self.from_cells(np.array([(-0.5, -0.5), (wide - 0.5, high - 0.5)])).tolist()
        return left, right, bottom, top

    def network_input(self, pixels: NDArray[np.uint8]) -> Tensor:
        """The resized picture with its border, for the network.

        Parameters
        ----------
        pixels : NDArray[np.uint8]
            (high, wide, 3), red, green, blue.

        Returns
        -------
        Tensor
            (1, 3, H, W) blue, green, red, (pixel - 128) / 256, in channels_last; the border is 0.
        """
        held = np.zeros((*self.input_size, 3), dtype=np.float32)
        inside = held[self.top : self.top + self.high, self.left : self.left + self.wide]
        np.subtract(pixels[..., ::-1], np.float32(128), out=inside)
        inside *= np.float32(1 / 256)
        return torch.from_numpy(held)[None].permute(0, 3, 1, 2)

    def from_cells(self, xy: NDArray[Any]) -> NDArray[np.float64]:
        """From places in the network's maps, (..., 2) in cells, to pixels of the picture."""
        inside = STRIDE * (xy + 0.5) - (self.left, self.top)  # of the resized picture, from its edge
        return np.asarray(inside * (self.width / self.wide, self.height / self.high) - 0.5, dtype=np.float64)

    def from_enlarged(self, xy: NDArray[Any]) -> NDArray[np.float64]:
        """The same from (..., 2) places in maps enlarged by `UPSAMPLING`, as the published code has it.

        That is without halves of pixels.

        Its places lie left of and above those of `from_cells`, by half a pixel in a picture that was not resized, and
        by r - 1/2 pixels in one that was made smaller r-fold.
        """
        inside = xy * (STRIDE / UPSAMPLING) - (self.left, self.top)
        return np.asarray(inside * (self.width / self.wide, self.height / self.high), dtype=np.float64)


def aligned(maps: Tensor, frame: Frame, other: Frame) -> Tensor:
    """Maps of a picture in one frame as they would lie in another (bicubic), to be averaged with the maps there.

    Parameters
    ----------
    maps : Tensor
        (N, C, h, w), of ``frame``.

    Returns
    -------
    Tensor
        (N, C, h', w'), of ``other``.
    """
    high, wide = (side // STRIDE for side in other.input_size)
    theta = torch.zeros(1, 2, 3)
    theta[0, 0, 0], theta[0, 0, 2] = _line(frame.wide, frame.left, other.wide, other.left)
    theta[0, 1, 1], theta[0, 1, 2] = _line(frame.high, frame.top, other.high, other.top)
    theta = theta.to(maps).expand(len(maps), 2, 3)
    grid = F.affine_grid(theta, [len(maps), maps.shape[1], high, wide], align_corners=False)
    return F.grid_sample(maps, grid, mode="bicubic", padding_mode="border", align_corners=False)


def _line(own: int, before: int, other: int, other_before: int) -> tuple[float, float]:
    """Slope and shift from the other input's -1 .. 1 to one's own, along one side: both hold the same picture.

    Parameters
    ----------
    own, other : int
        Side of the resized picture; before, other_before : border before it.
    """
    whole, other_whole = own + -own % STRIDE, other + -other % STRIDE
    ratio = own / other
    middle = (other_whole / 2 - other_before) * ratio + before
    return ratio * other_whole / whole, 2 * middle / whole - 1
