"""Estimate the poses of the people in an image."""

from collections.abc import Sequence
from typing import Any

import torch

from firstsight.arguments import ModelSource, check_arguments
from firstsight.data.image_input import ImageLike
from firstsight.errors import UsageError
from firstsight.pose.decode import Method
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
from firstsight.tasks.pose.estimator import PoseModel, make_estimator
from firstsight.tasks.pose.result import PoseResult
from firstsight.tasks.pose.top_down.estimate import TopDownEstimator


def estimate_pose(
    image: ImageLike,
    model: PoseModel | None = None,
    *,
    boxes: Any = None,
    detector: PoseEstimator | ModelSource | None = None,
    height: int | None = None,
    method: Method | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool | None = None,
    min_joints: int | None = None,
    min_score: float | None = None,
    min_joint_score: float | None = None,
    bgr: bool = False,
    device: str | torch.device | None = None,
) -> PoseResult:
    """Estimate the poses of the people in an image.

    Parameters
    ----------
    image : ImageLike
        Image of any form, see `firstsight.data.image_input.to_pil`.
    model : PoseModel | None
        What `firstsight.load` returns or takes; None for the bundled bottom-up weights.
    boxes : Any
        (N, 4) boxes of people: x and y of the corner, width, height in pixels (top-down only). A top-down network does
        not find people: without ``boxes`` and ``detector``, it takes the whole image as one person, and the result says
        so in ``notes``.
    detector : PoseEstimator | ModelSource | None
        Bottom-up estimator or its weights that finds the people (top-down only).
    height : int | None
        Height in pixels that the image is resized to (bottom-up only); None for that of the network.
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
    bgr : bool
        Channels of an array or a tensor are blue, green, red (OpenCV); images of other forms are not changed.
    device : str | torch.device | None
        Device: "cpu", "cuda", "mps" or "auto". None leaves an object where it is, and is "auto" for a name.

    Returns
    -------
    PoseResult
        Poses in pixels of the image; ``.draw()``, ``.save(path)`` and ``.to_dict()`` use them. The maps
        of a bottom-up network are in the result of `PoseEstimator.infer`.

    Raises
    ------
    UsageError
        If the weights are unknown or an option does not fit them.
    DataError
        If the image or a box cannot be used.
    WeightsError
        If the weights cannot be used.
    """
    check_arguments(estimate_pose, locals())
    estimator = make_estimator(
        model,
        height=height,
        method=method,
        scales=scales,
        flip=flip,
        min_joints=min_joints,
        min_score=min_score,
        min_joint_score=min_joint_score,
        detector=detector,
        device=device,
    )
    if isinstance(estimator, TopDownEstimator):
        return estimator.infer(image, boxes=boxes, bgr=bgr)
    if boxes is not None:
        raise UsageError(
            f"`boxes` needs a top-down network; {estimator.network.name} is bottom-up and finds all people"
        )
    result = estimator.infer(image, bgr=bgr)
    return PoseResult(result.poses, result.skeleton, result.image, result.timings, notes=result.notes)
