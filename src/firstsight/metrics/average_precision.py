"""Average precision (AP) and average recall (AR) of poses, as the COCO evaluation defines them.

`average_precision` gives the same ten numbers as pycocotools for keypoints, including ties (Lin 2014). Poses are
matched greedily to people by object keypoint similarity (OKS), highest score first. The matching runs for all OKS
thresholds and all area ranges at once.

All coordinates are pixels of the image. Keypoints are x, y; boxes are x, y, width, height. The ground truth of a joint
has a third value v, its visibility: 0 not labeled, 1 occluded, 2 visible. Only joints with v > 0 are evaluated.

Letters in shapes: A area ranges, T OKS thresholds, R recall thresholds, G people of an image in the ground truth,
D detected poses of an image, K joints.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firstsight.pose.oks import object_keypoint_similarity

OKS_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""(T,) minimum OKS at which a pose matches a person."""
RECALL_THRESHOLDS = np.linspace(0, 1, 101)
"""(R,) recall levels at which precision is sampled."""
AREA_RANGES = np.array([[0, 1e5], [32, 96], [96, 1e5]]) ** 2
"""(A, 2) smallest and largest area of all, medium and large people, in square pixels; both ends are included."""

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """People labeled in one image.

    Attributes
    ----------
    keypoints : FloatArray
        (G, K, 3) x, y, v. People without any v > 0 are ignored: they are not counted as missed, and a pose that matches
        one is not counted as a false positive.
    areas : FloatArray
        (G,) area of each person's segmentation (not of the box), in square pixels.
    boxes : FloatArray
        (G, 4) x, y, width, height.
    crowd : BoolArray
        (G,) whether the annotation is a crowd. Crowds are ignored too, and any number of poses may match one.

    Raises
    ------
    ValueError
        If the shapes do not agree.
    """

    keypoints: FloatArray
    areas: FloatArray
    boxes: FloatArray
    crowd: BoolArray

    def __post_init__(self) -> None:
        people = len(self.keypoints)
        shapes = [np.shape(array) for array in (self.keypoints, self.areas, self.boxes, self.crowd)]
        if shapes != [(people, *shapes[0][1:2], 3), (people,), (people, 4), (people,)]:
            raise ValueError(
                f"`keypoints` must have shape (G, K, 3), `areas` (G,), `boxes` (G, 4) and `crowd` (G,), got {shapes}"
            )


@dataclass(frozen=True, kw_only=True)
class Detections:
    """Poses detected in one image.

    Attributes
    ----------
    keypoints : FloatArray
        (D, K, 3) x, y and a third value that is ignored. Coordinates of a joint that was not detected are any finite
        numbers; COCO result files have 0, 0.
    scores : FloatArray
        (D,) confidence of each pose.

    Raises
    ------
    ValueError
        If the shapes do not agree, or a coordinate or score is not finite.
    """

    keypoints: FloatArray
    scores: FloatArray

    def __post_init__(self) -> None:
        shapes = [np.shape(array) for array in (self.keypoints, self.scores)]
        if shapes != [(len(self.scores), *shapes[0][1:2], 3), (len(self.scores),)]:
            raise ValueError(f"`keypoints` must have shape (D, K, 3) and `scores` (D,), got {shapes}")
        if not (np.isfinite(self.keypoints[..., :2]).all() and np.isfinite(self.scores).all()):
            raise ValueError("`keypoints` and `scores` must be finite (use 0, 0 for a joint that was not detected)")


@dataclass(frozen=True, kw_only=True)
class CocoMetrics:
    """COCO's ten keypoint metrics, in [0, 1]; -1 where there is no person to detect.

    Attributes
    ----------
    ap : float
        Average precision, mean over OKS thresholds from 0.50 to 0.95.
    ap50 : float
        Average precision at OKS 0.50.
    ap75 : float
        Average precision at OKS 0.75.
    ap_medium : float
        Average precision of people of 32^2 to 96^2 square pixels.
    ap_large : float
        Average precision of people of 96^2 to 1e5^2 square pixels.
    ar : float
        Recall of all poses, mean over OKS thresholds from 0.50 to 0.95.
    ar50 : float
        Recall at OKS 0.50.
    ar75 : float
        Recall at OKS 0.75.
    ar_medium : float
        Recall of people of 32^2 to 96^2 square pixels.
    ar_large : float
        Recall of people of 96^2 to 1e5^2 square pixels.
    """

    ap: float
    ap50: float
    ap75: float
    ap_medium: float
    ap_large: float
    ar: float
    ar50: float
    ar75: float
    ar_medium: float
    ar_large: float


