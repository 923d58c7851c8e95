"""Percentage of correct keypoints (PCK; Yang and Ramanan 2013), and matching of poses to people.

All coordinates are pixels of the image. Keypoints are x, y; boxes are x, y, width, height. The ground truth of a joint
has a third value v, its visibility: 0 not labeled, 1 occluded, 2 visible. Only joints with v > 0 are evaluated.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firstsight.metrics.average_precision import Detections, GroundTruth
from firstsight.pose.oks import object_keypoint_similarity
from firstsight.pose.skeleton import Skeleton

TORSO_DIAGONALS = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))
"""Pairs of joints whose distance is the length of the torso; the first pair is used where it is labeled."""
HEAD_SIZE_FACTOR = 0.6
"""Size of a head divided by the diagonal of its box (MPII)."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Pck:
    """Percentage of correct keypoints, as fractions.

    Attributes
    ----------
    per_joint : FloatArray
        (K,) fraction of the labeled joints of each type that are correct; nan for a type without labels.
    counts : NDArray[np.int64]
        (K,) number of labeled joints of each type in the evaluated images.
    mean : float
        Fraction of all labeled joints that are correct; nan without labels.
    num_joints : int
        Number of labeled joints of all types.
    num_images : int
        Number of evaluated images.
    num_skipped : int
        Number of images without a reference length, which are not evaluated.
    """

    per_joint: FloatArray
    counts: NDArray[np.int64]
    mean: float
    num_joints: int
    num_images: int
    num_skipped: int


def pck(
    keypoints: ArrayLike,
    truth: ArrayLike,
    skeleton: Skeleton,
    *,
    threshold: float = 0.2,
    norm: Literal["torso", "box"] = "torso",
    boxes: ArrayLike | None = None,
) -> Pck:
    """Compute the percentage of correct keypoints.

    A joint is correct if its distance to the ground truth is at most ``threshold`` times the size of the person.

    Parameters
    ----------
    keypoints : ArrayLike
        (N, K, 2) pose of one person in each of N images. A joint with a negative coordinate or nan was not detected and
        is incorrect.
    truth : ArrayLike
        (N, K, 3) x, y, v.
    skeleton : Skeleton
        Skeleton of both.
    threshold : float
        Largest distance of a correct joint, as a fraction of the person's size.
    norm : Literal["torso", "box"]
        Size of a person. "torso" is the distance from the left shoulder to the right hip, or where one of them is not
        labeled, from the right shoulder to the left hip. "box" is the longer side of the box. Images whose size is not
        above 0 are skipped.
    boxes : ArrayLike | None
        (N, 4) boxes, required by ``norm="box"``.

    Returns
    -------
    Pck
        Fractions and counts.

    Raises
    ------
    ValueError
        If the skeleton has no torso, boxes are missing, or a shape is wrong.
    """
    target = np.asarray(truth, np.float64)
    if target.shape[1:] != (len(skeleton), 3):
        raise ValueError(
            f"`truth` must have shape (N, {len(skeleton)}, 3) for the skeleton {skeleton.name}, got {target.shape}"
        )
    if norm == "box":
        if boxes is None:
            raise ValueError('`norm` is "box", which needs `boxes` of shape (N, 4)')
        lengths = _check_boxes("boxes", boxes)[:, 2:].max(1)
    elif norm == "torso":
        lengths = _torso_lengths(target, skeleton)
    else:
        raise ValueError(f'`norm` must be "torso" or "box", got "{norm}"')
    return _compare(keypoints, target, lengths, threshold)


def pckh(keypoints: ArrayLike, truth: ArrayLike, head_boxes: ArrayLike, *, threshold: float = 0.5) -> Pck:
    """Compute PCKh, the percentage of correct keypoints relative to the size of the head (Andriluka 2014).

    The size of a head is 0.6 times the diagonal of its box.

    Parameters
    ----------
    keypoints : ArrayLike
        (N, K, 2) poses, see `pck`.
    truth : ArrayLike
        (N, K, 3) x, y, v.
    head_boxes : ArrayLike
        (N, 4) boxes of the heads. Images whose box has no extent are skipped.
    threshold : float
        Largest distance of a correct joint, as a fraction of the head's size.

    Returns
    -------
    Pck
        Fractions and counts.

    Raises
    ------
    ValueError
        If a shape is wrong.
    """
    lengths = HEAD_SIZE_FACTOR * np.hypot(*_check_boxes("head_boxes", head_boxes)[:, 2:].T)
    return _compare(keypoints, np.asarray(truth, np.float64), lengths, threshold)


