"""``firstsight evaluate`` of a pose network."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstsight.cli.parse import scales_of
from firstsight.errors import UsageError

if TYPE_CHECKING:
    from firstsight.cli.evaluate import Arguments
    from firstsight.tasks.pose.evaluate import PoseMeasured

MEASURES = {
    "ap": ("AP", "average precision, mean over similarities of .50 to .95"),
    "ap50": ("AP50", "at a similarity of .50"),
    "ap75": ("AP75", "at a similarity of .75"),
    "ap_medium": ("AP medium", "of people of 32 x 32 to 96 x 96 pixels"),
    "ap_large": ("AP large", "of larger people"),
    "ar": ("AR", "average recall, with all poses"),
    "ar50": ("AR50", ""),
    "ar75": ("AR75", ""),
    "ar_medium": ("AR medium", ""),
    "ar_large": ("AR large", ""),
    "oks": ("OKS", "mean similarity of people to their poses"),
    "pck": ("PCK@0.2", "joints no farther away than 0.2 of the torso"),
}
"""What a measure is called, and what it says."""


def run(arguments: "Arguments") -> int:
    """Measure, print, write."""
    results = arguments.results
    if results is not None:
        _check(results)
    from firstsight.cli.console import log, print_json, progress
    from firstsight.engine.device import move
    from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
    from firstsight.tasks.pose.evaluate import evaluate_pose
    from firstsight.tasks.pose.top_down.estimate import load_network
    from firstsight.weights.pose import load_pose

    network = load_network(arguments.weights, log)
    detector = PoseEstimator(load_pose(arguments.detector, notify=log)) if arguments.detector else None
    move(arguments.device, network.model, *([detector.network.model] if detector else []))
    found = evaluate_pose(
        network, arguments.data, images=arguments.images, height=arguments.height, method=arguments.method,
        scales=scales_of(arguments.scales or "1"), flip=arguments.flip, detector=detector, notify=log,
        limit=arguments.limit, strict=arguments.strict, progress=lambda numbers: progress(numbers, "pictures"),
    )  # fmt: skip
    for note in found.notes:
        log(f"{found.data}: {note}")
    if results is not None:
        results.write_text(json.dumps(found.results))
    if arguments.json:
        print_json(_document(found))
    else:
        _print(found, results)
    return 0


def _check(results: Path) -> None:
    if results.suffix.lower() != ".json":
        raise UsageError(f"--results must be a .json file; got {results}")
    if not results.parent.is_dir():
        raise UsageError(f"--results {results}: there is no folder {results.parent}")


def _document(found: "PoseMeasured") -> dict[str, Any]:
    joints = {name: {"pck": share, "n": count} for name, (share, count) in found.joints.items()}
    return {
        "metrics": dict(found.metrics), "joints": joints, "n": found.n, "people": found.people, "model": found.model,
        "data": found.data, "skeleton": found.skeleton, "height": found.height, "method": found.method,
        "seconds_per_picture": round(found.seconds, 4), "notes": list(found.notes),
    }  # fmt: skip


def _print(found: "PoseMeasured", results: Path | None) -> None:
    from firstsight.cli.console import out, table

    screen = out()
    screen.print(
        f"{found.model} on {found.data}: {found.n:,} pictures, {found.people:,} people to be found", markup=False
    )
    if found.people:
        shown = table("measure", "value", "what it says", right=("value",))
        for name, (title, meaning) in MEASURES.items():
            shown.add_row(title, _percent(found.metrics[name]), meaning)
        screen.print(shown)
    if found.people and found.joints:
        screen.print()
        shown = table("joint", "PCK@0.2", "n", right=("PCK@0.2", "n"))
        for name, (share, count) in found.joints.items():
            shown.add_row(name, _percent(share), f"{count:,}")
        screen.print(shown)
    screen.print(f"{found.seconds:.2f} s for a picture of {found.height} pixels in height, {found.method}")
    if results is not None:
        screen.print(f"{len(found.results):,} people found, written to {results}", markup=False)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
