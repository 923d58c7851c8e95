"""The three sums of convolution as autograd functions: the gradients of each are the other two.

Each sum is linear in both arguments, so its gradient with respect to one of them is a sum of the output's gradient and
the other argument. This closes the circle, and all derivatives of convolutions exist. See `firstsight.ops.sums` for the
sums x (padded image), w (weights) and y (output)::

    gather  y = G(x, w)        dx = S(dy, w)        dw = W(x, dy)
    scatter x = S(y, w)        dy = G(dx, w)        dw = W(dx, y)
    weights w = W(x, y)        dx = S(y, dw)        dy = G(x, dw)

With groups, the sums are applied to each group of channels separately.
"""

from typing import Any

from torch import Tensor

from firstsight.ops.function import ByHandFunction
from firstsight.ops.geometry import Geometry, Pair
from firstsight.ops.sums import GATHER, SCATTER, Algorithm, compute_weight_grad


def spatial_size(x: Tensor) -> Pair:
    """Return (H, W) of a (N, C, H, W) tensor."""
    return x.shape[2], x.shape[3]


class GatherFunction(ByHandFunction):
    """Autograd function of gather, the sum of convolution."""

    @staticmethod
    def forward(
        padded: Tensor, weight: Tensor, geometry: Geometry, size: Pair, groups: int, algorithm: Algorithm
    ) -> Tensor:
        """Compute y of ``size``, one group at a time."""
        out = padded.new_empty(len(padded), len(weight), *size)
        for p, w, y in zip(padded.chunk(groups, 1), weight.chunk(groups), out.chunk(groups, 1), strict=True):
            GATHER[algorithm](p, w, geometry, y)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save both arguments."""
        padded, weight, ctx.geometry, _, ctx.groups, _ = inputs
        ctx.save_for_backward(padded, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Compute dx and dw, each only if it is required."""
        padded, weight = ctx.saved_tensors
        dx = dw = None
        if ctx.needs_input_grad[0]:
            dx = ScatterFunction.apply(grad, weight, ctx.geometry, spatial_size(padded), ctx.groups, "taps")
        if ctx.needs_input_grad[1]:
            dw = WeightFunction.apply(padded, grad, ctx.geometry, ctx.groups)
        return dx, dw, None, None, None, None


class ScatterFunction(ByHandFunction):
    """Autograd function of scatter, the sum of transposed convolution."""

    @staticmethod
    def forward(y: Tensor, weight: Tensor, geometry: Geometry, size: Pair, groups: int, algorithm: Algorithm) -> Tensor:
        """Compute x of ``size``, one group at a time."""
        out = y.new_zeros(len(y), weight.shape[1] * groups, *size)
        for g, w, x in zip(y.chunk(groups, 1), weight.chunk(groups), out.chunk(groups, 1), strict=True):
            SCATTER[algorithm](g, w, geometry, x)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save both arguments."""
        y, weight, ctx.geometry, _, ctx.groups, _ = inputs
        ctx.save_for_backward(y, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Compute dy and dw, each only if it is required."""
        y, weight = ctx.saved_tensors
        dy = dw = None
        if ctx.needs_input_grad[0]:
            dy = GatherFunction.apply(grad, weight, ctx.geometry, spatial_size(y), ctx.groups, "im2col")
        if ctx.needs_input_grad[1]:
            dw = WeightFunction.apply(grad, y, ctx.geometry, ctx.groups)
        return dy, dw, None, None, None, None


class WeightFunction(ByHandFunction):
    """Autograd function of the gradient of the weights."""

    @staticmethod
    def forward(padded: Tensor, y: Tensor, geometry: Geometry, groups: int) -> Tensor:
        """Compute w, one group at a time."""
        out = y.new_empty(y.shape[1], padded.shape[1] // groups, *geometry.kernel)
        for p, g, w in zip(padded.chunk(groups, 1), y.chunk(groups, 1), out.chunk(groups), strict=True):
            compute_weight_grad(p, g, geometry, w)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save both arguments."""
        padded, y, ctx.geometry, ctx.groups = inputs
        ctx.save_for_backward(padded, y)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Compute dx and dy, each only if it is required."""
        padded, y = ctx.saved_tensors
        dx = dy = None
        if ctx.needs_input_grad[0]:
            dx = ScatterFunction.apply(y, grad, ctx.geometry, spatial_size(padded), ctx.groups, "taps")
        if ctx.needs_input_grad[1]:
            dy = GatherFunction.apply(padded, grad, ctx.geometry, spatial_size(y), ctx.groups, "im2col")
        return dx, dy, None, None
