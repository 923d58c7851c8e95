"""Two-dimensional transposed convolution, written out with its gradients.

Transposed convolution computes what the gradient of a convolution with respect to its input computes: each pixel of x
adds the kernel, times its value, to the output. With stride s, dilation d, and ``top`` rows and ``left`` columns
removed from the output (the same numbers at the bottom and on the right)::

    y[n, o, r, t] = b[o] + sum over c, i, j, p, q of  x[n, c, p, q] * w[c, o, i, j]
                    where r = s*p + d*i - top and t = s*q + d*j - left

The gradients, with g = dL/dy and g zero in the removed rows and columns, are::

    db[o]          = sum over n, r, t of        g[n, o, r, t]
    dx[n, c, p, q] = sum over o, i, j of        w[c, o, i, j] * g[n, o, s*p + d*i - top, s*q + d*j - left]
    dw[c, o, i, j] = sum over n, p, q of        x[n, c, p, q] * g[n, o, s*p + d*i - top, s*q + d*j - left]

`firstsight.ops.sums` implements these sums. The output is its ``scatter``, where y stands for our x.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from firstsight.ops.function import ByHandFunction, apply, to_autocast_dtype
from firstsight.ops.geometry import Geometry, Pair, to_pair
from firstsight.ops.sum_functions import GatherFunction, ScatterFunction, WeightFunction, spatial_size
from firstsight.ops.sums import SCATTER, Algorithm


class ConvTranspose2dFunction(ByHandFunction):
    """Autograd function of transposed convolution."""

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        size: Pair,
        groups: int,
        algorithm: Algorithm,
    ) -> Tensor:
        """Compute y on the uncropped output of ``size``, then crop it."""
        out = geometry.crop(ScatterFunction.apply(x, weight, geometry, size, groups, algorithm))
        return out.clone() if bias is None else out + bias.view(-1, 1, 1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save x and w."""
        x, weight, _, ctx.geometry, _, ctx.groups, _ = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Compute dx, dw and db, each only if it is required."""
        x, weight = ctx.saved_tensors
        geometry = ctx.geometry
        dx = dw = db = None
        uncropped = F.pad(grad, geometry.padding)
        if ctx.needs_input_grad[0]:
            dx = GatherFunction.apply(uncropped, weight, geometry, spatial_size(x), ctx.groups, "im2col")
        if ctx.needs_input_grad[1]:
            dw = WeightFunction.apply(uncropped, x, geometry, ctx.groups)
        if ctx.needs_input_grad[2]:
            db = grad.sum((0, 2, 3))
        return dx, dw, db, None, None, None, None


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    algorithm: Algorithm = "im2col",
) -> Tensor:
    """Apply a two-dimensional transposed convolution.

    Parameters
    ----------
    x : Tensor
        Images of shape (N, C, H, W).
    weight : Tensor
        Weights of shape (C, O / groups, kh, kw).
    bias : Tensor | None
        Bias of shape (O,), or None.
    stride : int | Pair
        A number, or (vertical, horizontal).
    padding : int | Pair
        Rows and columns removed on every side of the output: a number, or (vertical, horizontal).
    output_padding : int | Pair
        Additional rows at the bottom and columns on the right of the output: a number, or (vertical, horizontal). Must
        be less than the stride or the dilation. Pixels that no kernel covers have the value of the bias.
    dilation : int | Pair
        A number, or (vertical, horizontal).
    groups : int
        Number of groups of channels that are convolved separately.
    algorithm : Algorithm
        "loops" (one input value at a time), "im2col" (one matrix product) or "taps" (one matrix product per kernel
        tap).

    Returns
    -------
    Tensor
        Output of shape (N, O, rows, columns) with
        rows = (H - 1) * stride - 2 * padding + dilation * (kh - 1) + 1 + output_padding,
        and columns computed in the same way from W.

    Raises
    ------
    ValueError
        If the shapes do not match, ``groups`` does not divide the channels, an option is invalid, or the output would
        be empty.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[[[1.0, 2.0]]]])
    >>> conv_transpose2d(x, torch.tensor([[[[1.0, 10.0, 100.0]]]]), algorithm="loops")
    tensor([[[[  1.,  12., 120., 200.]]]])
    """
    check_shapes(x, weight, bias, groups, algorithm)
    kernel: Pair = (weight.shape[2], weight.shape[3])
    pad_y, pad_x = to_pair(padding, "padding", minimum=0)
    extra = to_pair(output_padding, "output_padding", minimum=0)
    strides = to_pair(stride, "stride")
    dilations = to_pair(dilation, "dilation")
    geometry = Geometry(kernel, strides, (pad_x, pad_x, pad_y, pad_y), dilations)
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise ValueError(
            "conv_transpose2d: `output_padding` must be smaller than max(stride, dilation) on each axis;"
            f" got {extra} with stride {strides}, dilation {dilations}"
        )
    rows, columns = geometry.input_size(x.shape[2], x.shape[3])
    size = rows + extra[0], columns + extra[1]
    if size[0] <= 2 * pad_y or size[1] <= 2 * pad_x:
        raise ValueError(
            f"conv_transpose2d: `padding` {(pad_y, pad_x)} removes all pixels of an output of {size[0]}x{size[1]}"
        )
    tensors = to_autocast_dtype(x, weight, bias)
    result: Tensor = apply(ConvTranspose2dFunction, *tensors, geometry, size, groups, algorithm)
    return result


def check_shapes(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, algorithm: str) -> None:
    """Raise ValueError if the arguments of `conv_transpose2d` do not match."""
    if algorithm not in SCATTER:
        raise ValueError(f"conv_transpose2d: unknown `algorithm` '{algorithm}' (available: {', '.join(SCATTER)})")
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(
            "conv_transpose2d: `x` must have shape (N, C, H, W) and `weight` (C, O / groups, kh, kw),"
            f" got {x.ndim} and {weight.ndim} axes"
        )
    channels = x.shape[1]
    outputs = weight.shape[1] * groups
    if groups < 1 or channels % groups:
        raise ValueError(
            f"conv_transpose2d: `groups` must divide the input channels; got groups={groups}, {channels} input channels"
        )
    if len(weight) != channels:
        raise ValueError(f"conv_transpose2d: `weight` expects {len(weight)} input channels, got {channels} in `x`")
    if bias is not None and bias.shape != (outputs,):
        raise ValueError(f"conv_transpose2d: `bias` must have shape ({outputs},), got {tuple(bias.shape)}")
