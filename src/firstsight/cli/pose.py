"""``firstsight pose``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import Device, Flag, Maybe, parse, scales_of
from firstsight.cli.pose_output import DRAWN, Answers, draw, line_of, print_table, warn_limitations, write_coco

if TYPE_CHECKING:
    from firstsight.tasks.pose.bottom_up.estimate import PoseResult
    from firstsight.tasks.pose.top_down.estimate import Estimator


@dataclass(frozen=True)
class Arguments:
    """Find people and their joints in photographs, in a video, before a camera."""

    images: Annotated[
        Positional[tuple[str, ...]], tyro.conf.arg(metavar="IMAGE_OR_FOLDER_OR_VIDEO...", help_behavior_hint="")
    ]
    """Pictures (PNG, JPEG, GIF, BMP, TIFF, WebP or PPM), or folders of them; or one video, or camera, or camera:1."""
    model: Maybe[str] = None
    """A run directory, shipped weights (default: openpose-tiny-lsp), a .safetensors file, or the published
    checkpoint_iter_370000.pth."""
    boxes: Maybe[Path] = None
    """Pictures, with a model that looks at one person at a time: where people are, a .json file.
    It holds a list of [x, y, width, height], or such a list for each picture's file name."""
    detector: Maybe[str] = None
    """With such a model: weights of a bottom-up network that finds the people (default: all of a picture is one)."""
    compare: Flag = False
    """One picture: draw what --detector finds and what --model finds, side by side, with their times."""
    height: Maybe[int] = None
    """What pictures are resized to, in pixels (default: the network's own); small people need more."""
    method: Maybe[Literal["fast", "exact"]] = None
    """How maps become people: from the network's own (fast, the default), or exactly as the published code does."""
    scales: str = "1"
    """Show each picture in several sizes, and average: 0.5,1,1.5."""
    flip: Flag = False
    """Also show the mirror image, and average."""
    min_joints: Maybe[int] = None
    """Leave out people of whom a bottom-up network found fewer joints (default: 3): fragments."""
    track: Flag = False
    """Video: people keep their numbers from frame to frame, and are drawn each in a colour."""
    smooth: Flag = False
    """Video: joints hold still (1 euro filter); with --track, which it brings."""
    frames: Maybe[int] = None
    """Video: only so many frames, from the first."""
    maps: Flag = False
    """Pictures, with --out: also draw the network's maps."""
    out: Maybe[Path] = None
    """Where to draw the people: a .png or .jpg for one picture, an .mp4 for a video, or a folder."""
    device: Device = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    coco: Maybe[Path] = None
    """Pictures: write COCO's keypoint results to this .json file."""
    json: Flag = False
    """Print the result as one JSON document (-1 for a joint that was not found).
    Several pictures: a list of them; a video: a line a frame, as it goes."""


def run(argv: list[str]) -> int:
    """Parse, find, draw, print. A picture that cannot be read is named on stderr; the others are answered, code 1."""
    arguments = parse(Arguments, "pose", argv)
    from firstsight.data.video import is_video

    if any(is_video(name) and not Path(name).is_dir() for name in arguments.images):  # a folder has any name
        from firstsight.cli import pose_video

        return pose_video.run(arguments)
    _check(arguments)
    if arguments.compare:
        from firstsight.cli import pose_compare

        return pose_compare.run(arguments)
    from firstsight.cli.console import print_json, report_failures

    answers = Answers()
    images = list(_found(arguments.images, answers.refused))
    if images:
        _answer(arguments, make_estimator(arguments), images, answers)
    if arguments.coco is not None:
        write_coco(arguments.coco, answers)
    if arguments.json:
        alone = len(arguments.images) == len(answers.lines) == 1 and not Path(arguments.images[0]).is_dir()
        print_json(answers.lines[0] if alone else answers.lines)
    else:
        print_table(arguments, answers)
    return report_failures(answers.refused)


