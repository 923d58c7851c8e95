"""Joints, limbs and people on the way from maps to poses, and how limbs become people.

`firstsight.pose.exact` and `firstsight.pose.fast` find joints and limbs, each in its way; what they find is put
together here, by the rules of lightweight OpenPose (Osokin 2018).
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from firstsight.pose.skeleton import Skeleton

LOWEST = 0.1
"""A heatmap below this holds no joint."""
POINTS = 10
"""At so many points of a limb, both ends included, its field is read."""
LOWEST_FIELD = 0.05
"""A point counts where the field along the limb is above this."""
NEEDED = 0.8
"""More than this share of a limb's points must count."""
FEWEST, LOWEST_SCORE = 3, 0.2
"""People with fewer joints, or with less score for each of them, are dropped."""
TOGETHER = 1 << 14
"""About so many pairs of joints are looked at in one go."""

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Peaks:
    """Joints found in the heatmaps, of all kinds one after the other.

    Parameters
    ----------
    xy : NDArray[Any]
        (J, 2) pixels of the maps; whole numbers from ``exact``, between pixels from ``fast``.
    scores : Floats
        (J,) the heatmap there.
    first : Numbers
        (K + 1,) where each kind begins; of kind k are the joints first[k] to first[k + 1].
    """

    xy: NDArray[Any]
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
    ends : Numbers
        (M, 2) numbers of joints in `Peaks`, the best first.
    scores : NDArray[np.float64]
        (M,) mean of the field along it.
    """

    ends: Numbers
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class People:
    """Joints put together.

    Parameters
    ----------
    joints : Numbers
        (P, K) numbers of joints in `Peaks`; -1 where one was not found.
    scores : NDArray[np.float64]
        (P,) sum of the scores of joints and limbs.
    counts : Numbers
        (P,) joints that were found by limbs of the tree.
    """

    joints: Numbers
    scores: NDArray[np.float64]
    counts: Numbers


@dataclass(frozen=True)
class Pose:
    """One person.

    Parameters
    ----------
    keypoints : NDArray[np.float64]
        (K, 3) x, y in pixels of the maps, and score; all -1 where a joint was not found.
    score : float
        Sum of the scores of joints and limbs.
    box : tuple[float, float, float, float]
        x, y, width and height around the joints that were found.
    """

    keypoints: NDArray[np.float64]
    score: float
    box: tuple[float, float, float, float]


def framed(heatmaps: Tensor) -> Floats:
    """Maps as (K, H + 2, W + 2) with a frame of zeros, so that every pixel has four neighbours."""
    maps = heatmaps.detach().cpu().numpy()
    kinds, height, width = maps.shape
    wider = np.zeros((kinds, height + 2, width + 2), dtype=np.float32)
    wider[:, 1:-1, 1:-1] = maps
    return wider


def pairs_of(
    peaks: Peaks, skeleton: Skeleton, maps: Floats,
    promising: Callable[[Floats, Numbers, Floats, Floats], NDArray[np.bool_]],
) -> tuple[Numbers, Numbers]:  # fmt: skip
    """Pairs of joints that could be limbs, limb by limb: (C, 2) numbers in ``peaks``, and (C,) numbers of limbs.

    Parameters
    ----------
    maps : Floats
        (2 limbs, H, W).
    promising : Callable[[Floats, Numbers, Floats, Floats], NDArray[np.bool_]]
        Given the maps, channels (L, 1, 1), places of first joints (2, L, 1, A), and the way from them to second joints
        (2, L, B, A), which of the (L, B, A) pairs are worth a closer look.
    """
    ends, channels = np.asarray(skeleton.limbs), np.asarray(skeleton.paf_channels)
    first, after = peaks.first[ends].T, peaks.first[ends + 1].T  # (2, limbs): from where to where its joints are
    most = (after - first).max(1)
    places = peaks.xy.T.astype(np.float32)
    pairs, limbs = [np.empty((0, 2), dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    step = max(1, TOGETHER // max(1, int(most.prod())))
    for low in range(0, len(ends) if most.all() else 0, step):
        some = slice(low, low + step)
        one, other = (f[some, None] + np.arange(n) for f, n in zip(first, most, strict=True))  # (L, A), (L, B)
        there = (other < after[1, some, None])[:, :, None] & (one < after[0, some, None])[:, None, :]
        start = places.take(one, 1, mode="clip")[:, :, None, :]
        whole = places.take(other, 1, mode="clip")[:, :, :, None] - start
        limb, b, a = np.nonzero(promising(maps, channels[some, None, None], start, whole) & there)
        pairs.append(np.stack([one[limb, a], other[limb, b]], 1))
        limbs.append(limb + low)
    return np.concatenate(pairs), np.concatenate(limbs)


def best_limbs(pairs: Numbers, limb: Numbers, values: Floats, skeleton: Skeleton) -> list[Limbs]:
    """Of pairs sorted by limb those that are limbs: enough points count; the best first, and no joint twice.

    Parameters
    ----------
    pairs : Numbers
        (C, 2) numbers of joints; limb : (C,) which limb each could be.
    values : Floats
        (C, `POINTS`) the field's share in each pair's direction along it.
    """
    counted = values > LOWEST_FIELD
    number = counted.sum(1)
    scores = (values * counted).sum(1) / (number + 1e-6)
    passed = (scores > 0) & (number / POINTS > NEEDED)
    pairs, limb, scores = pairs[passed], limb[passed], scores[passed]
    ends = np.searchsorted(limb, np.arange(len(skeleton.limbs) + 1))
    found = []
    for low, high in itertools.pairwise(ends):
        chosen = greedy(pairs[low:high], scores[low:high])
        found.append(Limbs(pairs[low:high][chosen], scores[low:high][chosen].astype(np.float64)))
    return found


def greedy(pairs: Numbers, scores: NDArray[Any]) -> Numbers:
    """Which of the (N, 2) pairs, by their (N,) scores, are limbs: the best first, and no joint twice."""
    chosen: list[int] = []
    taken: tuple[set[int], set[int]] = (set(), set())
    order = scores.argsort()[::-1]
    for place, (a, b) in zip(order.tolist(), pairs[order].tolist(), strict=True):
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
