"""The linear layer and ReLU by hand.

With g = dL/dy::

    linear   y[n, o] = b[o] + sum over i of w[o, i] * x[n, i]
             dx = g w        dw = g^T x        db[o] = sum over n of g[n, o]
    ReLU     y = max(x, 0)
             dx = g where x > 0, else 0
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class LinearFunction(torch.autograd.Function):
    """One matrix product forward, two backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The product x w^T, plus b."""
        ctx.save_for_backward(x, weight)
        out = x @ weight.T
        return out if bias is None else out + bias

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """dx, dw and db by formula, as far as they are wanted."""
        x, weight = ctx.saved_tensors
        dx = dw = db = None
        rows = grad.reshape(-1, len(weight))  # all axes before the last one are samples
        if ctx.needs_input_grad[0]:
            dx = grad @ weight
        if ctx.needs_input_grad[1]:
            dw = rows.T @ x.reshape(-1, weight.shape[1])
        if ctx.needs_input_grad[2]:
            db = rows.sum(0)
        return dx, dw, db


class ReLUFunction(torch.autograd.Function):
    """Zero below zero, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """max(x, 0); what is not a number stays so."""
        out = torch.where(x <= 0, 0, x)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """The gradient, where the output is above zero."""
        (out,) = ctx.saved_tensors
        return torch.where(out <= 0, 0, grad)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Linear layer: every output is a weighted sum of all inputs.

    Parameters
    ----------
    x : Tensor
        (..., I) float tensor.
    weight : Tensor
        (O, I) float tensor.
    bias : Tensor | None
        (O,) float tensor, or None.

    Returns
    -------
    Tensor
        (..., O) float tensor.

    Raises
    ------
    ValueError
        Shapes that do not fit.

    Examples
    --------
    >>> linear(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, -1.0]]), torch.tensor([0.5, 0.0]))
    tensor([[11.5000, -2.0000]])
    """
    if weight.ndim != 2:
        raise ValueError(f"linear needs weights (O, I); got {weight.ndim} axes")
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"linear: the weights are for {weight.shape[1]} inputs; got {tuple(x.shape)}")
    if bias is not None and bias.shape != (len(weight),):
        raise ValueError(f"linear: bias must be ({len(weight)},); got {tuple(bias.shape)}")
    result: Tensor = LinearFunction.apply(x, weight, bias)
    return result


def relu(x: Tensor) -> Tensor:
    """Rectified linear unit, max(x, 0), of a float tensor of any shape; its gradient at zero is zero.

    Examples
    --------
    >>> relu(torch.tensor([-2.0, 0.0, 3.0]))
    tensor([0., 0., 3.])
    """
    result: Tensor = ReLUFunction.apply(x)
    return result
