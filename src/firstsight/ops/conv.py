"""Convolution by hand: three ways to compute one sum, and its gradients by formula.

The sum (what the field calls convolution is the cross-correlation)::

    y[n, o, p, q] = b[o] + sum over c, i, j of  w[o, c, i, j] * x[n, c, s*p + d*i - top, s*q + d*j - left]

with stride s, dilation d, zero padding, and values outside the padded image being zero. Its gradients, g = dL/dy::

    db[o]          = sum over n, p, q of  g[n, o, p, q]
    dw[o, c, i, j] = sum over n, p, q of  g[n, o, p, q] * x[n, c, s*p + d*i - top, s*q + d*j - left]
    dx[n, c, r, t] = sum over o, i, j, p, q of  g[n, o, p, q] * w[o, c, i, j]
                     where r = s*p + d*i - top and t = s*q + d*j - left

``loops`` is the definition: one output value after the other. ``im2col`` lays every patch into a column and makes the
sum one matrix product. ``taps`` goes through the kernel's positions and adds one matrix product for each. With groups,
output channels of a group see only the input channels of that group: the same sum, on slices.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

Algorithm = Literal["loops", "im2col", "taps"]
Pair = tuple[int, int]
Padding = int | Pair | tuple[int, int, int, int] | Literal["same"]


@dataclass(frozen=True)
class Geometry:
    """Where the kernel is laid: stride and dilation (vertical, horizontal), zeros (left, right, top, bottom)."""

    kernel: Pair
    stride: Pair
    padding: tuple[int, int, int, int]
    dilation: Pair

    def output_size(self, height: int, width: int) -> Pair:
        """How many positions the kernel has on an image of this size."""
        left, right, top, bottom = self.padding
        padded = height + top + bottom, width + left + right
        spans = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        if padded[0] < spans[0] or padded[1] < spans[1]:
            raise ValueError(
                f"conv2d: the kernel spans {spans[0]}x{spans[1]} pixels, the padded image has {padded[0]}x{padded[1]}"
            )
        rows, columns = (
            (size - span) // stride + 1 for size, span, stride in zip(padded, spans, self.stride, strict=True)
        )
        return rows, columns

    def tap(self, i: int, j: int, size: Pair) -> tuple[slice, slice]:
        """The rows and columns of the padded image that kernel position (i, j) meets, one for each output position."""
        top, left = self.dilation[0] * i, self.dilation[1] * j
        rows = slice(top, top + self.stride[0] * (size[0] - 1) + 1, self.stride[0])
        columns = slice(left, left + self.stride[1] * (size[1] - 1) + 1, self.stride[1])
        return rows, columns


def pair(value: int | Pair, name: str, *, least: int = 1) -> Pair:
    """One number for both directions, or (vertical, horizontal)."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or min(both) < least:
        raise ValueError(f"{name} must be a number of at least {least}, or two; got {value}")
    return both[0], both[1]


