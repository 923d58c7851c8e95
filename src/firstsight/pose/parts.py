"""Data types of pose decoding, and the steps that `firstsight.pose.exact` and `firstsight.pose.fast` share.

Decoding goes from heatmaps and part affinity fields to peaks, from peaks to limbs, and from limbs to people. The two
modules find peaks and limbs, each in its own way. Limbs are selected and assembled into people here, by the rules of
Lightweight OpenPose (Osokin 2018).

Letters in shapes: K joint types, L limbs of the skeleton, J peaks of all types, P people.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from firstsight.pose.skeleton import Skeleton

PEAK_THRESHOLD = 0.1
"""Minimum heatmap value of a joint."""
NUM_POINTS = 10
"""Number of points on a limb, both ends included, at which its field is sampled."""
PAF_THRESHOLD = 0.05
"""A point supports a limb if the field along the limb exceeds this value there."""
MIN_POINT_FRACTION = 0.8
"""A limb needs more than this fraction of supporting points."""
MIN_JOINTS = 3
"""People with fewer joints are dropped."""
MIN_MEAN_SCORE = 0.2
"""People with a lower score per joint are dropped."""
PAIRS_PER_CHUNK = 1 << 14
"""Approximate number of pairs of peaks that are processed at a time, to limit memory."""

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
PairFilter = Callable[[FloatArray, IntArray, FloatArray, FloatArray], NDArray[np.bool_]]
"""Quick test of candidate pairs, see `find_pairs`."""


@dataclass(frozen=True)
class Peaks:
    """Peaks of all heatmaps, sorted by joint type.

    Attributes
    ----------
    xy : NDArray[Any]
        (J, 2) x, y in pixels of the maps: integers from ``exact``, subpixel positions from ``fast``.
    scores : FloatArray
        (J,) heatmap value of each peak.
    offsets : IntArray
        (K + 1,) index of the first peak of each type; joint type k has the peaks ``offsets[k]`` to ``offsets[k + 1]``.
    """

    xy: NDArray[Any]
    scores: FloatArray
    offsets: IntArray

    def joint_slice(self, joint: int) -> slice:
        """Return the slice of the peaks of one joint type."""
        return slice(int(self.offsets[joint]), int(self.offsets[joint + 1]))


@dataclass(frozen=True)
class Limbs:
    """Limbs of one type: pairs of peaks that belong to the same person.

    Attributes
    ----------
    ends : IntArray
        (M, 2) indices of `Peaks`, highest score first.
    scores : NDArray[np.float64]
        (M,) mean of the field along each limb.
    """

    ends: IntArray
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class People:
    """People found in an image, as indices into `Peaks` (P people, K joint types).

    Attributes
    ----------
    joints : IntArray
        (P, K) indices of `Peaks`; -1 for a joint that was not detected.
    scores : NDArray[np.float64]
        (P,) sum of the scores of joints and limbs.
    counts : IntArray
        (P,) number of joints connected by the limbs of the skeleton's spanning tree.
    """

    joints: IntArray
    scores: NDArray[np.float64]
    counts: IntArray


@dataclass(frozen=True)
class Pose:
    """Pose of one person.

    Attributes
    ----------
    keypoints : NDArray[np.float64]
        (K, 3) x, y in pixels of the maps, and score; -1, -1, -1 for a joint that was not detected. From decoding, the
        score is the value of the heatmap, which can exceed 1; from an estimator, it is at most 1.
    score : float
        From decoding: sum of the scores of joints and limbs. From an estimator: score of the person in [0, 1].
    box : tuple[float, float, float, float]
        x, y, width, height of the bounding box of the detected joints.
    """

    keypoints: NDArray[np.float64]
    score: float
    box: tuple[float, float, float, float]


def bound_scores(pose: Pose) -> Pose:
    """Return a pose whose scores are at most 1; decoding uses heatmap values, which a network does not bound.

    Parameters
    ----------
    pose : Pose
        Pose with the score of a person.

    Examples
    --------
    >>> bound_scores(Pose(np.array([[4.0, 5.0, 1.93], [-1.0, -1.0, -1.0]]), 1.2, (4, 5, 0, 0))).keypoints.tolist()
    [[4.0, 5.0, 1.0], [-1.0, -1.0, -1.0]]
    """
    keypoints = pose.keypoints.copy()
    keypoints[:, 2] = keypoints[:, 2].clip(max=1)
    return Pose(keypoints, min(pose.score, 1.0), pose.box)


def bounding_box(keypoints: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Return x, y, width, height of the bounding box of detected joints.

    Parameters
    ----------
    keypoints : NDArray[np.float64]
        (K, 3) x, y and score; joints with a negative score were not detected.

    Returns
    -------
    tuple[float, float, float, float]
        Box in the unit of the keypoints; zeros if no joint was detected.

    Examples
    --------
    >>> bounding_box(np.array([[3, 5, 0.9], [7, 6, 0.8], [-1, -1, -1]]))
    (3.0, 5.0, 4.0, 1.0)
    """
    xy = keypoints[keypoints[:, 2] >= 0, :2]
    if not len(xy):
        return 0.0, 0.0, 0.0, 0.0
    (left, top), (right, bottom) = xy.min(0).tolist(), xy.max(0).tolist()
    return left, top, right - left, bottom - top


