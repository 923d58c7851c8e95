"""Optimizer configuration, and the optimizers that it describes."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from firstsight.optim.muon import Muon
from firstsight.optim.schedule import Schedule, learning_rate_factor


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Optimizer configuration; missing fields keep their defaults.

    Attributes
    ----------
    optimizer : Literal['adam', 'adamw', 'sgd', 'muon']
        Optimizer of the weights.
    lr : float
        Base learning rate.
    schedule : Schedule
        Shape of the learning rate over the training, see `learning_rate_factor`.
    warmup : float
        Fraction of the training with linear warm-up, in [0, 1).
    momentum : float
        Momentum of SGD and Muon, in [0, 1).
    linear_lr_mult : float
        Learning-rate multiplier of linear layers (Muon).
    bias_lr_mult : float
        Learning-rate multiplier of biases and batch norms.
    filter_lr_mult : float
        Learning-rate multiplier of convolution filters (Muon in pose training).
    weight_decay : float
        Weight decay of weights.
    bias_weight_decay : float
        Weight decay of biases and batch norms.
    milestones : tuple[float, ...]
        Fractions of the training at which "multistep" multiplies the learning rate by ``gamma``.
    gamma : float
        Factor at each milestone.
    """

    optimizer: Literal["adam", "adamw", "sgd", "muon"]
    lr: float
    schedule: Schedule
    warmup: float
    momentum: float = 0.9
    linear_lr_mult: float = 1.0
    bias_lr_mult: float = 1.0
    filter_lr_mult: float = 1.0
    weight_decay: float = 0.0
    bias_weight_decay: float = 0.0
    milestones: tuple[float, ...] = ()
    gamma: float = 0.1

    def lr_at(self, progress: float) -> float:
        """Return the learning rate at a fraction ``progress`` of the training, in [0, 1)."""
        return self.lr * learning_rate_factor(
            progress, self.schedule, self.warmup, milestones=self.milestones, gamma=self.gamma
        )


def make_optimizer(net: nn.Module, config: OptimizerConfig) -> Optimizer:
    """Return the optimizer of a network.

    There are two parameter groups: weights; biases and batch norms (parameters of one axis), which have their own
    weight decay. With Muon, convolution filters are a third. The learning-rate multiplier of a group is its entry
    "lr_mult". Frozen parameters (``requires_grad=False``) are in no group.

    Parameters
    ----------
    net : nn.Module
        Network to train.
    config : OptimizerConfig
        Optimizer, learning rate, weight decay.
    """
    parameters = [p for p in net.parameters() if p.requires_grad]
    vectors: dict[str, Any] = {
        "params": [p for p in parameters if p.ndim <= 1],
        "weight_decay": config.bias_weight_decay,
        "lr_mult": config.bias_lr_mult,
    }
    if config.optimizer == "muon":
        filters = [p for p in parameters if p.ndim > 2]
        matrices = {
            "params": [p for p in parameters if p.ndim == 2],
            "weight_decay": config.weight_decay,
            "lr_mult": config.linear_lr_mult,
        }
        return Muon(filters, [matrices, vectors], lr=config.lr, momentum=config.momentum)
    weights = {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay}
    groups = [weights, vectors]
    if config.optimizer == "sgd":
        return SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0, fused=True)
    return (Adam if config.optimizer == "adam" else AdamW)(groups, lr=config.lr, fused=True)


def make_pose_optimizers(net: nn.Module, config: OptimizerConfig) -> dict[str, Optimizer]:
    """Return the optimizers of a pose network by name.

    "net" is Adam or AdamW. Only weights that mix channels decay; depthwise filters, biases and batch norms do not.
    With Muon, "filters" is Muon for the filters of `muon_parameters`, and AdamW has the rest.

    Parameters
    ----------
    net : nn.Module
        Network to train.
    config : OptimizerConfig
        Optimizer, learning rate, weight decay.
    """
    filters = muon_parameters(net) if config.optimizer == "muon" else []
    in_muon = {id(p) for p in filters}
    mixing = [p for p in net.parameters() if p.ndim > 1 and p.shape[1] > 1 and id(p) not in in_muon]
    rest = [p for p in net.parameters() if not (p.ndim > 1 and p.shape[1] > 1)]
    groups = [{"params": mixing, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizers: dict[str, Optimizer] = {
        "net": (Adam if config.optimizer == "adam" else AdamW)(groups, lr=config.lr, fused=True)
    }
    if filters:
        lr = config.lr * config.filter_lr_mult
        optimizers["filters"] = Muon(filters, [], lr=lr, momentum=config.momentum, filter_momentum=config.momentum)
    return optimizers


def muon_parameters(net: nn.Module) -> list[nn.Parameter]:
    """Return the convolution filters whose length has no effect, because a batch norm follows.

    They belong to convolutions without bias. The first layer and depthwise convolutions are left out.
    """
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    filters = [layer.weight for layer in layers[1:] if layer.bias is None and layer.groups == 1]
    return [weight for weight in filters if isinstance(weight, nn.Parameter)]