def four_sides(
    padding: Padding, *, size: Pair, kernel: Pair, stride: Pair, dilation: Pair
) -> tuple[int, int, int, int]:
    """Zeros on (left, right, top, bottom).

    An int is for all sides, a pair for (vertical, horizontal), four for (left, right, top, bottom). "same" makes the
    output ceil(size / stride): what is missing is added, the odd one to the right and to the bottom (as in TensorFlow;
    torch knows "same" with stride 1 only, and agrees there).
    """
    if padding == "same":
        sides = []
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
            missing = max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
            sides.append((missing // 2, missing - missing // 2))
        return (*sides[1], *sides[0])
    if isinstance(padding, str):
        raise ValueError(f"padding must be a number, two, four, or 'same'; got '{padding}'")
    values = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(values) not in (1, 2, 4) or min(values) < 0:
        raise ValueError(f"padding must be one number, two or four, none below 0; got {padding}")
    if len(values) == 4:
        return values[0], values[1], values[2], values[3]
    return values[-1], values[-1], values[0], values[0]


def loops(padded: Tensor, weight: Tensor, geometry: Geometry, size: Pair) -> Tensor:
    """The definition: every output value is the sum of a patch times the kernel."""
    out = padded.new_zeros(len(padded), len(weight), *size)
    (kh, kw), (sy, sx), (dy, dx) = geometry.kernel, geometry.stride, geometry.dilation
    for n in range(len(padded)):
        for o in range(len(weight)):
            for p in range(size[0]):
                for q in range(size[1]):
                    top, left = sy * p, sx * q
                    patch = padded[n, :, top : top + dy * (kh - 1) + 1 : dy, left : left + dx * (kw - 1) + 1 : dx]
                    out[n, o, p, q] = (patch * weight[o]).sum()
    return out


def to_columns(padded: Tensor, geometry: Geometry, size: Pair) -> Tensor:
    """Every patch as a column: (N, C, H, W) to (N, C * kh * kw, rows * columns)."""
    kh, kw = geometry.kernel
    columns = padded.new_empty(*padded.shape[:2], kh, kw, *size)
    for i in range(kh):
        for j in range(kw):
            rows, across = geometry.tap(i, j, size)
            columns[:, :, i, j] = padded[:, :, rows, across]
    return columns.flatten(1, 3).flatten(2)


def im2col(padded: Tensor, weight: Tensor, geometry: Geometry, size: Pair) -> Tensor:
    """One matrix product: (O, C*kh*kw) times (C*kh*kw, positions)."""
    if geometry.kernel == (1, 1) and geometry.stride == (1, 1):
        columns = padded.flatten(2)  # a patch of one pixel is the image itself
    else:
        columns = to_columns(padded, geometry, size)
    return (weight.flatten(1) @ columns).view(len(columns), len(weight), *size)


def taps(padded: Tensor, weight: Tensor, geometry: Geometry, size: Pair) -> Tensor:
    """One matrix product for each of the kernel's positions, added up.

    With stride 1 nothing is copied: in memory, the pixels that position (i, j) meets are the padded image's from
    ``i*d*W + j*d`` on. Rows of the result are as wide as the padded image's; what is too much at their ends is cut off.
    """
    (kh, kw), (dy, dx) = geometry.kernel, geometry.dilation
    n, _, _, width = padded.shape
    if geometry.stride != (1, 1):
        out = padded.new_zeros(n, len(weight), size[0] * size[1])
        for i in range(kh):
            for j in range(kw):
                rows, columns = geometry.tap(i, j, size)
                out += weight[:, :, i, j] @ padded[:, :, rows, columns].flatten(2)
        return out.view(n, len(weight), *size)
    flat = padded.flatten(2)
    length = (size[0] - 1) * width + size[1]
    out = padded.new_zeros(n, len(weight), size[0] * width)
    kernels = weight.permute(2, 3, 0, 1).contiguous()  # (kh, kw, O, C)
    for image, result in zip(flat, out, strict=True):
        for i in range(kh):
            for j in range(kw):
                start = dy * i * width + dx * j
                result[:, :length].addmm_(kernels[i, j], image[:, start : start + length])
    return out.view(n, len(weight), size[0], width)[..., : size[1]].contiguous()


FORWARD: dict[Algorithm, Callable[[Tensor, Tensor, Geometry, Pair], Tensor]] = {
    "loops": loops,
    "im2col": im2col,
    "taps": taps,
}


def weight_gradient(padded: Tensor, grad: Tensor, geometry: Geometry) -> Tensor:
    """dw: for each kernel position, the products of the output's gradient with the pixels that position met, summed."""
    size: Pair = (grad.shape[2], grad.shape[3])
    kh, kw = geometry.kernel
    result = padded.new_empty(grad.shape[1], padded.shape[1], kh, kw)
    flat = grad.flatten(2)
    for i in range(kh):
        for j in range(kw):
            rows, columns = geometry.tap(i, j, size)
            result[:, :, i, j] = (flat @ padded[:, :, rows, columns].flatten(2).transpose(1, 2)).sum(0)
    return result


def input_gradient(weight: Tensor, grad: Tensor, geometry: Geometry, padded_size: Pair) -> Tensor:
    """Dx of the padded image: each kernel position hands the output's gradient back to the pixels it met."""
    size: Pair = (grad.shape[2], grad.shape[3])
    kh, kw = geometry.kernel
    result = grad.new_zeros(len(grad), weight.shape[1], *padded_size)
    flat = grad.flatten(2)
    for i in range(kh):
        for j in range(kw):
            rows, columns = geometry.tap(i, j, size)
            result[:, :, rows, columns] += (weight[:, :, i, j].T @ flat).unflatten(2, size)
    return result


class Conv2dFunction(torch.autograd.Function):
    """The sum forward, the three formulas backward."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int, algorithm: Algorithm
    ) -> Tensor:
        """y, group by group."""
        padded = F.pad(x, geometry.padding)
        size = geometry.output_size(x.shape[2], x.shape[3])
        parts = zip(padded.chunk(groups, 1), weight.chunk(groups, 0), strict=True)
        out = torch.cat([FORWARD[algorithm](p.contiguous(), w, geometry, size) for p, w in parts], 1)
        ctx.save_for_backward(padded, weight)
        ctx.geometry, ctx.groups, ctx.biased = geometry, groups, bias is not None
        return out if bias is None else out + bias.view(-1, 1, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """dx, dw and db by formula, as far as they are wanted."""
        padded, weight = ctx.saved_tensors
        geometry, groups = ctx.geometry, ctx.groups
        left, right, top, bottom = geometry.padding
        dx = dw = db = None
        grads, weights = grad.chunk(groups, 1), weight.chunk(groups, 0)
        if ctx.needs_input_grad[0]:
            size = (padded.shape[2], padded.shape[3])
            dx = torch.cat([input_gradient(w, g, geometry, size) for w, g in zip(weights, grads, strict=True)], 1)
            dx = dx[:, :, top : size[0] - bottom, left : size[1] - right]
        if ctx.needs_input_grad[1]:
            images = padded.chunk(groups, 1)
            dw = torch.cat([weight_gradient(p, g, geometry) for p, g in zip(images, grads, strict=True)], 0)
        if ctx.biased and ctx.needs_input_grad[2]:
            db = grad.sum((0, 2, 3))
        return dx, dw, db, None, None, None


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    algorithm: Algorithm = "im2col",
) -> Tensor:
    """Two-dimensional convolution, written out; its gradients too.

    Parameters
    ----------
    x : (N, C, H, W) float tensor.
    weight : (O, C / groups, kh, kw) float tensor.
    bias : (O,) float tensor, or None.
    stride, dilation : a number, or (vertical, horizontal).
    padding : zeros around the image: a number, (vertical, horizontal), (left, right, top, bottom), or "same" for an
        output of ceil(H / stride) x ceil(W / stride).
    groups : how many separate convolutions the channels are parted into.
    algorithm : "loops" (the definition), "im2col" (one matrix product), "taps" (one product per kernel position).

    Returns
    -------
    (N, O, rows, columns) with rows = (H + top + bottom - dilation * (kh - 1) - 1) // stride + 1, columns likewise.

    Raises
    ------
    ValueError
        Shapes that do not fit, groups that do not divide, a kernel larger than the padded image.

    Examples
    --------
    >>> x = torch.arange(9.0).view(1, 1, 3, 3)
    >>> conv2d(x, torch.ones(1, 1, 2, 2), algorithm="loops")
    tensor([[[[ 8., 12.],
              [20., 24.]]]])
    """
    check_shapes(x, weight, bias, groups, algorithm)
    kernel: Pair = (weight.shape[2], weight.shape[3])
    strides, dilations = pair(stride, "stride"), pair(dilation, "dilation")
    size: Pair = (x.shape[2], x.shape[3])
    sides = four_sides(padding, size=size, kernel=kernel, stride=strides, dilation=dilations)
    geometry = Geometry(kernel, strides, sides, dilations)
    result: Tensor = Conv2dFunction.apply(x, weight, bias, geometry, groups, algorithm)
    return result


def check_shapes(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, algorithm: str) -> None:
    """Refuse what does not fit together, saying what would."""
    if algorithm not in FORWARD:
        raise ValueError(f"conv2d: unknown algorithm '{algorithm}' ({', '.join(FORWARD)})")
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(
            f"conv2d needs images (N, C, H, W) and weights (O, C, kh, kw); got {x.ndim} and {weight.ndim} axes"
        )
    channels, outputs = x.shape[1], len(weight)
    if groups < 1 or channels % groups or outputs % groups:
        raise ValueError(f"conv2d: {groups} groups do not divide {channels} input and {outputs} output channels")
    if weight.shape[1] * groups != channels:
        expected = channels // groups
        raise ValueError(f"conv2d: the weights see {weight.shape[1]} channels a group; the image has {expected}")
    if bias is not None and bias.shape != (outputs,):
        raise ValueError(f"conv2d: bias must be ({outputs},); got {tuple(bias.shape)}")
