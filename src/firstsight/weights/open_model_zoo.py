"""Conversion of human-pose-estimation-0001 of Open Model Zoo to `OpenPoseMobileNet` with ``bridge="elu"``.

The model is lightweight OpenPose, trained by its author, as an OpenVINO IR file. Its batch norms are folded into its
convolutions. Its input is BGR, 0 to 255, and (pixel - 128) / 255 is computed in the graph.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from firstsight.errors import WeightsError
from firstsight.models.pose.openpose_mobilenet import OpenPoseMobileNet
from firstsight.weights.openvino import Convolution, OpenVinoModel

MODEL = "human-pose-estimation-0001"
JOINTS, LIMBS, FEATURES = 18, 19, 128
PARTS = (
    "model",
    "cpm",
    *(
        f"{stage}.{part}"
        for stage in ("initial_stage", "refinement_stages.0")
        for part in ("trunk", "pafs", "heatmaps")
    ),
)
"""Modules of the network in the order of the file."""
TOLERANCE = 1e-3
"""Maximum difference of maps, whose values are about -1 to 1, between the graph and the converted network."""
PROBE = (1, 3, 64, 96)
"""Shape of the input with which both are compared."""


def convert(xml: Path) -> OpenPoseMobileNet:
    """Return the network with the weights of an OpenVINO file, in eval mode.

    The original graph and the converted network are run on the same random input, and must compute the same maps.

    Parameters
    ----------
    xml : Path
        ``human-pose-estimation-0001.xml``, in the precision FP32, FP16 or FP16-INT8; the .bin file is next to it.

    Raises
    ------
    WeightsError
        If a file is missing or damaged, or is of another model.
    """
    model = OpenVinoModel(xml)
    net = OpenPoseMobileNet(joints=JOINTS, limbs=LIMBS, bridge="elu").eval()
    targets = _convolutions_with_norm(net)
    source = model.convolutions()
    if len(source) != len(targets):
        raise _other_model(xml, f"it has {len(source)} convolutions, not {len(targets)}")
    with torch.no_grad():
        for original, (layer, norm) in zip(source, targets, strict=True):
            _copy(original, layer, norm, xml)
        _convolution(net, "model.0.0").weight.mul_(256 / 255)
        first = _convolution(net, "refinement_stages.0.trunk.0.initial.0")
        fields, heatmaps, features = first.weight.split([2 * LIMBS, JOINTS + 1, FEATURES], 1)
        first.weight.copy_(torch.cat([features, heatmaps, fields], 1))
    _compare(model, net)
    return net


def _convolutions_with_norm(net: OpenPoseMobileNet) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """Return the convolutions of the network in the order of the file, each with the batch norm after it if any."""
    modules = [module for part in PARTS for module in net.get_submodule(part).modules()]
    layers = [module for module in modules if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    followers = [*layers[1:], None]
    return [
        (layer, follower if isinstance(follower, nn.BatchNorm2d) else None)
        for layer, follower in zip(layers, followers, strict=True)
        if isinstance(layer, nn.Conv2d)
    ]


def _convolution(net: nn.Module, name: str) -> nn.Conv2d:
    """Return a convolution by its name."""
    layer = net.get_submodule(name)
    assert isinstance(layer, nn.Conv2d)
    return layer


def _copy(original: Convolution, layer: nn.Conv2d, norm: nn.BatchNorm2d | None, xml: Path) -> None:
    """Copy a convolution into a layer; if a batch norm follows, it adds the bias and changes nothing else."""
    if original.weight.shape != layer.weight.shape:
        shapes = f"{tuple(original.weight.shape)}, not {tuple(layer.weight.shape)}"
        raise _other_model(xml, f"the weights of layer {original.name} have the shape {shapes}")
    layer.weight.copy_(original.weight)
    bias: Tensor | None = layer.bias
    if norm is not None:
        if bias is not None:
            bias.zero_()
        norm.weight.fill_((1 + norm.eps) ** 0.5)
        bias = norm.bias
    assert bias is not None
    bias.copy_(original.bias)


def _compare(model: OpenVinoModel, net: OpenPoseMobileNet) -> None:
    """Check that the graph and the network compute the same maps for one random input."""
    pixels = torch.randint(0, 256, PROBE, generator=torch.Generator().manual_seed(0)).float()
    outputs = model.run(pixels)
    with torch.no_grad():
        heatmaps, fields = net((pixels - 128) / 256)[-2:]
    for maps in (heatmaps, fields):
        candidates = [output for output in outputs.values() if output.shape == maps.shape]
        difference = float((candidates[0] - maps).abs().max()) if len(candidates) == 1 else float("inf")
        if not difference <= TOLERANCE:
            raise _other_model(model.xml, f"its maps differ from those of our network by {difference:.2g}")


def _other_model(xml: Path, reason: str) -> WeightsError:
    return WeightsError(f"{xml}: is not {MODEL}, the only OpenVINO model that can be imported: {reason}")
