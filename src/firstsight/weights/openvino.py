"""Reader of OpenVINO IR, the file format of Open Model Zoo: an XML file with the graph, a .bin file with the constants.

The reader evaluates the few operations of convolutional networks with torch. It returns the weights of all convolutions
in the order of the graph, and it can run the graph, so that a converted network can be compared with the original. It
reads the layouts of the precisions FP32, FP16 and FP16-INT8. The quantization of activations (FakeQuantize) is ignored.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import torch
import torch.nn.functional as F
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from torch import Tensor

from firstsight.errors import WeightsError

MAX_XML_BYTES = 8_000_000
MAX_BIN_BYTES = 200_000_000
MAX_VALUES = 50_000_000
"""Maximum number of values that the layers of a graph compute together."""
DTYPES = {
    "f32": torch.float32,
    "f16": torch.float16,
    "i64": torch.int64,
    "i8": torch.int8,
    "u8": torch.uint8,
}
"""Element types of constants."""


@dataclass(frozen=True)
class Convolution:
    """A convolution of a graph.

    Attributes
    ----------
    name : str
        Name of the layer.
    weight : Tensor
        (O, I, h, w) float32; I is the number of input channels of each group.
    bias : Tensor
        (O,) float32.
    """

    name: str
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Layer:
    """A layer of a graph.

    Attributes
    ----------
    name : str
        Name of the layer.
    type : str
        Operation.
    data : dict[str, str]
        Attributes of the operation.
    inputs : tuple[str, ...]
        Ids of the layers whose outputs it receives, in the order of its ports.
    """

    name: str
    type: str
    data: dict[str, str]
    inputs: tuple[str, ...]


class OpenVinoModel:
    """A network in OpenVINO IR.

    Parameters
    ----------
    xml : Path
        XML file; the constants are in the file of the same name that ends in ``.bin``.

    Attributes
    ----------
    name : str
        Name of the network.
    layers : dict[str, Layer]
        Layers by id, in the order of the file.

    Raises
    ------
    WeightsError
        If a file is missing, too large or not as expected.
    """

    def __init__(self, xml: Path) -> None:
        self.xml = xml
        self.bin = xml.with_suffix(".bin")
        root = _parse_xml(xml)
        self._constants = _read_bytes(self.bin, MAX_BIN_BYTES, f"the constants of {xml.name}")
        self.name = root.get("name", "")
        try:
            self.layers = dict(_parse_layers(root))
        except Exception as error:
            text = f"{xml}: its layers cannot be read ({type(error).__name__}: {error})"
            raise WeightsError(text) from None
        unknown = sorted({layer.type for layer in self.layers.values()} - OPERATIONS.keys() - {"Parameter", "Const"})
        if unknown:
            text = f"{xml}: has layers of type {', '.join(unknown[:5])}, which cannot be converted"
            raise WeightsError(text)

    def convolutions(self) -> list[Convolution]:
        """Return the weights of all convolutions in the order of the graph, each with the bias that is added to it.

        Raises
        ------
        WeightsError
            If the weights of a convolution are not constant, or no bias is added to its output.
        """
        biases: dict[str, str] = {}  # of each convolution
        for layer in self.layers.values():
            if layer.type == "Add" and len(layer.inputs) == 2:
                biases.setdefault(layer.inputs[0], layer.inputs[1])
        convolutions = []
        for number, layer in self.layers.items():
            if layer.type not in ("Convolution", "GroupConvolution"):
                continue
            if number not in biases or len(layer.inputs) != 2:
                raise WeightsError(f"{self.xml}: layer {layer.name} has no bias")
            values = self._evaluate([layer.inputs[1], biases[number]], {})
            weight, bias = (value.float() for value in values)
            if layer.type == "GroupConvolution":  # (groups, O / groups, I, h, w)
                weight = weight.flatten(0, 1)
            if weight.ndim != 4 or bias.numel() != len(weight):
                text = f"{self.xml}: layer {layer.name} has weights of shape {tuple(weight.shape)}"
                raise WeightsError(text)
            convolutions.append(Convolution(layer.name, weight, bias.flatten()))
        return convolutions

    def run(self, images: Tensor) -> dict[str, Tensor]:
        """Return the outputs for images, in float32 and with activations that are not quantized.

        Parameters
        ----------
        images : Tensor
            (N, 3, H, W) input; H and W may differ from those in the file.

        Returns
        -------
        dict[str, Tensor]
            Outputs by the name of the layer that computes them.

        Raises
        ------
        WeightsError
            If the graph has not exactly one input, or a layer does not fit its inputs.
        """
        parameters = [number for number, layer in self.layers.items() if layer.type == "Parameter"]
        results = [layer.inputs[0] for layer in self.layers.values() if layer.type == "Result"]
        if len(parameters) != 1 or not results:
            raise WeightsError(f"{self.xml}: has {len(parameters)} inputs and {len(results)} outputs; expected 1 input")
        outputs = self._evaluate(results, {parameters[0]: images})
        return {self.layers[number].name: output for number, output in zip(results, outputs, strict=True)}

    def _evaluate(self, numbers: list[str], values: dict[str, Tensor]) -> list[Tensor]:
        """Return the outputs of layers; ``values`` has known outputs by id, and receives those of all layers before."""
        stack = list(numbers)
        count = 0
        while stack:
            number = stack[-1]
            if number in values:
                stack.pop()
                continue
            layer = self.layers.get(number)
            if layer is None or len(stack) > len(self.layers):
                raise WeightsError(f"{self.xml}: its graph has a cycle, or a layer is missing (id {number})")
            missing = [source for source in layer.inputs if source not in values]
            if missing:
                stack += missing
                continue
            try:
                with torch.no_grad():
                    inputs = [values[source] for source in layer.inputs]
                    count += _count_values(layer, inputs)
                    if count > MAX_VALUES:
                        raise ValueError(f"the outputs have more than {MAX_VALUES:,} values")
                    values[number] = self._output(layer, inputs)
            except Exception as error:
                text = f"{self.xml}: layer {layer.name} ({layer.type}) is not valid: {error}"
                raise WeightsError(text) from None
            stack.pop()
        return [values[number] for number in numbers]

    def _output(self, layer: Layer, inputs: list[Tensor]) -> Tensor:
        if layer.type == "Const":
            return self._constant(layer)
        if layer.type == "Parameter":
            raise ValueError("the weights of a convolution must be constant")
        return OPERATIONS[layer.type](layer.data, *inputs)

    def _constant(self, layer: Layer) -> Tensor:
        shape = [int(side) for side in layer.data["shape"].split(",") if side]
        dtype, offset, size = DTYPES[layer.data["element_type"]], int(layer.data["offset"]), int(layer.data["size"])
        if min(offset, size, *shape, 0) < 0 or size != prod(shape) * dtype.itemsize:
            raise ValueError(f"{size} bytes do not hold the shape {shape}")
        if offset + size > len(self._constants):
            raise ValueError(f"{self.bin.name} is too short")
        values = torch.frombuffer(self._constants, dtype=torch.uint8, count=size, offset=offset)
        values = values.clone().view(dtype).reshape(shape)
        if dtype.is_floating_point and not bool(values.isfinite().all()):
            raise ValueError("it contains values that are not finite")
        return values.float() if dtype.is_floating_point else values


def _count_values(layer: Layer, inputs: list[Tensor]) -> int:
    """Return the number of values that a layer computes, without computing them."""
    if layer.type in ("Add", "Subtract", "Multiply"):
        return prod(torch.broadcast_shapes(*(value.shape for value in inputs)))
    if layer.type in ("Convolution", "GroupConvolution"):
        return OPERATIONS[layer.type](layer.data, *(value.to("meta") for value in inputs)).numel()
    return sum(value.numel() for value in inputs)


def _convolution(data: dict[str, str], x: Tensor, weight: Tensor, *, groups: int = 1) -> Tensor:
    begin, end, stride, dilation = (
        [int(value) for value in data[name].split(",")] for name in ("pads_begin", "pads_end", "strides", "dilations")
    )
    if data.get("auto_pad", "explicit") != "explicit" or begin != end:
        raise ValueError("its padding is not supported")
    return F.conv2d(x, weight, stride=stride, padding=begin, dilation=dilation, groups=groups)


def _group_convolution(data: dict[str, str], x: Tensor, weight: Tensor) -> Tensor:
    return _convolution(data, x, weight.flatten(0, 1), groups=len(weight))


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "Add": lambda data, a, b: a + b,
    "Subtract": lambda data, a, b: a - b,
    "Multiply": lambda data, a, b: a * b,
    "Convert": lambda data, x: x.float(),
    "Reshape": lambda data, x, shape: x.reshape([int(side) for side in shape]),
    "ReLU": lambda data, x: F.relu(x),
    "Elu": lambda data, x: F.elu(x, alpha=float(data["alpha"])),
    "Concat": lambda data, *inputs: torch.cat(inputs, dim=int(data["axis"])),
    "FakeQuantize": lambda data, x, *ranges: x,
    "Convolution": _convolution,
    "GroupConvolution": _group_convolution,
    "Result": lambda data, x: x,
}
"""Operations of layers: functions of the attributes and the inputs."""


def _read_bytes(path: Path, limit: int, content: str) -> bytearray:
    try:
        with path.open("rb") as file:
            data = bytearray(file.read(limit + 1))
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}; {content} must be next to it") from None
    if not data or len(data) > limit:
        raise WeightsError(f"{path}: has {len(data):,} bytes or more; expected 1 to {limit:,} bytes")
    return data


def _parse_xml(path: Path) -> Element:
    text = bytes(_read_bytes(path, MAX_XML_BYTES, "the .bin file"))
    try:
        root: Element = fromstring(text, forbid_dtd=True)
    except DefusedXmlException:
        raise WeightsError(f"{path}: declares a document type or entities, which OpenVINO files never do") from None
    except Exception as error:
        raise WeightsError(f"{path}: not an XML file ({error})") from None
    version = root.get("version")
    if root.tag != "net" or root.find("layers") is None or root.find("edges") is None:
        raise WeightsError(f"{path}: not a network of OpenVINO (its root is <{root.tag[:40]}>, not <net> with layers)")
    if version not in ("10", "11"):
        raise WeightsError(f"{path}: OpenVINO IR of version {version}; expected version 10 or 11")
    return root


def _parse_layers(root: Any) -> Iterator[tuple[str, Layer]]:
    """Yield the id and the content of every layer."""
    inputs: dict[str, dict[int, str]] = {}
    for edge in root.find("edges"):
        inputs.setdefault(edge.attrib["to-layer"], {})[int(edge.attrib["to-port"])] = edge.attrib["from-layer"]
    for element in root.find("layers"):
        number, data = element.attrib["id"], element.find("data")
        ports = inputs.get(number, {})
        yield (
            number,
            Layer(
                element.attrib["name"],
                element.attrib["type"],
                dict(data.attrib) if data is not None else {},
                tuple(ports[port] for port in sorted(ports)),
            ),
        )
