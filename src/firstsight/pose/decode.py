"""From heatmaps and part affinity fields to people, by the rules of lightweight OpenPose (Osokin 2018).

Three steps, each of which can be looked at: peaks of the heatmaps are joints (`find_peaks`); pairs of joints with the
limb's field between them are limbs (`find_limbs`); limbs that share a joint are one person (`assemble`). `decode` does
all three.

The rules are those of the published code, to the last tie: of peaks that are too near to each other the leftmost stays,
a limb needs its field at nine of ten points, limbs are chosen greedily by score. What is done otherwise is the work: a
heatmap is compared with its neighbours where it is high only, a pair of joints is dropped as soon as two of its points
have failed, and the owner of a joint is looked up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from firstsight.pose.skeleton import Skeleton

LOWEST = 0.1
"""A heatmap below this holds no joint."""
APART = 6
"""Peaks of one joint nearer than this, in pixels of the maps, are one."""
POINTS = 10
"""At so many points of a limb, both ends included, its field is read."""
LOWEST_FIELD = 0.05
"""A point counts where the field along the limb is above this."""
NEEDED = 0.8
"""More than this share of a limb's points must count."""
FIRST_POINTS = (3, 4, 6)
"""Points that are read first: a pair that fails at two of them cannot have what is needed."""
FEWEST, LOWEST_SCORE = 3, 0.2
"""People with fewer joints, or with less score for each of them, are dropped."""

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Peaks:
    """Joints found in the heatmaps, of all kinds one after the other.

    Parameters
    ----------
    xy : (J, 2) pixels of the maps.
    scores : (J,) the heatmap there.
    first : (K + 1,) where each kind begins; of kind k are the joints first[k] to first[k + 1].
    """

    xy: Numbers
    scores: Floats
    first: Numbers

    def of(self, joint: int) -> slice:
        """The places of one kind."""
        return slice(int(self.first[joint]), int(self.first[joint + 1]))


@dataclass(frozen=True)
class Limbs:
    """Pairs of joints that are a limb, of one kind.

    Parameters
    ----------
    ends : (M, 2) numbers of joints in `Peaks`, the best first.
    scores : (M,) mean of the field along it.
    """

    ends: Numbers
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class People:
    """Joints put together.

    Parameters
    ----------
    joints : (P, K) numbers of joints in `Peaks`; -1 where one was not found.
    scores : (P,) sum of the scores of joints and limbs.
    counts : (P,) joints that were found by limbs of the tree.
    """

    joints: Numbers
    scores: NDArray[np.float64]
    counts: Numbers


@dataclass(frozen=True)
class Pose:
    """One person.

    Parameters
    ----------
    keypoints : (K, 3) x, y in pixels of the maps, and score; all -1 where a joint was not found.
    score : sum of the scores of joints and limbs.
    box : x, y, width and height around the joints that were found.
    """

    keypoints: NDArray[np.float64]
    score: float
    box: tuple[float, float, float, float]


