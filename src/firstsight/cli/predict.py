"""``firstsight predict``."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from firstsight.cli.names import check_weights
from firstsight.cli.parse import Device, Flag, parse
from firstsight.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from firstsight.tasks.classification.classifier import Classifier

LARGE = 4
"""An image this many times larger than the training images is probably of another kind."""
EXAMPLES = ("firstsight predict lenet-mnist digit.png", "firstsight predict resnet34 photo.jpg --top 3")


@dataclass(frozen=True)
class Arguments:
    """Predict the classes of images."""

    weights: Annotated[Positional[str], tyro.conf.arg(metavar="RUN_OR_WEIGHTS")]
    """A run directory, latest (the newest run), the name of weights (see: firstsight weights list), or a .safetensors
    file."""
    images: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="IMAGE...")]
    """Image files: PNG, JPEG, GIF, BMP, TIFF, WebP or PPM."""
    top: int = 5
    """Number of classes to print for each image."""
    device: Device = "auto"
    """Device to compute on; auto uses a GPU if there is one."""
    json: Flag = False
    """Print the result as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, predict, print; report unreadable images on stderr, with exit code 1, and classify the others."""
    arguments = parse(Arguments, "predict", argv, examples=EXAMPLES)
    if not arguments.images:
        raise UsageError("missing: IMAGE; name at least one image (see: firstsight predict --help)")
    check_weights(arguments.weights, "predict", "classification")
    from firstsight.cli.console import log, out, print_json, report_failures, table
    from firstsight.tasks.classification.predict import predict
    from firstsight.tasks.load import load_as

    images, refused = _read(arguments.images)
    predictions = []
    if images:
        classifier = load_as("classification", arguments.weights, device=arguments.device, notify=log)
        warn_out_of_domain(arguments.weights, classifier, images)
        predictions = predict(classifier, list(images.values()), top=arguments.top)
    predictions = [replace(item, image=name) for name, item in zip(images, predictions, strict=True)]
    if arguments.json:
        print_json([prediction.to_dict() for prediction in predictions])
    elif predictions:
        rows = table("image", "class", "probability", "other classes", right=("probability",))
        for prediction in predictions:
            others = ", ".join(f"{item.label} {item.probability:.1%}" for item in prediction.top[1:])
            rows.add_row(prediction.image, prediction.label, f"{prediction.probability:.1%}", others)
        out().print(rows)
    return report_failures(refused)


def warn_out_of_domain(name: str, classifier: "Classifier", images: "dict[str, Image]") -> None:
    """Warn if a network that was trained on small gray images gets large color photographs."""
    from firstsight.cli.console import warn

    preprocess = classifier.preprocess
    unlike = [key for key, image in images.items() if image.mode != "L" and min(image.size) > LARGE * preprocess.resize]
    if preprocess.channels == 1 and unlike:
        more = f" and {len(unlike) - 1} more" if len(unlike) > 1 else ""
        warn(
            f"{unlike[0]}{more}: a large color image, but {name} was trained on gray images of {preprocess.resize}x"
            f"{preprocess.resize}; the prediction is one of its {len(classifier.classes)} classes for any image"
        )


def _read(names: tuple[str, ...]) -> tuple[dict[str, "Image"], list[str]]:
    """Return the images that can be read, by name, and an error message for each of the others."""
    from firstsight.data.image_io import open_image
    from firstsight.errors import DataError

    images, refused = {}, []
    for name in names:
        try:
            images[name] = open_image(Path(name))
        except DataError as error:
            refused.append(str(error))
    return images, refused
