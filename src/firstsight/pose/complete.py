"""Joining of fragments and filling in of missing joints, which "fast" adds to the published decoding.

A missed limb splits a person into two fragments, and of people who overlap, one may get joints of another. Two
fragments at the same place without a common joint type are therefore joined. A person who lacks a joint then gets a
peak nearby that is free or belongs to a person with a lower score. People are processed in descending order of score.
"""

from collections.abc import Iterator

import numpy as np

from firstsight.pose.parts import MIN_JOINTS, PAIRS_PER_CHUNK, FloatArray, IntArray, Peaks, People

MAX_GAP = 0.1
"""Largest gap between the bounding boxes of two fragments, relative to the longer side of the larger box."""
SEARCH_MARGIN = 0.5
"""Missing joints are searched within the bounding box, extended on every side by this fraction of its longer side."""


def join_fragments(peaks: Peaks, people: People) -> People:
    """Join fragments at the same place that have no common joint type; those with the nearest centers first.

    Parameters
    ----------
    peaks : Peaks
        Peaks of all joint types.
    people : People
        People, some of whom may be fragments.

    Returns
    -------
    People
        People after joining; scores and counts of fragments are added.
    """
    joints = people.joints.copy()
    scores = people.scores.copy()
    counts = people.counts.copy()
    parents = list(range(len(joints)))  # union-find: the person that each fragment was joined to

    def find_root(person: int) -> int:
        return person if parents[person] == person else find_root(parents[person])

    for first, second in ((find_root(a), find_root(b)) for a, b in _find_fragments(peaks, people)):
        if first == second or ((joints[first] >= 0) & (joints[second] >= 0)).any():
            continue
        joints[first] = np.maximum(joints[first], joints[second])
        scores[first] += scores[second]
        counts[first] += counts[second]
        parents[second] = first
    roots = [person for person, parent in enumerate(parents) if parent == person]
    return People(joints[roots], scores[roots], counts[roots])


def _find_fragments(peaks: Peaks, people: People) -> list[tuple[int, int]]:
    """Return pairs of people that may be fragments of one person, by the distance of their centers.

    The distance is relative to the longer side of the larger bounding box.
    """
    is_detected = (people.joints >= 0).astype(np.float32)
    low, high, size = _bounding_boxes(peaks, people.joints)
    pairs: list[tuple[float, int, int]] = []
    step = max(1, PAIRS_PER_CHUNK // max(1, len(people.joints)))
    for begin in range(0, len(people.joints), step):
        first, second = np.nonzero(is_detected[begin : begin + step] @ is_detected.T == 0)
        is_ordered = first + begin < second
        first = first[is_ordered] + begin
        second = second[is_ordered]
        larger = np.maximum(size[first], size[second])
        gap = np.maximum(low[first] - high[second], low[second] - high[first]).max(1)
        is_near = gap <= MAX_GAP * larger
        first = first[is_near]
        second = second[is_near]
        distance = np.linalg.norm(low[first] + high[first] - low[second] - high[second], axis=1) / larger[is_near]
        pairs += zip(distance.tolist(), first.tolist(), second.tolist(), strict=True)
    return [(first, second) for _, first, second in sorted(pairs)]


def fill_missing_joints(peaks: Peaks, people: People) -> People:
    """Give people who lack a joint a nearby peak that is free or belongs to people with lower scores.

    Of several peaks, the one with the highest ``score * exp(-d^2)`` is taken, where d is its distance from the person's
    center relative to the longer side of the bounding box. People who are left with fewer than `MIN_JOINTS` joints are
    dropped. Scores and counts do not change.

    Parameters
    ----------
    peaks : Peaks
        Peaks of all joint types.
    people : People
        People, some of whom may lack joints.

    Returns
    -------
    People
        People with more joints, highest score first.
    """
    order = np.argsort(-people.scores, kind="stable")
    rows = people.joints[order].tolist()
    joint_types = np.repeat(np.arange(people.joints.shape[1]), np.diff(peaks.offsets))  # of each peak
    owners: list[list[int]] = [[] for _ in joint_types]
    for person, row in enumerate(rows):
        for peak in row:
            if peak >= 0:
                owners[peak].append(person)
    for person, peak in _find_offers(peaks, joint_types, people.joints[order]):
        joint = int(joint_types[peak])
        previous = owners[peak]
        if rows[person][joint] < 0 and (not previous or previous[0] > person):
            for owner in previous:
                rows[owner][joint] = -1
            rows[person][joint] = peak
            owners[peak] = [person]
    joints = np.array(rows, dtype=np.int64).reshape(people.joints.shape)
    is_kept = (joints >= 0).sum(1) >= MIN_JOINTS
    return People(joints[is_kept], people.scores[order][is_kept], people.counts[order][is_kept])


def _find_offers(peaks: Peaks, joint_types: IntArray, joints: IntArray) -> Iterator[tuple[int, int]]:
    """Yield each person with each nearby peak of a missing joint type: person by person, best peak first."""
    points = peaks.xy.T.astype(np.float32)
    step = max(1, PAIRS_PER_CHUNK // max(1, len(joint_types)))
    for begin in range(0, len(joints), step):
        chunk = joints[begin : begin + step]
        low, high, size = _bounding_boxes(peaks, chunk)
        x, y = (points[axis] - (low + high)[:, axis, None] / 2 for axis in (0, 1))  # (P, J) relative to the centers
        max_x, max_y = ((high - low).T / 2 + SEARCH_MARGIN * size)[:, :, None]
        person, peak = np.nonzero((np.abs(x) <= max_x) & (np.abs(y) <= max_y) & (chunk < 0)[:, joint_types])
        squared_distance = (x[person, peak] ** 2 + y[person, peak] ** 2) / size[person] ** 2
        value = peaks.scores[peak] * np.exp(-squared_distance)
        order = np.lexsort((-value, person))
        yield from zip((person + begin)[order].tolist(), peak[order].tolist(), strict=True)


def _bounding_boxes(peaks: Peaks, joints: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the lower and upper corners (P, 2) of people's bounding boxes, and their longer sides (P,), at least 1."""
    is_detected = (joints >= 0)[..., None]
    points = peaks.xy.astype(np.float32).take(joints, 0, mode="clip")  # (P, K, 2)
    low = points.min(1, initial=np.inf, where=is_detected)
    high = points.max(1, initial=-np.inf, where=is_detected)
    return low, high, np.maximum((high - low).max(1), 1)
