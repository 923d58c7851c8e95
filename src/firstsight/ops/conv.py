"""Convolution by hand: one sum, and its gradients by formula.

The sum (what the field calls convolution is the cross-correlation)::

    y[n, o, p, q] = b[o] + sum over c, i, j of  w[o, c, i, j] * x[n, c, s*p + d*i - top, s*q + d*j - left]

with stride s, dilation d, zero padding, and values outside the padded image being zero. Its gradients, g = dL/dy::

    db[o]          = sum over n, p, q of  g[n, o, p, q]
    dw[o, c, i, j] = sum over n, p, q of  g[n, o, p, q] * x[n, c, s*p + d*i - top, s*q + d*j - left]
    dx[n, c, r, t] = sum over o, i, j, p, q of  g[n, o, p, q] * w[o, c, i, j]
                     where r = s*p + d*i - top and t = s*q + d*j - left

The sums themselves are in `firstsight.ops.sums`, each in three ways. With groups, output channels of a group see only
the input channels of that group: the same sums, on slices.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from firstsight.ops.geometry import Geometry, Padding, Pair, four_sides, pair
from firstsight.ops.sums import GATHER, Algorithm, scatter_taps, sum_weights


class Conv2dFunction(torch.autograd.Function):
    """The sum forward, the three formulas backward."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int, algorithm: Algorithm
    ) -> Tensor:
        """y, group by group."""
        size = geometry.output_size(x.shape[2], x.shape[3], name="conv2d")
        padded = F.pad(x, geometry.padding) if any(geometry.padding) else x
        out = x.new_empty(len(x), len(weight), *size)
        for p, w, y in zip(padded.chunk(groups, 1), weight.chunk(groups), out.chunk(groups, 1), strict=True):
            GATHER[algorithm](p, w, geometry, y)
        ctx.save_for_backward(padded, weight)
        ctx.geometry, ctx.groups = geometry, groups
        return out if bias is None else out.add_(bias.view(-1, 1, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """dx, dw and db by formula, as far as they are wanted."""
        padded, weight = ctx.saved_tensors
        geometry, groups = ctx.geometry, ctx.groups
        dx = dw = db = None
        grads = grad.chunk(groups, 1)
        if ctx.needs_input_grad[0]:
            whole = padded.new_zeros(padded.shape)
            for g, w, d in zip(grads, weight.chunk(groups), whole.chunk(groups, 1), strict=True):
                scatter_taps(g, w, geometry, d)
            dx = geometry.crop(whole)
        if ctx.needs_input_grad[1]:
            dw = weight.new_empty(weight.shape)
            for p, g, d in zip(padded.chunk(groups, 1), grads, dw.chunk(groups), strict=True):
                sum_weights(p, g, geometry, d)
        if ctx.needs_input_grad[2]:
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
    x : Tensor
        (N, C, H, W) float tensor.
    weight : Tensor
        (O, C / groups, kh, kw) float tensor.
    bias : Tensor | None
        (O,) float tensor, or None.
    stride, dilation : int | Pair
        A number, or (vertical, horizontal).
    padding : Padding
        Zeros around the image: a number, (vertical, horizontal), (left, right, top, bottom), "valid" for none, or
        "same" for an output of ceil(H / stride) x ceil(W / stride).
    groups : int
        How many separate convolutions the channels are parted into.
    algorithm : Algorithm
        "loops" (the definition), "im2col" (one matrix product), "taps" (one product per kernel position).

    Returns
    -------
    Tensor
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
    if algorithm not in GATHER:
        raise ValueError(f"conv2d: unknown algorithm '{algorithm}' ({', '.join(GATHER)})")
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
