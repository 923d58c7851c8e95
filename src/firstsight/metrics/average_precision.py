"""How good poses are: object keypoint similarity, and COCO's ten numbers.

`average_precision` equals pycocotools' evaluation of keypoints, to the last tie (Lin 2014). A pose takes the best of
the people that are left, the surest pose first; here that is done for all thresholds and sizes at once.

Everything is in pixels of the picture: keypoints x then y, boxes x, y, width, height. In truths a joint has a third
number v: 0 not labelled, 1 hidden, 2 visible; those with v > 0 are measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firstsight.pose.oks import object_keypoint_similarity

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""A pose is found where its similarity to the truth is at least this: T of them."""
RECALLS = np.linspace(0, 1, 101)
"""Precision is read at these recalls: R of them."""
SIZES = np.array([[0, 1e5], [32, 96], [96, 1e5]]) ** 2
"""Areas of all, medium and large people, both ends included, in squared pixels: A of them."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """The people in one picture.

    Parameters
    ----------
    keypoints : Floats
        (G, K, 3) x, y, v. A person without any v > 0 need not be found, and may be.
    areas : Floats
        (G,) of the people themselves, not of their boxes.
    boxes : Floats
        (G, 4).
    crowd : Flags
        (G,) bool; a crowd need not be found, and may be by any number of poses.
    """

    keypoints: Floats
    areas: Floats
    boxes: Floats
    crowd: Flags

    def __post_init__(self) -> None:
        people = len(self.keypoints)
        shapes = [np.shape(array) for array in (self.keypoints, self.areas, self.boxes, self.crowd)]
        if shapes != [(people, *shapes[0][1:2], 3), (people,), (people, 4), (people,)]:
            raise ValueError(f"a truth has keypoints (G, K, 3), areas (G,), boxes (G, 4) and crowd (G,); got {shapes}")


@dataclass(frozen=True, kw_only=True)
class Detections:
    """The poses found in one picture.

    Parameters
    ----------
    keypoints : Floats
        (D, K, 3) x, y and a third number that is not looked at. Of a joint that was not found x and y are some finite
        numbers, in COCO's files 0 and 0.
    scores : Floats
        (D,) the surest pose has the highest.
    """

    keypoints: Floats
    scores: Floats

    def __post_init__(self) -> None:
        shapes = [np.shape(array) for array in (self.keypoints, self.scores)]
        if shapes != [(len(self.scores), *shapes[0][1:2], 3), (len(self.scores),)]:
            raise ValueError(f"what was found has keypoints (D, K, 3) and scores (D,); got {shapes}")
        if not (np.isfinite(self.keypoints[..., :2]).all() and np.isfinite(self.scores).all()):
            raise ValueError("keypoints and scores must be finite (write 0, 0 for a joint that was not found)")


@dataclass(frozen=True, kw_only=True)
class Precision:
    """COCO's ten numbers, in [0, 1]; -1 where there is no one to be found.

    ``ap`` is the average precision over similarities of .50 to .95, ``ap50`` and ``ap75`` that at one of them,
    ``ap_medium`` and ``ap_large`` that of people of 32^2 to 96^2 and of 96^2 to 1e5^2 squared pixels; ``ar`` and so on
    are the recall with all poses.
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
    truths: Sequence[GroundTruth], found: Sequence[Detections], sigmas: ArrayLike, *, max_detections: int = 20
) -> Precision:
    """Precision and recall of poses as pycocotools measures them (COCOeval, iouType="keypoints").

    Parameters
    ----------
    truths, found
        Of the same pictures, in the same order. Among poses with equal scores the first comes first.
    sigmas : ArrayLike
        (K,) as in `Skeleton.sigmas`.
    max_detections : int
        Of each picture only so many poses with the highest scores are looked at.

    Raises
    ------
    ValueError
        The pictures or joints of truths and poses are not as many.
    """
    if len(truths) != len(found):
        raise ValueError(f"truths of {len(truths)} pictures, but poses of {len(found)}")
    precision = np.full((len(SIZES), len(THRESHOLDS), len(RECALLS)), -1.0)  # (A, T, R)
    recall = np.full((len(SIZES), len(THRESHOLDS)), -1.0)
    pictures = [_matched(*picture, sigmas, max_detections) for picture in zip(truths, found, strict=True)]
    if pictures:
        scores, right, wrong, wanted = (np.concatenate(parts, -1) for parts in zip(*pictures, strict=True))
        order = np.argsort(-scores, kind="stable")
        for size, people in enumerate(wanted.sum(1)):
            if people == 0:
                continue
            hits = right[size][:, order].cumsum(1, dtype=np.float64)  # (T, all poses)
            misses = wrong[size][:, order].cumsum(1, dtype=np.float64)
            share = hits / (misses + hits + np.spacing(1))
            best = np.maximum.accumulate(share[:, ::-1], 1)[:, ::-1]  # of this recall or any higher one
            best = np.pad(best, ((0, 0), (0, 1)))  # a recall that is not reached has none
            recall[size] = hits.max(1, initial=0) / people
            for i, reached in enumerate(hits / people):
                precision[size, i] = best[i, np.searchsorted(reached, RECALLS)]
    half, three_quarters = 0, 5
    return Precision(
        ap=float(precision[0].mean()), ap50=float(precision[0, half].mean()),
        ap75=float(precision[0, three_quarters].mean()), ap_medium=float(precision[1].mean()),
        ap_large=float(precision[2].mean()), ar=float(recall[0].mean()), ar50=float(recall[0, half]),
        ar75=float(recall[0, three_quarters]), ar_medium=float(recall[1].mean()), ar_large=float(recall[2].mean()),
    )  # fmt: skip


