"""Muon (Jordan 2024): momentum whose update of a convolution's filters is made orthogonal; plain SGD for the rest.

The filters of a layer, a matrix of one row each, are moved by the matrix nearest to their momentum whose rows are
orthogonal: every direction learns at the same pace, not only the few that the gradient is strong in. It is found
without a singular value decomposition, by Newton-Schulz steps X <- a X + (b X X' + c (X X')^2) X. Before each step the
filters are scaled back to one unit of length each, since batch norm makes their length meaningless.

torch.optim.Muon takes matrices only, no filters.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz step; they bring singular values near one quickly rather than exactly (Jordan 2024)."""
STEPS = 3
FILTER_MOMENTUM = 0.6


class Muon(Optimizer):
    """Orthogonal updates for some parameters, Nesterov momentum for the others.

    Parameters
    ----------
    filters : Sequence[nn.Parameter]
        Parameters of shape (outputs, ...), moved by orthogonal updates.
    others : Sequence[dict[str, Any]]
        Groups as of any optimizer ("params", "weight_decay"), moved as SGD with Nesterov momentum does.
    lr : float
        Step size; a filter has length one.
    momentum, filter_momentum : float
        Of the others, and of the filters.
    """

    def __init__(
        self, filters: Sequence[nn.Parameter], others: Sequence[dict[str, Any]], *, lr: float, momentum: float,
        filter_momentum: float = FILTER_MOMENTUM,
    ) -> None:  # fmt: skip
        first = {"params": list(filters), "orthogonal": True, "momentum": filter_momentum}
        super().__init__([first, *others], {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "orthogonal": False})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # torch's also takes a closure
        """Move every parameter that has a gradient."""
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
                    update = orthogonal(update)
                parameter.add_(update, alpha=-group["lr"])


def orthogonal(gradient: Tensor, *, steps: int = STEPS) -> Tensor:
    """The gradient with its singular values brought near one; as a matrix, its first axis the rows.

    Parameters
    ----------
    gradient : Tensor
        (outputs, ...), of any number of axes.
    """
    a, b, c = COEFFICIENTS
    matrix = gradient.reshape(len(gradient), -1)
    x = matrix.T if len(matrix) > matrix.shape[1] else matrix
    x = x / x.norm().clamp_min(1e-12)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    nearest: Tensor = x.T if len(matrix) > matrix.shape[1] else x
    return nearest.reshape(gradient.shape)
