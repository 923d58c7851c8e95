"""Writer of human-pose-estimation-0001 as OpenVINO IR: FP32, FP16 and FP16-INT8 layouts, random weights."""

from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
import torch
from torch import Tensor, nn

from firstsight.models.pose.openpose_mobilenet import OpenPoseMobileNet

Precision = Literal["FP32", "FP16", "FP16-INT8"]


class IrWriter:
    """Writer of layers, edges and constants."""

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self.net = Element("net", {"name": "human-pose-estimation-0001", "version": "10"})
        self.layers = SubElement(self.net, "layers")
        self.edges = SubElement(self.net, "edges")
        self.constants = bytearray()
        self.dtype = np.float32 if precision == "FP32" else np.float16

    def layer(self, kind: str, name: str, *inputs: str, **data: str) -> str:
        """Add a layer; return its id."""
        number = str(len(self.layers))
        element = SubElement(self.layers, "layer", {"id": number, "name": name, "type": kind, "version": "opset1"})
        if data:
            SubElement(element, "data", data)
        for port, source in enumerate(inputs):
            SubElement(
                self.edges,
                "edge",
                {"from-layer": source, "from-port": "0", "to-layer": number, "to-port": str(port)},
            )
        return number

    def constant(self, values: np.ndarray, name: str = "const") -> str:
        """Add a constant; return its id."""
        types = {"float32": "f32", "float16": "f16", "int8": "i8", "int64": "i64"}
        data = values.tobytes()
        number = self.layer(
            "Const",
            name,
            element_type=types[str(values.dtype)],
            shape=",".join(map(str, values.shape)),
            offset=str(len(self.constants)),
            size=str(len(data)),
        )
        self.constants += data
        return number

    def weights(self, weight: Tensor) -> str:
        """Add weights in the layout of the precision; return the id of the last layer."""
        values = weight.numpy()
        if self.precision == "FP32":
            return self.constant(values.astype(np.float32))
        if self.precision == "FP16":
            return self.layer("Convert", "convert", self.constant(values.astype(np.float16)), destination_type="f32")
        scale = np.abs(values).max(axis=(1, 2, 3), keepdims=True) / 127 + 1e-6
        stored = self.constant(np.round(values / scale).astype(np.int8))
        converted = self.layer("Convert", "convert", stored, destination_type="f16")
        shifted = self.layer("Subtract", "zero", converted, self.constant(np.zeros_like(scale, np.float16)))
        return self.layer("Multiply", "scale", shifted, self.constant(scale.astype(np.float16)))

    def convolution(self, source: str, layer: nn.Conv2d, weight: Tensor, bias: Tensor, name: str) -> str:
        """Add a convolution and its bias; return the id of the sum."""
        if self.precision == "FP16-INT8":
            limits = [self.constant(np.array(value, np.float16)) for value in (0.0, 1.0, 0.0, 1.0)]
            source = self.layer("FakeQuantize", f"{name}/fq", source, *limits, levels="256")
        weights, kind = self.weights(weight), "Convolution"
        if layer.groups > 1:
            shape = np.array([layer.groups, 1, 1, *weight.shape[2:]], np.int64)
            weights = self.layer("Reshape", "groups", weights, self.constant(shape), special_zero="true")
            kind = "GroupConvolution"
        data = {
            key: f"{value[0]},{value[1]}"
            for key, value in (
                ("strides", layer.stride),
                ("dilations", layer.dilation),
                ("pads_begin", layer.padding),
                ("pads_end", layer.padding),
            )
        }
        number = self.layer(kind, name, source, weights, **data, auto_pad="explicit")
        return self.layer(
            "Add", f"{name}/bias", number, self.constant(bias.numpy().reshape(1, -1, 1, 1).astype(self.dtype))
        )

    def write(self, folder: Path) -> Path:
        """Write both files; return the XML file."""
        xml = folder / "human-pose-estimation-0001.xml"
        xml.write_bytes(tostring(self.net))
        xml.with_suffix(".bin").write_bytes(self.constants)
        return xml


