"""Fragments put together, and joints given to who lacks them: what "fast" does after the published steps.

A limb that is missed leaves its person in two, and of people who overlap one has the other's joints. Both show in what
was found: two fragments in one place that have no kind of joint in common are one person; and who lacks a joint may be
given one that is around. The surest people are served first, and may take a joint from who is less sure.
"""

from collections.abc import Iterator

import numpy as np

from firstsight.pose.parts import FEWEST, TOGETHER, Floats, Numbers, Peaks, People

TOUCHING = 0.1
"""Fragments are in one place if their boxes are no further apart than so much of the larger one's longer side."""
AROUND = 0.5
"""A person is around what lies within the box of its joints, grown on every side by so much of its longer side."""


def join_fragments(peaks: Peaks, people: People) -> People:
    """Fragments in one place without a kind of joint in common are one person; those whose middles are nearest first.

    Scores and counts are added up.
    """
    joints, scores, counts = people.joints.copy(), people.scores.copy(), people.counts.copy()
    into = list(range(len(joints)))  # whose part each is

    def whole(person: int) -> int:
        return person if into[person] == person else whole(into[person])

    for one, other in ((whole(a), whole(b)) for a, b in _fragments(peaks, people)):
        if one == other or ((joints[one] >= 0) & (joints[other] >= 0)).any():
            continue
        joints[one] = np.maximum(joints[one], joints[other])
        scores[one] += scores[other]
        counts[one] += counts[other]
        into[other] = one
    left = [i for i, person in enumerate(into) if i == person]
    return People(joints[left], scores[left], counts[left])


def _fragments(peaks: Peaks, people: People) -> list[tuple[int, int]]:
    """Pairs of people who may be one, the nearest first, in sizes of the larger."""
    number, there = len(people.joints), (people.joints >= 0).astype(np.float32)
    low, high, size = _boxes(peaks, people.joints)
    pairs: list[tuple[float, int, int]] = []
    step = max(1, TOGETHER // max(1, number))
    for begin in range(0, number, step):
        one, other = np.nonzero(there[begin : begin + step] @ there.T == 0)
        one, other = one[one + begin < other] + begin, other[one + begin < other]
        larger = np.maximum(size[one], size[other])
        near = np.maximum(low[one] - high[other], low[other] - high[one]).max(1) <= TOUCHING * larger
        one, other, larger = one[near], other[near], larger[near]
        away = np.linalg.norm(low[one] + high[one] - low[other] - high[other], axis=1) / larger
        pairs += zip(away.tolist(), one.tolist(), other.tolist(), strict=True)
    return [(one, other) for _, one, other in sorted(pairs)]


def give_joints(peaks: Peaks, people: People) -> People:
    """Joints that are around people who lack one of their kind, and nobody's or of people who are less sure.

    Of several that is taken whose score, times exp(-d^2) at d sizes of the person from its middle, is the highest. Who
    loses a joint is dropped when fewer than `FEWEST` are left. Scores and counts stay as they are.
    """
    surest = np.argsort(-people.scores, kind="stable")
    rows = people.joints[surest].tolist()
    kinds = np.repeat(np.arange(people.joints.shape[1]), np.diff(peaks.first))  # of each joint found
    owners: list[list[int]] = [[] for _ in kinds]
    for person, row in enumerate(rows):
        for number in row:
            if number >= 0:
                owners[number].append(person)
    for person, number in _offers(peaks, kinds, people.joints[surest]):
        kind, held = int(kinds[number]), owners[number]
        if rows[person][kind] < 0 and (not held or held[0] > person):
            for loser in held:
                rows[loser][kind] = -1
            rows[person][kind], owners[number] = number, [person]
    joints = np.array(rows, dtype=np.int64).reshape(people.joints.shape)
    whole = (joints >= 0).sum(1) >= FEWEST
    return People(joints[whole], people.scores[surest][whole], people.counts[surest][whole])


def _offers(peaks: Peaks, kinds: Numbers, joints: Numbers) -> Iterator[tuple[int, int]]:
    """Persons, one after the other, with each joint around that they lack, the best first."""
    places = peaks.xy.T.astype(np.float32)
    step = max(1, TOGETHER // max(1, len(kinds)))
    for begin in range(0, len(joints), step):
        some = joints[begin : begin + step]
        low, high, size = _boxes(peaks, some)
        x, y = (places[axis] - (low + high)[:, axis, None] / 2 for axis in (0, 1))  # (P, J) from their middles
        wide, tall = ((high - low).T / 2 + AROUND * size)[:, :, None]
        person, number = np.nonzero((np.abs(x) <= wide) & (np.abs(y) <= tall) & (some < 0)[:, kinds])
        away = (x[person, number] ** 2 + y[person, number] ** 2) / size[person] ** 2
        value = peaks.scores[number] * np.exp(-away)
        order = np.lexsort((-value, person))
        yield from zip((person + begin)[order].tolist(), number[order].tolist(), strict=True)


def _boxes(peaks: Peaks, joints: Numbers) -> tuple[Floats, Floats, Floats]:
    """Around the joints of each of P people: (P, 2) corners, x first, and (P,) longer sides, of a cell at least."""
    there = (joints >= 0)[..., None]
    places = peaks.xy.astype(np.float32).take(joints, 0, mode="clip")  # (P, K, 2)
    low, high = places.min(1, initial=np.inf, where=there), places.max(1, initial=-np.inf, where=there)
    return low, high, np.maximum((high - low).max(1), 1)
