"""``firstsight features``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from firstsight.cli.names import check_image, check_weights
from firstsight.cli.parse import Flag, Maybe, parse

EXAMPLES = (
    "firstsight features lenet-mnist digit.png",
    "firstsight features resnet34 photo.jpg --layer layer1.0.conv1",
)


@dataclass(frozen=True)
class Arguments:
    """Draw the filters of a layer and its feature maps for an image."""

    weights: Annotated[Positional[str], tyro.conf.arg(metavar="RUN_OR_WEIGHTS")]
    """A run directory, latest (the newest run), the name of weights (see: firstsight weights list), or a .safetensors
    file."""
    image: Annotated[Positional[str], tyro.conf.arg(metavar="[IMAGE]")] = ""
    """Image file; without one, a bundled photograph is used."""
    layer: Maybe[str] = None
    """Name of the layer, as firstsight summary prints it (default: the first convolution)."""
    out: Maybe[Path] = None
    """Figure: .png, .jpg, .svg or .pdf (default: features.png, with a number if it exists)."""
    force: Flag = False
    """Replace an existing file."""
    json: Flag = False
    """Print a description of the figure as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, compute, draw, print."""
    arguments = parse(Arguments, "features", argv, examples=EXAMPLES)
    from firstsight.cli.outputs import FIGURES, check_outputs, choose_output

    target = choose_output(arguments.out, "features.png", force=arguments.force)
    inputs = [arguments.image, arguments.weights]
    check_outputs([target], inputs=inputs, force=arguments.force, suffixes=FIGURES)
    check_weights(arguments.weights, "features")
    if arguments.image:
        check_image(arguments.image)
    from firstsight import plots
    from firstsight.cli.console import log, print_json, say, write_figure
    from firstsight.data.sample_image import sample_photo
    from firstsight.tasks.classification.features import compute_features
    from firstsight.tasks.load import load_as

    image = arguments.image or sample_photo()
    classifier = load_as("classification", arguments.weights, device="cpu", notify=log)
    features = compute_features(classifier, image, arguments.layer)
    title = f"{arguments.weights}, {features.layer}: {Path(image).name}"
    write_figure(plots.features(features.image, features.maps, features.filters, title), target)
    channels, height, width = features.maps.shape
    low, high = float(features.maps.min()), float(features.maps.max())
    if arguments.json:
        document = {
            "weights": arguments.weights,
            "image": str(image),
            "layer": features.layer,
            "maps": list(features.maps.shape),
            "filters": None if features.filters is None else list(features.filters.shape),
            "range": [low, high],
            "out": str(target),
        }
        print_json(document)
        return 0
    say(f"{features.layer}: {channels} maps of {width}x{height}, values {low:.3g} to {high:.3g}")
    say(f"figure: {target}")
    return 0