def make_estimator(arguments: Arguments) -> "Estimator":
    """The network that is meant, with what is set."""
    from firstsight.cli.console import log
    from firstsight.engine.device import move
    from firstsight.errors import UsageError
    from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
    from firstsight.tasks.pose.top_down.estimate import estimator_for
    from firstsight.weights.pose import load_pose, usual

    detector, least = None, arguments.min_joints
    if arguments.detector:
        detector, least = PoseEstimator(load_pose(arguments.detector, notify=log), min_joints=least), None
    model = arguments.model or usual()
    estimator = estimator_for(
        model, height=arguments.height, method=arguments.method, scales=scales_of(arguments.scales),
        flip=arguments.flip, min_joints=least, detector=detector, notify=log,
    )  # fmt: skip
    networks = [each.network for each in (estimator, detector) if each is not None]
    warn_limitations(networks)
    move(arguments.device, *(network.model for network in networks))
    if estimator.method != "top-down":
        if arguments.boxes is not None:
            raise UsageError(
                f"--boxes is for a network that looks at one person at a time; {model} finds all by itself"
            )
    elif arguments.maps:
        raise UsageError(f"--maps draws the maps of a whole picture, and {model} looks at one person at a time")
    elif arguments.boxes is not None and detector is not None:
        raise UsageError("--boxes and --detector both say where people are; name one")
    elif arguments.boxes is None and detector is None:
        log(f"{model} looks at one person at a time: all of a picture is taken as one (--detector finds people)")
    return estimator


def _check(arguments: Arguments) -> None:
    from firstsight.errors import UsageError

    if not arguments.images:
        raise UsageError("missing: IMAGE_OR_FOLDER; name at least one picture (see: firstsight pose --help)")
    if arguments.compare and (len(arguments.images) > 1 or Path(arguments.images[0]).is_dir()):
        raise UsageError("--compare is of one picture")
    for option in ("height", "method", "maps", "coco"):
        if arguments.compare and getattr(arguments, option):
            raise UsageError(f"--{option} is not for --compare: each network looks as it was trained to")
    if arguments.compare and arguments.scales != "1":
        raise UsageError("--scales is not for --compare: each network looks as it was trained to")
    for option in ("track", "smooth", "frames"):
        if getattr(arguments, option) not in (False, None):
            raise UsageError(f"--{option} is for a video or a camera; {arguments.images[0]} is neither")
    out, coco = arguments.out, arguments.coco
    if arguments.maps and out is None:
        raise UsageError("--maps draws the maps beside the people; say where with --out")
    if out is not None and out.suffix:
        formats = (".png",) if arguments.compare else DRAWN
        if out.suffix.lower() not in formats and not out.is_dir():
            raise UsageError(f"--out must be a {' or '.join(formats[:2])} file or a folder; got {out}")
        if out.suffix.lower() in formats and (len(arguments.images) > 1 or Path(arguments.images[0]).is_dir()):
            raise UsageError(f"--out {out}: several pictures need a folder")
    if coco is not None and coco.suffix.lower() != ".json":
        raise UsageError(f"--coco must be a .json file; got {coco}")
    for option, path in (("--out", out), ("--coco", coco)):
        if path is not None and path.suffix and not path.parent.is_dir():
            raise UsageError(f"{option} {path}: there is no folder {path.parent}")


def _found(names: Sequence[str], refused: list[str]) -> Iterator[Path]:
    """The pictures that are named, and those of the folders that are named, by name."""
    from firstsight.data.image_io import SUFFIXES

    for name in names:
        path = Path(name)
        if not path.exists():
            refused.append(f"{name}: No such file or directory")
            continue
        if not path.is_dir():
            yield path
            continue
        inside = [p for p in sorted(path.iterdir()) if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
        if not inside:
            deeper = next((p.name for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")), None)
            hint = f"; folders in it are named one by one, as {path / deeper}" if deeper else ""
            refused.append(f"{name}: there are no pictures in this folder{hint}")
        yield from inside


def _answer(arguments: Arguments, estimator: "Estimator", images: Sequence[Path], answers: Answers) -> None:
    from firstsight.cli.console import progress
    from firstsight.errors import DataError
    from firstsight.tasks.pose.bottom_up.estimate import coco_results
    from firstsight.tasks.pose.boxes import boxes_for, read_boxes
    from firstsight.tasks.pose.top_down.estimate import TopDownEstimator

    boxes = read_boxes(arguments.boxes) if arguments.boxes is not None else None
    for image in progress(images, "pictures"):
        try:
            if boxes is not None and isinstance(estimator, TopDownEstimator):
                steps: PoseResult = estimator.steps(image, boxes=boxes_for(boxes, image))
            else:
                steps = estimator.steps(image)
        except DataError as error:
            answers.refused.append(str(error))
            continue
        answers.lines.append(line_of(image, estimator, steps))
        if arguments.coco is not None:
            answers.results.append(coco_results(steps, estimator.skeleton, image_id=0))
        if arguments.out is not None:
            draw(arguments, image, estimator, steps, answers.files)
