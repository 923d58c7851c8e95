"""Pooling by hand: the maximum or the average of every window, and the gradients by formula.

With K(p, q) the pixels that window (p, q) covers, and g = dL/dy::

    maximum   y[n, c, p, q] = max of x[n, c, r, t] over (r, t) in K(p, q)
              dx[n, c, r, t] = sum of g[n, c, p, q] over the windows whose (first) maximum is at (r, t)
    average   y[n, c, p, q] = sum of x[n, c, r, t] over (r, t) in K(p, q), divided by the count of K(p, q)
              dx[n, c, r, t] = sum of g[n, c, p, q] / count over the windows that cover (r, t)
"""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from firstsight.ops.geometry import Geometry, Pair, pair


class MaxPool2dFunction(torch.autograd.Function):
    """The maximum forward; backward, its gradient goes to the pixel it came from."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, geometry: Geometry, size: Pair) -> Tensor:
        """The largest value of each window; ``winner`` keeps which kernel position it was."""
        padded = F.pad(x, geometry.padding, value=-torch.inf)
        best = padded.new_full((*x.shape[:2], *size), -torch.inf)
        winner = torch.zeros_like(best, dtype=torch.int32)
        for i, j, rows, columns in geometry.taps(size):
            value = padded[:, :, rows, columns]
            better = (value > best) | value.isnan()  # not >=: of equal values the first wins
            best = torch.where(better, value, best)
            winner[better] = i * geometry.kernel[1] + j
        ctx.save_for_backward(winner)
        ctx.geometry, ctx.padded = geometry, padded.shape
        return best

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of x: position by position, those of the windows that this position won."""
        (winner,) = ctx.saved_tensors
        geometry, size = ctx.geometry, (grad.shape[2], grad.shape[3])
        dx = grad.new_zeros(ctx.padded)
        for i, j, rows, columns in geometry.taps(size):
            dx[:, :, rows, columns] += grad * (winner == i * geometry.kernel[1] + j)
        return geometry.crop(dx), None, None


class AvgPool2dFunction(torch.autograd.Function):
    """The average forward; backward, every pixel of the window gets its share."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, geometry: Geometry, count: Tensor) -> Tensor:
        """The sum of each window by its count."""
        size: Pair = (count.shape[0], count.shape[1])
        padded = F.pad(x, geometry.padding)
        ctx.save_for_backward(count)
        ctx.geometry, ctx.padded = geometry, padded.shape
        return sum_windows(padded, geometry, size) / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of x: every kernel position hands on g / count."""
        (count,) = ctx.saved_tensors
        geometry, size = ctx.geometry, (grad.shape[2], grad.shape[3])
        dx, share = grad.new_zeros(ctx.padded), grad / count
        for _, _, rows, columns in geometry.taps(size):
            dx[:, :, rows, columns] += share
        return geometry.crop(dx), None, None


def sum_windows(padded: Tensor, geometry: Geometry, size: Pair) -> Tensor:
    """The sum of each window, (..., rows, columns)."""
    total = padded.new_zeros(*padded.shape[:-2], *size)
    for _, _, rows, columns in geometry.taps(size):
        total += padded[..., rows, columns]
    return total


