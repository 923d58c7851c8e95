"""``firstsight pose --compare``: a bottom-up and a top-down network on one picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstsight.cli.pose import Arguments
from firstsight.cli.pose_output import person, warn_limitations

if TYPE_CHECKING:
    from firstsight.tasks.pose.bottom_up.estimate import PoseResult

USUAL_TOP_DOWN = "pose-tiny-lsp"
"""The shipped weights that look at one person at a time, if none are named."""
ROUNDS = 5
"""Each network looks so often; the median of the times is told."""


def run(arguments: Arguments) -> int:
    """Find, draw side by side, print. People are where the bottom-up network finds them, or in --boxes."""
    from firstsight.cli.console import log, print_json
    from firstsight.engine.device import move
    from firstsight.errors import UsageError
    from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
    from firstsight.tasks.pose.boxes import boxes_for, read_boxes
    from firstsight.tasks.pose.top_down.estimate import TopDownEstimator
    from firstsight.weights.bundled import bundled
    from firstsight.weights.pose import load_pose, usual
    from firstsight.weights.top_down import load_top_down

    model = arguments.model or USUAL_TOP_DOWN
    if arguments.model is None and model not in bundled():
        raise UsageError("--compare needs a network that looks at one person at a time: name one with --model")
    (image,) = map(Path, arguments.images)
    detector = load_pose(arguments.detector or usual(), notify=log)
    bottom_up = PoseEstimator(detector, flip=arguments.flip, min_joints=arguments.min_joints)
    top_down = TopDownEstimator(load_top_down(model, notify=log), detector=bottom_up, flip=arguments.flip)
    warn_limitations([bottom_up.network, top_down.network])
    move(arguments.device, bottom_up.network.model, top_down.network.model)
    boxes = boxes_for(read_boxes(arguments.boxes), image) if arguments.boxes is not None else None
    answers = {
        f"bottom-up: {bottom_up.network.name}": _typical([bottom_up.steps(image) for _ in range(ROUNDS)]),
        f"top-down: {top_down.network.name}": _typical([top_down.steps(image, boxes=boxes) for _ in range(ROUNDS)]),
    }
    if arguments.out is not None:
        _draw(arguments.out, image, answers, [bottom_up.skeleton, top_down.skeleton])
    if arguments.json:
        print_json({"image": str(image), "networks": [_told(name, steps) for name, steps in answers.items()]})
    else:
        _print(arguments, answers)
    return 0


def _typical(looks: "list[PoseResult]") -> "PoseResult":
    """The one of median time."""
    return sorted(looks, key=lambda steps: sum(steps.seconds.values()))[len(looks) // 2]


def _told(name: str, steps: "PoseResult") -> dict[str, Any]:
    return {
        "network": name, "people": [person(pose) for pose in steps.poses],
        "seconds": {part: round(seconds, 4) for part, seconds in steps.seconds.items()},
    }  # fmt: skip


def _draw(out: Path, image: Path, answers: "dict[str, PoseResult]", skeletons: list[Any]) -> None:
    from firstsight import plots

    target = out
    if out.suffix.lower() != ".png" or out.is_dir():
        out.mkdir(parents=True, exist_ok=True)
        target = out / f"{image.stem}-compared.png"
    drawn = [
        plots.draw_people(steps.picture, steps.poses, skeleton, apart=True)
        for steps, skeleton in zip(answers.values(), skeletons, strict=True)
    ]
    captions = [f"{name}\n{_count(steps)}, {_time(steps)}" for name, steps in answers.items()]
    target.write_bytes(plots.png(plots.side_by_side(drawn, captions)))


def _count(steps: "PoseResult") -> str:
    return f"{len(steps.poses)} {'person' if len(steps.poses) == 1 else 'people'}"


def _time(steps: "PoseResult") -> str:
    return f"{1000 * sum(steps.seconds.values()):.0f} ms"


def _print(arguments: Arguments, answers: "dict[str, PoseResult]") -> None:
    from firstsight.cli.console import log, out, table

    shown = table("network", "people", "read", "find people", "network", "decode", "all", right=("people", "all"))
    for name, steps in answers.items():
        parts = [
            f"{1000 * steps.seconds[part]:.1f} ms" if part in steps.seconds else "-"
            for part in ("read", "detect", "network", "decode")
        ]
        shown.add_row(name, str(len(steps.poses)), *parts, _time(steps))
    out().print(shown)
    if arguments.out is not None:
        out().print(f"drawn: {arguments.out}", markup=False)
    else:
        log("to see them side by side: --out compared.png")
