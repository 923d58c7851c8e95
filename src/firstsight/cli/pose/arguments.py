"""Arguments of ``firstsight pose``, and the estimator that they describe."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import ADVANCED, NO_DEFAULT, Device, Flag, Maybe
from firstsight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstsight.tasks.pose.bottom_up.network import BottomUpNetwork
    from firstsight.tasks.pose.estimator import Estimator
    from firstsight.tasks.pose.top_down.network import TopDownNetwork

FAST_HEIGHT = 256
"""Height in pixels that images are resized to with --fast."""
BETTER = "better results: firstsight weights get openpose-mobilenet downloads 16 MB"
EXAMPLES = (
    "firstsight pose --out people.png",
    "firstsight pose photo.jpg --out people.png",
    "firstsight pose video.mp4 --track --out people.mp4",
    "firstsight pose camera --show",
)


@dataclass(frozen=True)
class Arguments:
    """Estimate the poses of people in images, a video or a camera."""

    images: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="[IMAGE_OR_FOLDER_OR_VIDEO...]")] = ()
    """Images, folders, zip files, or patterns such as "photos/*.jpg"; or one video, or camera, or camera:1 (default: a
    bundled photograph). Images can be PNG, JPEG, GIF, BMP, TIFF, WebP or PPM."""
    model: Maybe[str] = None
    """Run directory, latest, name of weights or .safetensors file (default: openpose-mobilenet if stored, else bundled
    weights); latest is the newest run. The published checkpoint_iter_370000.pth of lightweight OpenPose can be given,
    too."""
    boxes: Maybe[Path] = None
    """Images, top-down model: .json file with the boxes of people as [x, y, width, height]; a list of them, or a list
    for each file name."""
    detector: Maybe[str] = None
    """Top-down model: weights of a bottom-up network that finds the people (default: the image is one person)."""
    compare: Annotated[bool, NO_DEFAULT, ADVANCED] = False
    """One image: draw the results of --detector and --model side by side, with their times."""
    height: Annotated[int | None, NO_DEFAULT, ADVANCED] = None
    """Height in pixels that images are resized to (default: that of the network); small people need more."""
    fast: Flag = False
    """Resize images to a height of 256 pixels: faster, but small people may be missed."""
    method: Annotated[Literal["fast", "exact"] | None, NO_DEFAULT, ADVANCED] = None
    """Decoding: fast (default), or exact as in the published code."""
    scales: Annotated[str, ADVANCED] = "1"
    """Average the maps over these multiples of the height, as in 0.5,1,1.5."""
    flip: Annotated[bool | None, NO_DEFAULT, ADVANCED] = None
    """Average with the horizontally flipped image (default: yes for top-down, no for bottom-up networks)."""
    min_joints: Maybe[int] = None
    """Leave out people with fewer detected keypoints (default: 3)."""
    min_score: Maybe[float] = None
    """Leave out people with a lower score, from 0 to 1 (default: that of the weights; 0: draw all)."""
    min_joint_score: Annotated[float | None, NO_DEFAULT, ADVANCED] = None
    """Leave out keypoints with a lower score, from 0 to 1."""
    track: Flag = False
    """Video: keep the identity of each person from frame to frame."""
    smooth: Flag = False
    """Video: reduce jitter (1 euro filter); implies --track."""
    show: Flag = False
    """Video or camera: show the poses in a window, until q, Esc or its button."""
    frames: Annotated[int | None, NO_DEFAULT, ADVANCED] = None
    """Video: process only this many frames."""
    maps: Annotated[bool, NO_DEFAULT, ADVANCED] = False
    """Images, with --out: also draw the heatmaps and part affinity fields."""
    out: Maybe[Path] = None
    """Draw the poses: a .png, .jpg, .svg or .pdf file for one image, an .mp4 file for a video, or a folder."""
    force: Flag = False
    """Replace existing files."""
    device: Device = "auto"
    """Device to compute on; auto uses a GPU if there is one."""
    coco: Annotated[Path | None, NO_DEFAULT, ADVANCED] = None
    """Write the keypoints in COCO result format to this .json file (images only)."""
    json: Flag = False
    """Print the result as one JSON document, with -1 for missed keypoints; a list for several images, a line per frame
    for a video."""


def estimator_of(arguments: Arguments) -> "Estimator":
    """Return the estimator that the arguments describe; warn of the limitations of its weights.

    Raises
    ------
    UsageError
        If an option does not fit the weights.
    WeightsError
        If the weights cannot be used.
    """
    from firstsight.cli.console import log
    from firstsight.tasks.load import load_as
    from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
    from firstsight.tasks.pose.bottom_up.network import default_weights
    from firstsight.tasks.pose.estimator import make_estimator
    from firstsight.tasks.pose.evaluate import parse_scales
    from firstsight.weights.bundled import bundled

    options = detection_options(arguments)
    detector = None
    if arguments.detector:
        loaded = load_as("bottom-up", arguments.detector, device=arguments.device, notify=log)
        detector = PoseEstimator(loaded.network, **options)
        options = {}
    model = arguments.model
    if model is None:
        model = default_weights()
        log(f"using {model} ({BETTER if model in bundled() else 'choose others with --model'})")
    estimator = make_estimator(
        model,
        method=arguments.method,
        scales=parse_scales(arguments.scales),
        flip=arguments.flip,
        detector=detector,
        device=arguments.device,
        notify=log,
        **options,
    )
    warn_limitations([each.network for each in (estimator, detector) if each is not None])
    _check_boxes(arguments, estimator)
    return estimator


def detection_options(arguments: Arguments) -> dict[str, Any]:
    """Return the options of the bottom-up network that are given.

    Raises
    ------
    UsageError
        If they exclude each other.
    """
    options: dict[str, Any] = {
        "height": arguments.height,
        "min_joints": arguments.min_joints,
        "min_score": arguments.min_score,
        "min_joint_score": arguments.min_joint_score,
    }
    if arguments.fast:
        if arguments.height is not None:
            raise UsageError("`fast` and `height` exclude each other")
        options["height"] = FAST_HEIGHT
    return {name: value for name, value in options.items() if value is not None}


def _check_boxes(arguments: Arguments, estimator: "Estimator") -> None:
    """Refuse options of the other kind of network."""
    from firstsight.cli.console import warn

    name = estimator.network.name
    if estimator.task == "bottom-up":
        if arguments.boxes is not None:
            raise UsageError(f"`boxes` needs a top-down network; {name} is bottom-up and finds all people")
    elif arguments.maps:
        raise UsageError(f"`maps` needs a bottom-up network; {name} is top-down")
    elif arguments.boxes is not None and arguments.detector is not None:
        raise UsageError(
            "`boxes` and `detector` exclude each other; give the boxes of people or a detector that finds them"
        )
    elif arguments.boxes is None and arguments.detector is None:
        warn(f"{name} is top-down: the whole image is taken as one person (--detector finds people)")


def warn_limitations(networks: "Sequence[BottomUpNetwork | TopDownNetwork]") -> None:
    """Warn of the limitations of bundled weights, which are small."""
    from firstsight.cli.console import warn
    from firstsight.tasks.pose.bottom_up.network import LIMITATIONS

    for network in networks:
        if network.name in LIMITATIONS:
            warn(f"{network.name} is a small bundled network: {LIMITATIONS[network.name]}")
