"""``firstsight predict``."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional

from firstsight.cli.names import check_weights
from firstsight.cli.parse import Device, Flag, Maybe, parse
from firstsight.errors import UsageError

if TYPE_CHECKING:
    from firstsight.data.image_source import ImageSource
    from firstsight.tasks.classification.classifier import Classifier, Prediction

MIN_SHOWN = 0.0005
"""The table does not show other classes with a smaller probability, which would be 0.0%."""
MAX_SHOWN = 12
"""Number of images in the figure of ``--show-input``."""
EXAMPLES = (
    "firstsight predict lenet-mnist digit.png",
    "firstsight predict resnet34 photo.jpg --top 3",
    "firstsight predict resnet34 photos/ --csv classes.csv",
)


@dataclass(frozen=True)
class Arguments:
    """Predict the classes of images."""

    weights: Annotated[Positional[str], tyro.conf.arg(metavar="RUN_OR_WEIGHTS")]
    """A run directory, latest (the newest run), the name of weights (see: firstsight weights list), or a .safetensors
    file."""
    images: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="IMAGE...")] = ()
    """Images, folders, zip files, or patterns such as "photos/*.jpg"."""
    top: int = 5
    """Number of classes to print for each image."""
    csv: Maybe[Path] = None
    """Write a CSV file with a row for each image, instead of printing a table."""
    invert: Literal["auto", "yes", "no"] = "auto"
    """Turn a dark digit on light paper into a light one on black, for networks of such digits."""
    show_input: Maybe[Path] = None
    """Write a figure (.png, .jpg, .svg or .pdf) of the first images, and of what the network sees of them."""
    batch_size: Maybe[int] = None
    """Images per batch (default: as many as fit the size of the input)."""
    device: Device = "auto"
    """Device to compute on; auto uses a GPU if there is one."""
    force: Flag = False
    """Replace existing files."""
    json: Flag = False
    """Print the result as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, predict, print; report unreadable images on stderr, with exit code 1, and classify the others."""
    arguments = parse(Arguments, "predict", argv, examples=EXAMPLES)
    words = argv if arguments.images else [*argv, "IMAGE"]
    check_weights(arguments.weights, "predict", "classification", argv=words)
    if not arguments.images:
        raise UsageError("missing: IMAGE; name at least one image (see: firstsight predict --help)")
    _check_files(arguments)
    from firstsight.cli.console import log, print_json, progress, report_failures
    from firstsight.tasks.load import load_as

    refused: list[str] = []
    sources = _find(arguments.images, refused)
    predictions: list[Prediction] = []
    counts: Counter[str] = Counter()
    if sources:
        classifier: Classifier = load_as("classification", arguments.weights, device=arguments.device, notify=log)
        stream = classifier.stream(
            sources,
            top=arguments.top,
            batch_size=arguments.batch_size,
            invert=arguments.invert,
            on_error=lambda error: refused.append(str(error)),
        )
        remarks = Remarks()
        with _writing(arguments.csv, min(arguments.top, len(classifier.classes))) as write:
            for item in progress(stream, "images", total=len(sources)):
                remarks.add(item)
                counts[item.label] += 1
                if write:
                    write(csv_row(item))
                if arguments.json or not write:
                    predictions.append(item)
        remarks.print()
        if arguments.show_input is not None:
            _show_inputs(arguments, classifier, sources)
        _print_files(arguments, counts)
    if arguments.json:
        print_json([prediction.to_dict() for prediction in predictions])
    elif predictions:
        _print_table(predictions, counts)
    return report_failures(refused)


def _check_files(arguments: Arguments) -> None:
    """Refuse output files that cannot be written, before anything is computed."""
    from firstsight.cli.outputs import FIGURES, check_outputs

    inputs = [arguments.weights, *arguments.images]
    for option, path, suffixes in (("csv", arguments.csv, (".csv",)), ("show_input", arguments.show_input, FIGURES)):
        if path is not None:
            check_outputs([path], inputs=inputs, force=arguments.force, option=option, suffixes=suffixes)


def _find(names: Sequence[str], refused: list[str]) -> "list[ImageSource]":
    """Return the image files of all arguments, if one exists; append a message to ``refused`` for all others.

    Raises
    ------
    UsageError
        If the only one does not exist.
    """
    from firstsight.data.image_source import find_images
    from firstsight.errors import DataError

    sources, missing = [], []
    for name in names:
        try:
            sources += find_images(name)
        except DataError as error:
            refused.append(str(error))
    for source in sources:
        try:
            source.check_exists()
            return sources  # the others are refused in their order
        except DataError as error:
            missing.append(str(error))
    if len(missing) == len(names) == 1:
        raise UsageError(missing[0])
    refused += missing
    return []


class Remarks:
    """Remarks on images, counted by their kind: the text before the colon."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, str]] = {}
        self._counts: Counter[str] = Counter()

    def add(self, prediction: "Prediction") -> None:
        """Count the remarks on an image."""
        for text in prediction.remarks:
            kind = text.partition(":")[0]
            self._first.setdefault(kind, (prediction.image, text))
            self._counts[kind] += 1

    def print(self) -> None:
        """Print a line on stderr for every kind: the first image and the number of the others."""
        from firstsight.cli.console import as_options, log, warn
        from firstsight.tasks.classification.prepare import is_note

        for kind, (image, text) in self._first.items():
            others = self._counts[kind] - 1
            line = as_options(f"{image}{f' and {others:,} more' if others else ''}: {text}")
            (log if is_note(text) else warn)(line)