def max_pool2d(
    x: Tensor,
    kernel_size: int | Pair,
    *,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """Maximum over windows; of equal values the first (row by row) gets the gradient.

    Parameters
    ----------
    x : Tensor
        (N, C, H, W) float tensor.
    kernel_size, stride, dilation
        A number, or (vertical, horizontal); windows side by side if no stride is given.
    padding : int | Pair
        A number, or (vertical, horizontal), at most half the kernel; what is padded never wins.
    ceil_mode : bool
        Also take the last window that hangs over the edge, if it begins on the image or its left padding.

    Returns
    -------
    Tensor
        (N, C, rows, columns) with rows = (H + 2 * padding - dilation * (kh - 1) - 1) / stride + 1, rounded down or up;
        -inf where a dilated window meets no pixel of the image.

    Raises
    ------
    ValueError
        A window larger than the padded image, more padding than half a kernel.

    Examples
    --------
    >>> max_pool2d(torch.tensor([[[[1.0, 5.0, 2.0], [3.0, 4.0, 9.0]]]]), 2, ceil_mode=True)
    tensor([[[[5., 9.]]]])
    """
    geometry = window("max_pool2d", x, kernel_size, stride, padding, dilation)
    geometry, size = hang_over("max_pool2d", x, geometry, ceil_mode)
    result: Tensor = MaxPool2dFunction.apply(x, geometry, size)
    return result


def avg_pool2d(
    x: Tensor,
    kernel_size: int | Pair,
    *,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Average over windows.

    Parameters
    ----------
    x : Tensor
        (N, C, H, W) float tensor.
    kernel_size, stride
        A number, or (vertical, horizontal); windows side by side if no stride is given.
    padding : int | Pair
        Zeros: a number, or (vertical, horizontal), at most half the kernel.
    ceil_mode : bool
        Also take the last window that hangs over the edge, if it begins on the image or its left padding.
    count_include_pad : bool
        Whether the zeros of the padding count; what hangs over beyond them never does.

    Returns
    -------
    Tensor
        (N, C, rows, columns) with rows = (H + 2 * padding - kh) / stride + 1, rounded down or up.

    Raises
    ------
    ValueError
        A window larger than the padded image, more padding than half a kernel.

    Examples
    --------
    >>> avg_pool2d(torch.tensor([[[[1.0, 5.0], [3.0, 3.0]]]]), 2)
    tensor([[[[3.]]]])
    """
    flush = window("avg_pool2d", x, kernel_size, stride, padding, 1)
    geometry, size = hang_over("avg_pool2d", x, flush, ceil_mode)
    ones = F.pad(x.new_ones(x.shape[2:]), flush.padding, value=float(count_include_pad))
    more = [after - before for after, before in zip(geometry.padding, flush.padding, strict=True)]
    count = sum_windows(F.pad(ones, more), geometry, size)
    result: Tensor = AvgPool2dFunction.apply(x, geometry, count)
    return result


def window(
    name: str, x: Tensor, kernel_size: int | Pair, stride: int | Pair | None, padding: int | Pair, dilation: int | Pair
) -> Geometry:
    """The window as given, for (N, C, H, W) images; refused if it cannot be meant."""
    if x.ndim != 4:
        raise ValueError(f"{name} needs images (N, C, H, W); got {x.ndim} axes")
    kernel, dilations = pair(kernel_size, "kernel_size"), pair(dilation, "dilation")
    strides = kernel if stride is None else pair(stride, "stride")
    top, left = pair(padding, "padding", least=0)
    geometry = Geometry(kernel, strides, (left, left, top, top), dilations)
    if top > kernel[0] // 2 or left > kernel[1] // 2:
        raise ValueError(f"{name}: padding must be at most half the kernel {kernel}; got {(top, left)}")
    return geometry


def hang_over(name: str, x: Tensor, geometry: Geometry, ceil_mode: bool) -> tuple[Geometry, Pair]:
    """The geometry padded for windows that hang over the edge of (N, C, H, W) images, and the number of windows."""
    left, right, top, bottom = geometry.padding
    if ceil_mode:
        bottom += missing(x.shape[2] + top, bottom, geometry.spans[0], geometry.stride[0])
        right += missing(x.shape[3] + left, right, geometry.spans[1], geometry.stride[1])
    geometry = replace(geometry, padding=(left, right, top, bottom))
    return geometry, geometry.output_size(x.shape[2], x.shape[3], name=name)


def missing(begin: int, padding: int, span: int, stride: int) -> int:
    """How many pixels one more window would lack; none if it began behind the image, which ends at ``begin``."""
    rest = (begin + padding - span) % stride
    start = begin + padding - span - rest + stride
    return stride - rest if rest > 0 and start < begin else 0
