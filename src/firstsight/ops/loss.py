"""Cross entropy by hand.

With logits x, classes c = 1..C, the true class t, smoothing e, and q[c] = (1 - e) * [c is t] + e / C the target::

    log p[c] = x[c] - log(sum over c' of exp(x[c']))        loss = -sum over c of q[c] * log p[c]
    dx[c] = g * (p[c] - q[c])

The largest logit is taken off first: it changes nothing, and exp cannot overflow.
"""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Reduction = Literal["mean", "sum", "none"]


class CrossEntropyFunction(torch.autograd.Function):
    """The loss of each sample forward; probability minus target backward."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, wanted: Tensor) -> Tensor:
        """Minus the sum of q * log p over the classes (axis 1)."""
        shifted = logits - logits.amax(1, keepdim=True)
        log_p = shifted - shifted.exp().sum(1, keepdim=True).log()
        ctx.save_for_backward(log_p, wanted)
        return -torch.where(wanted > 0, wanted * log_p, 0).sum(1)  # 0 * log 0 is 0

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """The gradient of the logits, g * (p - q)."""
        log_p, wanted = ctx.saved_tensors
        return grad.unsqueeze(1) * (log_p.exp() - wanted), None


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Tensor:
    """Cross entropy of class logits: how unlikely the network found the true class.

    Parameters
    ----------
    logits : Tensor
        (N, C) or (N, C, ...) float tensor, unnormalised.
    target : Tensor
        (N,) or (N, ...) integer tensor, the classes' numbers, in 0..C-1.
    label_smoothing : float
        Share of the target spread evenly over all classes, in [0, 1].
    reduction : Reduction
        "mean" over all samples, their "sum", or "none": one loss each.

    Returns
    -------
    Tensor
        One loss, or with "none" a tensor of the shape of ``target``; in nats, at least 0.

    Raises
    ------
    ValueError
        Classes out of range or not whole, shapes that do not fit, an unknown reduction.

    Examples
    --------
    >>> cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3]))  # log 4
    tensor(1.3863)
    """
    check_target(logits, target, label_smoothing)
    classes = logits.shape[1]
    one_hot = torch.zeros_like(logits).scatter_(1, target.long().unsqueeze(1), 1.0)
    wanted = (1 - label_smoothing) * one_hot + label_smoothing / classes
    losses: Tensor = CrossEntropyFunction.apply(logits, wanted)
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    if reduction != "none":
        raise ValueError(f"cross_entropy: reduction must be 'mean', 'sum' or 'none'; got '{reduction}'")
    return losses


def check_target(logits: Tensor, target: Tensor, label_smoothing: float) -> None:
    """Refuse what does not fit together, saying what would."""
    if logits.ndim < 2:
        raise ValueError(f"cross_entropy needs logits (N, C, ...); got {logits.ndim} axes")
    if target.is_floating_point() or target.dtype == torch.bool:
        raise ValueError(f"cross_entropy: target must be whole numbers; got {target.dtype}")
    expected = (len(logits), *logits.shape[2:])
    if target.shape != expected:
        raise ValueError(f"cross_entropy: target must be {expected}; got {tuple(target.shape)}")
    classes = logits.shape[1]
    wrong = target[(target < 0) | (target >= classes)]
    if len(wrong) > 0:
        raise ValueError(f"cross_entropy: target must be in 0..{classes - 1}; got {int(wrong[0])}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must be in [0, 1]; got {label_smoothing}")