def random_network() -> OpenPoseMobileNet:
    """Return the network with random weights, of which float16 keeps all digits, and batch norms of mean 0."""
    torch.manual_seed(0)
    net = OpenPoseMobileNet(joints=18, limbs=19, bridge="elu").eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.fill_((1 + module.eps) ** 0.5)
                module.bias.copy_((0.1 * torch.randn_like(module.bias)).half())
            if isinstance(module, nn.Conv2d):
                fan_in = module.weight[0].numel()
                module.weight.copy_((torch.randn_like(module.weight) / fan_in**0.5).half())
                if module.bias is not None:
                    module.bias.copy_((0.1 * torch.randn_like(module.bias)).half())
        for block in net.refinement_stages.modules():  # a bias before a batch norm is part of it
            if isinstance(block, nn.Sequential) and any(isinstance(layer, nn.BatchNorm2d) for layer in block):
                for layer in block:
                    if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                        layer.bias.zero_()
    return net


def write_openvino(net: OpenPoseMobileNet, folder: Path, precision: Precision) -> Path:
    """Write a network as OpenVINO IR; return the XML file."""
    ir = IrWriter(precision)
    x = ir.layer("Parameter", "data", element_type="f32", shape="1,3,256,456")
    x = ir.layer("Multiply", "scale", x, ir.constant(np.full((1, 1, 1, 1), 1 / 255, np.float32)))
    x = ir.layer("Add", "shift", x, ir.constant(np.full((1, 3, 1, 1), -128 / 255, np.float32)))

    def sequence(x: str, layers: nn.Module, *, order: Tensor | None = None) -> str:
        modules = [each for each in layers.modules() if isinstance(each, nn.Conv2d | nn.BatchNorm2d | nn.ReLU | nn.ELU)]
        for index, module in enumerate(modules):
            if isinstance(module, nn.Conv2d):
                following = modules[index + 1] if index + 1 < len(modules) else None
                norm = following if isinstance(following, nn.BatchNorm2d) else None
                bias = norm.bias if norm is not None else module.bias
                assert bias is not None
                weight = module.weight.detach()
                if module.in_channels == 3:
                    weight = weight * (255 / 256)
                if order is not None and index == 0:
                    weight = weight[:, order]
                x = ir.convolution(x, module, weight, bias.detach(), f"conv{len(ir.layers)}")
            elif isinstance(module, nn.ReLU):
                x = ir.layer("ReLU", "relu", x)
            elif isinstance(module, nn.ELU):
                x = ir.layer("Elu", "elu", x, alpha="1")
        return x

    x = sequence(x, net.model)
    aligned = sequence(x, net.cpm.align)
    features = ir.layer("Add", "residual", aligned, sequence(aligned, net.cpm.trunk))
    features = sequence(features, net.cpm.conv)
    trunk = sequence(features, net.initial_stage.trunk)
    fields, heatmaps = sequence(trunk, net.initial_stage.pafs), sequence(trunk, net.initial_stage.heatmaps)
    x = ir.layer("Concat", "concat", fields, heatmaps, features, axis="1")
    refinement = "refinement_stages.0"
    order = torch.cat([torch.arange(128 + 19, 128 + 19 + 38), torch.arange(128, 128 + 19), torch.arange(128)])
    for number in range(5):
        block = f"{refinement}.trunk.{number}"
        first = sequence(x, net.get_submodule(f"{block}.initial"), order=order if number == 0 else None)
        x = ir.layer("Add", "residual", first, sequence(first, net.get_submodule(f"{block}.trunk")))
    for branch in ("pafs", "heatmaps"):
        ir.layer("Result", "result", sequence(x, net.get_submodule(f"{refinement}.{branch}")))
    return ir.write(folder)
