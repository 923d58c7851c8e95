"""Base class of the autograd functions of this package: second derivatives, `torch.func`, and autocast."""

from typing import Any

import torch
from torch import Tensor


class ByHandFunction(torch.autograd.Function):
    """Autograd function whose gradient is differentiable, and which `torch.func` can transform.

    A subclass has ``forward`` without a context, ``setup_context``, and ``backward``. It saves inputs and outputs
    only: PyTorch does not know how another tensor depends on them, so second derivatives would be wrong. ``backward``
    uses differentiable operations and functions of this class.
    """

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        """Apply the function to each element of a batch of `torch.vmap`, and stack the results."""
        results = [
            cls.apply(
                *(
                    arg.select(axis, index) if isinstance(axis, int) else arg
                    for arg, axis in zip(args, in_dims, strict=True)
                )
            )
            for index in range(info.batch_size)
        ]
        if isinstance(results[0], tuple):
            columns = [None if column[0] is None else torch.stack(column) for column in zip(*results, strict=True)]
            return tuple(columns), tuple(None if column is None else 0 for column in columns)
        return torch.stack(results), 0


def is_autocast(x: Tensor) -> bool:
    """Return whether `torch.autocast` is on for the device of a tensor of any shape."""
    device = x.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def to_autocast_dtype(x: Tensor, *others: Tensor | None) -> tuple[Any, ...]:
    """Return tensors as `torch.autocast` gives them to a convolution: in lower precision, except float64.

    Parameters
    ----------
    x : Tensor
        Input of any shape, whose device decides.
    *others : Tensor | None
        Weight and bias.
    """
    tensors = (x, *others)
    if not is_autocast(x):
        return tensors
    dtype = torch.get_autocast_dtype(x.device.type)
    return tuple(
        tensor.to(dtype)
        if tensor is not None and tensor.is_floating_point() and tensor.dtype != torch.float64
        else tensor
        for tensor in tensors
    )


def apply(function: type[ByHandFunction], x: Tensor, *args: Any) -> Any:
    """Apply an autograd function without autocast, which would change the types of its intermediate results.

    Parameters
    ----------
    function : type[ByHandFunction]
        The autograd function.
    x : Tensor
        Its first argument, of any shape.
    *args : Any
        Its other arguments.
    """
    if not is_autocast(x):
        return function.apply(x, *args)
    with torch.autocast(x.device.type, enabled=False):
        return function.apply(x, *args)
