"""``firstsight summary``."""

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from firstsight.cli.names import check_network
from firstsight.cli.parse import Flag, Maybe, parse
from firstsight.models.registry import CLASSIFICATION_MODELS, check_options

if TYPE_CHECKING:
    from torch import nn

    from firstsight.profiling import Summary

TIMED_RUNS = 5


EXAMPLES = ("firstsight summary resnet18", "firstsight summary lenet --time --out lenet.png")


@dataclass(frozen=True)
class Arguments:
    """Print parameters, MACs (multiply-accumulate operations), activations and receptive field of every layer.

    MACs are those of convolutions and matrix products, without biases. The receptive field is the number of input
    pixels that a unit depends on; the stride is the distance of the fields of neighboring units.
    """

    model: Annotated[Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A network (see: firstsight models), a run, weights, or a function of your own: package.module:build."""
    input: Maybe[str] = None
    """Shape of the image as CxHxW, like 3x224x224 (default: that of the network); several inputs are separated by
    commas."""
    variant: Maybe[str] = None
    """Variant of a network with several, such as paper of alexnet; firstsight models lists them."""
    all: Flag = False
    """Also print layers that neither have parameters nor compute nor pool."""
    totals: Flag = False
    """Print only the totals of the network, without its layers."""
    time: Flag = False
    """Measure the time of every layer on one image (median of 5 runs)."""
    out: Maybe[Path] = None
    """Write a figure of parameters and MACs to this file: .png, .jpg, .svg or .pdf."""
    force: Flag = False
    """Replace an existing file."""
    json: Flag = False
    """Print as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, trace, print."""
    arguments = parse(Arguments, "summary", argv, examples=EXAMPLES)
    from firstsight.cli.console import print_json, say, write_figure
    from firstsight.cli.outputs import FIGURES, check_outputs

    if arguments.out:
        check_outputs([arguments.out], inputs=[arguments.model], force=arguments.force, suffixes=FIGURES)
    shapes = _parse_shapes(arguments.input)
    if ":" not in arguments.model:
        check_network(arguments.model)
        if arguments.model in CLASSIFICATION_MODELS:
            check_options(CLASSIFICATION_MODELS[arguments.model], None, None, arguments.variant)
    from firstsight.tasks.summary import summary

    model = _import_network(arguments.model) if ":" in arguments.model else arguments.model
    result = summary(
        model,
        shapes,
        variant=arguments.variant,
        runs=TIMED_RUNS if arguments.time else 0,
    )
    if arguments.out:
        from firstsight import plots

        size = "x".join(map(str, result.input_shape))
        write_figure(plots.cost(result, f"{arguments.model}, one image of {size}"), arguments.out)
    if arguments.json:
        print_json({"model": arguments.model, **result.to_dict()})
    else:
        if not arguments.totals:
            _print_layers(result, every=arguments.all)
        say(*result.totals())
        if arguments.out:
            say(f"figure: {arguments.out}")
    return 0


def _parse_shapes(text: str | None) -> "list[tuple[int, ...]] | None":
    from firstsight.arguments import is_digits
    from firstsight.errors import UsageError
    from firstsight.text import one_line

    if text is None:
        return None
    shapes = [part.lower().split("x") for part in text.split(",")]
    is_valid = len(shapes[0]) == 3 and all(is_digits(size) and int(size) for shape in shapes for size in shape)
    if not is_valid:
        raise UsageError(f"`input` must be channels x height x width, like 3x224x224; got {one_line(text, 60)}")
    return [tuple(map(int, shape)) for shape in shapes]


def _import_network(name: str) -> "nn.Module":
    """Return the network of ``package.module:build``: a function without arguments, a class, or a network."""
    from torch import nn

    from firstsight.errors import UsageError

    module_name, _, attribute = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        built = getattr(import_module(module_name), attribute)
        net = built if isinstance(built, nn.Module) else built()
    except (Exception, SystemExit) as error:  # code of the user, which may also be a program that exits
        reason = str(error) if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: {error}"
        raise UsageError(f"{name}: cannot be built ({reason})") from error
    finally:
        sys.path.remove(str(Path.cwd()))
    if not isinstance(net, nn.Module):
        raise UsageError(f"{name}: must return a torch.nn.Module; got {type(net).__name__}")
    return net


def _print_layers(summary: "Summary", *, every: bool) -> None:
    """Print the cost table."""
    from firstsight.cli.console import out, say, table

    is_timed = any(layer.milliseconds is not None for layer in summary.layers)
    columns = (*summary.COLUMNS, *(["ms"] if is_timed else []))
    rows = table(*columns, right=columns[3:])
    shown = summary.table(every=every)
    for cells in shown:
        rows.add_row(*cells)
    out().print(rows)
    hidden = len(summary.layers) - len(shown)
    say(*([f"{hidden} elementwise layers are not shown (--all)"] if hidden else []), "")
