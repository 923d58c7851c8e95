"""Maximum and average pooling, written out with their gradients.

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

from firstsight.ops.function import ByHandFunction, apply
from firstsight.ops.geometry import Geometry, Pair, to_pair


class MaxPool2dFunction(ByHandFunction):
    """Autograd function of max pooling; the gradient goes to the pixel of the maximum."""

    @staticmethod
    def forward(x: Tensor, geometry: Geometry, size: Pair) -> tuple[Tensor, Tensor]:
        """Return the maximum of each window and its index in the window."""
        padded = F.pad(x, geometry.padding, value=-torch.inf)
        maximum = padded.new_full((*x.shape[:2], *size), -torch.inf)
        argmax = torch.zeros_like(maximum, dtype=torch.int32)
        for i, j, rows, columns in geometry.taps(size):
            value = padded[:, :, rows, columns]
            is_larger = (value > maximum) | value.isnan()  # not >=: the first of equal values gets the gradient
            maximum = torch.where(is_larger, value, maximum)
            argmax[is_larger] = i * geometry.kernel[1] + j
        return maximum, argmax

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Save the indices."""
        x, ctx.geometry, _ = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])
        ctx.padded_size = padded_size(x, ctx.geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        """Compute dx: for each kernel tap, the gradients of the windows whose maximum is at this tap."""
        (argmax,) = ctx.saved_tensors
        return ctx.geometry.crop(MaxUnpoolFunction.apply(grad, argmax, ctx.geometry, ctx.padded_size)), None, None


class MaxUnpoolFunction(ByHandFunction):
    """Autograd function of the gradient of max pooling: values go to the pixels of the maxima."""

    @staticmethod
    def forward(y: Tensor, argmax: Tensor, geometry: Geometry, size: Pair) -> Tensor:
        """Add each value to its pixel of an image of ``size``."""
        out = y.new_zeros(*y.shape[:2], *size)
        for i, j, rows, columns in geometry.taps((y.shape[2], y.shape[3])):
            out[:, :, rows, columns] += y * (argmax == i * geometry.kernel[1] + j)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save the indices."""
        _, argmax, ctx.geometry, _ = inputs
        ctx.save_for_backward(argmax)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the values at the pixels of the maxima."""
        (argmax,) = ctx.saved_tensors
        dy: Any = 0
        for i, j, rows, columns in ctx.geometry.taps((argmax.shape[2], argmax.shape[3])):
            dy = dy + grad[:, :, rows, columns] * (argmax == i * ctx.geometry.kernel[1] + j)
        return dy, None, None, None


class AvgPool2dFunction(ByHandFunction):
    """Autograd function of average pooling; the gradient is spread evenly over the window."""

    @staticmethod
    def forward(x: Tensor, geometry: Geometry, count: Tensor) -> Tensor:
        """Compute the sum of each window divided by its count."""
        return sum_windows(F.pad(x, geometry.padding), geometry, (count.shape[0], count.shape[1])) / count

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save the counts."""
        x, ctx.geometry, count = inputs
        ctx.save_for_backward(count)
        ctx.padded_size = padded_size(x, ctx.geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Compute dx: each kernel tap receives g / count."""
        (count,) = ctx.saved_tensors
        return ctx.geometry.crop(SpreadFunction.apply(grad / count, ctx.geometry, ctx.padded_size)), None, None


class SpreadFunction(ByHandFunction):
    """Autograd function of the gradient of a sum of windows: each value goes to all pixels of its window."""

    @staticmethod
    def forward(y: Tensor, geometry: Geometry, size: Pair) -> Tensor:
        """Add each value to the pixels of its window in an image of ``size``."""
        out = y.new_zeros(*y.shape[:2], *size)
        for _, _, rows, columns in geometry.taps((y.shape[2], y.shape[3])):
            out[:, :, rows, columns] += y
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the geometry."""
        y, ctx.geometry, _ = inputs
        ctx.size = (y.shape[2], y.shape[3])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, None, None]:
        """Return the sum of each window."""
        taps = ctx.geometry.taps(ctx.size)
        return sum(grad[:, :, rows, columns] for _, _, rows, columns in taps), None, None


def padded_size(x: Tensor, geometry: Geometry) -> Pair:
    """Return (H, W) of the padded image."""
    left, right, top, bottom = geometry.padding
    return x.shape[2] + top + bottom, x.shape[3] + left + right


def sum_windows(padded: Tensor, geometry: Geometry, size: Pair) -> Tensor:
    """Return the sum of each window, of shape (..., rows, columns)."""
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
    """Apply two-dimensional max pooling.

    If several pixels of a window have the maximum, the first one (row by row) gets the gradient.

    Parameters
    ----------
    x : Tensor
        Images of shape (N, C, H, W).
    kernel_size : int | Pair
        A number, or (vertical, horizontal).
    stride : int | Pair | None
        A number, or (vertical, horizontal). None: ``kernel_size``.
    padding : int | Pair
        A number, or (vertical, horizontal), at most half of ``kernel_size``. Padded pixels are -inf.
    dilation : int | Pair
        A number, or (vertical, horizontal).
    ceil_mode : bool
        Whether to add a last window that extends beyond the image. It must start inside the image or its left or top
        padding.

    Returns
    -------
    Tensor
        Output of shape (N, C, rows, columns) with rows = (H + 2 * padding - dilation * (kh - 1) - 1) / stride + 1,
        rounded down, or with ``ceil_mode`` up. The output is -inf where a dilated window contains no pixel of the
        image.

    Raises
    ------
    ValueError
        If the window is larger than the padded image, ``padding`` is more than half of the window, or an option is
        invalid.

    Examples
    --------
    >>> max_pool2d(torch.tensor([[[[1.0, 5.0, 2.0], [3.0, 4.0, 9.0]]]]), 2, ceil_mode=True)
    tensor([[[[5., 9.]]]])
    """
    geometry = make_geometry("max_pool2d", x, kernel_size, stride, padding, dilation)
    geometry, size = apply_ceil_mode("max_pool2d", x, geometry, ceil_mode)
    result: Tensor
    result, _ = apply(MaxPool2dFunction, x, geometry, size)
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
    """Apply two-dimensional average pooling.

    Parameters
    ----------
    x : Tensor
        Images of shape (N, C, H, W).
    kernel_size : int | Pair
        A number, or (vertical, horizontal).
    stride : int | Pair | None
        A number, or (vertical, horizontal). None: ``kernel_size``.
    padding : int | Pair
        Zeros around the image: a number, or (vertical, horizontal), at most half of ``kernel_size``.
    ceil_mode : bool
        Whether to add a last window that extends beyond the image. It must start inside the image or its left or top
        padding.
    count_include_pad : bool
        Whether zeros of the padding count. Pixels beyond the padding never count.

    Returns
    -------
    Tensor
        Output of shape (N, C, rows, columns) with rows = (H + 2 * padding - kh) / stride + 1, rounded down, or with
        ``ceil_mode`` up.

    Raises
    ------
    ValueError
        If the window is larger than the padded image, ``padding`` is more than half of the window, or an option is
        invalid.

    Examples
    --------
    >>> avg_pool2d(torch.tensor([[[[1.0, 5.0], [3.0, 3.0]]]]), 2)
    tensor([[[[3.]]]])
    """
    floor_geometry = make_geometry("avg_pool2d", x, kernel_size, stride, padding, 1)
    geometry, size = apply_ceil_mode("avg_pool2d", x, floor_geometry, ceil_mode)
    ones = F.pad(x.new_ones(x.shape[2:]), floor_geometry.padding, value=float(count_include_pad))
    extra = [after - before for after, before in zip(geometry.padding, floor_geometry.padding, strict=True)]
    count = sum_windows(F.pad(ones, extra), geometry, size)
    result: Tensor = apply(AvgPool2dFunction, x, geometry, count)
    return result


def make_geometry(
    name: str, x: Tensor, kernel_size: int | Pair, stride: int | Pair | None, padding: int | Pair, dilation: int | Pair
) -> Geometry:
    """Return the geometry of a pooling window on (N, C, H, W) images.

    Parameters
    ----------
    name : str
        Name of the pooling function, for error messages.
    x : Tensor
        Images of shape (N, C, H, W).
    kernel_size : int | Pair
        See `max_pool2d`.
    stride : int | Pair | None
        See `max_pool2d`.
    padding : int | Pair
        See `max_pool2d`.
    dilation : int | Pair
        See `max_pool2d`.

    Returns
    -------
    Geometry
        The geometry without ``ceil_mode``.

    Raises
    ------
    ValueError
        If ``x`` does not have four axes, ``padding`` is more than half of the window, or an option is invalid.
    """
    if x.ndim != 4:
        raise ValueError(f"{name}: `x` must have shape (N, C, H, W), got {x.ndim} axes")
    kernel = to_pair(kernel_size, "kernel_size")
    dilations = to_pair(dilation, "dilation")
    strides = kernel if stride is None else to_pair(stride, "stride")
    top, left = to_pair(padding, "padding", minimum=0)
    if top > kernel[0] // 2 or left > kernel[1] // 2:
        raise ValueError(f"{name}: `padding` must be at most half of `kernel_size` {kernel}, got {(top, left)}")
    return Geometry(kernel, strides, (left, left, top, top), dilations)


def apply_ceil_mode(name: str, x: Tensor, geometry: Geometry, ceil_mode: bool) -> tuple[Geometry, Pair]:
    """Add the padding that ``ceil_mode`` needs at the bottom and on the right.

    Parameters
    ----------
    name : str
        Name of the pooling function, for error messages.
    x : Tensor
        Images of shape (N, C, H, W).
    geometry : Geometry
        Geometry of the window without ``ceil_mode``.
    ceil_mode : bool
        See `max_pool2d`.

    Returns
    -------
    tuple[Geometry, Pair]
        The new geometry and the output size (rows, columns).
    """
    left, right, top, bottom = geometry.padding
    if ceil_mode:
        height, width = geometry.dilated_kernel
        bottom += extra_padding(x.shape[2] + top, bottom, height, geometry.stride[0])
        right += extra_padding(x.shape[3] + left, right, width, geometry.stride[1])
    geometry = replace(geometry, padding=(left, right, top, bottom))
    return geometry, geometry.output_size(x.shape[2], x.shape[3], name=name)


def extra_padding(image_end: int, padding: int, window: int, stride: int) -> int:
    """Return the number of pixels that one more window needs beyond the padding.

    Parameters
    ----------
    image_end : int
        Number of pixels up to the end of the image, including the padding before it.
    padding : int
        Number of padded pixels after the image.
    window : int
        Number of pixels that the dilated window spans.
    stride : int
        Stride of the window.

    Returns
    -------
    int
        Missing pixels; 0 if no pixels remain or the window would start after the image.
    """
    remainder = (image_end + padding - window) % stride
    start = image_end + padding - window - remainder + stride
    return stride - remainder if remainder > 0 and start < image_end else 0
