"""Replace the layers of a network, and the functions that its forward calls, by those of this package."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from firstsight.ops import modules
from firstsight.ops.conv import conv2d
from firstsight.ops.conv_transpose import conv_transpose2d
from firstsight.ops.dense import linear, relu
from firstsight.ops.loss import cross_entropy
from firstsight.ops.norm import batch_norm, local_response_norm
from firstsight.ops.pool import avg_pool2d, max_pool2d

LAYERS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: modules.Conv2d,
    nn.ConvTranspose2d: modules.ConvTranspose2d,
    nn.MaxPool2d: modules.MaxPool2d,
    nn.AvgPool2d: modules.AvgPool2d,
    nn.Linear: modules.Linear,
    nn.ReLU: modules.ReLU,
    nn.BatchNorm2d: modules.BatchNorm2d,
    nn.LocalResponseNorm: modules.LocalResponseNorm,
    nn.CrossEntropyLoss: modules.CrossEntropyLoss,
}


def with_torch_signature(function: Callable[..., Tensor], names: str, **unsupported: Any) -> Callable[..., Tensor]:
    """Wrap a function of this package so that it accepts the arguments of PyTorch's function.

    Parameters
    ----------
    function : Callable[..., Tensor]
        Function of this package.
    names : str
        Names of PyTorch's arguments after the first, in PyTorch's order, separated by spaces.
    **unsupported : Any
        Arguments that ``function`` does not have, with PyTorch's defaults. The wrapper raises ValueError for any other
        value.

    Returns
    -------
    Callable[..., Tensor]
        The wrapper.
    """

    def wrapper(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        options = dict(zip(names.split(), args, strict=False)) | kwargs
        for name, default in unsupported.items():
            value = options.pop(name, default)
            if value is not default and value != default:
                raise ValueError(f"firstsight.ops.{function.__name__} does not support `{name}`, got {value}")
        return function(input, **options)

    return wrapper


def relu_with_torch_signature(input: Tensor, inplace: bool = False) -> Tensor:
    """Apply `relu` to a tensor of any shape; with ``inplace`` the output overwrites the input."""
    return input.copy_(relu(input)) if inplace else relu(input)


CONV = "weight bias stride padding dilation groups"
CONV_TRANSPOSE = "weight bias stride padding output_padding groups dilation"
MAX_POOL = "kernel_size stride padding dilation ceil_mode return_indices"
AVG_POOL = "kernel_size stride padding ceil_mode count_include_pad divisor_override"
BATCH_NORM = "running_mean running_var weight bias training momentum eps"
CROSS_ENTROPY = "target weight size_average ignore_index reduce reduction label_smoothing"

FUNCTIONS: dict[Callable[..., Any], Callable[..., Tensor]] = {
    F.conv2d: with_torch_signature(conv2d, CONV),
    F.conv_transpose2d: with_torch_signature(conv_transpose2d, CONV_TRANSPOSE),
    F.max_pool2d: with_torch_signature(max_pool2d, MAX_POOL, return_indices=False),
    F.max_pool2d_with_indices: with_torch_signature(max_pool2d, MAX_POOL, return_indices=False),
    F.avg_pool2d: with_torch_signature(avg_pool2d, AVG_POOL, divisor_override=None),
    F.linear: with_torch_signature(linear, "weight bias"),
    F.relu: relu_with_torch_signature,
    F.relu_: lambda x: relu_with_torch_signature(x, inplace=True),
    torch.relu: relu,
    Tensor.relu: relu,
    Tensor.relu_: lambda x: relu_with_torch_signature(x, inplace=True),
    F.batch_norm: with_torch_signature(batch_norm, BATCH_NORM),
    F.local_response_norm: with_torch_signature(local_response_norm, "size alpha beta k"),
    F.cross_entropy: with_torch_signature(
        cross_entropy, CROSS_ENTROPY, weight=None, size_average=None, ignore_index=-100, reduce=None
    ),
}


class ReplaceFunctions(TorchFunctionMode):
    """Context manager in which calls of the PyTorch functions in `FUNCTIONS` use the functions of this package."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return FUNCTIONS.get(func, func)(*args, **(kwargs or {}))


class ByHandForward:
    """Forward of a network that runs in `ReplaceFunctions`."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        self.forward = forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with ReplaceFunctions():
            return self.forward(*args, **kwargs)


def by_hand(net: nn.Module) -> nn.Module:
    """Copy a network and replace its operations by the written-out ones of this package, forward and backward.

    Two things are replaced: layers of the types in `LAYERS`, by the classes of the same names in `firstsight.ops`, and
    calls of the functions in `FUNCTIONS` during the forward. They cover convolution, transposed convolution, max and
    average pooling, linear, ReLU, batch norm, local response norm and cross entropy.

    Everything else remains PyTorch's: elementwise arithmetic, reshaping, `Tensor.mean`, dropout, GELU, adaptive
    pooling, padding, and the loss and optimizer outside of the network. For the loss, use `cross_entropy` or
    `CrossEntropyLoss`.

    Function calls are replaced only when the whole network is called. If a submodule is called directly, its layers are
    replaced, but its function calls are not.

    Parameters
    ----------
    net : nn.Module
        Any network; it is not modified.

    Returns
    -------
    nn.Module
        Network of the same class and mode (training or eval), with a copy of the weights and the same state dict keys.

    Raises
    ------
    ValueError
        In the forward, if an option is not supported (``return_indices``, ``divisor_override``, class weights,
        ``ignore_index``), or images have no batch axis.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    >>> x = torch.randn(1, 1, 5, 5)
    >>> torch.allclose(by_hand(net)(x), net(x), atol=1e-5)
    True
    """
    copy = deepcopy(net)
    for module in copy.modules():
        module.__class__ = LAYERS.get(type(module), type(module))
    copy.forward = ByHandForward(copy.forward)
    return copy