def to_float32(maps: Tensor) -> FloatArray:
    """Return maps (..., H, W) of any number type and device as a contiguous array; NumPy has no bfloat16."""
    return np.ascontiguousarray(maps.detach().float().cpu().numpy())


def pad_heatmaps(heatmaps: Tensor) -> FloatArray:
    """Return heatmaps (K, H, W) with a border of zeros, (K, H + 2, W + 2), so that every pixel has four neighbors."""
    maps = to_float32(heatmaps)
    joints, height, width = maps.shape
    padded = np.zeros((joints, height + 2, width + 2), dtype=np.float32)
    padded[:, 1:-1, 1:-1] = maps
    return padded


def find_pairs(
    peaks: Peaks, skeleton: Skeleton, maps: FloatArray, is_promising: PairFilter
) -> tuple[IntArray, IntArray]:
    """Return the pairs of peaks that pass a quick test, sorted by limb.

    Parameters
    ----------
    peaks : Peaks
        Peaks of all joint types.
    skeleton : Skeleton
        Skeleton with L limbs.
    maps : FloatArray
        (2L, H, W) part affinity fields.
    is_promising : PairFilter
        Quick test of a chunk of pairs: B second joints times A first joints for each of L limbs. Its arguments are
        ``maps``, the channels of the limbs (L, 1, 1), the first joints (2, L, 1, A) and the vectors from first to
        second joints (2, L, B, A). It returns a mask (L, B, A).

    Returns
    -------
    tuple[IntArray, IntArray]
        Indices of peaks (C, 2) of C candidate pairs, and their limbs (C,).
    """
    ends = np.asarray(skeleton.limbs)
    channels = np.asarray(skeleton.paf_channels)
    begin = peaks.offsets[ends].T  # (2, L) range of the peaks of both joints
    end = peaks.offsets[ends + 1].T
    max_peaks = (end - begin).max(1)
    points = peaks.xy.T.astype(np.float32)
    pairs = [np.empty((0, 2), dtype=np.int64)]
    limbs = [np.empty(0, dtype=np.int64)]
    step = max(1, PAIRS_PER_CHUNK // max(1, int(max_peaks.prod())))
    for low in range(0, len(ends) if max_peaks.all() else 0, step):
        chunk = slice(low, low + step)
        first, second = (b[chunk, None] + np.arange(n) for b, n in zip(begin, max_peaks, strict=True))  # (L, A), (L, B)
        exists = (second < end[1, chunk, None])[:, :, None] & (first < end[0, chunk, None])[:, None, :]
        start = points.take(first, 1, mode="clip")[:, :, None, :]
        vector = points.take(second, 1, mode="clip")[:, :, :, None] - start
        limb, b, a = np.nonzero(is_promising(maps, channels[chunk, None, None], start, vector) & exists)
        pairs.append(np.stack([first[limb, a], second[limb, b]], 1))
        limbs.append(limb + low)
    return np.concatenate(pairs), np.concatenate(limbs)


def select_limbs(pairs: IntArray, limbs: IntArray, values: FloatArray, skeleton: Skeleton) -> list[Limbs]:
    """Select the limbs among candidate pairs: those with enough supporting points, greedily by score.

    Parameters
    ----------
    pairs : IntArray
        (C, 2) indices of peaks, sorted by limb.
    limbs : IntArray
        (C,) limb of each pair.
    values : FloatArray
        (C, NUM_POINTS) component of the field along each pair, at points on the segment between its peaks.
    skeleton : Skeleton
        Skeleton with L limbs.

    Returns
    -------
    list[Limbs]
        L entries, one for each limb of the skeleton.
    """
    is_support = values > PAF_THRESHOLD
    num_support = is_support.sum(1)
    scores = (values * is_support).sum(1) / (num_support + 1e-6)
    is_valid = (scores > 0) & (num_support / NUM_POINTS > MIN_POINT_FRACTION)
    pairs = pairs[is_valid]
    limbs = limbs[is_valid]
    scores = scores[is_valid]
    offsets = np.searchsorted(limbs, np.arange(len(skeleton.limbs) + 1))
    selected = []
    for low, high in itertools.pairwise(offsets):
        chosen = match_greedily(pairs[low:high], scores[low:high])
        selected.append(Limbs(pairs[low:high][chosen], scores[low:high][chosen].astype(np.float64)))
    return selected


def match_greedily(pairs: IntArray, scores: NDArray[Any]) -> IntArray:
    """Return the indices of the pairs (N, 2) that form a matching, chosen greedily by their scores (N,)."""
    chosen: list[int] = []
    used: tuple[set[int], set[int]] = (set(), set())
    order = scores.argsort()[::-1]
    for index, (a, b) in zip(order.tolist(), pairs[order].tolist(), strict=True):
        if a not in used[0] and b not in used[1]:
            chosen.append(index)
            used[0].add(a)
            used[1].add(b)
    return np.array(chosen, dtype=np.int64)


def assemble(peaks: Peaks, limbs: Sequence[Limbs], skeleton: Skeleton) -> People:
    """Assemble limbs that share a joint into people.

    Limbs of the skeleton's tree are added in order. If the first joint of a limb belongs to people, its second joint is
    added to them; otherwise the limb starts a new person. Limbs outside the tree only fill in missing joints and do not
    change counts or scores. People with few joints or a low mean score are dropped.

    Parameters
    ----------
    peaks : Peaks
        Peaks of all joint types.
    limbs : Sequence[Limbs]
        Limbs of each type, in the order of the skeleton.
    skeleton : Skeleton
        Skeleton of the people.

    Returns
    -------
    People
        Assembled people.
    """
    joints: list[list[int]] = []
    scores: list[float] = []
    counts: list[int] = []
    owners: dict[int, list[int]] = {}  # people of each peak
    weights = peaks.scores.astype(np.float64)
    tree = len(skeleton) - 1
    for number, ((a, b), candidates) in enumerate(zip(skeleton.limbs, limbs, strict=True)):
        for (first, second), score in zip(candidates.ends.tolist(), candidates.scores.tolist(), strict=True):
            if number >= tree:
                _fill_in(joints, owners, (a, b), (first, second))
                continue
            people = owners.get(first, [])
            for person in people:
                joints[person][b] = second
                counts[person] += 1
                scores[person] += weights[second] + score
            if not people:
                row = [-1] * len(skeleton)
                row[a], row[b] = first, second
                people = owners[first] = [len(joints)]
                joints.append(row)
                counts.append(2)
                scores.append(weights[first] + weights[second] + score)
            owners.setdefault(second, []).extend(people)
    kept = [i for i in range(len(joints)) if counts[i] >= MIN_JOINTS and scores[i] / counts[i] >= MIN_MEAN_SCORE]
    return People(
        np.array([joints[i] for i in kept], dtype=np.int64).reshape(len(kept), len(skeleton)),
        np.array([scores[i] for i in kept], dtype=np.float64),
        np.array([counts[i] for i in kept], dtype=np.int64),
    )


def _fill_in(
    joints: list[list[int]], owners: dict[int, list[int]], limb: tuple[int, int], pair: tuple[int, int]
) -> None:
    """Add one end of a limb to the people who have the other end and lack this one; update both lists in place."""
    a, b = limb
    first, second = pair
    for person in {*owners.get(first, ()), *owners.get(second, ())}:
        row = joints[person]
        if row[a] == first and row[b] == -1:
            row[b] = second
            owners.setdefault(second, []).append(person)
        elif row[b] == second and row[a] == -1:
            row[a] = first
            owners.setdefault(first, []).append(person)
