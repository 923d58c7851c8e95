"""Two-dimensional convolution, written out with its gradients.

As in PyTorch, "convolution" is the cross-correlation. With stride s, dilation d, and ``top`` and ``left`` the numbers
of zeros above and to the left of the image::

    y[n, o, p, q] = b[o] + sum over c, i, j of  w[o, c, i, j] * x[n, c, s*p + d*i - top, s*q + d*j - left]

where x is zero outside the image. The gradients, with g = dL/dy, are::

    db[o]          = sum over n, p, q of  g[n, o, p, q]
    dw[o, c, i, j] = sum over n, p, q of  g[n, o, p, q] * x[n, c, s*p + d*i - top, s*q + d*j - left]
    dx[n, c, r, t] = sum over o, i, j, p, q of  g[n, o, p, q] * w[o, c, i, j]
                     where r = s*p + d*i - top and t = s*q + d*j - left

`firstsight.ops.sums` implements these sums with three algorithms, `firstsight.ops.sum_functions` their gradients, so
second derivatives exist, too. With groups, the output channels of a group depend only on the input channels of the same
group, so the sums are applied to each group separately.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from firstsight.ops.function import ByHandFunction, apply, to_autocast_dtype
from firstsight.ops.geometry import Geometry, Padding, Pair, resolve_padding, to_pair
from firstsight.ops.sum_functions import GatherFunction, ScatterFunction, WeightFunction
from firstsight.ops.sums import GATHER, Algorithm


class Conv2dFunction(ByHandFunction):
    """Autograd function of convolution."""

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int, algorithm: Algorithm
    ) -> Tensor:
        """Compute y."""
        size = geometry.output_size(x.shape[2], x.shape[3], name="conv2d")
        out: Tensor = GatherFunction.apply(pad(x, geometry), weight, geometry, size, groups, algorithm)
        return out if bias is None else out.add_(bias.view(-1, 1, 1))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save x and w."""
        x, weight, _, ctx.geometry, ctx.groups, _ = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Compute dx, dw and db, each only if it is required."""
        x, weight = ctx.saved_tensors
        geometry = ctx.geometry
        dx = dw = db = None
        if ctx.needs_input_grad[0]:
            left, right, top, bottom = geometry.padding
            size = x.shape[2] + top + bottom, x.shape[3] + left + right
            dx = geometry.crop(ScatterFunction.apply(grad, weight, geometry, size, ctx.groups, "taps"))
        if ctx.needs_input_grad[1]:
            dw = WeightFunction.apply(pad(x, geometry), grad, geometry, ctx.groups)
        if ctx.needs_input_grad[2]:
            db = grad.sum((0, 2, 3))
        return dx, dw, db, None, None, None


def pad(x: Tensor, geometry: Geometry) -> Tensor:
    """Return the images (N, C, H, W) with the zeros around them."""
    return F.pad(x, geometry.padding) if any(geometry.padding) else x


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
    """Apply a two-dimensional convolution.

    Parameters
    ----------
    x : Tensor
        Images of shape (N, C, H, W).
    weight : Tensor
        Weights of shape (O, C / groups, kh, kw).
    bias : Tensor | None
        Bias of shape (O,), or None.
    stride : int | Pair
        A number, or (vertical, horizontal).
    padding : Padding
        Zeros around the image: a number, (vertical, horizontal), (left, right, top, bottom), "valid" for none, or
        "same" for an output of ceil(H / stride) x ceil(W / stride).
    dilation : int | Pair
        A number, or (vertical, horizontal).
    groups : int
        Number of groups of channels that are convolved separately.
    algorithm : Algorithm
        "loops" (one output value at a time), "im2col" (one matrix product) or "taps" (one matrix product per kernel
        tap).

    Returns
    -------
    Tensor
        Output of shape (N, O, rows, columns) with rows = (H + top + bottom - dilation * (kh - 1) - 1) // stride + 1,
        and columns computed in the same way from W.

    Raises
    ------
    ValueError
        If the shapes do not match, ``groups`` does not divide the channels, an option is invalid, or the kernel is
        larger than the padded image.

    Examples
    --------
    >>> import torch
    >>> x = torch.arange(9.0).view(1, 1, 3, 3)
    >>> conv2d(x, torch.ones(1, 1, 2, 2), algorithm="loops")
    tensor([[[[ 8., 12.],
              [20., 24.]]]])
    """
    check_shapes(x, weight, bias, groups, algorithm)
    size: Pair = (x.shape[2], x.shape[3])
    kernel: Pair = (weight.shape[2], weight.shape[3])
    strides = to_pair(stride, "stride")
    dilations = to_pair(dilation, "dilation")
    sides = resolve_padding(padding, size=size, kernel=kernel, stride=strides, dilation=dilations)
    geometry = Geometry(kernel, strides, sides, dilations)
    result: Tensor = apply(Conv2dFunction, *to_autocast_dtype(x, weight, bias), geometry, groups, algorithm)
    return result


def check_shapes(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, algorithm: str) -> None:
    """Raise ValueError if the arguments of `conv2d` do not match."""
    if algorithm not in GATHER:
        raise ValueError(f"conv2d: unknown `algorithm` '{algorithm}' (available: {', '.join(GATHER)})")
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(
            "conv2d: `x` must have shape (N, C, H, W) and `weight` (O, C / groups, kh, kw),"
            f" got {x.ndim} and {weight.ndim} axes"
        )
    channels = x.shape[1]
    outputs = len(weight)
    if groups < 1 or channels % groups or outputs % groups:
        raise ValueError(
            f"conv2d: `groups` must divide both input and output channels; got groups={groups}, {channels} input and"
            f" {outputs} output channels"
        )
    if weight.shape[1] * groups != channels:
        raise ValueError(
            f"conv2d: `weight` expects {weight.shape[1]} input channels per group, got {channels // groups} in `x`"
        )
    if bias is not None and bias.shape != (outputs,):
        raise ValueError(f"conv2d: `bias` must have shape ({outputs},), got {tuple(bias.shape)}")
