"""Normalisation by hand: batch norm and local response normalisation, forward and backward.

Batch norm (Ioffe and Szegedy 2015), for each channel with mean m and variance v, g = dL/dy, z the normalised x::

    z = (x - m) / sqrt(v + eps)        y = w * z + b
    dw = sum of g * z                  db = sum of g
    training (m and v are the batch's own):  dx = w / sqrt(v + eps) * (g - mean of g - z * mean of g * z)
    evaluation (m and v are constants):      dx = w / sqrt(v + eps) * g

Local response normalisation (Krizhevsky 2012, section 3.3), over the ``size`` channels around channel c::

    s[c] = k + alpha / size * sum over c' near c of x[c']^2        y[c] = x[c] * s[c]^-beta
    dx[c] = g[c] * s[c]^-beta  -  2 * alpha * beta / size * x[c] * sum over c' that have c near of g[c'] * y[c'] / s[c']
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """(C,) to (1, C, 1, 1), as many axes as ``like`` has."""
    return values.view(1, -1, *[1] * (like.ndim - 2))


def other_axes(x: Tensor) -> list[int]:
    """All axes of an (N, C, ...) tensor but the channels'."""
    return [axis for axis in range(x.ndim) if axis != 1]


class BatchNormFunction(torch.autograd.Function):
    """Normalise, scale and shift; the gradients by formula."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None,
        mean: Tensor, variance: Tensor, eps: float, training: bool,
    ) -> Tensor:  # fmt: skip
        """The formula w * z + b, with the mean and variance given; in ``training`` they are those of x."""
        inverse = per_channel(1 / torch.sqrt(variance + eps), x)
        z = (x - per_channel(mean, x)) * inverse
        ctx.save_for_backward(z, weight, inverse)
        ctx.training = training
        out = z if weight is None else z * per_channel(weight, x)
        return out if bias is None else out + per_channel(bias, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """dx, dw and db by formula, as far as they are wanted."""
        z, weight, inverse = ctx.saved_tensors
        axes = other_axes(z)
        dx = dw = db = None
        if ctx.needs_input_grad[0]:
            centred = grad
            if ctx.training:
                centred = grad - grad.mean(axes, keepdim=True) - z * (grad * z).mean(axes, keepdim=True)
            dx = centred * inverse if weight is None else centred * inverse * per_channel(weight, z)
        if ctx.needs_input_grad[1]:
            dw = (grad * z).sum(axes)
        if ctx.needs_input_grad[2]:
            db = grad.sum(axes)
        return dx, dw, db, None, None, None, None


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    *,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch normalisation: each channel to mean 0 and variance 1, then scaled and shifted.

    Parameters
    ----------
    x : Tensor
        (N, C, ...) float tensor.
    running_mean, running_var : Tensor | None
        (C,) averages over past batches: in training they are updated in place (the variance with the factor n / (n - 1)
        for n values a channel), in evaluation they are what x is normalised with.
    weight, bias : Tensor | None
        (C,) scale and shift, or None.
    training : bool
        Whether to normalise with the batch's own mean and variance.
    momentum : float
        Share of the new batch in the running averages.
    eps : float
        Added to the variance.

    Returns
    -------
    Tensor
        Tensor of the shape of x.

    Raises
    ------
    ValueError
        One value per channel in training, no running averages in evaluation, lengths that are not C.

    Examples
    --------
    >>> batch_norm(torch.tensor([[1.0], [3.0]]), training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    check_batch_norm(x, running_mean, running_var, weight, bias, training)
    if training:
        with torch.no_grad():
            axes, count = other_axes(x), x.numel() // x.shape[1]
            mean = x.mean(axes)
            variance = ((x - per_channel(mean, x)) ** 2).mean(axes)
            if running_mean is not None and running_var is not None:
                running_mean.mul_(1 - momentum).add_(momentum * mean)
                running_var.mul_(1 - momentum).add_(momentum * variance * count / (count - 1))
    else:
        assert running_mean is not None
        assert running_var is not None
        mean, variance = running_mean, running_var
    result: Tensor = BatchNormFunction.apply(x, weight, bias, mean, variance, eps, training)
    return result


def check_batch_norm(
    x: Tensor, mean: Tensor | None, variance: Tensor | None, weight: Tensor | None, bias: Tensor | None, training: bool
) -> None:
    """Refuse what does not fit together, saying what would."""
    if x.ndim < 2:
        raise ValueError(f"batch_norm needs a tensor (N, C, ...); got {x.ndim} axes")
    if (mean is None) != (variance is None):
        raise ValueError("batch_norm needs both running averages or neither; got one")
    if not training and mean is None:
        raise ValueError("batch_norm needs running averages in evaluation; got none")
    if training and x.numel() == x.shape[1]:
        raise ValueError(f"batch_norm needs more than one value per channel in training; got {tuple(x.shape)}")
    named = {"running_mean": mean, "running_var": variance, "weight": weight, "bias": bias}
    for name, tensor in named.items():
        if tensor is not None and tensor.shape != (x.shape[1],):
            raise ValueError(f"batch_norm: {name} must be ({x.shape[1]},); got {tuple(tensor.shape)}")


def sum_near(values: Tensor, before: int, after: int) -> Tensor:
    """For each channel the sum over the channels from ``before`` below to ``after`` above, as far as there are any.

    (N, C, ...) in and out.
    """
    padded = F.pad(values.transpose(1, -1), (before, after)).transpose(1, -1)
    return torch.stack([padded[:, start : start + values.shape[1]] for start in range(before + after + 1)]).sum(0)


class LocalResponseNormFunction(torch.autograd.Function):
    """Divide by what the neighbouring channels hold; the gradient by formula."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
        """The formula x * s^-beta."""
        scale = k + alpha / size * sum_near(x**2, size // 2, (size - 1) // 2)
        out = x * scale**-beta
        ctx.save_for_backward(x, scale, out)
        ctx.size, ctx.alpha, ctx.beta = size, alpha, beta
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of x: through x itself, and through the scale of every channel that has it near."""
        x, scale, out = ctx.saved_tensors
        near = sum_near(grad * out / scale, (ctx.size - 1) // 2, ctx.size // 2)  # the window seen from the other side
        dx = grad * scale**-ctx.beta - 2 * ctx.alpha * ctx.beta / ctx.size * x * near
        return dx, None, None, None, None


def local_response_norm(x: Tensor, size: int, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Local response normalisation: strong neighbours among the channels weaken a pixel.

    Parameters
    ----------
    x : Tensor
        (N, C, ...) float tensor.
    size : int
        How many channels are near: size // 2 below, (size - 1) // 2 above, and the channel itself.
    alpha, beta, k : float
        As in the formula; alpha is divided by ``size`` (the paper's alpha is not).

    Returns
    -------
    Tensor
        Tensor of the shape of x.

    Raises
    ------
    ValueError
        A size below 1, fewer than three axes.

    Examples
    --------
    >>> local_response_norm(torch.tensor([[[1.0], [2.0]]]), 2, alpha=2.0, beta=1.0)
    tensor([[[0.5000],
             [0.3333]]])
    """
    if size < 1:
        raise ValueError(f"local_response_norm: size must be at least 1; got {size}")
    if x.ndim < 3:
        raise ValueError(f"local_response_norm needs a tensor (N, C, ...) of at least 3 axes; got {x.ndim}")
    result: Tensor = LocalResponseNormFunction.apply(x, size, alpha, beta, k)
    return result
