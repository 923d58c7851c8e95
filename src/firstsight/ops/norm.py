"""Batch normalization and local response normalization, written out with their gradients.

Batch normalization (Ioffe and Szegedy 2015), for each channel with mean m and variance v, g = dL/dy, and z the
normalized x::

    z = (x - m) / sqrt(v + eps)        y = w * z + b
    dw = sum of g * z                  db = sum of g
    training (m and v of the batch):         dx = w / sqrt(v + eps) * (g - mean of g - z * mean of g * z)
    evaluation (m and v are constants):      dx = w / sqrt(v + eps) * g

Local response normalization (Krizhevsky 2012, section 3.3), over a window of ``size`` channels around channel c::

    s[c] = k + alpha / size * sum over c' in the window of c of x[c']^2        y[c] = x[c] * s[c]^-beta
    dx[c] = g[c] * s[c]^-beta
            - 2 * alpha * beta / size * x[c] * sum over c' with c in their window of g[c'] * y[c'] / s[c']
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from firstsight.ops.function import ByHandFunction, apply, is_autocast


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """Reshape (C,) to (1, C, 1, ...) with as many axes as ``like``."""
    return values.view(1, -1, *[1] * (like.ndim - 2))


def non_channel_axes(x: Tensor) -> list[int]:
    """Return all axes of a (N, C, ...) tensor except the channel axis."""
    return [axis for axis in range(x.ndim) if axis != 1]


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and (biased) variance (C,) of each channel of x (N, C, ...)."""
    axes = non_channel_axes(x)
    mean = x.mean(axes)
    return mean, ((x - per_channel(mean, x)) ** 2).mean(axes)


