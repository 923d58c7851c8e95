"""Random weights with which a network without training computes values of usual size."""

from typing import Any

import torch
from torch import Tensor, nn

from firstsight.tasks.export_plan import ExportPlan

INPUTS = 8
"""Number of inputs whose statistics are used."""
LAYERS = nn.Conv2d, nn.ConvTranspose2d, nn.Linear
NORMS = nn.BatchNorm1d, nn.BatchNorm2d


def calibrate(plan: ExportPlan) -> None:
    """Scale the random weights of a network in place, so that rounding errors do not grow from layer to layer.

    With PyTorch's initial weights, the outputs of deep networks hardly depend on the input, or magnify rounding errors:
    those of float32 grow by a factor of 1.2 with every batch norm that a ReLU follows (Yang 2019, "A Mean Field Theory
    of Batch Normalization"). Two exports of such a network cannot be compared. Therefore:

    - Each convolution and fully connected layer is divided by the standard deviation of its outputs (LSUV; Mishkin and
      Matas 2016, "All you need is a good init").
    - Batch norms get the mean and the variance of their inputs, and a bias of 1, with which a ReLU sets 16 % of the
      values to 0, instead of half of them. The factor is then 1.06.

    Parameters
    ----------
    plan : ExportPlan
        The network in eval mode, and its inputs.
    """
    norms = [module for module in plan.net.modules() if isinstance(module, NORMS)]
    layers = [module for module in plan.net.modules() if isinstance(module, LAYERS)]
    hooks = [layer.register_forward_hook(_scale) for layer in layers]
    momentums = [norm.momentum for norm in norms]
    try:
        with torch.no_grad():
            for norm in norms:
                if norm.bias is not None:
                    norm.bias.fill_(1)
                norm.train()
                norm.momentum = 1.0
            plan.net(plan.draw_inputs(INPUTS))
    finally:
        for hook in hooks:
            hook.remove()
        for norm, momentum in zip(norms, momentums, strict=True):
            norm.momentum = momentum
            norm.eval()


def _scale(layer: Any, inputs: Any, output: Tensor) -> Tensor:
    """Divide a layer by the standard deviation of its output; return the new output."""
    std = output.std().clamp_min(1e-6)
    layer.weight /= std
    if layer.bias is not None:
        layer.bias /= std
    return output / std
