"""Linear layer and ReLU, written out with their gradients.

With g = dL/dy::

    linear   y[n, o] = b[o] + sum over i of w[o, i] * x[n, i]
             dx = g w        dw = g^T x        db[o] = sum over n of g[n, o]
    ReLU     y = max(x, 0)
             dx = g where x > 0, else 0
"""

from typing import Any

import torch
from torch import Tensor

from firstsight.ops.function import ByHandFunction, apply, to_autocast_dtype


class LinearFunction(ByHandFunction):
    """Autograd function of the linear layer: one matrix product forward, two backward."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute x w^T + b."""
        out = x @ weight.T
        return out if bias is None else out + bias

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save x and w."""
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Compute dx, dw and db, each only if it is required."""
        x, weight = ctx.saved_tensors
        dx = dw = db = None
        rows = grad.reshape(-1, len(weight))  # all axes but the last are samples
        if ctx.needs_input_grad[0]:
            dx = grad @ weight
        if ctx.needs_input_grad[1]:
            dw = rows.T @ x.reshape(-1, weight.shape[1])
        if ctx.needs_input_grad[2]:
            db = rows.sum(0)
        return dx, dw, db


class ReLUFunction(ByHandFunction):
    """Autograd function of ReLU."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        """Compute max(x, 0); nan stays nan."""
        return torch.where(x <= 0, 0, x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save y, which is positive where x is."""
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return the gradient where the output is positive, else 0."""
        (out,) = ctx.saved_tensors
        return torch.where(out <= 0, 0, grad)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply a linear layer: each output is a weighted sum of all inputs.

    Parameters
    ----------
    x : Tensor
        Input of shape (..., I).
    weight : Tensor
        Weights of shape (O, I).
    bias : Tensor | None
        Bias of shape (O,), or None.

    Returns
    -------
    Tensor
        Output of shape (..., O).

    Raises
    ------
    ValueError
        If the shapes do not match.

    Examples
    --------
    >>> linear(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, -1.0]]), torch.tensor([0.5, 0.0]))
    tensor([[11.5000, -2.0000]])
    """
    if weight.ndim != 2:
        raise ValueError(f"linear: `weight` must have shape (O, I), got {weight.ndim} axes")
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"linear: `weight` expects {weight.shape[1]} inputs, got `x` of shape {tuple(x.shape)}")
    if bias is not None and bias.shape != (len(weight),):
        raise ValueError(f"linear: `bias` must have shape ({len(weight)},), got {tuple(bias.shape)}")
    result: Tensor = apply(LinearFunction, *to_autocast_dtype(x, weight, bias))
    return result


def relu(x: Tensor) -> Tensor:
    """Apply the rectified linear unit, max(x, 0), to a float tensor of any shape.

    The gradient at 0 is 0.

    Examples
    --------
    >>> relu(torch.tensor([-2.0, 0.0, 3.0]))
    tensor([0., 0., 3.])
    """
    result: Tensor = apply(ReLUFunction, x)
    return result
