"""``firstsight summary``."""

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import Flag, Maybe, parse

if TYPE_CHECKING:
    from torch import nn

    from firstsight.profiling import Axis, Layer, Summary

TIMED_RUNS = 5


@dataclass(frozen=True)
class Arguments:
    """The cost table of a network: what every layer holds, computes, keeps and sees of the image.

    MACs are multiply-accumulates of convolutions and matrix products, biases not counted. The field is how many pixels
    of the image a unit sees, and by how many the fields of neighbours are apart.
    """

    model: Annotated[Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A network (see: firstsight models), a run or weights, or a function of your own: package.module:build."""
    input: Maybe[str] = None
    """Image as CxHxW, like 3x224x224 (default: what the network is made for)."""
    variant: Maybe[str] = None
    """paper or torchvision, for the networks that have both."""
    all: Flag = False
    """Also the layers that neither hold nor compute nor pool."""
    time: Flag = False
    """Measure every layer on one image (median of 5 runs)."""
    out: Maybe[Path] = None
    """Draw where the parameters and the work are (PNG)."""
    json: Flag = False
    """Print as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, trace, print."""
    arguments = parse(Arguments, "summary", argv)
    from firstsight.cli.console import print_json, write_figure
    from firstsight.profiling import summarize

    shape = _shape(arguments.input)
    net, shape = _network(arguments.model, shape, arguments.variant, real=arguments.time)
    summary = summarize(net, shape, runs=TIMED_RUNS if arguments.time else 0)
    if arguments.out:
        from firstsight import plots

        size = "x".join(map(str, shape))
        write_figure(plots.cost(summary, f"{arguments.model}, one image of {size}"), arguments.out)
    if arguments.json:
        print_json({"model": arguments.model, **summary.document()})
    else:
        _print(summary, every=arguments.all)
        if arguments.out:
            print(f"figure: {arguments.out}")
    return 0


def _shape(text: str | None) -> tuple[int, int, int] | None:
    from firstsight.errors import UsageError

    if text is None:
        return None
    numbers = text.lower().split("x")
    if len(numbers) != 3 or not all(number.isdigit() and int(number) for number in numbers):
        raise UsageError(f"--input must be channels x height x width, like 3x224x224; got {text}")
    return int(numbers[0]), int(numbers[1]), int(numbers[2])


def _network(
    name: str, shape: tuple[int, int, int] | None, variant: str | None, *, real: bool
) -> "tuple[nn.Module, tuple[int, int, int]]":
    """The network and the shape of its images; without memory where it is only to be counted."""
    import torch

    from firstsight.errors import UsageError, unknown_name
    from firstsight.models.classification import create_model
    from firstsight.models.registry import CLASSIFICATION_MODELS
    from firstsight.weights.bundled import bundled, cached
    from firstsight.weights.classifier import load

    if name in CLASSIFICATION_MODELS:
        entry = CLASSIFICATION_MODELS[name]
        channels, height, width = shape or (entry.in_channels, entry.image_size, entry.image_size)
        sides = (height, width)
        size = height if entry.needs_image_size or entry.is_fixed_size else min(sides)
        with torch.device("cpu" if real else "meta"):
            net = create_model(name, in_channels=channels, image_size=size, variant=variant)
        return net, (channels, *sides)
    if variant:
        raise UsageError(f"--variant chooses how a network of firstsight models is built; {name} is built already")
    if ":" in name:
        return _own(name), shape or (3, 224, 224)
    if name not in {**bundled(), **cached()} and not Path(name).exists():
        raise unknown_name(
            "model", name, CLASSIFICATION_MODELS, "see: firstsight models; or give package.module:function"
        )
    network = load(name)
    side = network.preprocess.input_size
    return network.model, shape or (network.preprocess.channels, side, side)


def _own(name: str) -> "nn.Module":
    """A network of the user's: ``package.module:build``, a function without arguments, a class, or a network."""
    from torch import nn

    from firstsight.errors import UsageError

    module_name, _, attribute = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        made = getattr(import_module(module_name), attribute)
        net = made if isinstance(made, nn.Module) else made()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"{name}: cannot be built ({error})") from error
    finally:
        sys.path.pop(0)
    if not isinstance(net, nn.Module):
        raise UsageError(f"{name}: gives a {type(net).__name__}, not a torch.nn.Module")
    return net


def _print(summary: "Summary", *, every: bool) -> None:
    from firstsight.cli.console import out, table

    timed = any(layer.milliseconds is not None for layer in summary.layers)
    columns = [
        "layer",
        "type",
        "output",
        "parameters",
        "MACs",
        "kB kept",
        "field",
        "stride",
        *(["ms"] if timed else []),
    ]
    shown = table(*columns, right=tuple(columns[3:]))
    layers = [layer for layer in summary.layers if every or _counts(layer)]
    for layer in layers:
        cells = [
            layer.name, layer.type, "x".join(map(str, layer.output_shape)), _many(layer.parameters), _many(layer.macs),
            f"{layer.activation_bytes / 1024:,.1f}", *_field(layer.receptive_field),
        ]  # fmt: skip
        shown.add_row(*cells, *([f"{layer.milliseconds:.3f}"] if layer.milliseconds is not None else []))
    console = out()
    console.print(shown)
    console.print()
    console.print(
        f"{summary.parameters:,} parameters; one image of {'x'.join(map(str, summary.input_shape))}: "
        f"{summary.macs:,} MACs, {summary.activation_bytes / 1024:,.0f} kB of outputs"
    )
    for group, (held, done) in summary.shares().items():
        if held or done:
            console.print(f"  {group}: {held:.1%} of the parameters, {done:.1%} of the MACs")
    if summary.unused:
        parts = ", ".join(f"{name} {count:,}" for name, count in summary.unused.items())
        console.print(f"  not used in a prediction: {parts}")
    if len(layers) < len(summary.layers):
        console.print(f"  {len(summary.layers) - len(layers)} layers that act on single values are not shown (--all)")


def _counts(layer: "Layer") -> bool:
    """Does it hold, compute, pool or join?"""
    return bool(layer.parameters or layer.macs or "pool" in layer.type.lower() or layer.type in ("cat", "mean", "amax"))


def _many(number: int) -> str:
    return f"{number:,}" if number else ""


def _field(field: "tuple[Axis, Axis] | None") -> tuple[str, str]:
    if field is None:
        return "", ""
    about = "" if all(axis.exact for axis in field) else "~"
    sizes = [f"{axis.size:g}" for axis in field]
    steps = [f"{axis.step:g}" for axis in field]
    both = ["x".join(pair) if pair[0] != pair[1] else pair[0] for pair in (sizes, steps)]
    return about + both[0], both[1] if both[1] != "0" else "all"
