"""Transposed convolution by hand: what convolution's gradient does to y, done to an image.

Every pixel of x lays the kernel, times itself, on the output (stride s, dilation d, the first ``top`` rows and ``left``
columns of the result cut off, and likewise at the end)::

    y[n, o, r, t] = b[o] + sum over c, i, j, p, q of  x[n, c, p, q] * w[c, o, i, j]
                    where r = s*p + d*i - top and t = s*q + d*j - left

Its gradients are convolutions' sums again, g = dL/dy, zero where it was cut off::

    db[o]          = sum over n, r, t of        g[n, o, r, t]
    dx[n, c, p, q] = sum over o, i, j of        w[c, o, i, j] * g[n, o, s*p + d*i - top, s*q + d*j - left]
    dw[c, o, i, j] = sum over n, p, q of        x[n, c, p, q] * g[n, o, s*p + d*i - top, s*q + d*j - left]

The sums are in `firstsight.ops.sums`: ``scatter`` there is this one, its y being our x.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from firstsight.ops.geometry import Geometry, Pair, pair
from firstsight.ops.sums import SCATTER, Algorithm, gather_im2col, sum_weights


class ConvTranspose2dFunction(torch.autograd.Function):
    """The sum forward, the three formulas backward."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None,
        geometry: Geometry, size: Pair, groups: int, algorithm: Algorithm,
    ) -> Tensor:  # fmt: skip
        """y, group by group, on the uncut output of ``size``; then cut."""
        whole = x.new_zeros(len(x), weight.shape[1] * groups, *size)
        for part, w, y in zip(x.chunk(groups, 1), weight.chunk(groups), whole.chunk(groups, 1), strict=True):
            SCATTER[algorithm](part, w, geometry, y)
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.groups = geometry, groups
        out = geometry.crop(whole)
        return out.clone() if bias is None else out + bias.view(-1, 1, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """dx, dw and db by formula, as far as they are wanted."""
        x, weight = ctx.saved_tensors
        geometry, groups = ctx.geometry, ctx.groups
        dx = dw = db = None
        whole = F.pad(grad, geometry.padding).chunk(groups, 1)
        if ctx.needs_input_grad[0]:
            dx = x.new_empty(x.shape)
            for g, w, d in zip(whole, weight.chunk(groups), dx.chunk(groups, 1), strict=True):
                gather_im2col(g, w, geometry, d)
        if ctx.needs_input_grad[1]:
            dw = weight.new_empty(weight.shape)
            for g, part, d in zip(whole, x.chunk(groups, 1), dw.chunk(groups), strict=True):
                sum_weights(g, part, geometry, d)
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
    """Two-dimensional transposed convolution, written out; its gradients too.

    Parameters
    ----------
    x : Tensor
        (N, C, H, W) float tensor.
    weight : Tensor
        (C, O / groups, kh, kw) float tensor.
    bias : Tensor | None
        (O,) float tensor, or None.
    stride, dilation : int | Pair
        A number, or (vertical, horizontal).
    padding : int | Pair
        Rows and columns cut off on every side: a number, or (vertical, horizontal).
    output_padding : int | Pair
        Rows and columns kept beyond that at the bottom and on the right (bias alone where no kernel reaches); less than
        the stride or the dilation.
    groups : int
        How many separate convolutions the channels are parted into.
    algorithm : Algorithm
        "loops" (the definition), "im2col" (one matrix product), "taps" (one product per kernel position).

    Returns
    -------
    Tensor
        (N, O, rows, columns) with rows = (H - 1) * stride - 2 * padding + dilation * (kh - 1) + 1 + output_padding.

    Raises
    ------
    ValueError
        Shapes that do not fit, groups that do not divide, an output without pixels.

    Examples
    --------
    >>> x = torch.tensor([[[[1.0, 2.0]]]])
    >>> conv_transpose2d(x, torch.tensor([[[[1.0, 10.0, 100.0]]]]), algorithm="loops")
    tensor([[[[  1.,  12., 120., 200.]]]])
    """
    check_shapes(x, weight, bias, groups, algorithm)
    kernel: Pair = (weight.shape[2], weight.shape[3])
    (cut_y, cut_x), more = pair(padding, "padding", least=0), pair(output_padding, "output_padding", least=0)
    strides, dilations = pair(stride, "stride"), pair(dilation, "dilation")
    geometry = Geometry(kernel, strides, (cut_x, cut_x, cut_y, cut_y), dilations)
    if any(m >= max(s, d) for m, s, d in zip(more, strides, dilations, strict=True)):
        raise ValueError(
            f"conv_transpose2d: output_padding {more} must be less than stride {strides} or dilation {dilations}"
        )
    rows, columns = geometry.input_size(x.shape[2], x.shape[3])
    size = rows + more[0], columns + more[1]
    if size[0] <= 2 * cut_y or size[1] <= 2 * cut_x:
        raise ValueError(
            f"conv_transpose2d: padding {(cut_y, cut_x)} cuts everything off an output of {size[0]}x{size[1]} pixels"
        )
    result: Tensor = ConvTranspose2dFunction.apply(x, weight, bias, geometry, size, groups, algorithm)
    return result


def check_shapes(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, algorithm: str) -> None:
    """Refuse what does not fit together, saying what would."""
    if algorithm not in SCATTER:
        raise ValueError(f"conv_transpose2d: unknown algorithm '{algorithm}' ({', '.join(SCATTER)})")
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(
            "conv_transpose2d needs images (N, C, H, W) and weights (C, O, kh, kw);"
            f" got {x.ndim} and {weight.ndim} axes"
        )
    channels, outputs = x.shape[1], weight.shape[1] * groups
    if groups < 1 or channels % groups:
        raise ValueError(f"conv_transpose2d: {groups} groups do not divide {channels} input channels")
    if len(weight) != channels:
        raise ValueError(f"conv_transpose2d: the weights are for {len(weight)} channels; the image has {channels}")
    if bias is not None and bias.shape != (outputs,):
        raise ValueError(f"conv_transpose2d: bias must be ({outputs},); got {tuple(bias.shape)}")
