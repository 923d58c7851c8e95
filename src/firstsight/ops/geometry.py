"""Where a kernel is laid on an image: stride, padding, dilation, and how many positions there are."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]
Padding = int | Pair | Sides | Literal["same", "valid"]


@dataclass(frozen=True)
class Geometry:
    """Where the kernel is laid: stride and dilation (vertical, horizontal), zeros (left, right, top, bottom)."""

    kernel: Pair
    stride: Pair
    padding: Sides
    dilation: Pair

    @property
    def spans(self) -> Pair:
        """Rows and columns from the kernel's first pixel to its last."""
        return self.dilation[0] * (self.kernel[0] - 1) + 1, self.dilation[1] * (self.kernel[1] - 1) + 1

    def output_size(self, height: int, width: int, *, name: str) -> Pair:
        """How many positions the kernel has on an image of this size; ``name`` is who complains if there are none."""
        left, right, top, bottom = self.padding
        padded = height + top + bottom, width + left + right
        rows, columns = ((padded[axis] - self.spans[axis]) // self.stride[axis] + 1 for axis in (0, 1))
        if rows < 1 or columns < 1:
            kernel, image = "{}x{}".format(*self.spans), "{}x{}".format(*padded)
            raise ValueError(f"{name}: the kernel spans {kernel} pixels, the padded image has {image}")
        return rows, columns

    def input_size(self, rows: int, columns: int) -> Pair:
        """The smallest padded image on which the kernel has this many positions."""
        return self.stride[0] * (rows - 1) + self.spans[0], self.stride[1] * (columns - 1) + self.spans[1]

    def taps(self, size: Pair) -> Iterator[tuple[int, int, slice, slice]]:
        """Every kernel position (i, j), row by row, with the rows and columns of the padded image that it meets.

        There is one of each for every output position; ``size`` is how many (rows, columns) the output has.
        """
        (dy, dx), (sy, sx) = self.dilation, self.stride
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                rows = slice(dy * i, dy * i + sy * (size[0] - 1) + 1, sy)
                columns = slice(dx * j, dx * j + sx * (size[1] - 1) + 1, sx)
                yield i, j, rows, columns

    def crop(self, padded: Tensor) -> Tensor:
        """The image without what was padded."""
        left, right, top, bottom = self.padding
        return padded[:, :, top : padded.shape[2] - bottom, left : padded.shape[3] - right]


def pair(value: int | Pair, name: str, *, least: int = 1) -> Pair:
    """One number for both directions, or (vertical, horizontal)."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or min(both) < least:
        raise ValueError(f"{name} must be a number of at least {least}, or two; got {value}")
    return both[0], both[1]


def four_sides(padding: Padding, *, size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Sides:
    """Zeros on (left, right, top, bottom).

    An int is for all sides, a pair for (vertical, horizontal), four for (left, right, top, bottom). "valid" is none.
    "same" makes the output ceil(size / stride): what is missing is added, the odd one to the right and to the bottom
    (as in TensorFlow; torch knows "same" with stride 1 only, and agrees there).
    """
    if padding == "same":
        sides = []
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
            missing = max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
            sides.append((missing // 2, missing - missing // 2))
        return (*sides[1], *sides[0])
    if padding == "valid":
        return 0, 0, 0, 0
    if isinstance(padding, str):
        raise ValueError(f"padding must be a number, two, four, 'valid' or 'same'; got '{padding}'")
    values = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(values) not in (1, 2, 4) or min(values) < 0:
        raise ValueError(f"padding must be one number, two or four, none below 0; got {padding}")
    if len(values) == 4:
        return values[0], values[1], values[2], values[3]
    return values[-1], values[-1], values[0], values[0]
