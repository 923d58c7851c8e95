"""``firstsight pose --compare``: a bottom-up and a top-down network on one image."""

from pathlib import Path
from typing import TYPE_CHECKING

from firstsight.cli.outputs import FIGURES
from firstsight.cli.pose.arguments import Arguments, detection_options, warn_limitations
from firstsight.errors import UsageError

if TYPE_CHECKING:
    from firstsight.tasks.pose.result import PoseResult

DEFAULT_TOP_DOWN = ("pose-small-photos", "pose-tiny-lsp")
"""Bundled top-down weights that are used if none are named: the first ones in the package."""
RUNS = 5
"""Number of runs of each network; the result with the median time is reported."""


def run(arguments: Arguments) -> int:
    """Estimate with both, draw, print; people are those of the bottom-up network, or those in --boxes."""
    from firstsight.cli.console import log, print_json
    from firstsight.cli.outputs import check_outputs
    from firstsight.tasks.load import load_as
    from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
    from firstsight.tasks.pose.bottom_up.network import default_weights
    from firstsight.tasks.pose.boxes import read_boxes, select_boxes
    from firstsight.tasks.pose.top_down.estimate import TopDownEstimator
    from firstsight.weights.bundled import bundled

    image = Path(arguments.images[0])
    target = _target(arguments.out, image) if arguments.out is not None else None
    if target is not None:
        inputs = [image, arguments.boxes, arguments.model, arguments.detector]
        check_outputs([target], inputs=inputs, force=arguments.force, makes_folder=True)
    model = arguments.model or next((name for name in DEFAULT_TOP_DOWN if name in bundled()), None)
    if model is None:
        raise UsageError("`compare` needs a top-down network: name one with `model`")
    loaded = load_as("bottom-up", arguments.detector or default_weights(), device=arguments.device, notify=log)
    options = detection_options(arguments)
    bottom_up = PoseEstimator(loaded.network, flip=bool(arguments.flip), **options)
    network = load_as("top-down", model, device=arguments.device, notify=log).network
    top_down = TopDownEstimator(network, detector=bottom_up, flip=arguments.flip is not False)
    warn_limitations([bottom_up.network, top_down.network])
    boxes = select_boxes(read_boxes(arguments.boxes), image) if arguments.boxes is not None else None
    results = {
        f"bottom-up: {bottom_up.network.name}": _median([bottom_up.infer(image) for _ in range(RUNS)]),
        f"top-down: {top_down.network.name}": _median([top_down.infer(image, boxes=boxes) for _ in range(RUNS)]),
    }
    if target is not None:
        _draw(target, results)
    if arguments.json:
        networks = [{"network": name, **result.to_dict()} for name, result in results.items()]
        print_json({"image": str(image), "networks": networks})
    else:
        _print(results, target)
    return 0


def _median(results: "list[PoseResult]") -> "PoseResult":
    """Return the result with the median time."""
    return sorted(results, key=lambda result: sum(result.timings.values()))[len(results) // 2]


def _target(out: Path, image: Path) -> Path:
    """Return the file to write: ``out``, or a file in this folder."""
    return out / f"{image.stem}-compared.png" if out.suffix.lower() not in FIGURES or out.is_dir() else out


def _draw(target: Path, results: "dict[str, PoseResult]") -> None:
    from firstsight import plots
    from firstsight.cli.console import write_figure
    from firstsight.cli.outputs import make_folder

    make_folder(target.parent)
    captions = [f"{name}\n{_count(result)}, {_time(result)}" for name, result in results.items()]
    drawn = [result.draw() for result in results.values()]
    write_figure(plots.side_by_side(drawn, captions), target)


def _count(result: "PoseResult") -> str:
    return f"{len(result)} {'person' if len(result) == 1 else 'people'}"


def _time(result: "PoseResult") -> str:
    return f"{1000 * sum(result.timings.values()):.0f} ms"


def _print(results: "dict[str, PoseResult]", target: Path | None) -> None:
    from firstsight.cli.console import log, out, say, table

    rows = table("network", "people", "read", "detect", "network", "decode", "total", right=("people", "total"))
    for name, result in results.items():
        parts = [
            f"{1000 * result.timings[part]:.1f} ms" if part in result.timings else "-"
            for part in ("read", "detect", "network", "decode")
        ]
        rows.add_row(name, str(len(result)), *parts, _time(result))
    out().print(rows)
    if target is not None:
        say(f"drawn: {target}")
    else:
        log("use --out FILE.png to save both results side by side")
