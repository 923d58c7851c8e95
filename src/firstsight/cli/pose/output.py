"""Output of ``firstsight pose``: table, COCO keypoint results, drawn images."""

import json
import re
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstsight.cli.pose.arguments import Arguments

if TYPE_CHECKING:
    from firstsight.tasks.pose.result import PoseResult

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
"""Suffixes of a drawn image."""


@dataclass
class Results:
    """Results of all images: JSON entries, COCO results, written files, and messages about unusable images."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    coco: list[list[dict[str, Any]]] = field(default_factory=list)
    files: dict[Path, None] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def draw(arguments: Arguments, image: Path, result: "PoseResult", files: dict[Path, None]) -> None:
    """Draw the poses, and the maps on request; add the written files to ``files``."""
    from firstsight import plots
    from firstsight.tasks.pose.result import PoseIntermediates

    assert arguments.out is not None
    target = arguments.out
    if target.suffix.lower() not in IMAGE_SUFFIXES or target.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        target = _free_name(target / f"{image.stem}-pose.png", files)
    result.save(target)
    files[target] = None
    if arguments.maps and isinstance(result, PoseIntermediates):
        figure = plots.pose_maps(
            result.image,
            result.heatmaps.numpy(),
            result.pafs.numpy(),
            result.skeleton,
            extent=result.letterbox.extent,
            title=image.name,
        )
        maps = target.with_name(f"{target.stem.removesuffix('-pose')}-maps.png")
        maps.write_bytes(plots.encode_png(figure))
        files[maps] = None


def _free_name(path: Path, written: Container[Path]) -> Path:
    """Return the path, with a number if another image of this call has it."""
    number, stem = 1, path.stem.removesuffix("-pose")
    while path in written:
        number += 1
        path = path.with_name(f"{stem}-{number}-pose.png")
    return path


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
    path.write_text(json.dumps(document))


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
    from firstsight.cli.console import log, out, table

    if not results.entries:
        return
    rows = table("image", "people", "keypoints", "seconds", right=("people", "keypoints", "seconds"))
    for entry in results.entries:
        keypoints = sum(score >= 0 for person in entry["people"] for _, _, score in person["keypoints"])
        seconds = sum(entry["timings"].values())
        rows.add_row(entry["image"], str(len(entry["people"])), str(keypoints), f"{seconds:.2f}")
    screen = out()
    screen.print(rows)
    empty = [entry["image"] for entry in results.entries if not entry["people"]]
    if empty:
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        screen.print(f"no people found in {empty[0]}{more} (--min-score 0 shows uncertain detections)", markup=False)
    _warn_of_fragments(arguments, results)
    if results.files:
        first, *others = results.files
        names = f"{first} to {others[-1].name}" if len(others) > 1 else ", ".join(map(str, results.files))
        screen.print(f"drawn: {names}", markup=False)
    elif arguments.out is None:
        log("to draw the poses: --out people.png, or --out FOLDER for several images; --maps for the maps")
