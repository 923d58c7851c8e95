"""``firstsight predict``."""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional

from firstsight.cli.names import check_weights
from firstsight.cli.parse import Device, Flag, Maybe, parse
from firstsight.errors import DataError, UsageError

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
    """Run directory, latest, .safetensors file, or name of weights (see: firstsight weights list); latest is the newest
    run."""
    images: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="IMAGE...")] = ()
    """Images, folders, zip files, or patterns such as "photos/*.jpg"."""
    top: int = 5
    """Number of classes to print for each image."""
    csv: Maybe[Path] = None
    """Write a CSV file with a row for each image, instead of printing a table; error says why one cannot be read."""
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
    """Print the result as one JSON document: an object for each image, with error if it cannot be read."""


def run(argv: list[str]) -> int:
    """Parse, predict, print; report unreadable images on stderr, with exit code 1, and classify the others."""
    arguments = parse(Arguments, "predict", argv, examples=EXAMPLES)
    words = argv if arguments.images else [*argv, "IMAGE"]
    check_weights(arguments.weights, "predict", "classification", argv=words)
    if not arguments.images:
        raise UsageError("missing: IMAGE; name at least one image (see: firstsight predict --help)")
    _check_files(arguments)
    from firstsight.cli.console import print_json, report_failures

    sources, failures = _find(arguments.images)
    if len(failures) == len(arguments.images) == 1 and not sources and not arguments.json and arguments.csv is None:
        raise UsageError(failures[0].message)
    messages = [failure.message for failure in failures]
    items = _predict(arguments, sources, failures, messages) if sources else _list_failures(arguments, failures)
    if arguments.json:
        print_json([item.to_dict() for item in items])
    elif predictions := [item for item in items if not isinstance(item, Failure)]:
        _print_table(predictions, Counter(item.label for item in predictions))
    return report_failures(messages)


def _predict(
    arguments: Arguments, sources: "list[ImageSource]", failures: "list[Failure]", messages: list[str]
) -> "list[Prediction | Failure]":
    """Predict images and write the files; return what to print; append the messages of unreadable images."""
    from firstsight.cli.console import log, progress
    from firstsight.tasks.load import load_as

    def keep(error: DataError) -> None:
        failures.append(Failure.from_error(error))
        messages.append(failures[-1].message)

    classifier: Classifier = load_as("classification", arguments.weights, device=arguments.device, notify=log)
    stream = classifier.stream(
        sources, top=arguments.top, batch_size=arguments.batch_size, invert=arguments.invert, on_error=keep
    )
    items: list[Prediction | Failure] = []
    remarks = Remarks()
    counts: Counter[str] = Counter()
    top = min(arguments.top, len(classifier.classes))
    with _writing(arguments.csv, top) as write:
        for item in _in_order(progress(stream, "images", total=len(sources)), failures):
            if not isinstance(item, Failure):
                remarks.add(item)
                counts[item.label] += 1
            if write:
                write(item.csv_row(top) if isinstance(item, Failure) else csv_row(item))
            if arguments.json or not write:
                items.append(item)
    remarks.print()
    if arguments.show_input is not None:
        _show_inputs(arguments, classifier, sources)
    _print_files(arguments, counts, len(messages))
    return items


def _list_failures(arguments: Arguments, failures: "list[Failure]") -> "list[Prediction | Failure]":
    """Write the table of arguments without any image, whose weights are not loaded; return what to print."""
    with _writing(arguments.csv, arguments.top) as write:
        if write:
            for failure in failures:
                write(failure.csv_row(arguments.top))
    _print_files(replace(arguments, show_input=None), Counter(), len(failures))
    return [*failures]


def _check_files(arguments: Arguments) -> None:
    """Refuse output files that cannot be written, before anything is computed."""
    from firstsight.cli.outputs import FIGURES, check_outputs

    inputs = [arguments.weights, *arguments.images]
    for option, path, suffixes in (("csv", arguments.csv, (".csv",)), ("show_input", arguments.show_input, FIGURES)):
        if path is not None:
            check_outputs([path], inputs=inputs, force=arguments.force, option=option, suffixes=suffixes)


