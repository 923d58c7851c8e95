"""``firstsight export``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import Positional

from firstsight.cli.names import check_weights
from firstsight.cli.parse import Flag, parse

if TYPE_CHECKING:
    from firstsight.tasks.export_plan import ExportPlan

EXAMPLES = ("firstsight export lenet-mnist lenet.onnx --check", "firstsight export runs/mine mine.pt2")


@dataclass(frozen=True)
class Arguments:
    """Write a trained network to a file for other programs.

    The suffix chooses the format: .onnx (for onnxruntime and other programs; needs pip install onnx onnxscript
    onnxruntime), .pt2 (a program of torch.export), or .safetensors (the tensors alone). The batch size is dynamic, and
    so are height and width of pose networks with maps. Preprocessing, classes, skeleton or latent space are in the
    metadata.
    """

    model: Annotated[Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A run directory, a weights file, or the name of weights (see: firstsight weights list)."""
    out: Annotated[Positional[Path], tyro.conf.arg(metavar="FILE")]
    """File to write: .onnx, .pt2 or .safetensors."""
    check: Flag = False
    """Compare the file with the network on 16 inputs."""
    random_weights: Flag = False
    """MODEL is a network (see: firstsight models); write it with random weights."""
    force: Flag = False
    """Replace an existing file."""
    json: Flag = False
    """Print as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, export, compare, print."""
    arguments = parse(Arguments, "export", argv, examples=EXAMPLES)
    from firstsight.cli.outputs import check_outputs

    check_outputs(
        [arguments.out],
        inputs=[arguments.model],
        force=arguments.force,
        option="FILE",
        suffixes=(".onnx", ".pt2", ".safetensors"),
    )
    if not arguments.random_weights:
        check_weights(arguments.model, "export", argv=argv)
    from firstsight.cli.console import log, print_json
    from firstsight.tasks.export import check_export, check_format, export, find_model, make_plan

    check_format(arguments.out, is_program=arguments.check or arguments.random_weights)
    loaded = find_model(arguments.model, random_weights=arguments.random_weights, notify=log)
    export(loaded, arguments.out)
    plan = make_plan(loaded)
    differences = check_export(loaded, arguments.out) if arguments.check else {}
    size = arguments.out.stat().st_size
    if arguments.json:
        document = {"file": str(arguments.out), "bytes": size, "input": plan.input_name, "shape": _shape(plan)}
        print_json(document | {"outputs": list(plan.output_names), "differences": differences})
    else:
        _print(plan, arguments.out, size, differences)
    return 0


def _shape(plan: "ExportPlan") -> list[Any]:
    """Return the shape of the input, with names for dynamic axes."""
    sides = ["height", "width"] if plan.side_multiple else list(plan.shape[1:])
    return ["batch", plan.shape[0], *sides]


def _print(plan: "ExportPlan", path: Path, size: int, differences: dict[str, float]) -> None:
    from firstsight.cli.console import say

    say(f"wrote {path} ({size / 1e6:.1f} MB)")
    if path.suffix.lower() == ".safetensors":
        return
    multiple = f" (multiples of {plan.side_multiple})" if plan.side_multiple else ""
    say(f"  input   {plan.input_name}: {' x '.join(map(str, _shape(plan)))}{multiple}, float32")
    say(f"  output  {', '.join(plan.output_names)}")
    for name, difference in differences.items():
        say(f"  check   {name}: largest difference on 16 inputs is {difference:.1g} standard deviations")
