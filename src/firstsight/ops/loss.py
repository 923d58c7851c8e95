"""Cross entropy, written out with its gradient.

With logits x, classes c = 1..C, true class t, label smoothing e, and target probabilities
q[c] = (1 - e) * [c is t] + e / C::

    log p[c] = x[c] - log(sum over c' of exp(x[c']))        loss = -sum over c of q[c] * log p[c]
    dx[c] = g * (p[c] - q[c])

The largest logit is subtracted first. This does not change the result and prevents overflow in exp.
"""

from typing import Any, Literal

import torch
from torch import Tensor

from firstsight.ops.function import ByHandFunction, apply, is_autocast

Reduction = Literal["mean", "sum", "none"]


def log_softmax(logits: Tensor) -> Tensor:
    """Return log p over the classes, axis 1 of logits (N, C, ...)."""
    shifted = logits - logits.amax(1, keepdim=True)
    return shifted - shifted.exp().sum(1, keepdim=True).log()


class CrossEntropyFunction(ByHandFunction):
    """Autograd function of cross entropy with target probabilities."""

    @staticmethod
    def forward(logits: Tensor, target_probs: Tensor) -> Tensor:
        """Compute -sum of q * log p over the classes (axis 1) for each sample."""
        return -torch.where(target_probs > 0, target_probs * log_softmax(logits), 0).sum(1)  # 0 * log 0 is 0

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save x and q."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Compute the gradient of the logits, g * (p - q)."""
        logits, target_probs = ctx.saved_tensors
        return grad.unsqueeze(1) * (log_softmax(logits).exp() - target_probs), None


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Tensor:
    """Compute the cross entropy between logits and class labels.

    Parameters
    ----------
    logits : Tensor
        Unnormalized scores of shape (N, C) or (N, C, ...).
    target : Tensor
        Integer class labels in 0..C-1, of shape (N,) or (N, ...).
    label_smoothing : float
        Fraction of the target probability spread evenly over all classes, in [0, 1].
    reduction : Reduction
        "mean" over all samples, "sum" over all samples, or "none".

    Returns
    -------
    Tensor
        Loss in nats, at least 0: a scalar, or with "none" a tensor of the shape of ``target``.

    Raises
    ------
    ValueError
        If the shapes do not match, ``target`` is not of integer type or out of range, or ``label_smoothing`` or
        ``reduction`` is invalid.

    Examples
    --------
    >>> cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3]))  # log 4
    tensor(1.3863)
    """
    check_target(logits, target, label_smoothing)
    if is_autocast(logits) and logits.dtype != torch.float64:
        logits = logits.float()
    num_classes = logits.shape[1]
    classes = torch.arange(num_classes, device=logits.device).view(-1, *[1] * (logits.ndim - 2))
    one_hot = (classes == target.unsqueeze(1)).to(logits.dtype)
    target_probs = (1 - label_smoothing) * one_hot + label_smoothing / num_classes
    losses: Tensor = apply(CrossEntropyFunction, logits, target_probs)
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    if reduction != "none":
        raise ValueError(f"cross_entropy: `reduction` must be 'mean', 'sum' or 'none', got '{reduction}'")
    return losses


def check_target(logits: Tensor, target: Tensor, label_smoothing: float) -> None:
    """Raise ValueError if the arguments of `cross_entropy` are invalid."""
    if logits.ndim < 2:
        raise ValueError(f"cross_entropy: `logits` must have shape (N, C, ...), got {logits.ndim} axes")
    if target.is_floating_point() or target.dtype == torch.bool:
        raise ValueError(f"cross_entropy: `target` must be of integer type, got {target.dtype}")
    expected = (len(logits), *logits.shape[2:])
    if target.shape != expected:
        raise ValueError(f"cross_entropy: `target` must have shape {expected}, got {tuple(target.shape)}")
    num_classes = logits.shape[1]
    invalid = target[(target < 0) | (target >= num_classes)]
    if len(invalid) > 0:
        raise ValueError(f"cross_entropy: `target` must be in 0..{num_classes - 1}, got {int(invalid[0])}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: `label_smoothing` must be in [0, 1], got {label_smoothing}")
