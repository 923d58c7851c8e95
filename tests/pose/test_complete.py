"""Fragments are merged and missing joints completed: by hand, and on people in noisy maps."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from firstsight.pose import complete
from firstsight.pose.complete import fill_missing_joints, join_fragments
from firstsight.pose.fast import find_limbs, find_peaks
from firstsight.pose.oks import object_keypoint_similarity
from firstsight.pose.parts import PAIRS_PER_CHUNK, Peaks, People, assemble
from firstsight.pose.skeleton import LSP_14
from firstsight.pose.targets import heatmap_targets, paf_targets

NO_PEOPLE = People(np.empty((0, 6), dtype=np.int64), np.empty(0), np.empty(0, dtype=np.int64))


def peaks_of(*joints: tuple[int, float, float, float]) -> Peaks:
    """Return peaks from (type, x, y, score), sorted by type; there are six types."""
    types, x, y, scores = np.array(joints, dtype=np.float64).T
    assert (np.diff(types) >= 0).all()
    return Peaks(np.stack([x, y], 1), scores.astype(np.float32), np.searchsorted(types, np.arange(7)))


def people_of(*rows: tuple[list[int], float, int]) -> People:
    """Return people from (joints, score, count)."""
    joints, scores, counts = zip(*rows, strict=True)
    return People(np.array(joints), np.array(scores), np.array(counts))


BODY = peaks_of(
    (0, 10, 0, 0.9), (1, 8, 4, 0.9), (2, 12, 4, 0.9), (3, 9, 10, 0.9), (4, 11, 10, 0.9), (5, 10, 16, 0.9),
)  # fmt: skip
"""Joints of one body, 16 tall: three above, three below."""


def test_adjacent_fragments_are_merged_into_one_person() -> None:
    """A gap of 6 is more than a tenth of 6: two people. A gap of 0.5 is not: scores and counts are added."""
    parts = people_of(([0, 1, 2, -1, -1, -1], 3.0, 3), ([-1, -1, -1, 3, 4, 5], 2.5, 3))
    assert len(join_fragments(BODY, parts).joints) == 2
    lower = BODY.xy[:3] + np.array([0, 5.5])  # the gap is 0.5, of a longer side of 6
    near = Peaks(np.concatenate([lower, BODY.xy[3:]]), BODY.scores, BODY.offsets)
    joined = join_fragments(near, parts)
    assert joined.joints.tolist() == [[0, 1, 2, 3, 4, 5]]
    assert joined.scores.tolist() == [5.5] and joined.counts.tolist() == [6]


def test_fragments_that_share_a_joint_type_stay_two_people() -> None:
    peaks = peaks_of((0, 10, 0, 1), (1, 8, 4, 1), (2, 12, 4, 1), (2, 12, 5, 1), (3, 9, 7, 1), (4, 11, 7, 1))
    parts = people_of(([0, 1, 2, -1, -1, -1], 3.0, 3), ([-1, -1, 3, 4, 5, -1], 2.5, 3))
    joined = join_fragments(peaks, parts)
    assert joined.joints.tolist() == parts.joints.tolist()


def test_the_nearest_fragments_are_merged_first() -> None:
    """Two upper halves are near one lower half: it is merged with the nearer one, and the other stays alone."""
    peaks = peaks_of(
        (0, 10, 0, 1), (0, 14, 0, 1), (1, 8, 4, 1), (1, 12, 4, 1), (2, 12, 4, 1), (2, 16, 4, 1),
        (3, 13, 4, 1), (4, 15, 4, 1), (5, 14, 9, 1),
    )  # fmt: skip
    parts = people_of(
        ([0, 2, 4, -1, -1, -1], 3.0, 3), ([1, 3, 5, -1, -1, -1], 3.0, 3), ([-1, -1, -1, 6, 7, 8], 3.0, 3),
    )  # fmt: skip
    assert join_fragments(peaks, parts).joints.tolist() == [[0, 2, 4, -1, -1, -1], [1, 3, 5, 6, 7, 8]]


def test_missing_joints_are_taken_from_free_peaks_around_the_person() -> None:
    """A 4x4 box around (10, 2) is extended by 2. Of two joints near its bottom, the nearer one has the higher value."""
    peaks = peaks_of(
        (0, 10, 0, 1), (1, 8, 4, 1), (2, 12, 4, 1), (3, 10, 6.1, 1), (4, 12, 5, 0.5), (4, 10, 5, 0.4), (5, 14, 6, 0.2),
    )  # fmt: skip
    filled = fill_missing_joints(peaks, people_of(([0, 1, 2, -1, -1, -1], 3.0, 3)))
    # 0.5 exp(-(4 + 9) / 16) = 0.22 is less than 0.4 exp(-9 / 16) = 0.23; 6.1 is outside; (14, 6) is in the corner
    assert filled.joints.tolist() == [[0, 1, 2, -1, 5, 6]]
    assert filled.scores.tolist() == [3.0] and filled.counts.tolist() == [3]


def test_a_more_confident_person_takes_a_joint_from_a_less_confident_one() -> None:
    """A person left with two joints is dropped; joints of a more confident person are not taken."""
    peaks = peaks_of((0, 10, 2, 1), (1, 8, 4, 1), (1, 16, 4, 1), (2, 12, 4, 1), (2, 13, 4, 1), (3, 10, 5, 0.9))
    one, other = [0, 1, 3, -1, -1, -1], [-1, 2, 4, 5, -1, -1]
    filled = fill_missing_joints(peaks, people_of((other, 2.0, 3), (one, 4.0, 3)))
    assert filled.joints.tolist() == [[0, 1, 3, 5, -1, -1]] and filled.scores.tolist() == [4.0]
    filled = fill_missing_joints(peaks, people_of((other, 5.0, 3), (one, 4.0, 3)))
    assert filled.joints.tolist() == [[0, 2, 4, 5, -1, -1]]  # the head is near the more confident person


def test_without_people_nothing_is_merged_or_filled_in() -> None:
    assert len(join_fragments(BODY, NO_PEOPLE).joints) == 0
    assert len(fill_missing_joints(BODY, NO_PEOPLE).joints) == 0


def noisy_people(seed: int, *, noise: float, people: int = 5) -> tuple[Peaks, People, NDArray[np.float64]]:
    """Return peaks and people decoded from noisy maps as published, and the true joints (P, 14, 2) in cells."""
    rng = np.random.default_rng(seed)
    standing = np.array(
        [(-12, 78), (-11, 40), (-9, 0), (9, 0), (11, 40), (12, 78), (-26, -6), (-22, -30), (-16, -58), (16, -58),
         (22, -30), (26, -6), (0, -62), (0, -84)],
    )  # fmt: skip
    middle = rng.uniform((80, 120), (608, 400), (people, 1, 2))
    keypoints = middle + (standing + rng.normal(0, 5, (people, 14, 2))) * rng.uniform(0.6, 1.2, (people, 1, 1))
    maps = torch.from_numpy(keypoints)[None], torch.ones(1, people, 14, dtype=torch.bool)
    generator = torch.Generator().manual_seed(seed)
    heat, fields = (
        target[0].float() + noise * torch.randn(target.shape[1:], generator=generator)
        for target in (
            heatmap_targets(*maps, size=(64, 86)),
            paf_targets(*maps, LSP_14, size=(64, 86), align="reference"),
        )
    )
    peaks = find_peaks(heat[:14])
    return peaks, assemble(peaks, find_limbs(fields, peaks, LSP_14), LSP_14), (keypoints - 3.5) / 8


def mean_best_oks(peaks: Peaks, people: People, truth: NDArray[np.float64]) -> float:
    """Return the highest object keypoint similarity (OKS) to any person found, mean over the true people."""
    low, high = truth.min(1), truth.max(1)
    places = np.where((people.joints >= 0)[..., None], peaks.xy.take(people.joints, 0, mode="clip"), np.inf)
    every = object_keypoint_similarity(
        places, np.concatenate([truth, np.ones((*truth.shape[:2], 1))], 2), areas=0.53 * (high - low).prod(1),
        boxes=np.concatenate([low, high - low], 1), sigmas=LSP_14.sigmas,
    )  # fmt: skip
    return float(every.max(0).mean())


@pytest.mark.parametrize("pairs_per_chunk", [1, 8, PAIRS_PER_CHUNK])
def test_fragments_of_all_chunks_are_merged(monkeypatch: pytest.MonkeyPatch, pairs_per_chunk: int) -> None:
    """Two bodies of two fragments each; a chunk has one, two or all of the four fragments."""
    monkeypatch.setattr(complete, "PAIRS_PER_CHUNK", pairs_per_chunk)
    points = ((10, 0), (8, 4), (12, 4), (9, 4.2), (11, 4.2), (10, 9))
    bodies = peaks_of(*((joint, x + dx, y, 1) for joint, (x, y) in enumerate(points) for dx in (0, 50)))
    fragments = people_of(
        ([0, 2, 4, -1, -1, -1], 3.0, 3), ([1, 3, 5, -1, -1, -1], 3.0, 3),
        ([-1, -1, -1, 6, 8, 10], 3.0, 3), ([-1, -1, -1, 7, 9, 11], 3.0, 3),
    )  # fmt: skip
    joined = join_fragments(bodies, fragments)
    assert joined.joints.tolist() == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]


def test_missing_joints_do_not_depend_on_the_size_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks, people, _ = noisy_people(0, noise=0.05, people=8)
    expected = fill_missing_joints(peaks, people)
    assert (expected.joints >= 0).sum() > (people.joints >= 0).sum() + 20
    monkeypatch.setattr(complete, "PAIRS_PER_CHUNK", 1)  # one person at a time
    result = fill_missing_joints(peaks, people)
    np.testing.assert_array_equal(result.joints, expected.joints)
    np.testing.assert_array_equal(result.scores, expected.scores)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_completion_brings_people_nearer_to_the_ground_truth(noise: float) -> None:
    """Measured over twelve scenes; the number of people is nearer to the true number too."""
    before, after, counts = [], [], []
    for seed in range(12):
        peaks, people, truth = noisy_people(seed, noise=noise)
        completed = fill_missing_joints(peaks, join_fragments(peaks, people))
        before.append(mean_best_oks(peaks, people, truth))
        after.append(mean_best_oks(peaks, completed, truth))
        counts.append((len(people.joints), len(completed.joints)))
    assert np.mean(after) > np.mean(before) + 0.01
    assert abs(sum(b for _, b in counts) - 60) <= abs(sum(a for a, _ in counts) - 60)


@pytest.mark.parametrize(
    ("seed", "noise"),
    [(0, 0.06), (1, 0.08), *(pytest.param(seed, 0.1, marks=pytest.mark.slow) for seed in (2, 3))],
)
def test_completion_only_uses_found_joints_and_keeps_scores_and_counts(seed: int, noise: float) -> None:
    """Every joint is one of the peaks of its type, and no joint is added to a second person."""
    peaks, people, _ = noisy_people(seed, noise=noise, people=8)
    joined = join_fragments(peaks, people)
    completed: Any = fill_missing_joints(peaks, joined)
    assert joined.scores.sum() == pytest.approx(people.scores.sum()) and joined.counts.sum() == people.counts.sum()
    assert (np.diff(completed.scores) <= 0).all() and set(completed.scores.tolist()) <= set(joined.scores.tolist())
    types = np.searchsorted(peaks.offsets, completed.joints, side="right") - 1
    assert (types == np.arange(14))[completed.joints >= 0].all()
    before, after = (np.bincount(who.joints[who.joints >= 0], minlength=len(peaks.xy)) for who in (joined, completed))
    assert (after <= np.maximum(before, 1)).all()
