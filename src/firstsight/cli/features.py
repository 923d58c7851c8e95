"""``firstsight features``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import Flag, Maybe, parse


@dataclass(frozen=True)
class Arguments:
    """Draw what a layer has learned (its filters) and what it answers to a picture (its feature maps)."""

    weights: Annotated[Positional[str], tyro.conf.arg(metavar="RUN_OR_WEIGHTS")]
    """A run directory, weights by name (see: firstsight weights list), or a .safetensors file."""
    image: Annotated[Positional[str | None], tyro.conf.arg(metavar="[IMAGE]", help_behavior_hint="")] = None
    """A picture; without one, a photograph that comes along."""
    layer: Maybe[str] = None
    """Name of the layer, as firstsight summary prints it (default: the first convolution)."""
    out: Path = Path("features.png")
    """The figure to write (PNG)."""
    json: Flag = False
    """Print what was drawn as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, look, draw, print."""
    arguments = parse(Arguments, "features", argv)
    from firstsight import plots
    from firstsight.cli.console import log, print_json, write_figure
    from firstsight.data.sample_image import sample_photo
    from firstsight.tasks.classification.features import look
    from firstsight.weights.classifier import load

    image = arguments.image or sample_photo()
    seen = look(load(arguments.weights, notify=log), image, arguments.layer)
    title = f"{arguments.weights}, {seen.layer}: {Path(image).name}"
    write_figure(plots.features(seen.image, seen.maps, seen.filters, title), arguments.out)
    channels, height, width = seen.maps.shape
    if arguments.json:
        print_json(
            {
                "weights": arguments.weights, "image": str(image), "layer": seen.layer,
                "maps": list(seen.maps.shape), "filters": None if seen.filters is None else list(seen.filters.shape),
                "range": [float(seen.maps.min()), float(seen.maps.max())], "out": str(arguments.out),
            }
        )  # fmt: skip
        return 0
    print(f"{seen.layer}: {channels} maps of {width}x{height}, values {seen.maps.min():.3g} to {seen.maps.max():.3g}")
    print(f"figure: {arguments.out}")
    return 0