@dataclass(frozen=True)
class Failure:
    """An image that cannot be read.

    Attributes
    ----------
    image : str
        Its name.
    message : str
        The error, with the name.
    position : int
        Number of images before it.
    """

    image: str
    message: str
    position: int

    @classmethod
    def from_error(cls, error: DataError) -> "Failure":
        """Return the failure that an error describes."""
        return cls(error.image, str(error), error.index or 0)

    @property
    def reason(self) -> str:
        """The error without the name."""
        return self.message.removeprefix(f"{self.image}: ")

    def to_dict(self) -> dict[str, str]:
        """Return the failure as plain data for JSON."""
        return {"image": self.image, "error": self.reason}

    def csv_row(self, top: int) -> list[str]:
        """Return a row without classes."""
        from firstsight.text import printable

        return [printable(self.image), *[""] * (2 * top + 1), self.reason]


def _find(names: Iterable[str]) -> "tuple[list[ImageSource], list[Failure]]":
    """Return the image files of all arguments, if one exists, and the arguments that have none."""
    from firstsight.data.image_source import find_images

    sources: list[ImageSource] = []
    failures: list[Failure] = []
    for name in names:
        try:
            sources += find_images(name)
        except DataError as error:
            failures.append(Failure(name, str(error), len(sources)))
    missing: list[Failure] = []
    for position, source in enumerate(sources):
        try:
            source.check_exists()
            return sources, failures  # the others are refused in their order
        except DataError as error:
            missing.append(Failure(source.name, str(error), position))
    return [], sorted([*failures, *missing], key=lambda failure: failure.position)


def _in_order(predictions: "Iterable[Prediction]", failures: list[Failure]) -> "Iterator[Prediction | Failure]":
    """Yield predictions and failures in the order of the images; ``failures`` grows meanwhile, and ends empty."""
    for prediction in predictions:
        ready = [failure for failure in failures if failure.position <= prediction.index]
        yield from sorted(ready, key=lambda failure: failure.position)
        failures[:] = [failure for failure in failures if failure.position > prediction.index]
        yield prediction
    yield from sorted(failures, key=lambda failure: failure.position)
    failures.clear()


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
            writer.writerow(["image", "class", "probability", *more, "remarks", "error"])
            yield writer.writerow


def csv_row(prediction: "Prediction") -> list[str]:
    """Return the image, the classes with their probabilities, the remarks, and no error."""
    from firstsight.cli.console import as_options
    from firstsight.text import printable

    guesses = [text for item in prediction.top for text in (item.label, f"{item.probability:.6f}")]
    return [printable(prediction.image), *guesses, as_options("; ".join(prediction.remarks)), ""]


def _print_files(arguments: Arguments, counts: Counter[str], unreadable: int) -> None:
    """Print what the CSV file has, and the paths of the files."""
    from firstsight.cli.console import log, say

    show = log if arguments.json else say
    if arguments.csv is not None:
        show(describe_counts(counts, unreadable))
        show(f"table: {arguments.csv}")
    if arguments.show_input is not None:
        show(f"figure: {arguments.show_input}")


def describe_counts(counts: Counter[str], unreadable: int = 0) -> str:
    """Return the number of images and of those of each class, the most frequent first.

    >>> describe_counts(Counter(["cat", "dog", "cat"]), 2)
    '3 images (cat: 2, dog: 1), 2 not readable'
    """
    n = counts.total()
    classes = ", ".join(f"{label}: {count:,}" for label, count in counts.most_common(10))
    listed = f" ({classes}{', ...' if len(counts) > 10 else ''})" if n else ""
    rest = f", {unreadable:,} not readable" if unreadable else ""
    return f"{n:,} image{'' if n == 1 else 's'}{listed}{rest}"


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
    from firstsight.data.image_io import to_channels
    from firstsight.errors import DataError

    images, inputs, titles, sizes = [], [], [], []
    for source in sources:
        try:
            image = source.open()
        except DataError:
            continue
        inputs.append(classifier.to_pixels(image, invert=arguments.invert).numpy())
        label = classifier.predict(image, top=1, invert=arguments.invert)[0].label
        sizes.append(image.size)
        image.thumbnail((plots.INPUT_SIDE, plots.INPUT_SIDE))
        images.append(to_channels(image))
        titles.append(f"{Path(source.name).name}: {label}")
        if len(images) == MAX_SHOWN:
            break
    if images and arguments.show_input is not None:
        heading = f"{arguments.weights}: image, and input of the network"
        write_figure(plots.network_inputs(images, inputs, titles, heading, sizes=sizes), arguments.show_input)
