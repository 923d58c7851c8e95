"""``firstsight predict``."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import Device, Flag, parse

if TYPE_CHECKING:
    from PIL.Image import Image

    from firstsight.weights.classifier import Classifier

LARGE = 4
"""A picture is strange to a network of pictures so many times smaller."""


@dataclass(frozen=True)
class Arguments:
    """Say what pictures show: the most probable classes of each."""

    weights: Annotated[Positional[str], tyro.conf.arg(metavar="RUN_OR_WEIGHTS")]
    """A run directory, shipped or published weights (see: firstsight weights list), or a .safetensors file."""
    images: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="IMAGE...", help_behavior_hint="")]
    """Pictures: PNG, JPEG, GIF, BMP, TIFF, WebP or PPM."""
    top: int = 5
    """How many classes to name for each picture."""
    device: Device = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    json: Flag = False
    """Print the result as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, predict, print. A picture that cannot be read is named on stderr; the others are answered, exit code 1."""
    arguments = parse(Arguments, "predict", argv)
    from firstsight.cli.console import log, out, print_json, report_failures, table
    from firstsight.engine.device import move
    from firstsight.errors import UsageError
    from firstsight.tasks.classification.predict import predict
    from firstsight.weights.classifier import load

    if not arguments.images:
        raise UsageError("missing: IMAGE; name at least one picture (see: firstsight predict --help)")
    pictures, refused = _read(arguments.images)
    answers = []
    if pictures:
        network = load(arguments.weights, notify=log)
        move(arguments.device, network.model)
        warn_out_of_domain(arguments.weights, network, pictures)
        answers = predict(network, list(pictures.values()), top=arguments.top)
    found = [replace(answer, image=name) for name, answer in zip(pictures, answers, strict=True)]
    if arguments.json:
        print_json([asdict(prediction) for prediction in found])
    elif found:
        shown = table("picture", "answer", "probability", "then", right=("probability",))
        for prediction in found:
            first, *others = prediction.top
            then = ", ".join(f"{guess.label} {guess.probability:.1%}" for guess in others)
            shown.add_row(prediction.image, first.label, f"{first.probability:.1%}", then)
        out().print(shown)
    return report_failures(refused)


def warn_out_of_domain(name: str, network: "Classifier", pictures: "dict[str, Image]") -> None:
    """Of large photographs in colour, shown to a network of small grey pictures."""
    from firstsight.cli.console import log

    prepare = network.preprocess
    odd = [image for image, p in pictures.items() if p.mode != "L" and min(p.size) > LARGE * prepare.resize]
    if prepare.channels == 1 and odd:
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        log(
            f"{odd[0]}{more}: large and in colour, and {name} was trained on grey pictures of {prepare.resize}x"
            f"{prepare.resize}; it answers with one of its {len(network.classes)} classes whatever it is shown"
        )


def _read(images: tuple[str, ...]) -> tuple[dict[str, "Image"], list[str]]:
    """The pictures that can be read, by name, and a sentence for each that cannot."""
    from firstsight.data import open_image
    from firstsight.errors import DataError

    good, refused = {}, []
    for image in images:
        try:
            good[image] = open_image(Path(image))
        except DataError as error:
            refused.append(str(error))
    return good, refused
