"""Fold batch norms into the convolutions before them, for faster inference.

Convolution and batch norm together compute ``scale * (w * x + b - mean) + shift`` in each channel, where
``scale = weight / sqrt(variance + eps)``. This is a convolution with weight ``scale * w`` and bias
``scale * (b - mean) + shift``.
"""

from collections import Counter
from copy import deepcopy

import torch
from torch import fx, nn


def fold_batch_norm(net: nn.Module) -> nn.Module:
    """Copy a network for inference and fold each batch norm that directly follows a convolution into it.

    The forward of every module is traced with `torch.fx` to find which module follows which. A batch norm is folded if
    its input is the output of a convolution, nothing else uses that output, and both modules are called only once.

    All other batch norms stay: those after a pooling or a sum, those without running averages, and those after a
    convolution with computed weights (weight norm) or an overridden forward. A module whose forward depends on the
    values of its inputs cannot be traced, so the batch norms that it calls itself stay; its submodules are still
    traced.

    Parameters
    ----------
    net : nn.Module
        Any network; it is not modified.

    Returns
    -------
    nn.Module
        Network of the same class, in eval mode. Its outputs equal those of ``net`` in eval mode up to rounding errors.
        Each folded batch norm is replaced by `torch.nn.Identity`, and its convolution has a bias.

    Examples
    --------
    >>> fold_batch_norm(nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()))
    Sequential(
      (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
      (1): Identity()
      (2): ReLU()
    )
    """
    copy = deepcopy(net).eval()
    pairs: list[tuple[nn.Module, nn.Module]] = []
    num_calls: Counter[nn.Module] = Counter()
    for module in copy.modules():
        for node in find_module_calls(module):
            callee = module.get_submodule(str(node.target))
            source = node.args[0] if node.args else None
            num_calls[callee] += 1
            if isinstance(source, fx.Node) and source.op == "call_module" and len(source.users) == 1:
                pairs.append((module.get_submodule(str(source.target)), callee))
    folded = set()
    for conv, norm in pairs:
        if num_calls[conv] == num_calls[norm] == 1 and fold_pair(conv, norm):
            folded.add(norm)
    for name, module in list(copy.named_modules(remove_duplicate=False)):
        if module in folded:
            copy.set_submodule(name, nn.Identity().eval())
    return copy


class ShallowTracer(fx.Tracer):
    """Tracer of one forward that does not trace the modules it calls."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def find_module_calls(module: nn.Module) -> list[fx.Node]:
    """Return the calls of submodules in a module's forward, or an empty list if it cannot be traced."""
    try:
        graph = ShallowTracer().trace(module)
    except Exception:  # the forward is arbitrary code
        return []
    return [node for node in graph.nodes if node.op == "call_module"]


@torch.no_grad()
def fold_pair(conv: nn.Module, norm: nn.Module) -> bool:
    """Fold a batch norm into the convolution before it, in place.

    Parameters
    ----------
    conv : nn.Module
        Module whose output is the input of ``norm``.
    norm : nn.Module
        Module that follows ``conv``.

    Returns
    -------
    bool
        True if the pair was folded, False if it cannot be folded; then nothing is changed.
    """
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        return False
    is_standard = type(conv).forward is nn.Conv2d.forward and type(norm).forward is nn.BatchNorm2d.forward
    has_computed_weight = "weight" not in dict(conv.named_parameters(recurse=False))
    if has_computed_weight or not is_standard or norm.running_mean is None or norm.running_var is None:
        return False
    scale = torch.rsqrt(norm.running_var + norm.eps) * (norm.weight if norm.affine else 1)
    bias = (0 if conv.bias is None else conv.bias) - norm.running_mean
    bias = scale * bias + (norm.bias if norm.affine else 0)
    weight = scale.view(-1, 1, 1, 1) * conv.weight
    conv.weight = nn.Parameter(weight.to(conv.weight))
    conv.bias = nn.Parameter(bias.to(conv.weight))
    return True
