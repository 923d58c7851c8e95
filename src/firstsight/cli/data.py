"""``firstsight data``."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from firstsight.arguments import expand_user
from firstsight.cli.names import describe_name, spelled
from firstsight.cli.parse import Flag, Maybe, parse
from firstsight.data.datasets import DATASETS
from firstsight.errors import UsageError

if TYPE_CHECKING:
    from firstsight.data.images.describe import DataDescription

POSES = "https://cocodataset.org (COCO), http://sam.johnson.io/research/lspet.html (LSP extended, must be converted)"
EXAMPLES = ("firstsight data", "firstsight data photos/ --out photos.png")
IMAGES_PER_CLASS = 10
"""Images of a class on the contact sheet."""
MAX_SKIPPED = 10
"""Maximum number of unusable files that are named."""


@dataclass(frozen=True)
class Arguments:
    """List the data sets, or describe one: classes, images per split, sizes, and what was left out.

    Without a data set, prints where each was found or can be downloaded.
    """

    data: Annotated[Positional[str], tyro.conf.arg(metavar="[DATA]")] = ""
    """Data set to describe: a name, a folder or zip file with one subfolder per class, a folder of train.zip and
    test.zip, or IDX files."""
    out: Maybe[Path] = None
    """Write a contact sheet (.png, .jpg, .svg or .pdf): a row of images per class."""
    force: Flag = False
    """Replace an existing file."""
    json: Flag = False
    """Print as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse and print."""
    arguments = parse(Arguments, "data", argv, examples=EXAMPLES)
    if arguments.data:
        if not spelled(arguments.data, [*DATASETS]) and not os.path.lexists(expand_user(arguments.data)):
            text = describe_name(arguments.data, "a data set")
            if text:
                raise UsageError(text)
        return describe(arguments)
    if arguments.out:
        raise UsageError("`out` needs a data set: firstsight data FOLDER --out sheet.png")
    return list_data_sets(arguments)


def describe(arguments: Arguments) -> int:
    """Describe a data set, and write its contact sheet."""
    from firstsight.cli.console import log, print_json, say, write_figure
    from firstsight.cli.outputs import FIGURES, check_outputs

    if arguments.out:
        check_outputs([arguments.out], inputs=[arguments.data], force=arguments.force, suffixes=FIGURES)
    from firstsight.data.images.describe import describe_data

    description = describe_data(arguments.data, notify=log)
    if arguments.out:
        from firstsight import plots

        rows = description.examples(IMAGES_PER_CLASS)
        labels = [f"{name}\n{count:,} images" for name, count in description.counts["train"].items()]
        write_figure(plots.contact_sheet(rows, labels), arguments.out)
    if arguments.json:
        print_json({**description.to_dict(), "out": str(arguments.out) if arguments.out else None})
        return 0
    print_description(description)
    if arguments.out:
        say(f"contact sheet (training images): {arguments.out}")
    return 0


def print_description(description: "DataDescription") -> None:
    """Print the description of a data set as text."""
    from firstsight.cli.console import out, say, table

    totals = {split: sum(counts.values()) for split, counts in description.counts.items()}
    sums = ", ".join(f"{count:,} {split} images" for split, count in totals.items())
    say(f"{description.name}: {len(description.classes):,} classes, {sums}")
    rows = table("class", *totals, right=tuple(totals))
    for name in description.classes:
        rows.add_row(name, *(f"{counts[name]:,}" for counts in description.counts.values()))
    out().print(rows)
    sizes = ", ".join(f"{name} {width}x{height}" for name, (width, height) in description.sizes.items())
    modes = ", ".join(f"{mode} ({count:,})" for mode, count in description.modes.items())
    say(f"width x height: {sizes} pixels", f"modes: {modes}", *(f"note: {note}" for note in description.notes))
    say(*(f"left out {item.path}: {item.reason}" for item in description.skipped[:MAX_SKIPPED]))
    if len(description.skipped) > MAX_SKIPPED:
        say(f"and {len(description.skipped) - MAX_SKIPPED:,} more files (--json names all)")


def list_data_sets(arguments: Arguments) -> int:
    """List the data sets, and where each was found or can be downloaded."""
    from firstsight.cli.console import print_json, print_table, say, table
    from firstsight.data.datasets import DATASETS
    from firstsight.data.fetch import find_home
    from firstsight.data.images.find import find_dataset

    locations = {name: find_dataset(source) for name, source in DATASETS.items()}
    if arguments.json:
        print_json(
            [
                {
                    "name": s.name,
                    "title": s.title,
                    "images": s.shape,
                    "license": s.license,
                    "homepage": s.homepage,
                    "found": str(locations[s.name]) if locations[s.name] else None,
                    "download_bytes": sum(file.size for file in s.files),
                }
                for s in DATASETS.values()
            ]
        )
        return 0
    rows = table("data set", "images", "license", "location")
    for source in DATASETS.values():
        size = sum(file.size for file in source.files) / 1e6
        location = "in the package" if source.name == "digits" else locations[source.name]
        rows.add_row(
            source.name,
            source.shape,
            source.license,
            str(location or f"not found; --data {source.name} downloads {size:.0f} MB"),
        )
    print_table(rows, "license", "location")
    home = find_home()
    folder = f"{home / 'data'} (FIRSTSIGHT_HOME)" if home else "the data folder of FIRSTSIGHT_HOME, which is not set"
    say(
        "",
        f"Downloads go to {folder}; FIRSTSIGHT_OFFLINE=1 never opens a connection.",
        "Your own images: --data FOLDER or FILE.zip with one subfolder per class, also below train/ and test/;"
        " or a folder of train.zip and test.zip.",
        f"Pose data: --data FOLDER or FILE.json of COCO keypoints, such as {POSES}.",
    )
    return 0
