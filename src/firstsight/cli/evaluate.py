"""``firstsight evaluate``."""

from dataclasses import dataclass
from typing import Annotated

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import parse


@dataclass(frozen=True)
class Arguments:
    """Measure a trained network on the test split of a data set; a generator against its pictures."""

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
    from firstsight.cli.console import remark
    from firstsight.weights.classifier import kind_of

    if kind_of(arguments.weights, remark) == "generator":
        return _generator(arguments)
    return _classifier(arguments)


def _classifier(arguments: Arguments) -> int:
    from firstsight.cli.console import print_json, remark
    from firstsight.tasks.predict import evaluate
    from firstsight.weights.classifier import load

    network = load(arguments.weights, notify=remark)
    found = evaluate(network, arguments.data, strict=arguments.strict)
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


def _generator(arguments: Arguments) -> int:
    from dataclasses import asdict

    from firstsight.cli.console import out, print_json, remark, table
    from firstsight.tasks.measure import measure

    found = measure(arguments.weights, arguments.data, strict=arguments.strict)
    for note in found.notes:
        remark(f"{found.data}: {note}")
    if arguments.json:
        print_json(asdict(found))
        return 0
    shown = table("measure", "value", "what it says", right=("value",))
    for name, value in found.metrics.items():
        shown.add_row(name, f"{value:.4g}", meaning(name))
    for name, shares in found.purities.items():
        shown.add_row(name, " ".join(f"{share:.2f}" for share in shares), "the purity of each of its values")
    screen = out()
    screen.print(f"{found.model} on {found.data}: {found.n:,} generated against {found.n:,} test pictures")
    screen.print(shown)
    screen.print(
        f"features of {found.judge} (SHA-256 {found.sha256[:12]}); not to be compared with other N or features"
    )
    return 0


MEANINGS = {
    "frechet": "distance to real pictures, less is better",
    "frechet_floor": "the same of training pictures: what to come near to",
    "precision": "share of generated pictures that lie among real ones",
    "recall": "share of real pictures that lie among generated ones",
    "density": "how deep generated pictures lie among real ones",
    "coverage": "share of real pictures with a generated neighbour",
    "modes": "classes that at least one picture in a hundred shows",
    "kl": "KL divergence of the classes made from the real ones, in nats",
    "sure": "mean probability of the judge's answers",
    "q_error": "share of test pictures that Q puts into a wrong category, one for each class",
    "q_error_majority": "the same, with several categories for a class",
}


def meaning(name: str) -> str:
    """What a measure of a generator says, in a line."""
    if name.endswith("_purity"):
        return (
            f"share of the pictures of a value of {name.partition('_')[0]} that are of one class, mean over its values"
        )
    if name.endswith(("_slant", "_width")):
        code, _, shape = name.partition("_")
        return f"correlation of {code} with {'slant' if shape == 'slant' else 'stroke width'}"
    return MEANINGS[name]
