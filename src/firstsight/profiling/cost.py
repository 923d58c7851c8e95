"""Cost table of a network: parameters, multiply-accumulates, activation memory and receptive field of each layer."""

import statistics
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from firstsight import display
from firstsight.display import Result
from firstsight.errors import UsageError
from firstsight.profiling.receptive_field import Field
from firstsight.profiling.trace import Step, trace
from firstsight.text import one_line

CONVOLUTIONS = ("Conv", "conv")
LINEAR = ("Linear", "linear")


@dataclass(frozen=True)
class Layer:
    """One row of the cost table.

    Attributes
    ----------
    name : str
        Path of the module, or path of the calling module and name of the function.
    type : str
        Class of the module, or name of the function.
    output_shape : tuple[int, ...]
        Shape of the first output for one image: (C, H, W) or (features,).
    parameters : int
        Number of weights and biases. Parameters of a layer that is called twice are counted once.
    macs : int
        Multiply-accumulates of convolutions and matrix products, without biases.
    activation_bytes : int
        Size of the output in bytes.
    receptive_field : Field | None
        Receptive field of a unit in the image; None if the layer does not depend on the image.
    milliseconds : float | None
        Wall time; None if not measured.
    not_counted : tuple[str, ...]
        Operations whose multiply-accumulates are not in ``macs``.
    """

    name: str
    type: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    activation_bytes: int
    receptive_field: Field | None
    milliseconds: float | None = None
    not_counted: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """Group in the bar chart: convolution, linear, or other."""
        if any(part in self.type for part in CONVOLUTIONS):
            return "convolution"
        return "linear" if any(part in self.type for part in LINEAR) else "other"

    @property
    def is_costly(self) -> bool:
        """Return whether the layer has parameters, computes, pools or joins."""
        is_computed = self.macs or self.not_counted
        return bool(
            self.parameters or is_computed or "pool" in self.type.lower() or self.type in ("cat", "mean", "amax")
        )

    def cells(self) -> tuple[str, ...]:
        """Return the row of the cost table as text, see `Summary.table`."""
        return (
            self.name,
            self.type,
            "x".join(map(str, self.output_shape)),
            f"{self.parameters:,}" if self.parameters else "",
            (f"{self.macs:,}" if self.macs else "") + (" + ?" if self.macs else "?") * bool(self.not_counted),
            f"{self.activation_bytes / 1024:,.1f}",
            *_field_cells(self.receptive_field),
            *([f"{self.milliseconds:.3f}"] if self.milliseconds is not None else []),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the layer as a dictionary for JSON.

        The receptive field has size, stride, and center of the first unit, each as [vertical, horizontal].
        """
        content: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "output_shape": list(self.output_shape),
            "parameters": self.parameters,
            "macs": self.macs,
            "activation_bytes": self.activation_bytes,
            "receptive_field": None,
        }
        field = self.receptive_field
        if field:
            content["receptive_field"] = {
                "size": [_simplify(axis.size) for axis in field],
                "stride": [_simplify(axis.stride) for axis in field],
                "center": [_simplify(axis.center) for axis in field],
                "exact": all(axis.is_exact for axis in field),
            }
        if self.not_counted:
            content["not_counted"] = list(self.not_counted)
        if self.milliseconds is not None:
            content["milliseconds"] = round(self.milliseconds, 4)
        return content


@dataclass(frozen=True, repr=False)
class Summary(Result):
    """Cost of a network for one image.

    Attributes
    ----------
    input_shape : tuple[int, int, int] | tuple[int]
        Shape of the image (C, H, W), or (D,) of the latent vector.
    parameters : int
        Number of parameters of the whole network, including unused parts.
    layers : tuple[Layer, ...]
        Rows of the cost table in the order of execution.
    unused : Mapping[str, int]
        Names of the parts that inference does not use, with their numbers of parameters.
    other_shapes : tuple[tuple[int, ...], ...]
        Shapes of the inputs after the image, without the batch axis.
    """

    input_shape: tuple[int, int, int] | tuple[int]
    parameters: int
    layers: tuple[Layer, ...]
    unused: Mapping[str, int]
    other_shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def macs(self) -> int:
        """Total multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def not_counted(self) -> dict[str, list[str]]:
        """Layers with operations whose multiply-accumulates are not in ``macs``, and the names of these."""
        return {layer.name: list(layer.not_counted) for layer in self.layers if layer.not_counted}

    @property
    def activation_bytes(self) -> int:
        """Total size of all outputs in bytes: the memory that training needs for the activations of one image."""
        return sum(layer.activation_bytes for layer in self.layers)

    def shares(self) -> dict[str, tuple[float, float]]:
        """Return the fractions of parameters in use and of MACs for convolution, linear and other layers, in [0, 1]."""
        total_parameters = sum(layer.parameters for layer in self.layers)
        total_macs = self.macs
        result = {}
        for group in ("convolution", "linear", "other"):
            members = [layer for layer in self.layers if layer.group == group]
            result[group] = (
                sum(layer.parameters for layer in members) / max(total_parameters, 1),
                sum(layer.macs for layer in members) / max(total_macs, 1),
            )
        return result

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as a dictionary for JSON."""
        return {
            "input_shape": list(self.input_shape),
            "parameters": self.parameters,
            "macs": self.macs,
            "activation_bytes": self.activation_bytes,
            "unused_parameters": dict(self.unused),
            "not_counted": self.not_counted,
            "layers": [layer.to_dict() for layer in self.layers],
        }

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "layer",
        "type",
        "output",
        "parameters",
        "MACs",
        "kB",
        "receptive field",
        "stride",
    )

    def table(self, *, every: bool = False) -> list[tuple[str, ...]]:
        """Return the rows of the cost table as text, in the order of `COLUMNS`.

        Parameters
        ----------
        every : bool
            Include layers that neither have parameters nor compute nor pool. Times, if measured, are a last column.
        """
        return [layer.cells() for layer in self.layers if every or layer.is_costly]

    def totals(self) -> list[str]:
        """Return lines with the totals of the network."""
        size = " and ".join("x".join(map(str, shape)) for shape in (self.input_shape, *self.other_shapes))
        what = "latent vector" if len(self.input_shape) == 1 else "image"
        lines = [
            f"{self.parameters:,} parameters; one {what} of {size}: {self.macs:,} MACs,"
            f" {self.activation_bytes / 1024:,.0f} kB of activations"
        ]
        for group, (parameters, macs) in self.shares().items():
            if parameters or macs:
                lines.append(f"  {group}: {parameters:.1%} of the parameters, {macs:.1%} of the MACs")
        if self.unused:
            parts = ", ".join(f"{name} {count:,}" for name, count in self.unused.items())
            lines.append(f"  not used in inference: {parts}")
        if self.not_counted:
            parts = ", ".join(f"{' and '.join(names)} in {layer}" for layer, names in self.not_counted.items())
            lines.append(f"  MACs not counted: {parts}")
        return lines

    def __str__(self) -> str:
        rows = [self.COLUMNS, *self.table()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.COLUMNS))]
        text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]
        return "\n".join([*text, "", *self.totals()])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        rows = [row[: len(self.COLUMNS)] for row in self.table()]
        return display.table(rows, self.COLUMNS, numbers=[3, 4, 5]) + "".join(map(display.paragraph, self.totals()))


def summarize(
    net: nn.Module, input_shape: tuple[int, int, int] | tuple[int], *other_shapes: tuple[int, ...], runs: int = 0
) -> Summary:
    """Compute the cost table of a network in eval mode.

    Parameters
    ----------
    net : nn.Module
        Any module that accepts (N, C, H, W) images. On the meta device nothing is computed. A network with lazy
        modules is copied, and the copy is initialized.
    input_shape : tuple[int, int, int] | tuple[int]
        Shape of one image (C, H, W), or (D,) of one latent vector of a generator.
    *other_shapes : tuple[int, ...]
        Shapes of the inputs after the image, without the batch axis.
    runs : int
        Number of timed runs on one image, of which the median is reported; 0 disables timing.

    Returns
    -------
    Summary
        The cost of all layers.

    Raises
    ------
    UsageError
        If the network does not accept inputs of these shapes, or it is TorchScript.
    """
    net = getattr(net, "_orig_mod", net)  # of torch.compile
    name = type(net).__name__
    if any(isinstance(module, torch.jit.ScriptModule) for module in net.modules()):
        raise UsageError(f"{name} is TorchScript, whose layers cannot be watched; use the module that it was made from")
    try:
        net, inputs = _prepare(net, (input_shape, *other_shapes))
        steps = trace(net, *inputs)
        timed_runs = [trace(net, *inputs, count=False) for _ in range(runs + 1)][1:] if runs else []  # with a warm-up
    except Exception as error:  # the forward is code of the user
        raise UsageError(_describe(error, net, (input_shape, *other_shapes))) from None
    layers = tuple(_to_layer(step, [run[i].seconds for run in timed_runs]) for i, step in enumerate(steps))
    if len(input_shape) == 1:  # a latent vector has no pixels
        layers = tuple(replace(layer, receptive_field=None) for layer in layers)
    total = sum(_size(p) for p in net.parameters())
    return Summary(input_shape, total, layers, _find_unused(net, steps), other_shapes)


def _prepare(net: nn.Module, shapes: Sequence[tuple[int, ...]]) -> tuple[nn.Module, list[Tensor]]:
    """Return the network without lazy modules, and an input of each shape."""
    weights = [p for p in net.parameters() if not is_lazy(p)]
    first = next((p for p in weights if p.is_floating_point()), torch.empty(0))
    inputs = [torch.zeros(1, *shape, dtype=first.dtype, device=first.device) for shape in shapes]
    if any(is_lazy(tensor) for tensor in (*net.parameters(), *net.buffers())):
        lazy = {id(b): b for b in net.buffers() if is_lazy(b)}
        net = deepcopy(net, {key: _new_buffer(b) for key, b in lazy.items()}).eval()  # they cannot be copied
        with torch.no_grad():
            net(*inputs)
    return net, inputs


def _new_buffer(buffer: Tensor) -> Tensor:
    new: Tensor = UninitializedBuffer(device=buffer.device, dtype=buffer.dtype)  # type: ignore[call-arg]  # torch's stubs
    return new


def _describe(error: Exception, net: nn.Module, shapes: Sequence[tuple[int, ...]]) -> str:
    texts = ["x".join(map(str, shape)) for shape in shapes]
    reason = str(error).strip() or type(error).__name__
    if isinstance(error, AssertionError | KeyError | LookupError):  # their text alone says little
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
    sentence = f"{type(net).__name__} does not accept an image of {' and '.join(texts)}: {reason.splitlines()[0]}"
    if isinstance(error, TypeError) and "missing" in reason:
        sentence += f"; give the shapes of all inputs, as in {texts[0]},16"
    return one_line(sentence)


def _size(parameter: Tensor) -> int:
    """Return the number of values; 0 for a parameter that was never initialized."""
    return 0 if is_lazy(parameter) else parameter.numel()


def _to_layer(step: Step, seconds: Sequence[float]) -> Layer:
    output = step.output
    return Layer(
        name=step.name,
        type=step.kind,
        output_shape=tuple(output.shape[1:]),
        parameters=step.parameters,
        macs=step.macs,
        activation_bytes=output.numel() * output.element_size(),
        receptive_field=step.field,
        milliseconds=1000 * statistics.median(seconds) if seconds else None,
        not_counted=tuple(sorted(step.not_counted)),
    )


def _simplify(value: float) -> float:
    """Convert a float with an integer value to int, so that JSON has 3 instead of 3.0."""
    return int(value) if value == int(value) else value


def _find_unused(net: nn.Module, steps: Sequence[Step]) -> dict[str, int]:
    """Return the parts of the network with unused parameters (auxiliary classifiers in eval mode) and their sizes."""
    used = set().union(*(step.parameter_ids for step in steps)) if steps else set()
    sizes: dict[str, int] = {}
    for name, parameter in net.named_parameters():
        if id(parameter) not in used:
            part = name.split(".", maxsplit=1)[0]
            sizes[part] = sizes.get(part, 0) + _size(parameter)
    return sizes


def _field_cells(field: Field | None) -> tuple[str, str]:
    """Return size and stride of a receptive field as text; "~" marks a size that is not exact."""
    if field is None:
        return "", ""
    sizes = [f"{axis.size:g}" for axis in field]
    strides = [f"{axis.stride:g}" for axis in field]
    size, stride = ("x".join(pair) if pair[0] != pair[1] else pair[0] for pair in (sizes, strides))
    mark = "" if all(axis.is_exact for axis in field) else "~"
    return mark + size, stride if stride != "0" else "all"
