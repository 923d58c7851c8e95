"""A whole network by hand: its layers, and the calls in its forward, replaced by those of this room."""

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


def call(ours: Callable[..., Tensor], names: str, **lacking: Any) -> Callable[..., Tensor]:
    """``ours``, to be called as torch's function of that name.

    Parameters
    ----------
    names : str
        Torch's arguments after the first, in its order.
    lacking : Any
        Those of them that ours does not have, with torch's default; any other value is refused.
    """

    def as_torch(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        options = dict(zip(names.split(), args, strict=False)) | kwargs
        for name, default in lacking.items():
            value = options.pop(name, default)
            if value is not default and value != default:
                raise ValueError(f"{ours.__name__} by hand has no {name}; got {value}")
        return ours(input, **options)

    return as_torch


def relu_as_torch(input: Tensor, inplace: bool = False) -> Tensor:
    """`relu`, if wished written over its input; any shape."""
    return input.copy_(relu(input)) if inplace else relu(input)


POOLING = "kernel_size stride padding dilation ceil_mode return_indices"
CALLS: dict[Callable[..., Any], Callable[..., Tensor]] = {
    F.conv2d: call(conv2d, "weight bias stride padding dilation groups"),
    F.conv_transpose2d: call(conv_transpose2d, "weight bias stride padding output_padding groups dilation"),
    F.max_pool2d: call(max_pool2d, POOLING, return_indices=False),
    F.max_pool2d_with_indices: call(max_pool2d, POOLING, return_indices=False),
    F.avg_pool2d: call(
        avg_pool2d, "kernel_size stride padding ceil_mode count_include_pad divisor_override", divisor_override=None
    ),
    F.linear: call(linear, "weight bias"),
    F.relu: relu_as_torch,
    F.relu_: lambda x: relu_as_torch(x, inplace=True),
    torch.relu: relu,
    Tensor.relu: relu,
    Tensor.relu_: lambda x: relu_as_torch(x, inplace=True),
    F.batch_norm: call(batch_norm, "running_mean running_var weight bias training momentum eps"),
    F.local_response_norm: call(local_response_norm, "size alpha beta k"),
    F.cross_entropy: call(
        cross_entropy, "target weight size_average ignore_index reduce reduction label_smoothing",
        weight=None, size_average=None, ignore_index=-100, reduce=None,
    ),
}  # fmt: skip


class ByHand(TorchFunctionMode):
    """While it is entered, torch's functions of `CALLS` are ours, whoever calls them."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return CALLS.get(func, func)(*args, **(kwargs or {}))


class Forward:
    """A network's forward under `ByHand`."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        self.forward = forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with ByHand():
            return self.forward(*args, **kwargs)


def by_hand(net: nn.Module) -> nn.Module:
    """Copy a network and let the copy compute by hand, forward and backward.

    Replaced are the layers of the types in `LAYERS` (by the classes of the same names in `firstsight.ops`), and what
    the network's forward or any layer in it calls of `torch.nn.functional` under the names of `CALLS`: convolution,
    transposed convolution, maximum and average pooling, linear, ReLU, batch norm, local response normalisation, cross
    entropy. Left to the library is everything else: elementary arithmetic, reshaping, `Tensor.mean`, dropout, GELU,
    adaptive pooling, padding; and the loss and the optimizer, which are not the network's (for the loss:
    `cross_entropy` or `CrossEntropyLoss`). The calls are replaced where the network as a whole is called; a part of it
    called on its own has its layers by hand, but the library's calls.

    Parameters
    ----------
    net : nn.Module
        Any network; it is not changed.

    Returns
    -------
    nn.Module
        A network of the same class and mode (training or not), with its own copy of the weights and the same keys in
        its state dict.

    Raises
    ------
    ValueError
        In the forward: options that ours do not have (indices of maxima, a divisor of one's own, weights of classes,
        ignored labels), images without a batch axis.

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
    copy.forward = Forward(copy.forward)
    return copy
