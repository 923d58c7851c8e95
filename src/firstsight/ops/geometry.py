"""Kernel size, stride, padding and dilation of a convolution or pooling, and the output size that follows from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]
Padding = int | Pair | Sides | Literal["same", "valid"]


@dataclass(frozen=True)
class Geometry:
    """Positions of a kernel on an image.

    Attributes
    ----------
    kernel : Pair
        Kernel size (height, width).
    stride : Pair
        Stride (vertical, horizontal).
    padding : Sides
        Numbers of zeros (left, right, top, bottom).
    dilation : Pair
        Dilation (vertical, horizontal).
    """

    kernel: Pair
    stride: Pair
    padding: Sides
    dilation: Pair

    @property
    def dilated_kernel(self) -> Pair:
        """Height and width of the dilated kernel in pixels."""
        return self.dilation[0] * (self.kernel[0] - 1) + 1, self.dilation[1] * (self.kernel[1] - 1) + 1

    def output_size(self, height: int, width: int, *, name: str) -> Pair:
        """Return the number of kernel positions (rows, columns) on an image.

        Parameters
        ----------
        height : int
            Height of the image without padding.
        width : int
            Width of the image without padding.
        name : str
            Name of the calling function, for the error message.

        Returns
        -------
        Pair
            Output size (rows, columns), both at least 1.

        Raises
        ------
        ValueError
            If the dilated kernel is larger than the padded image.
        """
        left, right, top, bottom = self.padding
        padded = height + top + bottom, width + left + right
        rows, columns = ((padded[axis] - self.dilated_kernel[axis]) // self.stride[axis] + 1 for axis in (0, 1))
        if rows < 1 or columns < 1:
            kernel, image = "{}x{}".format(*self.dilated_kernel), "{}x{}".format(*padded)
            raise ValueError(f"{name}: the kernel spans {kernel} pixels, but the padded image has only {image}")
        return rows, columns

    def input_size(self, rows: int, columns: int) -> Pair:
        """Return the size (height, width) of the smallest padded image with this number of kernel positions."""
        return self.stride[0] * (rows - 1) + self.dilated_kernel[0], self.stride[1] * (
            columns - 1
        ) + self.dilated_kernel[1]

    def taps(self, size: Pair) -> Iterator[tuple[int, int, slice, slice]]:
        """Yield each kernel tap (i, j), row by row, with the padded pixels that it reads.

        Parameters
        ----------
        size : Pair
            Output size (rows, columns).

        Yields
        ------
        tuple[int, int, slice, slice]
            i, j, and the slices of rows and columns of the padded image. Each slice has one pixel per output position.
        """
        (dy, dx), (sy, sx) = self.dilation, self.stride
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                rows = slice(dy * i, dy * i + sy * (size[0] - 1) + 1, sy)
                columns = slice(dx * j, dx * j + sx * (size[1] - 1) + 1, sx)
                yield i, j, rows, columns

    def crop(self, padded: Tensor) -> Tensor:
        """Remove the padding from a (N, C, H, W) tensor."""
        left, right, top, bottom = self.padding
        return padded[:, :, top : padded.shape[2] - bottom, left : padded.shape[3] - right]


def to_pair(value: int | Pair, name: str, *, minimum: int = 1) -> Pair:
    """Return (vertical, horizontal) for a single number or a pair.

    Parameters
    ----------
    value : int | Pair
        One number for both directions, or (vertical, horizontal).
    name : str
        Name of the parameter, for the error message.
    minimum : int
        Smallest valid value.

    Returns
    -------
    Pair
        The values (vertical, horizontal).

    Raises
    ------
    ValueError
        If ``value`` does not have one or two numbers, or one of them is below ``minimum``.
    """
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or min(both) < minimum:
        raise ValueError(f"`{name}` must be one or two integers of at least {minimum}, got {value}")
    return both[0], both[1]


def resolve_padding(padding: Padding, *, size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Sides:
    """Return the numbers of zeros on (left, right, top, bottom).

    "same" makes the output size ceil(size / stride). If the number of zeros is odd, the extra zero is on the right and
    at the bottom, as in TensorFlow. PyTorch supports "same" with stride 1 only and gives the same result there.

    Parameters
    ----------
    padding : Padding
        An int for all sides, a pair (vertical, horizontal), four numbers (left, right, top, bottom), "valid" for no
        padding, or "same".
    size : Pair
        Image size (height, width).
    kernel : Pair
        Kernel size (height, width).
    stride : Pair
        Stride (vertical, horizontal).
    dilation : Pair
        Dilation (vertical, horizontal).

    Returns
    -------
    Sides
        Numbers of zeros (left, right, top, bottom).

    Raises
    ------
    ValueError
        If ``padding`` has none of these forms, or contains a negative number.
    """
    if padding == "same":
        sides = []
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
            total = max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
            sides.append((total // 2, total - total // 2))
        return (*sides[1], *sides[0])
    if padding == "valid":
        return 0, 0, 0, 0
    if isinstance(padding, str):
        raise ValueError(f"`padding` must be one, two or four integers, 'valid' or 'same', got '{padding}'")
    values = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(values) not in (1, 2, 4) or min(values) < 0:
        raise ValueError(f"`padding` must be one, two or four integers of at least 0, got {padding}")
    if len(values) == 4:
        return values[0], values[1], values[2], values[3]
    return values[-1], values[-1], values[0], values[0]
