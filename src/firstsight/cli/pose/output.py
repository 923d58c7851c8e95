"""Output of ``firstsight pose``: table, COCO keypoint results, drawn images."""

import json
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from firstsight.atomic_io import replace_file
from firstsight.cli.console import write_figure
from firstsight.cli.outputs import FIGURES, check_outputs, make_folder
from firstsight.cli.pose.arguments import Arguments

if TYPE_CHECKING:
    from firstsight.data.image_source import ImageSource
    from firstsight.tasks.pose.result import PoseResult

IMAGE_SUFFIXES = FIGURES
"""Suffixes of a drawn image."""


@dataclass
class Results:
    """Results of all images: JSON entries, COCO results, drawn files, and messages about unusable images."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    coco: list[list[dict[str, Any]]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Targets(NamedTuple):
    """Files to draw for an image: the poses, and the maps."""

    poses: Path | None = None
    maps: Path | None = None


def plan_targets(arguments: Arguments, images: "Sequence[ImageSource]") -> "list[tuple[ImageSource, Targets]]":
    """Return the images, each with the files to draw, after checking that all files may be written.

    Raises
    ------
    UsageError
        See `firstsight.cli.outputs.check_outputs`.
    """
    inputs = [*(image.path for image in images), arguments.boxes, arguments.model, arguments.detector]
    if arguments.coco is not None:
        check_outputs([arguments.coco], inputs=inputs, force=arguments.force, option="coco")
    planned: dict[Path, ImageSource] = {}  # from the file to its image
    if arguments.out is None:
        return [(image, Targets()) for image in images]
    is_file = arguments.out.suffix.lower() in IMAGE_SUFFIXES and not arguments.out.is_dir()
    for image in images:
        target = arguments.out if is_file else _free_name(arguments.out / f"{Path(image.name).stem}-pose.png", planned)
        planned[target] = image
    targets = [(image, Targets(file, _maps_of(file) if arguments.maps else None)) for file, image in planned.items()]
    files = [file for _, pair in targets for file in pair if file is not None]
    check_outputs(files, inputs=inputs, force=arguments.force, makes_folder=not is_file)
    return targets


def _free_name(path: Path, planned: Container[Path]) -> Path:
    """Return the path, with a number if another image of this call has it."""
    number, stem = 1, path.stem.removesuffix("-pose")
    while path in planned:
        number += 1
        path = path.with_name(f"{stem}-{number}-pose.png")
    return path


def _maps_of(path: Path) -> Path:
    """Return the file of the maps that belongs to a file of poses."""
    return path.with_name(f"{path.stem.removesuffix('-pose')}-maps{path.suffix}")


def draw(image: Path, result: "PoseResult", files: Targets) -> None:
    """Draw the poses of an image, and the maps on request."""
    if files.poses is None:
        return
    from firstsight import plots
    from firstsight.tasks.pose.result import PoseIntermediates

    make_folder(files.poses.parent)
    replace_file(files.poses, result.encode(files.poses.suffix))
    if files.maps is not None and isinstance(result, PoseIntermediates):
        figure = plots.pose_maps(
            result.image,
            result.heatmaps.numpy(),
            result.pafs.numpy(),
            result.skeleton,
            extent=result.letterbox.extent,
            title=image.name,
        )
        write_figure(figure, files.maps)


def write_coco(path: Path, results: Results) -> None:
    """Write COCO keypoint results.

    The image id is the number at the end of the file name; images are counted from 1 if one has no number, or two have
    the same.
    """
    from firstsight.cli.console import warn

    digits = [re.search(r"(\d+)$", Path(entry["image"]).stem) for entry in results.entries]
    ids = [int(match[1]) for match in digits if match]
    if len(set(ids)) < len(results.entries):
        ids = list(range(1, len(results.entries) + 1))
        if len(results.entries) > 1:
            warn("the file names do not end in distinct numbers: image_id counts the images from 1")
    document = [
        result | {"image_id": image_id} for image_id, people in zip(ids, results.coco, strict=True) for result in people
    ]
    replace_file(path, json.dumps(document).encode())


def _warn_of_fragments(arguments: Arguments, results: Results) -> None:
    """Suggest --min-joints if people lack more than half of their keypoints."""
    from firstsight.cli.console import warn

    half = len(results.entries[0]["skeleton"]["joints"]) // 2
    people = [person for entry in results.entries for person in entry["people"]]
    fragments = sum(sum(score >= 0 for _, _, score in person["keypoints"]) < half for person in people)
    if fragments and arguments.min_joints is None:
        warn(
            f"{fragments} of {len(people)} people have fewer than {half} keypoints; --min-joints {half} leaves them out"
        )


def print_table(arguments: Arguments, results: Results) -> None:
    """Print a line for each image, and the names of the drawn files."""
    from firstsight.cli.console import log, out, say, table

    if not results.entries:
        return
    rows = table("image", "people", "keypoints", "seconds", right=("people", "keypoints", "seconds"))
    for entry in results.entries:
        keypoints = sum(score >= 0 for person in entry["people"] for _, _, score in person["keypoints"])
        seconds = sum(entry["timings"].values())
        rows.add_row(entry["image"], str(len(entry["people"])), str(keypoints), f"{seconds:.2f}")
    out().print(rows)
    empty = [entry["image"] for entry in results.entries if not entry["people"]]
    if empty:
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        hint = "" if arguments.min_score == 0 else " (--min-score 0 shows uncertain detections)"
        say(f"no people found in {empty[0]}{more}{hint}")
    _warn_of_fragments(arguments, results)
    if results.files:
        first, *others = results.files
        names = f"{first} to {others[-1].name}" if len(others) > 1 else ", ".join(map(str, results.files))
        say(f"drawn: {names}")
    elif arguments.out is None:
        log("to draw the poses: --out people.png, or --out FOLDER for several images; --maps for the maps")
