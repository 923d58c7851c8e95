"""Lightweight OpenPose to be trained on two cores, and from nothing.

The design of `openpose_mobilenet`, narrower. The published network began with a backbone that knew ImageNet, and has no
batch norm behind it. This one begins with random weights, so batch norm stands between every convolution and its
activation.

Differs from Osokin 2018: half the backbone's channels, 56 instead of 128 in the stages, 128 instead of 512 in the
branches of the first; batch norm in bridge and stages; weights begin as He 2015 has them.

Size for 14 joints and 13 limbs, one refinement stage: 886,618 parameters.
"""

from torch import nn

from firstsight.pose.openpose_mobilenet import OpenPoseMobileNet


def openpose_tiny(*, joints: int = 14, limbs: int = 13, stages: int = 1) -> OpenPoseMobileNet:
    """The network: (N, 3, H, W) normalised images to heatmaps and fields of every stage, each (N, ..., H/8, W/8)."""
    net = OpenPoseMobileNet(joints=joints, limbs=limbs, stages=stages, width=0.5, channels=56, hidden=128)
    normalise(net)
    net.apply(initialise)
    for stage in (net.initial_stage, *net.refinement_stages):
        for branch in (stage.heatmaps, stage.pafs):
            nn.init.normal_(branch[-1][0].weight, std=0.01)  # maps begin near zero
    return net


def normalise(module: nn.Module) -> None:
    """Put batch norm between every convolution and the activation right after it, wherever they are in a row."""
    for name, child in list(module.named_children()):
        if not isinstance(child, nn.Sequential) or not any(isinstance(layer, nn.Conv2d) for layer in child):
            normalise(child)
            continue
        layers: list[nn.Module] = []
        for layer in child:
            if layers and isinstance(layers[-1], nn.Conv2d) and not isinstance(layer, nn.BatchNorm2d):
                layers.append(nn.BatchNorm2d(layers[-1].out_channels))
            layers.append(layer)
        setattr(module, name, nn.Sequential(*layers))


def initialise(module: nn.Module) -> None:
    """Weights that keep the size of what goes through (He 2015); biases of zero."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
