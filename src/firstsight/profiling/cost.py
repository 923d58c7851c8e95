"""The cost table: what every layer of a network holds, computes, keeps and sees."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from firstsight.errors import UsageError
from firstsight.profiling.receptive_field import Field
from firstsight.profiling.trace import Step, trace

CONVOLUTIONS = ("Conv", "conv")
LINEAR = ("Linear", "linear")


@dataclass(frozen=True)
class Layer:
    """A line of the table.

    Parameters
    ----------
    name, type : str
        The module's path and class, or the calling module's path and the function.
    output_shape : tuple[int, ...]
        Of the first output, for one image: (C, H, W) or (features,).
    parameters : int
        Weights and biases; those of a layer that is used twice are counted once.
    macs : int
        Multiply-accumulates of convolutions and matrix products, biases not counted.
    activation_bytes : int
        Of the output.
    receptive_field : Field | None
        What a unit sees of the image; None where the image does not come in.
    milliseconds : float | None
        Measured; None unless asked for.
    """

    name: str
    type: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    activation_bytes: int
    receptive_field: Field | None
    milliseconds: float | None = None

    @property
    def group(self) -> str:
        """What the bar picture sorts by: convolution, linear, or other."""
        if any(part in self.type for part in CONVOLUTIONS):
            return "convolution"
        return "linear" if any(part in self.type for part in LINEAR) else "other"

    def document(self) -> dict[str, Any]:
        """For JSON; the receptive field as size, stride and centre (of the first unit), each [vertical, horizontal]."""
        seen = self.receptive_field
        content: dict[str, Any] = {
            "name": self.name, "type": self.type, "output_shape": list(self.output_shape),
            "parameters": self.parameters, "macs": self.macs, "activation_bytes": self.activation_bytes,
            "receptive_field": None,
        }  # fmt: skip
        if seen:
            content["receptive_field"] = {
                "size": [_whole(axis.size) for axis in seen], "stride": [_whole(axis.step) for axis in seen],
                "centre": [_whole(axis.centre) for axis in seen], "exact": all(axis.exact for axis in seen),
            }  # fmt: skip
        if self.milliseconds is not None:
            content["milliseconds"] = round(self.milliseconds, 4)
        return content


@dataclass(frozen=True)
class Summary:
    """A network's cost for one image of ``input_shape`` (C, H, W).

    Parameters
    ----------
    parameters : int
        Of the whole network, also of parts that a prediction does not use.
    unused : Mapping[str, int]
        Names of those parts, with their parameters.
    """

    input_shape: tuple[int, int, int]
    parameters: int
    layers: tuple[Layer, ...]
    unused: Mapping[str, int]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def activation_bytes(self) -> int:
        """Bytes of all outputs: what training keeps for one image."""
        return sum(layer.activation_bytes for layer in self.layers)

    def shares(self) -> dict[str, tuple[float, float]]:
        """Of convolutions, linear layers and the rest: share of the parameters in use and of the MACs, in [0, 1]."""
        held, done = sum(layer.parameters for layer in self.layers), self.macs
        result = {}
        for group in ("convolution", "linear", "other"):
            members = [layer for layer in self.layers if layer.group == group]
            result[group] = (
                sum(layer.parameters for layer in members) / max(held, 1),
                sum(layer.macs for layer in members) / max(done, 1),
            )
        return result

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "input_shape": list(self.input_shape), "parameters": self.parameters, "macs": self.macs,
            "activation_bytes": self.activation_bytes, "unused_parameters": dict(self.unused),
            "layers": [layer.document() for layer in self.layers],
        }  # fmt: skip


def summarize(net: nn.Module, input_shape: tuple[int, int, int], *, runs: int = 0) -> Summary:
    """The cost table of a network, in eval mode.

    Parameters
    ----------
    net : nn.Module
        Any module that takes (N, C, H, W) images; on the meta device nothing is computed.
    input_shape : tuple[int, int, int]
        (C, H, W) of one image.
    runs : int
        How often to time every layer on one image (the median is given); 0 for no timing.

    Raises
    ------
    UsageError
        The network does not take such images.
    """
    first = next((p for p in net.parameters() if p.is_floating_point()), torch.empty(0))
    images = torch.zeros(1, *input_shape, dtype=first.dtype, device=first.device)
    try:
        steps = trace(net, images)
        times = [trace(net, images) for _ in range(runs + 1)][1:] if runs else []  # the first warms up
    except (RuntimeError, ValueError, IndexError) as error:
        shape = "x".join(map(str, input_shape))
        raise UsageError(
            f"{type(net).__name__} does not take an image of {shape}: {str(error).splitlines()[0]}"
        ) from None
    layers = tuple(_layer(step, [run[i].seconds for run in times]) for i, step in enumerate(steps))
    total = sum(p.numel() for p in net.parameters())
    return Summary(input_shape, total, layers, _unused(net, steps))


def _layer(step: Step, seconds: Sequence[float]) -> Layer:
    output = step.output
    return Layer(
        name=step.name, type=step.kind, output_shape=tuple(output.shape[1:]), parameters=step.parameters,
        macs=step.macs, activation_bytes=output.numel() * output.element_size(), receptive_field=step.field,
        milliseconds=1000 * statistics.median(seconds) if seconds else None,
    )  # fmt: skip


def _whole(value: float) -> float:
    """3.0 as 3."""
    return int(value) if value == int(value) else value


def _unused(net: nn.Module, steps: Sequence[Step]) -> dict[str, int]:
    """Parts of the network whose parameters no step used (auxiliary classifiers in eval mode)."""
    used = set().union(*(step.used for step in steps)) if steps else set()
    found: dict[str, int] = {}
    for name, parameter in net.named_parameters():
        if id(parameter) not in used:
            part = name.split(".", maxsplit=1)[0]
            found[part] = found.get(part, 0) + parameter.numel()
    return found
