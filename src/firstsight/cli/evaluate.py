"""``firstsight evaluate``."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from firstsight.cli.names import check_data, check_weights
from firstsight.cli.parse import ADVANCED, NO_DEFAULT, Device, Flag, Maybe, parse_given
from firstsight.errors import UsageError

EXAMPLES = (
    "firstsight evaluate lenet-digits",
    "firstsight evaluate latest --data more-photos/",
    "firstsight evaluate pose-tiny-lsp --data people.json",
)


@dataclass(frozen=True)
class Arguments:
    """Evaluate a trained model on the test split of a data set, or on all images of data without one.

    A classifier: accuracy and loss. A generator: Frechet distance, precision and recall against test images. A pose
    network: COCO average precision and the percentage of correct keypoints (PCK@0.2).
    """

    weights: Annotated[Positional[str], tyro.conf.arg(metavar="RUN_OR_WEIGHTS")]
    """Run directory, latest, .safetensors file, or name of weights (see: firstsight weights list); latest is the newest
    run. The published checkpoint_iter_370000.pth of lightweight OpenPose can be given, too."""
    data: Maybe[str] = None
    """Name or path of a data set (default: that of the training, of which the held-out images are measured). For a pose
    network a JSON file of COCO keypoints, or its folder."""
    device: Device = "auto"
    """Device to compute on; auto uses a GPU if there is one."""
    strict: Annotated[bool, ADVANCED] = False
    """Refuse data with unusable images instead of leaving them out."""
    force: Annotated[bool, NO_DEFAULT, ADVANCED] = False
    """Replace an existing file of --results (pose networks)."""
    json: Flag = False
    """Print the result as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, evaluate, print."""
    from firstsight.tasks.spec import TASKS

    kinds = {
        spec.evaluate_options: spec.resolve("evaluate_options")() for spec in TASKS.values() if spec.evaluate_options
    }
    arguments, options = _read(argv, [*kinds.values()])
    from firstsight.cli.console import log, out, print_json, progress, say, table
    from firstsight.cli.outputs import check_outputs
    from firstsight.engine.rundir import find_latest

    weights = find_latest(arguments.weights, notify=log) or arguments.weights
    spec = check_weights(str(weights), "evaluate", argv=argv)
    if spec is not None and spec.command != "pose" and arguments.data is not None:
        check_data(arguments.data)
    if spec is None:
        from firstsight.tasks.load import kind_of

        spec = kind_of(weights, notify=log)
    known = {f.name for f in fields(kinds[spec.evaluate_options])} if spec.evaluate_options else set()
    for name in options:
        if name not in known:
            raise UsageError(f"`{name}` is not for a {spec.title}, which {weights} is")
    if "results" in options:
        inputs: list[str | Path] = [weights, *_files_of(arguments.data)]
        check_outputs([options["results"]], inputs=inputs, force=arguments.force, option="results", suffixes=(".json",))
    from firstsight.tasks.evaluate import evaluate

    evaluation = evaluate(
        weights,
        arguments.data,
        device=arguments.device,
        strict=arguments.strict,
        notify=log,
        progress=lambda items: progress(items, "evaluate"),
        **options,
    )
    for note in evaluation.notes:
        log(f"{evaluation.data}: {note}")
    if arguments.json:
        print_json(evaluation.to_dict())
        return 0
    say(evaluation.headline())
    if rows := evaluation.rows():
        result = table("metric", "value", "description", right=("value",))
        for row in rows:
            result.add_row(*row)
        out().print(result)
    say(*evaluation.details())
    return 0


def _files_of(data: str | None) -> list[Path]:
    """Return the annotation files of a data set that is named by its path."""
    path = Path(data or "")
    return [path, *path.rglob("*.json")] if data and path.is_dir() else [path]


def _read(argv: list[str], options: list[Any]) -> tuple[Arguments, dict[str, Any]]:
    """Return the arguments, and the options of one kind of task that were given."""
    given, extra = parse_given(Arguments, "evaluate", argv, settings=options, examples=EXAMPLES)
    return Arguments(**given), extra