def find_peaks(heatmaps: Tensor) -> Peaks:
    """Where a heatmap is higher than its four neighbours.

    Parameters
    ----------
    heatmaps : (K, H, W) float; a map of the background is not to be among them. Left as they are.
    """
    maps = np.ascontiguousarray(heatmaps.detach().cpu().numpy(), dtype=np.float32)
    _, height, width = maps.shape
    kind, y, x = np.unravel_index(np.flatnonzero(maps >= np.float32(LOWEST)), maps.shape)
    value = maps[kind, y, x]
    top = np.ones(len(value), dtype=bool)
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        rows, columns = y + dy, x + dx
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        beside = maps[kind, np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
        top &= np.where(inside, value > beside, True)
    kind, y, x, value = kind[top], y[top], x[top], value[top]
    order = np.lexsort((y, x, kind))
    kind, xy, value = kind[order], np.stack([x[order], y[order]], 1), value[order]
    kept = _thinned(kind, xy)
    first = np.searchsorted(kind[kept], np.arange(len(maps) + 1))
    return Peaks(xy[kept].astype(np.int64), value[kept], first.astype(np.int64))


def _thinned(kind: Numbers, xy: Numbers) -> NDArray[np.bool_]:
    """Which peaks stay: the leftmost of those that are near to each other; one that is dropped drops no other."""
    kept = np.ones(len(kind), dtype=bool)
    for i in range(len(kind)):
        if not kept[i]:
            continue
        for j in range(i + 1, len(kind)):
            dx, dy = xy[j, 0] - xy[i, 0], xy[j, 1] - xy[i, 1]
            if kind[j] != kind[i] or dx >= APART:
                break
            if dx * dx + dy * dy < APART * APART:
                kept[j] = False
    return kept


def find_limbs(pafs: Tensor, peaks: Peaks, skeleton: Skeleton) -> list[Limbs]:
    """Pairs of joints with the limb's field between them, each joint in one of them at most.

    Parameters
    ----------
    pafs : (2 limbs, H, W) float.

    Returns
    -------
    One for each limb of the skeleton.
    """
    maps = np.ascontiguousarray(pafs.detach().cpu().numpy(), dtype=np.float32)
    found = []
    for (a, b), channel in zip(skeleton.limbs, skeleton.paf_channels, strict=True):
        places_a, places_b = peaks.of(a), peaks.of(b)
        pairs, scores = _candidates(maps[channel : channel + 2], peaks.xy[places_a], peaks.xy[places_b])
        chosen = _greedy(pairs, scores)
        ends = pairs[chosen] + np.array([places_a.start, places_b.start])
        found.append(Limbs(ends, scores[chosen]))
    return found


def _candidates(field: Floats, a: Numbers, b: Numbers) -> tuple[Numbers, NDArray[np.float64]]:
    """Pairs of two kinds of joints that pass, as (C, 2) places in ``a`` and ``b``, and their scores."""
    second, first = (side.ravel() for side in np.indices((len(b), len(a))))
    start, whole = a[first].astype(np.float32), (b[second] - a[first]).astype(np.float32)
    with np.errstate(invalid="ignore"):
        unit = whole / (np.linalg.norm(whole, ord=2, axis=-1, keepdims=True) + np.float32(1e-6))
    if len(first):
        counted = _along(field, start, whole, unit, FIRST_POINTS) > LOWEST_FIELD
        left = counted.sum(1) >= len(FIRST_POINTS) - 1
        first, second, start, whole, unit = first[left], second[left], start[left], whole[left], unit[left]
    values = _along(field, start, whole, unit, range(POINTS))
    counted = values > LOWEST_FIELD
    number = counted.sum(1)
    scores = (values * counted).sum(1) / (number + 1e-6)
    passed = (scores > 0) & (number / POINTS > NEEDED)
    return np.stack([first[passed], second[passed]], 1), scores[passed]


def _along(field: Floats, start: Floats, whole: Floats, unit: Floats, points: Sequence[int]) -> Floats:
    """The field's share in the limb's direction at some of its points: (pairs, points)."""
    steps = (np.float32(1 / (POINTS - 1)) * whole)[:, None, :]
    places = (steps * np.array(points, dtype=np.float32)[None, :, None] + start[:, None, :]).round().astype(np.int32)
    read = field[:, places[..., 1], places[..., 0]]  # (2, pairs, points)
    return np.ascontiguousarray(read[0] * unit[:, None, 0] + read[1] * unit[:, None, 1])


def _greedy(pairs: Numbers, scores: NDArray[np.float64]) -> Numbers:
    """Which pairs are limbs: the best first, and no joint twice."""
    chosen: list[int] = []
    taken: tuple[set[int], set[int]] = (set(), set())
    for place in scores.argsort()[::-1].tolist():
        a, b = pairs[place].tolist()
        if a not in taken[0] and b not in taken[1]:
            chosen.append(place)
            taken[0].add(a)
            taken[1].add(b)
    return np.array(chosen, dtype=np.int64)


def assemble(peaks: Peaks, limbs: Sequence[Limbs], skeleton: Skeleton) -> People:
    """Limbs that share a joint are one person.

    Limbs of the tree are taken in order: one whose first joint has an owner is added to it, else it begins a person.
    Those after the tree only fill in joints that are missing, and change neither count nor score.
    """
    joints: list[list[int]] = []
    scores: list[float] = []
    counts: list[int] = []
    owners: dict[int, list[int]] = {}
    weights = peaks.scores.astype(np.float64)
    tree = len(skeleton) - 1
    for number, ((a, b), found) in enumerate(zip(skeleton.limbs, limbs, strict=True)):
        for (one, two), score in zip(found.ends.tolist(), found.scores.tolist(), strict=True):
            if number >= tree:
                for person in {*owners.get(one, ()), *owners.get(two, ())}:
                    held = joints[person]
                    if held[a] == one and held[b] == -1:
                        held[b] = two
                        owners.setdefault(two, []).append(person)
                    elif held[b] == two and held[a] == -1:
                        held[a] = one
                        owners.setdefault(one, []).append(person)
                continue
            people = owners.get(one, [])
            for person in people:
                joints[person][b] = two
                counts[person] += 1
                scores[person] += weights[two] + score
            if not people:
                held = [-1] * len(skeleton)
                held[a], held[b] = one, two
                people = owners[one] = [len(joints)]
                joints.append(held)
                counts.append(2)
                scores.append(weights[one] + weights[two] + score)
            owners.setdefault(two, []).extend(people)
    kept = [i for i in range(len(joints)) if counts[i] >= FEWEST and scores[i] / counts[i] >= LOWEST_SCORE]
    return People(
        np.array([joints[i] for i in kept], dtype=np.int64).reshape(len(kept), len(skeleton)),
        np.array([scores[i] for i in kept], dtype=np.float64),
        np.array([counts[i] for i in kept], dtype=np.int64),
    )


def decode(heatmaps: Tensor, pafs: Tensor, skeleton: Skeleton) -> list[Pose]:
    """People in the maps of one picture.

    Parameters
    ----------
    heatmaps : (K, H, W) or (K + 1, H, W) with the background last, which is left out.
    pafs : (2 limbs, H, W).
    skeleton : whose joints and limbs they are.

    Raises
    ------
    ValueError
        Maps of another skeleton, or of two sizes.
    """
    if heatmaps.ndim != 3 or pafs.ndim != 3 or heatmaps.shape[1:] != pafs.shape[1:]:
        raise ValueError(f"maps are (K, H, W) of one size; got {tuple(heatmaps.shape)} and {tuple(pafs.shape)}")
    if len(heatmaps) - len(skeleton) not in (0, 1) or len(pafs) != 2 * len(skeleton.limbs):
        raise ValueError(
            f"{skeleton.name} has {len(skeleton)} joints and {len(skeleton.limbs)} limbs, the maps"
            f" {len(heatmaps)} heatmaps and {len(pafs)} fields"
        )
    peaks = find_peaks(heatmaps[: len(skeleton)])
    people = assemble(peaks, find_limbs(pafs, peaks, skeleton), skeleton)
    return [_pose(peaks, joints, score) for joints, score in zip(people.joints, people.scores.tolist(), strict=True)]


def _pose(peaks: Peaks, joints: Numbers, score: float) -> Pose:
    keypoints = np.full((len(joints), 3), -1.0)
    there = joints >= 0
    keypoints[there, :2], keypoints[there, 2] = peaks.xy[joints[there]], peaks.scores[joints[there]]
    low, high = keypoints[there, :2].min(0), keypoints[there, :2].max(0)
    return Pose(keypoints, score, (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])))
