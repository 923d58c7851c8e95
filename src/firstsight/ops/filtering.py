"""Apply a kernel to an image, and record the arithmetic of one output pixel."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from firstsight.errors import UsageError
from firstsight.ops.conv import conv2d
from firstsight.ops.geometry import resolve_padding

CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True)
class FilterResult:
    """Filtered image, with the arithmetic of one output pixel.

    Attributes
    ----------
    image : NDArray[np.uint8]
        Input of shape (C, H, W) with C 1 or 3, in 0..255.
    output : NDArray[np.float64]
        Output of shape (C, rows, columns), neither rounded nor clipped.
    kernel : NDArray[np.float64]
        Kernel of shape (kh, kw).
    at : tuple[int, int]
        Selected output pixel (row, column).
    corner : tuple[int, int]
        First input pixel (top, left) that the selected output pixel depends on; negative in the padding.
    span : tuple[int, int]
        Size (rows, columns) of the region that the selected output pixel depends on.
    patch : NDArray[np.float64]
        Input pixels (kh, kw) of that region that the kernel taps read.
    products : NDArray[np.float64]
        ``patch`` times ``kernel``, of shape (kh, kw).
    channel : str
        Channel of the selected output pixel; empty for a grayscale image.
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
        """Value of the selected output pixel: the sum of the products."""
        return float(self.products.sum())

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a dictionary for JSON."""
        return {
            "input_size": list(self.image.shape[1:]),
            "output_size": list(self.output.shape[1:]),
            "kernel": self.kernel.tolist(),
            "at": {"x": self.at[1], "y": self.at[0]},
            "channel": self.channel or None,
            "patch": self.patch.tolist(),
            "products": self.products.tolist(),
            "sum": self.total,
            "output_range": [float(self.output.min()), float(self.output.max())],
        }


def filter_image(
    image: Tensor,
    kernel: Tensor,
    *,
    stride: int = 1,
    padding: int | Literal["same"] = "same",
    dilation: int = 1,
    at: tuple[int, int] | None = None,
) -> FilterResult:
    """Apply a kernel to each channel of an image with `conv2d`.

    Parameters
    ----------
    image : Tensor
        Image of shape (C, H, W), uint8, with C 1 or 3.
    kernel : Tensor
        Kernel of shape (kh, kw), float64.
    stride : int
        Distance between neighboring positions of the kernel in pixels, 1 to 1000.
    padding : int | Literal['same']
        Zeros on every side, 0 to 1000, or "same" for an output of ceil(side / stride).
    dilation : int
        Distance between neighboring taps of the kernel in pixels, 1 to 1000.
    at : tuple[int, int] | None
        Output pixel (x, y) whose arithmetic to record. None: the pixel with the largest absolute value, except near
        the border.

    Returns
    -------
    FilterResult
        The output, and the arithmetic of one of its pixels.

    Raises
    ------
    UsageError
        If an option is out of range, the kernel is larger than the padded image, or ``at`` is outside the output.
    """
    for name, value, minimum in (("stride", stride, 1), ("dilation", dilation, 1), ("padding", padding, 0)):
        if isinstance(value, int) and not minimum <= value <= 1000:
            raise UsageError(f"`{name}` must be between {minimum} and 1000, got {value}")
    x = image.double()[None]
    channels = len(image)
    weight = kernel.expand(channels, 1, *kernel.shape).contiguous()
    try:
        output = conv2d(x, weight, stride=stride, padding=padding, dilation=dilation, groups=channels)[0]
    except ValueError as error:
        raise UsageError(str(error).removeprefix("conv2d: ")) from None
    channel, row, column = _find_largest(output) if at is None else _find_channel(output, at)
    kh, kw = kernel.shape
    left, right, top, bottom = resolve_padding(
        padding, size=(x.shape[2], x.shape[3]), kernel=(kh, kw), stride=(stride, stride), dilation=(dilation, dilation)
    )
    padded = F.pad(x[0, channel], (left, right, top, bottom))
    height = dilation * (kh - 1) + 1
    width = dilation * (kw - 1) + 1
    first_row = row * stride
    first_column = column * stride
    patch = padded[first_row : first_row + height : dilation, first_column : first_column + width : dilation]
    return FilterResult(
        image=image.numpy(),
        output=output.numpy(),
        kernel=kernel.numpy(),
        at=(row, column),
        corner=(first_row - top, first_column - left),
        span=(height, width),
        patch=patch.numpy(),
        products=(patch * kernel).numpy(),
        channel=CHANNELS[channel] if channels == len(CHANNELS) else "",
    )


def _find_largest(output: Tensor) -> tuple[int, int, int]:
    """Return channel, row and column of the largest absolute value, except in the outer tenths (padding artifacts)."""
    rows = output.shape[1] // 10
    columns = output.shape[2] // 10
    inner = output[:, rows : output.shape[1] - rows, columns : output.shape[2] - columns].abs()
    channel, row, column = np.unravel_index(int(inner.argmax()), tuple(inner.shape))
    return int(channel), int(row) + rows, int(column) + columns


def _find_channel(output: Tensor, at: tuple[int, int]) -> tuple[int, int, int]:
    """Return the channel with the largest absolute value at pixel (x, y), with the row and the column."""
    column, row = at
    height, width = output.shape[1:]
    if not (0 <= column < width and 0 <= row < height):
        raise UsageError(
            f"`at` must be inside the output of {width}x{height} pixels (x,y counted from 0), got {column},{row}"
        )
    return int(output[:, row, column].abs().argmax()), row, column
