"""Pose estimators of either kind, bottom-up or top-down, by the name of their weights."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch

from firstsight.arguments import ModelSource, ignore, is_source, to_source
from firstsight.errors import UsageError, WeightsError
from firstsight.pose.decode import Method
from firstsight.tasks.load import load, load_as
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
from firstsight.tasks.pose.bottom_up.network import BottomUpNetwork, default_weights
from firstsight.tasks.pose.top_down.estimate import TopDownEstimator
from firstsight.tasks.pose.top_down.network import TopDownNetwork
from firstsight.tasks.spec import TASKS

Estimator: TypeAlias = PoseEstimator | TopDownEstimator
PoseModel: TypeAlias = ModelSource | BottomUpNetwork | TopDownNetwork | Estimator


def make_estimator(
    model: PoseModel | None = None,
    *,
    height: int | None = None,
    method: Method | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool | None = None,
    min_joints: int | None = None,
    min_score: float | None = None,
    min_joint_score: float | None = None,
    detector: PoseEstimator | ModelSource | None = None,
    device: str | torch.device | None = None,
    notify: Callable[[str], None] = ignore,
) -> Estimator:
    """Return the pose estimator for weights of either kind.

    Parameters
    ----------
    model : PoseModel | None
        An estimator or a network; what `firstsight.load` takes; None for the bundled bottom-up weights. An estimator is
        returned unchanged if no option is given; else its network gets the options.
    height : int | None
        Height in pixels that images are resized to (bottom-up only); None for that of the network.
    method : Method | None
        "fast" or "exact" decoding (bottom-up only).
    scales : Sequence[float]
        Multiples of ``height`` whose maps are averaged (bottom-up only).
    flip : bool | None
        Average with the horizontally flipped image. None: for top-down networks only, as published evaluations do.
    min_joints : int | None
        Minimum number of detected keypoints of a person (bottom-up only).
    min_score : float | None
        Minimum score of a person, in [0, 1] (bottom-up only); None for that of the weights, 0 for all people.
    min_joint_score : float | None
        Minimum score of a keypoint, in [0, 1] (bottom-up only); others count as not detected.
    detector : PoseEstimator | ModelSource | None
        Bottom-up estimator or its weights that finds the people (top-down only); None takes the image as one person.
    device : str | torch.device | None
        Device to compute on. None leaves an object where it is, and is "auto" for a name or a path.
    notify : Callable[[str], None]
        Called with a line for everything unusual in a weights file.

    Raises
    ------
    UsageError
        If the weights are unknown, or an option is of the other kind.
    WeightsError
        If the weights cannot be used, or are not those of a pose network.
    """
    if model is None:
        model = default_weights()
    options: dict[str, Any] = {
        "height": height,
        "method": method,
        "min_joints": min_joints,
        "min_score": min_score,
        "min_joint_score": min_joint_score,
    }
    options = {name: value for name, value in options.items() if value is not None}
    if tuple(scales) != (1.0,):
        options["scales"] = tuple(scales)
    if is_source(model):
        model = _load_pose(model, device or "auto", notify)
    if isinstance(model, Estimator) and not (options or flip is not None or detector is not None):
        return model.to(device) if device else model
    network = model.network if isinstance(model, Estimator) else model
    estimator: Estimator
    if isinstance(network, BottomUpNetwork):
        if detector is not None:
            raise UsageError(f"`detector` needs a top-down network; {network.name} is bottom-up and finds all people")
        estimator = PoseEstimator(network, flip=bool(flip), **options)
    elif isinstance(network, TopDownNetwork):
        for name in options:
            raise UsageError(f"`{name}` needs a bottom-up network; {network.name} is top-down")
        finder: PoseEstimator | None = None
        if detector is not None:
            finder = load_as("bottom-up", detector, device=device, notify=notify)
        estimator = TopDownEstimator(network, detector=finder, flip=flip is not False)
    else:
        raise UsageError(f"`model` must be a pose network or the name of its weights; got {type(model).__name__}")
    return estimator.to(device) if device else estimator


def _load_pose(name_or_path: ModelSource, device: str | torch.device, notify: Callable[[str], None]) -> Estimator:
    loaded = load(name_or_path, device=device, notify=notify)
    if not isinstance(loaded, Estimator):
        spec = TASKS[loaded.task]
        raise WeightsError(
            f"{to_source(name_or_path)}: holds a {spec.title}, not a pose network"
            f" (see: firstsight {spec.command} --help)"
        )
    return loaded
