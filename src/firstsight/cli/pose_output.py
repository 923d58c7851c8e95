"""What ``firstsight pose`` tells of pictures: a table, JSON, COCO's results, people drawn."""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstsight.cli.pose import Arguments
    from firstsight.pose.parts import Pose
    from firstsight.pose.skeleton import Skeleton
    from firstsight.tasks.pose.bottom_up.estimate import PoseResult
    from firstsight.tasks.pose.top_down.estimate import Estimator
    from firstsight.weights.pose import PoseNetwork
    from firstsight.weights.top_down import TopDownNetwork

DRAWN = (".png", ".jpg", ".jpeg")
"""What one picture of people may be written as."""


@dataclass
class Answers:
    """What is kept of the pictures: one line each, and sentences about those that cannot be used."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    results: list[list[dict[str, Any]]] = field(default_factory=list)
    files: dict[Path, None] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def warn_limitations(networks: "Sequence[PoseNetwork | TopDownNetwork]") -> None:
    """Of shipped weights, which are small: what comes of it."""
    from firstsight.cli.console import log
    from firstsight.weights.pose import LIMITS

    for network in networks:
        if network.name in LIMITS:
            log(
                f"{network.name} comes along: it is small, knows people seen from head to foot, makes up what a picture"
                f" does not show, and {LIMITS[network.name]}"
            )


def line_of(image: Path, estimator: "Estimator", steps: "PoseResult") -> dict[str, Any]:
    """A picture's people as they are told."""
    return {
        "image": str(image), "people": [person(pose) for pose in steps.poses],
        "skeleton": description(estimator.skeleton),
        "seconds": {name: round(seconds, 4) for name, seconds in steps.seconds.items()},
    }  # fmt: skip


def person(pose: "Pose") -> dict[str, Any]:
    """A pose as it is told."""
    return {
        "score": round(pose.score, 4), "box": [round(side, 2) for side in pose.box],
        "keypoints": [[round(x, 2), round(y, 2), round(score, 4)] for x, y, score in pose.keypoints.tolist()],
    }  # fmt: skip


def description(skeleton: "Skeleton") -> dict[str, Any]:
    """A skeleton as it is told."""
    limbs = [list(limb) for limb in skeleton.limbs]
    return {"name": skeleton.name, "joints": list(skeleton.joints), "limbs": limbs}


def draw(
    arguments: "Arguments", image: Path, estimator: "Estimator", steps: "PoseResult", files: dict[Path, None]
) -> None:
    """The people drawn, and on request the maps; the pictures written are added to ``files``."""
    from firstsight import plots
    from firstsight.tasks.pose.bottom_up.estimate import PoseIntermediates

    assert arguments.out is not None
    target = arguments.out
    if target.suffix.lower() not in DRAWN or target.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        target = _free(target / f"{image.stem}-pose.png", files)
    plots.draw_people(steps.picture, steps.poses, estimator.skeleton, apart=True).save(
        target, compress_level=3, quality=92
    )
    files[target] = None
    if arguments.maps and isinstance(steps, PoseIntermediates):
        heatmaps, pafs = steps.heatmaps.numpy(), steps.pafs.numpy()
        figure = plots.pose_maps(
            steps.picture, heatmaps, pafs, estimator.skeleton, extent=steps.frame.extent, title=image.name
        )
        beside = target.with_name(f"{target.stem.removesuffix('-pose')}-maps.png")
        beside.write_bytes(plots.png(figure))
        files[beside] = None


def _free(path: Path, taken: Container[Path]) -> Path:
    """The path, or with a number where another picture of this call has it."""
    number, stem = 1, path.stem.removesuffix("-pose")
    while path in taken:
        number += 1
        path = path.with_name(f"{stem}-{number}-pose.png")
    return path


def write_coco(path: Path, answers: Answers) -> None:
    """Pictures are numbered by the digits that their names end in; from 1 where one has none, or two have the same."""
    import json

    from firstsight.cli.console import log

    digits = [re.search(r"(\d+)$", Path(line["image"]).stem) for line in answers.lines]
    numbers = [int(found[1]) for found in digits if found]
    if len(set(numbers)) < len(answers.lines):
        numbers = list(range(1, len(answers.lines) + 1))
        if len(answers.lines) > 1:
            log("the pictures' names do not end in numbers of their own; image_id counts them from 1")
    results = [
        result | {"image_id": number}
        for number, people in zip(numbers, answers.results, strict=True)
        for result in people
    ]
    path.write_text(json.dumps(results))


def _tell_of_fragments(arguments: "Arguments", answers: Answers) -> None:
    """Of people who lack more than half of their joints, unless the question was asked."""
    from firstsight.cli.console import log

    half = len(answers.lines[0]["skeleton"]["joints"]) // 2
    people = [person for line in answers.lines for person in line["people"]]
    few = sum(sum(score >= 0 for _, _, score in person["keypoints"]) < half for person in people)
    if few and arguments.min_joints is None:
        log(f"{few} of {len(people)} people have fewer than {half} joints; --min-joints {half} leaves such parts out")


def print_table(arguments: "Arguments", answers: Answers) -> None:
    """A line for each picture, and where people were drawn."""
    from firstsight.cli.console import log, out, table

    if not answers.lines:
        return
    shown = table("picture", "people", "joints", "seconds", right=("people", "joints", "seconds"))
    for line in answers.lines:
        joints = sum(score >= 0 for person in line["people"] for _, _, score in person["keypoints"])
        seconds = sum(line["seconds"].values())
        shown.add_row(line["image"], str(len(line["people"])), str(joints), f"{seconds:.2f}")
    screen = out()
    screen.print(shown)
    _tell_of_fragments(arguments, answers)
    if answers.files:
        first, *others = answers.files
        told = f"{first} to {others[-1].name}" if len(others) > 1 else ", ".join(map(str, answers.files))
        screen.print(f"drawn: {told}", markup=False)
    elif arguments.out is None:
        log("to see them drawn: --out people.png, or --out FOLDER for several pictures; --maps for the maps")
