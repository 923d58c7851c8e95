"""``firstsight features``."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from firstsight.cli.names import check_image, check_weights
from firstsight.cli.parse import Flag, Maybe, parse
from firstsight.errors import UsageError

EXAMPLES = (
    "firstsight features lenet-mnist digit.png",
    "firstsight features resnet34 photo.jpg --layer layer1.0.conv1",
    "firstsight features infogan-mnist --seed 3",
)


@dataclass(frozen=True)
class Arguments:
    """Draw the filters of a layer and its feature maps, each from its smallest value (black) to its largest (white).

    A classifier or a pose network: for an image. A generator: for a random latent vector, below the image that it makes
    from it.
    """

    weights: Annotated[Positional[str], tyro.conf.arg(metavar="RUN_OR_WEIGHTS")]
    """Run directory, latest, .safetensors file, or name of weights (see: firstsight weights list); latest is the newest
    run."""
    image: Annotated[Positional[str], tyro.conf.arg(metavar="[IMAGE]")] = ""
    """Image file (default: an image of the training data, or else a sample photograph); a generator takes none."""
    layer: Maybe[str] = None
    """Name of the layer, as firstsight summary prints it (default: the first convolution)."""
    seed: Maybe[int] = None
    """Seed of the latent vector of a generator (default: 0)."""
    out: Maybe[Path] = None
    """Figure: .png, .jpg, .svg or .pdf (default: features.png, with a number if it exists)."""
    force: Flag = False
    """Replace an existing file."""
    json: Flag = False
    """Print a description of the figure as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, compute, draw, print."""
    arguments = parse(Arguments, "features", argv, examples=EXAMPLES)
    from firstsight.cli.outputs import FIGURES, check_outputs, choose_output, report_output

    target = choose_output(arguments.out, "features.png", force=arguments.force)
    inputs = [arguments.image, arguments.weights]
    check_outputs([target], inputs=inputs, force=arguments.force, suffixes=FIGURES)
    spec = check_weights(arguments.weights, "features", argv=argv)
    if arguments.image and spec is not None and spec.command == "generate":
        raise UsageError(
            f"{arguments.weights} is a generator: it takes no image, but makes one from a latent vector; choose the"
            " vector with `seed`"
        )
    if arguments.image:
        check_image(arguments.image)
    from firstsight.cli.console import log, print_json, say, write_figure
    from firstsight.tasks.features import compute_features
    from firstsight.tasks.load import load

    model = load(arguments.weights, notify=log)
    features = compute_features(model, arguments.image or None, arguments.layer, seed=arguments.seed)
    name = features.name or Path(arguments.image).name
    is_generated = features.heading == "generated image"
    if not arguments.image and not is_generated:
        log(f"no image given: using {name}; give one: firstsight features {arguments.weights} IMAGE")
    features = replace(features, source=arguments.weights, name=name.partition(";")[0])
    write_figure(features.figure(), target)
    report_output(target, arguments.out, "features.png")
    if arguments.json:
        document = {
            "weights": arguments.weights,
            "image": None if is_generated else arguments.image or features.name,
            "seed": (arguments.seed or 0) if is_generated else None,
            **{key: value for key, value in features.to_dict().items() if key != "image"},
            "out": str(target),
        }
        print_json(document)
        return 0
    say(str(features))
    say(f"figure: {target}")
    return 0
