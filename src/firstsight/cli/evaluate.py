"""``firstsight evaluate``."""

from dataclasses import dataclass
from typing import Annotated

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import parse


@dataclass(frozen=True)
class Arguments:
    """Measure a trained network on the test split of a data set."""

    weights: Annotated[Positional[str], tyro.conf.arg(metavar="RUN_OR_WEIGHTS")]
    """A run directory, shipped or published weights (see: firstsight weights list), or a .safetensors file."""
    data: str | None = None
    """Data set: a name or a path (default: what the network was trained on)."""
    strict: bool = False
    """Refuse data with unusable pictures instead of leaving them out."""
    json: bool = False
    """Print the result as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, evaluate, print."""
    arguments = parse(Arguments, "evaluate", argv)
    from firstsight.cli.console import print_json, remark
    from firstsight.tasks.predict import evaluate
    from firstsight.weights.classifier import load

    network = load(arguments.weights, notify=remark)
    found = evaluate(network, arguments.data or trained_on(arguments.weights), strict=arguments.strict)
    for note in found.notes:
        remark(f"{found.data}: {note}")
    if arguments.json:
        print_json({"metrics": dict(found.metrics), "n": found.n, "model": found.model, "data": found.data})
    else:
        right = round(found.metrics["accuracy"] * found.n)
        print(
            f"{found.model} on {found.data}: accuracy {found.metrics['accuracy']:.2%} ({right:,} of {found.n:,} images)"
        )
        print(f"loss {found.metrics['loss']:.4f} nats")
    return 0


def trained_on(weights: str) -> str | None:
    """The data that a run directory was trained on, as given then; None for a file or shipped weights."""
    from pathlib import Path

    from firstsight.engine.rundir import read_config

    config = read_config(Path(weights)) if Path(weights).is_dir() else None
    return str(config["settings"]["data"]) if config else None
