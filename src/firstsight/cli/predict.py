"""``firstsight predict``."""

from dataclasses import asdict, dataclass
from typing import Annotated

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import parse


@dataclass(frozen=True)
class Arguments:
    """Say what pictures show: the most probable classes of each."""

    weights: Annotated[Positional[str], tyro.conf.arg(metavar="RUN_OR_WEIGHTS")]
    """A run directory, shipped weights (see: firstsight models), or a .safetensors file."""
    images: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="IMAGE...")]
    """Pictures: PNG, JPEG, GIF, BMP, TIFF, WebP or PPM."""
    top: int = 5
    """How many classes to name for each picture."""
    json: bool = False
    """Print the result as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, predict, print. A picture that cannot be read is named on stderr; the others are answered, exit code 1."""
    arguments = parse(Arguments, "predict", argv)
    from firstsight.cli.console import out, print_json, table
    from firstsight.errors import UsageError
    from firstsight.tasks.predict import predict
    from firstsight.weights.classifier import load

    if not arguments.images:
        raise UsageError("missing: IMAGE; name at least one picture (see: firstsight predict --help)")
    network = load(arguments.weights)
    good, refused = _readable(arguments.images)
    found = predict(network, good, top=arguments.top)
    if arguments.json:
        print_json([asdict(prediction) for prediction in found])
    elif found:
        shown = table("picture", "answer", "probability", "then", right=("probability",))
        for prediction in found:
            first, *others = prediction.top
            then = ", ".join(f"{guess.label} {guess.probability:.1%}" for guess in others[:3])
            shown.add_row(prediction.image, first.label, f"{first.probability:.1%}", then)
        out().print(shown)
    return _complain(refused)


def _readable(images: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Pictures that can be read, and a sentence for each that cannot."""
    from pathlib import Path

    from firstsight.data import open_picture
    from firstsight.errors import DataError

    good, refused = [], []
    for image in images:
        try:
            open_picture(Path(image))
            good.append(image)
        except DataError as error:
            refused.append(str(error))
    return good, refused


def _complain(refused: list[str]) -> int:
    import sys

    for sentence in refused[:4]:
        print(f"firstsight: {sentence}", file=sys.stderr)
    if len(refused) > 4:
        print(f"firstsight: and {len(refused) - 4} more pictures cannot be read", file=sys.stderr)
    return 1 if refused else 0
