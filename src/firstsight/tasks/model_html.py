"""HTML of a trained model in a notebook: what it is, where it is from, and its layers."""

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from firstsight import display
from firstsight.engine.device import device_of
from firstsight.text import shorten

MAX_ROWS = 24
"""Number of layers that are listed."""
MIN_ROWS = 3
"""A network with fewer direct parts is listed by their parts."""
MAX_FACT = 300
"""Number of characters of a fact."""


class Described(Protocol):
    """A trained model with its card."""

    @property
    def card(self) -> dict[str, Any]:
        """Metadata of the weights."""
        ...

    @property
    def source(self) -> str:
        """Path of the weights file."""
        ...

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input of the network."""
        ...


def model_html(title: str, model: Described, net: nn.Module, facts: Iterable[tuple[str, object]]) -> str:
    """Return the description of a trained model as HTML.

    Parameters
    ----------
    title : str
        Class of the model.
    model : Described
        The model.
    net : nn.Module
        Its network.
    facts : Iterable[tuple[str, object]]
        Name and value of what is special about this kind of model; empty values are left out.
    """
    about = model.card.get("about", {})
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in about.get("metrics", {}).items() if value is not None)
    rows = [
        ("parameters", f"{sum(p.numel() for p in net.parameters()):,}"),
        ("input", "x".join(map(str, model.input_shape))),
        *((name, value) for name, value in facts if value not in (None, "", (), 0)),
        ("trained on", about.get("data", "unknown")),
        ("metrics", metrics),
        ("device", device_of(net)),
        ("weights", model.source),
    ]
    described = [(name, shorten(str(value), MAX_FACT)) for name, value in rows if value != ""]
    layers = layer_rows(net, model.input_shape)
    hidden = [f"and {len(layers) - MAX_ROWS} more"] if len(layers) > MAX_ROWS else []
    return (
        display.paragraph(f"{title}: {model.card.get('model', type(net).__name__)}")
        + display.table(described)
        + display.table(layers[:MAX_ROWS], ("layer", "type", "output", "parameters"), numbers=[3])
        + "".join(map(display.paragraph, hidden))
    )


@torch.no_grad()
def layer_rows(net: nn.Module, input_shape: tuple[int, ...]) -> list[tuple[str, str, str, str]]:
    """Return name, type, output shape for one input, and number of parameters of the parts of a network.

    The output shape is empty for a part that inference does not use.

    Parameters
    ----------
    net : nn.Module
        Network in eval mode.
    input_shape : tuple[int, ...]
        Shape of one input.
    """
    parts = dict(net.named_children())
    if len(parts) < MIN_ROWS:
        inner = {f"{name}.{key}": module for name, part in parts.items() for key, module in part.named_children()}
        parts = inner if len(inner) > len(parts) else parts
    shapes: dict[str, str] = {}
    hooks = [
        child.register_forward_hook(lambda module, inputs, output, name=name: shapes.update({name: _shape_of(output)}))
        for name, child in parts.items()
    ]
    weight = next(net.parameters())
    try:
        net(torch.zeros(1, *input_shape, dtype=weight.dtype, device=weight.device))
    finally:
        for hook in hooks:
            hook.remove()
    return [
        (name, type(child).__name__, shapes.get(name, ""), f"{sum(p.numel() for p in child.parameters()):,}")
        for name, child in parts.items()
    ]


def _shape_of(output: Any) -> str:
    """Return the shape of an output without the batch axis, as in "64x28x28"; of the first of several."""
    while isinstance(output, tuple | list) and output:
        output = output[0]
    return "x".join(map(str, output.shape[1:])) if isinstance(output, Tensor) else ""
