"""Muon (Jordan 2024): momentum with orthogonalized updates for convolution filters, and SGD for other parameters.

The filters of a layer form a matrix with one filter per row. Muon replaces the momentum of this matrix by the nearest
semi-orthogonal matrix, so every direction learns at the same rate, not only those with a large gradient. A few
Newton-Schulz steps ``X <- a X + (b X X^T + c (X X^T)^2) X`` approximate this matrix without a singular value
decomposition.

Before each step, the filters of a layer are rescaled to a root-mean-square length of 1, because the batch norm that
follows makes their length irrelevant.

``torch.optim.Muon`` accepts 2-D parameters only, so it cannot train convolution filters.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

NS_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients a, b, c of a Newton-Schulz step.

They move the singular values near 1 in few steps but do not converge to exactly 1 (Jordan 2024).
"""
NS_STEPS = 3
"""Default number of Newton-Schulz steps."""
FILTER_MOMENTUM = 0.6
"""Default momentum of the filters."""


class Muon(Optimizer):
    """Optimizer with orthogonalized updates for some parameters and SGD with Nesterov momentum for the others.

    Parameters
    ----------
    filters : Sequence[nn.Parameter]
        Parameters with orthogonalized updates, each of shape (out_channels, ...).
    sgd_groups : Sequence[dict[str, Any]]
        Parameter groups for SGD with Nesterov momentum, with the keys "params" and optionally "weight_decay".
    lr : float
        Learning rate. For filters, it is relative to filters of unit length.
    momentum : float
        Momentum of ``sgd_groups``.
    filter_momentum : float
        Momentum of ``filters``.
    """

    def __init__(
        self,
        filters: Sequence[nn.Parameter],
        sgd_groups: Sequence[dict[str, Any]],
        *,
        lr: float,
        momentum: float,
        filter_momentum: float = FILTER_MOMENTUM,
    ) -> None:
        filter_group = {"params": list(filters), "orthogonal": True, "momentum": filter_momentum}
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "orthogonal": False}
        super().__init__([filter_group, *sgd_groups], defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # torch also accepts a closure
        """Update all parameters that have a gradient.

        Parameters
        ----------
        closure : None
            Not supported; present for compatibility with `torch.optim.Optimizer`.
        """
        for group in self.param_groups:
            momentum = group["momentum"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = parameter.grad.add(parameter, alpha=group["weight_decay"])
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                buffer = state["momentum_buffer"].mul_(momentum).add_(gradient)
                update = gradient.add(buffer, alpha=momentum)
                if group["orthogonal"]:
                    parameter.mul_(len(parameter) ** 0.5 / parameter.norm().clamp_min(1e-12))
                    update = orthogonalize(update)
                parameter.add_(update, alpha=-group["lr"])


def orthogonalize(gradient: Tensor, *, ns_steps: int = NS_STEPS) -> Tensor:
    """Return an approximation of the semi-orthogonal matrix nearest to a gradient.

    The gradient is treated as a matrix whose rows are its first dimension. Newton-Schulz steps move its singular values
    near 1 and keep its singular vectors.

    Parameters
    ----------
    gradient : Tensor
        (out_channels, ...) with any number of dimensions.
    ns_steps : int
        Number of Newton-Schulz steps.

    Returns
    -------
    Tensor
        The orthogonalized gradient, of the same shape.
    """
    a, b, c = NS_COEFFICIENTS
    matrix = gradient.reshape(len(gradient), -1)
    is_tall = len(matrix) > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / x.norm().clamp_min(1e-12)
    for _ in range(ns_steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    nearest: Tensor = x.T if is_tall else x
    return nearest.reshape(gradient.shape)