def average_precision(
    ground_truths: Sequence[GroundTruth],
    detections: Sequence[Detections],
    sigmas: ArrayLike,
    *,
    max_detections: int = 20,
) -> CocoMetrics:
    """Compute COCO's ten keypoint metrics like pycocotools (``COCOeval`` with ``iouType="keypoints"``).

    Parameters
    ----------
    ground_truths : Sequence[GroundTruth]
        People of each image.
    detections : Sequence[Detections]
        Poses of the same images, in the same order. Among poses with equal scores, the first one is matched first.
    sigmas : ArrayLike
        (K,) see `Skeleton.sigmas`.
    max_detections : int
        Maximum number of poses per image, at least 1; those with the highest scores are kept.

    Returns
    -------
    CocoMetrics
        The ten metrics.

    Raises
    ------
    ValueError
        If the numbers of images or joints do not agree, or ``max_detections`` is below 1.
    """
    if max_detections < 1:
        raise ValueError(f"`max_detections` must be at least 1, got {max_detections}")
    if len(ground_truths) != len(detections):
        raise ValueError(
            f"`ground_truths` has {len(ground_truths)} images, but `detections` has {len(detections)}"
            " (pass one entry per image in both)"
        )
    precision = np.full((len(AREA_RANGES), len(OKS_THRESHOLDS), len(RECALL_THRESHOLDS)), -1.0)  # (A, T, R)
    recall = np.full((len(AREA_RANGES), len(OKS_THRESHOLDS)), -1.0)  # (A, T)
    images = [_match_image(*image, sigmas, max_detections) for image in zip(ground_truths, detections, strict=True)]
    if images:
        scores, true_positive, false_positive, relevant = (
            np.concatenate(parts, -1) for parts in zip(*images, strict=True)
        )
        order = np.argsort(-scores, kind="stable")
        for area, people in enumerate(relevant.sum(1)):
            if people > 0:
                hits = true_positive[area][:, order]
                misses = false_positive[area][:, order]
                precision[area], recall[area] = _precision_recall(hits, misses, int(people))
    return _summarize(precision, recall)


def _precision_recall(
    true_positive: BoolArray, false_positive: BoolArray, people: int
) -> tuple[FloatArray, FloatArray]:
    """Return precision at each recall threshold (T, R), and the final recall (T,).

    The flags are (T, poses of all images), sorted by descending score; ``people`` is the number of people to detect.
    """
    tp = true_positive.cumsum(1, dtype=np.float64)
    fp = false_positive.cumsum(1, dtype=np.float64)
    precision = tp / (fp + tp + np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]  # highest precision at this or a higher recall
    envelope = np.pad(envelope, ((0, 0), (0, 1)))  # precision is 0 at recall levels that are not reached
    recall = tp / people
    sampled = np.stack(
        [row[np.searchsorted(levels, RECALL_THRESHOLDS)] for row, levels in zip(envelope, recall, strict=True)]
    )
    return sampled, tp.max(1, initial=0) / people


def _summarize(precision: FloatArray, recall: FloatArray) -> CocoMetrics:
    """Return the ten metrics of precision (A, T, R) and recall (A, T)."""
    at_50 = 0
    at_75 = 5
    return CocoMetrics(
        ap=float(precision[0].mean()),
        ap50=float(precision[0, at_50].mean()),
        ap75=float(precision[0, at_75].mean()),
        ap_medium=float(precision[1].mean()),
        ap_large=float(precision[2].mean()),
        ar=float(recall[0].mean()),
        ar50=float(recall[0, at_50]),
        ar75=float(recall[0, at_75]),
        ar_medium=float(recall[1].mean()),
        ar_large=float(recall[2].mean()),
    )


def _match_image(
    truth: GroundTruth, detections: Detections, sigmas: ArrayLike, max_detections: int
) -> tuple[FloatArray, BoolArray, BoolArray, BoolArray]:
    """Match the poses of one image to its people.

    Return the scores (D,) in descending order, true and false positives (A, T, D), and the people to detect (A, G).
    """
    order = np.argsort(-np.asarray(detections.scores), kind="stable")[:max_detections]
    poses = np.asarray(detections.keypoints)[order]
    areas = np.asarray(truth.areas)
    crowd = np.asarray(truth.crowd, bool)
    oks = object_keypoint_similarity(poses, truth.keypoints, areas=areas, boxes=truth.boxes, sigmas=sigmas)  # (D, G)
    is_unlabeled = ~(np.asarray(truth.keypoints)[..., 2] > 0).any(1)
    relevant = ~(crowd | is_unlabeled | _is_outside(areas))  # (A, G)

    # A pose prefers people to detect over ignored ones, then the highest OKS, then the last person.
    shape = (len(AREA_RANGES), *oks.shape)
    preference = np.lexsort([np.broadcast_to(oks, shape), np.broadcast_to(relevant[:, None], shape)])
    rank = preference.argsort(-1)  # (A, D, G)
    free = np.ones((len(AREA_RANGES), len(OKS_THRESHOLDS), len(areas)), bool)
    matched, true_positive = np.zeros((2, len(AREA_RANGES), len(OKS_THRESHOLDS), len(poses)), bool)
    for pose in range(len(poses) if len(areas) else 0):
        candidates = np.where((oks[pose] >= OKS_THRESHOLDS[:, None]) & free, rank[:, pose, None], -1)  # (A, T, G)
        chosen = (candidates == candidates.max(-1, keepdims=True)) & (candidates >= 0)  # at most one person
        matched[..., pose] = chosen.any(-1)
        true_positive[..., pose] = (chosen & relevant[:, None]).any(-1)
        free &= ~chosen | crowd
    pose_areas = np.ptp(poses[..., :2], axis=1).prod(1)  # (D,) area of the bounding box of all joints
    false_positive = ~matched & ~_is_outside(pose_areas)[:, None]
    return np.asarray(detections.scores)[order], true_positive, false_positive, relevant


def _is_outside(areas: FloatArray) -> BoolArray:
    """Return whether each area is outside each area range, (A, number of areas)."""
    return (areas < AREA_RANGES[:, :1]) | (areas > AREA_RANGES[:, 1:])
