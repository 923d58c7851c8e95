"""A kernel laid on an image, and the arithmetic of one output pixel laid open."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from firstsight.errors import UsageError
from firstsight.ops.conv import conv2d
from firstsight.ops.geometry import four_sides

CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True)
class Filtered:
    """A filtered picture.

    Parameters
    ----------
    image, output
        (C, H, W) with C 1 or 3; the image in 0 .. 255, the output as it was computed.
    kernel : NDArray[np.float64]
        (kh, kw).
    at : tuple[int, int]
        (row, column) of the output pixel that is laid open.
    corner, span : tuple[int, int]
        (top, left) of the pixels it sees, below 0 in the padding; and how many (rows, columns) they span.
    patch, products : NDArray[np.float64]
        (kh, kw) those pixels, and their products with the kernel.
    channel : str
        Which channel they are of; empty for a grey picture.
    """

    image: NDArray[np.uint8]
    output: NDArray[np.float64]
    kernel: NDArray[np.float64]
    at: tuple[int, int]
    corner: tuple[int, int]
    span: tuple[int, int]
    patch: NDArray[np.float64]
    products: NDArray[np.float64]
    channel: str

    @property
    def total(self) -> float:
        """The sum of the products: the output pixel."""
        return float(self.products.sum())

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "input_size": list(self.image.shape[1:]), "output_size": list(self.output.shape[1:]),
            "kernel": self.kernel.tolist(), "at": {"x": self.at[1], "y": self.at[0]}, "channel": self.channel or None,
            "patch": self.patch.tolist(), "products": self.products.tolist(), "sum": self.total,
            "output_range": [float(self.output.min()), float(self.output.max())],
        }  # fmt: skip


def filter_image(
    image: Tensor,
    kernel: Tensor,
    *,
    stride: int = 1,
    padding: int | Literal["same"] = "same",
    dilation: int = 1,
    at: tuple[int, int] | None = None,
) -> Filtered:
    """Filter every channel of an image by itself, with `conv2d`.

    Parameters
    ----------
    image : Tensor
        (C, H, W) uint8, C being 1 or 3.
    kernel : Tensor
        (kh, kw) float64.
    padding : int | Literal['same']
        Zeros on every side, or "same" for an output of ceil(side / stride).
    at : tuple[int, int] | None
        (x, y) of the output pixel whose arithmetic to show; that of the strongest answer away from the border if None.

    Raises
    ------
    UsageError
        An impossible value, a kernel larger than the padded image, or ``at`` outside the output.
    """
    for name, value, least in (("stride", stride, 1), ("dilation", dilation, 1), ("padding", padding, 0)):
        if isinstance(value, int) and not least <= value <= 1000:
            raise UsageError(f"--{name} must lie between {least} and 1000; got {value}")
    x, channels = image.double()[None], len(image)
    weight = kernel.expand(channels, 1, *kernel.shape).contiguous()
    try:
        output = conv2d(x, weight, stride=stride, padding=padding, dilation=dilation, groups=channels)[0]
    except ValueError as error:
        raise UsageError(str(error).removeprefix("conv2d: ")) from None
    channel, row, column = _strongest(output) if at is None else _at(output, at)
    kh, kw = kernel.shape
    left, right, top, bottom = four_sides(
        padding, size=(x.shape[2], x.shape[3]), kernel=(kh, kw), stride=(stride, stride), dilation=(dilation, dilation)
    )
    padded = F.pad(x[0, channel], (left, right, top, bottom))
    height, width = dilation * (kh - 1) + 1, dilation * (kw - 1) + 1
    first_row, first_column = row * stride, column * stride
    patch = padded[first_row : first_row + height : dilation, first_column : first_column + width : dilation]
    return Filtered(
        image=image.numpy(), output=output.numpy(), kernel=kernel.numpy(), at=(row, column),
        corner=(first_row - top, first_column - left), span=(height, width), patch=patch.numpy(),
        products=(patch * kernel).numpy(), channel=CHANNELS[channel] if channels == len(CHANNELS) else "",
    )  # fmt: skip


def _strongest(output: Tensor) -> tuple[int, int, int]:
    """Channel, row and column of the largest absolute value away from the border, where padding answers loudest."""
    rows, columns = output.shape[1] // 10, output.shape[2] // 10
    inner = output[:, rows : output.shape[1] - rows, columns : output.shape[2] - columns].abs()
    channel, row, column = np.unravel_index(int(inner.argmax()), tuple(inner.shape))
    return int(channel), int(row) + rows, int(column) + columns


def _at(output: Tensor, at: tuple[int, int]) -> tuple[int, int, int]:
    column, row = at
    height, width = output.shape[1:]
    if not (0 <= column < width and 0 <= row < height):
        raise UsageError(f"--at {column},{row}: outside the output of {width}x{height} pixels (x,y from 0)")
    return int(output[:, row, column].abs().argmax()), row, column
