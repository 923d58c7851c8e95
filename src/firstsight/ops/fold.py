"""Batch norm folded away: in prediction it is a scale and a shift, which the convolution before it can do itself.

Convolution and batch norm give ``scale * (w * x + b - mean) + shift`` in each channel, where ``scale = weight /
sqrt(variance + eps)``: the convolution by ``scale * w`` with the bias ``scale * (b - mean) + shift``.
"""

from collections import Counter
from copy import deepcopy

import torch
from torch import fx, nn


def fold_batch_norm(net: nn.Module) -> nn.Module:
    """Copy a network for prediction, with every batch norm that directly follows a convolution folded into it.

    What follows what is read from the forward of every module in the network, run with stand-ins for its inputs. A norm
    is folded where a forward hands it what a convolution gives, and hands that to nothing else, and convolution and
    norm are called there only. All others stay as they are: those after something else (a pooling, a sum), those
    without averages, those after a convolution that makes its weights anew at every call (weight norm, a forward of
    its own). A forward whose course depends on its inputs cannot be run so, and what it calls is not known; the modules
    in it are looked at all the same.

    Parameters
    ----------
    net : nn.Module
        Any network; it is not changed.

    Returns
    -------
    nn.Module
        A network of the same class in eval mode. Its outputs are those of ``net`` in eval mode but for rounding. In
        place of a folded norm is `torch.nn.Identity`, and its convolution has a bias.

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
    display_name: Counter[nn.Module] = Counter()
    for module in copy.modules():
        for call in calls(module):
            callee, given = module.get_submodule(str(call.target)), call.args[0] if call.args else None
            display_name[callee] += 1
            if isinstance(given, fx.Node) and given.op == "call_module" and len(given.users) == 1:
                pairs.append((module.get_submodule(str(given.target)), callee))
    folded = set()
    for conv, norm in pairs:
        if display_name[conv] == display_name[norm] == 1 and fold(conv, norm):
            folded.add(norm)
    for name, module in list(copy.named_modules(remove_duplicate=False)):
        if module in folded:
            copy.set_submodule(name, nn.Identity().eval())
    return copy


class Tracer(fx.Tracer):
    """Follows one forward, and enters none of the modules that it calls."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def calls(module: nn.Module) -> list[fx.Node]:
    """The calls of other modules in a module's forward; none where it cannot be followed."""
    try:
        graph = Tracer().trace(module)
    except Exception:  # it is anybody's code, and is given stand-ins
        return []
    return [node for node in graph.nodes if node.op == "call_module"]


@torch.no_grad()
def fold(conv: nn.Module, norm: nn.Module) -> bool:
    """Let a convolution do what the norm after it does, in place; False, and nothing changed, if it cannot."""
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        return False
    usual = type(conv).forward is nn.Conv2d.forward and type(norm).forward is nn.BatchNorm2d.forward
    made_anew = "weight" not in dict(conv.named_parameters(recurse=False))
    if made_anew or not usual or norm.running_mean is None or norm.running_var is None:
        return False
    scale = torch.rsqrt(norm.running_var + norm.eps) * (norm.weight if norm.affine else 1)
    bias = (0 if conv.bias is None else conv.bias) - norm.running_mean
    bias = scale * bias + (norm.bias if norm.affine else 0)
    weight = scale.view(-1, 1, 1, 1) * conv.weight
    conv.weight, conv.bias = nn.Parameter(weight.to(conv.weight)), nn.Parameter(bias.to(conv.weight))
    return True