def normalize(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return z and 1 / sqrt(v + eps) for x of shape (N, C, ...)."""
    inverse_std = per_channel(1 / torch.sqrt(variance + eps), x)
    return (x - per_channel(mean, x)) * inverse_std, inverse_std


class BatchNormFunction(ByHandFunction):
    """Autograd function of batch normalization."""

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        eps: float,
        training: bool,
    ) -> Tensor:
        """Compute w * z + b with the given mean and variance; with ``training`` they are those of x."""
        z, _ = normalize(x, mean, variance, eps)
        out = z if weight is None else z * per_channel(weight, x)
        return out if bias is None else out + per_channel(bias, x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save x, w, m and v."""
        x, weight, _, mean, variance, ctx.eps, ctx.training = inputs
        ctx.save_for_backward(x, weight, mean, variance)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Compute dx, dw and db, each only if it is required."""
        x, weight, mean, variance = ctx.saved_tensors
        if ctx.training and torch.is_grad_enabled():  # for second derivatives, which depend on x through m and v, too
            mean, variance = moments(x)
        z, inverse_std = normalize(x, mean, variance, ctx.eps)
        axes = non_channel_axes(z)
        dx = dw = db = None
        if ctx.needs_input_grad[0]:
            centered = grad
            if ctx.training:
                centered = grad - grad.mean(axes, keepdim=True) - z * (grad * z).mean(axes, keepdim=True)
            dx = centered * inverse_std if weight is None else centered * inverse_std * per_channel(weight, z)
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
    """Apply batch normalization: normalize each channel to mean 0 and variance 1, then scale and shift it.

    Parameters
    ----------
    x : Tensor
        Input of shape (N, C, ...).
    running_mean : Tensor | None
        Running average of the mean, of shape (C,). Updated in place if ``training``, otherwise used to normalize x.
    running_var : Tensor | None
        Running average of the variance, of shape (C,). Updated in place with the unbiased variance (factor n / (n - 1)
        for n values per channel) if ``training``, otherwise used to normalize x.
    weight : Tensor | None
        Scale of shape (C,), or None.
    bias : Tensor | None
        Shift of shape (C,), or None.
    training : bool
        Whether to normalize with the mean and variance of the batch.
    momentum : float
        Weight of the current batch in the running averages.
    eps : float
        Constant added to the variance.

    Returns
    -------
    Tensor
        Output of the shape of ``x``.

    Raises
    ------
    ValueError
        If ``training`` and a channel has only one value, if not ``training`` and there are no running averages, or if
        the shapes do not match.

    Examples
    --------
    >>> batch_norm(torch.tensor([[1.0], [3.0]]), training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    check_batch_norm(x, running_mean, running_var, weight, bias, training)
    dtype = x.dtype
    if dtype in (torch.float16, torch.bfloat16):  # the sums need more digits
        x = x.float()
    if training:
        with torch.no_grad():
            count = x.numel() // x.shape[1]
            mean, variance = moments(x)
            if running_mean is not None and running_var is not None:
                running_mean.mul_(1 - momentum).add_(momentum * mean)
                running_var.mul_(1 - momentum).add_(momentum * variance * count / (count - 1))
    else:
        assert running_mean is not None
        assert running_var is not None
        mean, variance = running_mean, running_var
    result: Tensor = apply(BatchNormFunction, x, weight, bias, mean, variance, eps, training)
    return result.to(dtype)


def check_batch_norm(
    x: Tensor, mean: Tensor | None, variance: Tensor | None, weight: Tensor | None, bias: Tensor | None, training: bool
) -> None:
    """Raise ValueError if the arguments of `batch_norm` do not match."""
    if x.ndim < 2:
        raise ValueError(f"batch_norm: `x` must have shape (N, C, ...), got {x.ndim} axes")
    if (mean is None) != (variance is None):
        raise ValueError("batch_norm: `running_mean` and `running_var` must both be given or both be None, got one")
    if not training and mean is None:
        raise ValueError("batch_norm: `running_mean` and `running_var` are required in evaluation, got None")
    if training and x.numel() == x.shape[1]:
        raise ValueError(f"batch_norm: training needs more than one value per channel, got `x` of {tuple(x.shape)}")
    tensors = {"running_mean": mean, "running_var": variance, "weight": weight, "bias": bias}
    for name, tensor in tensors.items():
        if tensor is not None and tensor.shape != (x.shape[1],):
            raise ValueError(f"batch_norm: `{name}` must have shape ({x.shape[1]},), got {tuple(tensor.shape)}")


def sum_neighbors(values: Tensor, before: int, after: int) -> Tensor:
    """Sum each channel of a (N, C, ...) tensor with its neighbors.

    Parameters
    ----------
    values : Tensor
        Tensor of shape (N, C, ...).
    before : int
        Number of neighbors with a lower index.
    after : int
        Number of neighbors with a higher index.

    Returns
    -------
    Tensor
        Sums of shape (N, C, ...). Channels that do not exist count as 0.
    """
    padded = F.pad(values.transpose(1, -1), (before, after)).transpose(1, -1)
    return torch.stack([padded[:, start : start + values.shape[1]] for start in range(before + after + 1)]).sum(0)


class LocalResponseNormFunction(ByHandFunction):
    """Autograd function of local response normalization."""

    @staticmethod
    def forward(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
        """Compute x * s^-beta."""
        return x * compute_scale(x, size, alpha, k) ** -beta

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save x and y."""
        x, ctx.size, ctx.alpha, ctx.beta, ctx.k = inputs
        ctx.save_for_backward(x, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Compute dx: the direct gradient plus the gradient through the scales of the neighboring channels."""
        x, out = ctx.saved_tensors
        scale = compute_scale(x, ctx.size, ctx.alpha, ctx.k)
        # `before` and `after` are exchanged: these channels have x in their window
        through_scale = sum_neighbors(grad * out / scale, (ctx.size - 1) // 2, ctx.size // 2)
        dx = grad * scale**-ctx.beta - 2 * ctx.alpha * ctx.beta / ctx.size * x * through_scale
        return dx, None, None, None, None


def compute_scale(x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    """Return s for x of shape (N, C, ...)."""
    return k + alpha / size * sum_neighbors(x**2, size // 2, (size - 1) // 2)


def local_response_norm(x: Tensor, size: int, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Apply local response normalization: large values in neighboring channels reduce a value.

    Parameters
    ----------
    x : Tensor
        Input of shape (N, C, ...).
    size : int
        Number of channels in the window: size // 2 below, (size - 1) // 2 above, and the channel itself.
    alpha : float
        Factor of the sum of squares. It is divided by ``size``, unlike in the paper.
    beta : float
        Exponent.
    k : float
        Constant added to the sum.

    Returns
    -------
    Tensor
        Output of the shape of ``x``.

    Raises
    ------
    ValueError
        If ``size`` is below 1, or ``x`` has fewer than three axes.

    Examples
    --------
    >>> local_response_norm(torch.tensor([[[1.0], [2.0]]]), 2, alpha=2.0, beta=1.0)
    tensor([[[0.5000],
             [0.3333]]])
    """
    if size < 1:
        raise ValueError(f"local_response_norm: `size` must be at least 1, got {size}")
    if x.ndim < 3:
        raise ValueError(f"local_response_norm: `x` must have shape (N, C, ...) with at least 3 axes, got {x.ndim}")
    if is_autocast(x) and x.dtype != torch.float64:
        x = x.float()
    result: Tensor = apply(LocalResponseNormFunction, x, size, alpha, beta, k)
    return result