@contextmanager
def _writing(path: Path | None, top: int) -> Iterator[Callable[[Sequence[str]], object] | None]:
    """Context manager of a function that writes a row of a CSV file, which replaces ``path`` at the end."""
    if path is None:
        yield None
        return
    from firstsight.atomic_io import replacing

    with replacing(path) as temporary:
        file: IO[str]
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            more = [name for rank in range(2, top + 1) for name in (f"class_{rank}", f"probability_{rank}")]
            writer.writerow(["image", "class", "probability", *more, "remarks"])
            yield writer.writerow


def csv_row(prediction: "Prediction") -> list[str]:
    """Return the image, the classes with their probabilities, and the remarks."""
    from firstsight.cli.console import as_options
    from firstsight.text import printable

    guesses = [text for item in prediction.top for text in (item.label, f"{item.probability:.6f}")]
    return [printable(prediction.image), *guesses, as_options("; ".join(prediction.remarks))]


def _print_files(arguments: Arguments, counts: Counter[str]) -> None:
    """Print what the CSV file has, and the paths of the files."""
    from firstsight.cli.console import log, say

    show = log if arguments.json else say
    if arguments.csv is not None:
        show(describe_counts(counts))
        show(f"table: {arguments.csv}")
    if arguments.show_input is not None:
        show(f"figure: {arguments.show_input}")


def describe_counts(counts: Counter[str]) -> str:
    """Return the number of images and of those of each class, the most frequent first.

    >>> describe_counts(Counter(["cat", "dog", "cat"]))
    '3 images (cat: 2, dog: 1)'
    """
    n = counts.total()
    classes = ", ".join(f"{label}: {count:,}" for label, count in counts.most_common(10))
    return f"{n:,} image{'' if n == 1 else 's'} ({classes}{', ...' if len(counts) > 10 else ''})"


def _print_table(predictions: "list[Prediction]", counts: Counter[str]) -> None:
    """Print a row for each image, without classes of less than 0.05 %, and the counts per class."""
    from firstsight.cli.console import out, say, table

    others = [
        ", ".join(
            f"{item.label} {item.probability:.1%}" for item in prediction.top[1:] if item.probability >= MIN_SHOWN
        )
        for prediction in predictions
    ]
    rows = table("image", "class", "probability", *(["other classes"] if any(others) else []), right=("probability",))
    for prediction, more in zip(predictions, others, strict=True):
        cells = (prediction.image, prediction.label, f"{prediction.probability:.1%}")
        rows.add_row(*cells, *([more] if any(others) else []))
    out().print(rows)
    if len(predictions) > 1:
        say(describe_counts(counts))


def _show_inputs(arguments: Arguments, classifier: "Classifier", sources: "list[ImageSource]") -> None:
    """Write the figure of the first readable images and their inputs."""
    from firstsight import plots
    from firstsight.cli.console import write_figure
    from firstsight.errors import DataError

    images, inputs, titles = [], [], []
    for source in sources:
        try:
            image = source.open()
        except DataError:
            continue
        inputs.append(classifier.to_pixels(image, invert=arguments.invert).numpy())
        label = classifier.predict(image, top=1, invert=arguments.invert)[0].label
        image.thumbnail((400, 400))
        images.append(image)
        titles.append(f"{Path(source.name).name}: {label}")
        if len(images) == MAX_SHOWN:
            break
    if images and arguments.show_input is not None:
        heading = f"{arguments.weights}: image, and input of the network"
        write_figure(plots.network_inputs(images, inputs, titles, heading), arguments.show_input)