def _matched(
    truth: GroundTruth, found: Detections, sigmas: ArrayLike, max_detections: int
) -> tuple[Floats, Flags, Flags, Flags]:
    """Poses of one picture by falling score: scores (D,), right and wrong (A, T, D); people to be found (A, G)."""
    surest = np.argsort(-np.asarray(found.scores), kind="stable")[:max_detections]
    poses, areas, crowd = np.asarray(found.keypoints)[surest], np.asarray(truth.areas), np.asarray(truth.crowd, bool)
    similarity = object_keypoint_similarity(poses, truth.keypoints, areas=areas, boxes=truth.boxes, sigmas=sigmas)
    unlabelled = ~(np.asarray(truth.keypoints)[..., 2] > 0).any(1)
    wanted = ~(crowd | unlabelled | _outside(areas))  # (A, G)

    # the best for a pose: who is wanted before who is not, then the most similar, then the last
    shape = (len(SIZES), *similarity.shape)
    order = np.lexsort([np.broadcast_to(similarity, shape), np.broadcast_to(wanted[:, None], shape)])
    rank = order.argsort(-1)  # (A, D, G)
    free = np.ones((len(SIZES), len(THRESHOLDS), len(areas)), bool)
    matched, right = np.zeros((2, len(SIZES), len(THRESHOLDS), len(poses)), bool)
    for pose in range(len(poses) if len(areas) else 0):
        fit = np.where((similarity[pose] >= THRESHOLDS[:, None]) & free, rank[:, pose, None], -1)  # (A, T, G)
        taken = (fit == fit.max(-1, keepdims=True)) & (fit >= 0)  # one person at most
        matched[..., pose] = taken.any(-1)
        right[..., pose] = (taken & wanted[:, None]).any(-1)
        free &= ~taken | crowd
    extent = np.ptp(poses[..., :2], axis=1).prod(1)  # (D,): of the box around all joints
    wrong = ~matched & ~_outside(extent)[:, None]
    return np.asarray(found.scores)[surest], right, wrong, wanted


def _outside(areas: Floats) -> Flags:
    """(A, number of areas): which are not of that size."""
    return (areas < SIZES[:, :1]) | (areas > SIZES[:, 1:])