def match_poses(
    truth: GroundTruth, detections: Detections, sigmas: ArrayLike, *, min_oks: float = 0.5, max_detections: int = 20
) -> tuple[NDArray[np.int64], FloatArray]:
    """Match the poses of one image to its people, like `average_precision` at one OKS threshold.

    Poses are matched greedily, highest score first, each to the unmatched person of highest OKS. People to detect are
    preferred over crowds and people without labels.

    Parameters
    ----------
    truth : GroundTruth
        People of the image.
    detections : Detections
        Poses of the image.
    sigmas : ArrayLike
        (K,) see `Skeleton.sigmas`.
    min_oks : float
        Minimum OKS of a match.
    max_detections : int
        Maximum number of poses, at least 1; those with the highest scores are kept.

    Returns
    -------
    tuple[NDArray[np.int64], FloatArray]
        For each person the index of the matched pose (G,), -1 without a match, and the OKS (G,), 0 without a match.

    Raises
    ------
    ValueError
        If the numbers of joints do not agree, or ``max_detections`` is below 1.
    """
    if max_detections < 1:
        raise ValueError(f"`max_detections` must be at least 1, got {max_detections}")
    oks = object_keypoint_similarity(
        detections.keypoints, truth.keypoints, areas=truth.areas, boxes=truth.boxes, sigmas=sigmas
    )
    relevant = ~truth.crowd & (truth.keypoints[..., 2] > 0).any(1)
    pose_of_person = np.full(len(relevant), -1)
    oks_of_person = np.zeros(len(relevant))
    for pose in np.argsort(-detections.scores, kind="stable")[:max_detections] if len(relevant) else ():
        free = (pose_of_person < 0) | truth.crowd
        preference = np.where(free & (oks[pose] >= min_oks), oks[pose] + 2 * relevant, -1.0)
        person = len(preference) - 1 - int(preference[::-1].argmax())  # the last of equal ones
        if preference[person] >= 0:
            pose_of_person[person] = pose
            oks_of_person[person] = oks[pose, person]
    return pose_of_person, oks_of_person


def _check_boxes(name: str, boxes: ArrayLike) -> FloatArray:
    """Return boxes as an array of shape (N, 4); raise ValueError for other shapes."""
    array = np.asarray(boxes, np.float64)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"`{name}` must have shape (N, 4), got {array.shape}")
    return array


def _torso_lengths(truth: FloatArray, skeleton: Skeleton) -> FloatArray:
    """Return the length of each torso (N,), 0 where it is not labeled."""
    diagonals = [pair for pair in TORSO_DIAGONALS if set(pair) <= set(skeleton.joints)]
    if not diagonals:
        raise ValueError(
            f"{skeleton.name} has no torso: it needs left_shoulder and right_hip, or right_shoulder and left_hip"
            ' (use `norm="box"`)'
        )
    lengths = np.zeros(len(truth))
    for pair in diagonals:
        a, b = (truth[:, skeleton.joints.index(name)] for name in pair)
        is_labeled = (lengths == 0) & (a[:, 2] > 0) & (b[:, 2] > 0)
        lengths[is_labeled] = np.hypot(*(a - b)[is_labeled, :2].T)
    return lengths


def _compare(keypoints: ArrayLike, truth: FloatArray, lengths: FloatArray, threshold: float) -> Pck:
    """Count the joints within ``threshold`` times the reference length (N,); images of length 0 are skipped."""
    poses = np.asarray(keypoints, np.float64)
    if poses.shape != (*truth.shape[:2], 2) or lengths.shape != truth.shape[:1]:
        raise ValueError(
            "`keypoints` must have shape (N, K, 2), `truth` (N, K, 3) and the lengths (N,),"
            f" got {(poses.shape, truth.shape, lengths.shape)}"
        )
    is_evaluated = lengths > 0
    poses = poses[is_evaluated]
    truth = truth[is_evaluated]
    radius = threshold * lengths[is_evaluated]
    is_labeled = truth[..., 2] > 0  # (N, K)
    is_near = np.hypot(*np.moveaxis(poses - truth[..., :2], -1, 0)) <= radius[:, None]  # False for nan
    is_correct = is_labeled & is_near & (poses >= 0).all(-1)
    counts = is_labeled.sum(0)
    num_correct = is_correct.sum(0)
    return Pck(
        per_joint=np.divide(num_correct, counts, out=np.full(len(counts), np.nan), where=counts > 0),
        counts=counts,
        mean=float(num_correct.sum() / counts.sum()) if counts.any() else float("nan"),
        num_joints=int(counts.sum()),
        num_images=int(is_evaluated.sum()),
        num_skipped=int((~is_evaluated).sum()),
    )
