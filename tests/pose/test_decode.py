"""Exact decoding by hand; tests/parity compares every rule with the published code."""

import numpy as np
import pytest
import torch

from firstsight.pose.decode import decode
from firstsight.pose.exact import find_limbs, find_peaks
from firstsight.pose.parts import assemble
from firstsight.pose.skeleton import LSP_14, OPENPOSE_18, Skeleton
from firstsight.pose.targets import heatmap_targets, paf_targets

CHAIN = Skeleton(
    name="chain", joints=("a", "b", "c"), limbs=((0, 1), (1, 2), (0, 2)), flip_pairs=(), sigmas=(0.1, 0.1, 0.1)
)


def test_exact_peaks_by_hand() -> None:
    """A peak is above its four neighbors; a plateau has none; of near peaks the leftmost stays, whatever its value."""
    heat = torch.zeros(2, 9, 20)
    heat[0, 4, 3], heat[0, 4, 8], heat[0, 0, 19], heat[0, 7, 14] = 0.3, 0.9, 0.5, 0.09
    heat[1, 2, 2] = heat[1, 2, 3] = 0.8
    peaks = find_peaks(heat)
    assert peaks.xy.tolist() == [[3, 4], [19, 0]] and peaks.offsets.tolist() == [0, 2, 2]
    assert peaks.scores.tolist() == pytest.approx([0.3, 0.5])
    heat[0, 4, 8], heat[0, 4, 9] = 0, 0.9  # six pixels away: both stay
    assert find_peaks(heat).xy.tolist() == [[3, 4], [9, 4], [19, 0]]


def test_a_suppressed_peak_suppresses_no_other() -> None:
    heat = torch.zeros(1, 3, 20)
    heat[0, 1, [2, 7, 12]] = 0.5
    assert find_peaks(heat).xy[:, 0].tolist() == [2, 12]


def test_limb_scores_by_hand() -> None:
    """Its score is the mean of the field along it; nine of ten points are enough, eight are not."""
    heat, field = torch.zeros(3, 5, 20), torch.zeros(6, 5, 20)
    heat[0, 2, 1], heat[1, 2, 10] = 1, 1
    field[0, 2, 1:11] = 0.5
    field[0, 2, 5] = 0
    peaks = find_peaks(heat)
    limbs = find_limbs(field, peaks, CHAIN)
    assert limbs[0].ends.tolist() == [[0, 1]] and limbs[1].ends.shape == (0, 2)
    assert limbs[0].scores.tolist() == pytest.approx([0.5], rel=1e-5)
    field[0, 2, 6] = 0.04
    assert find_limbs(field, peaks, CHAIN)[0].ends.shape == (0, 2)
    field[0, 2, 5:7] = -0.5
    assert len(assemble(peaks, find_limbs(field, peaks, CHAIN), CHAIN).joints) == 0


@pytest.mark.parametrize("skeleton", [LSP_14, OPENPOSE_18], ids=lambda skeleton: skeleton.name)
def test_ground_truth_maps_decode_to_the_labeled_people(skeleton: Skeleton) -> None:
    """Three people apart from each other, with joints at whole pixels."""
    rng = np.random.default_rng(3)
    joints = np.stack([rng.permutation(60)[: len(skeleton)] * 2 for _ in range(3)])[..., None].repeat(2, 2)
    joints = np.stack([joints[..., 0] + np.array([[10], [160], [310]]), rng.integers(10, 190, joints.shape[:2])], -1)
    keypoints = torch.from_numpy(joints.astype(np.float64))[None]
    visible = torch.ones(1, 3, len(skeleton), dtype=torch.bool)
    heat = heatmap_targets(keypoints, visible, size=(200, 440), stride=1, sigma=2.0)[0]
    fields = paf_targets(keypoints, visible, skeleton, size=(200, 440), stride=1, thickness=2.0)[0]
    poses = sorted(decode(heat, fields, skeleton, method="exact"), key=lambda pose: pose.keypoints[0, 0])
    assert len(poses) == 3
    for pose, truth in zip(poses, joints, strict=True):
        np.testing.assert_array_equal(pose.keypoints[:, :2], truth)
        np.testing.assert_allclose(pose.keypoints[:, 2], 1)
        x, y, width, height = pose.box
        assert (x, y, x + width, y + height) == (*truth.min(0), *truth.max(0))


def test_limbs_outside_the_tree_only_add_missing_joints() -> None:
    """a-b and b-c are the tree; a-c adds c where b-c was not found, without score or count."""
    heat, field = torch.zeros(3, 12, 30), torch.zeros(6, 12, 30)
    points = {0: (2, 2), 1: (12, 2), 2: (2, 11)}
    for joint, (x, y) in points.items():
        heat[joint, y, x] = 0.9
    field[0, 2, 2:13] = 0.8  # a to b
    peaks = find_peaks(heat)
    field[5, 2:12, 2] = 0.7  # a to c, down
    people = assemble(peaks, find_limbs(field, peaks, CHAIN), CHAIN)
    assert len(people.joints) == 0  # two joints by the tree are too few, so limbs outside the tree do not help
    field[2:4, :, :] = torch.tensor([-10.0, 9.0])[:, None, None] / 181**0.5  # b to c
    people = assemble(peaks, find_limbs(field, peaks, CHAIN), CHAIN)
    assert people.joints.tolist() == [[0, 1, 2]] and people.counts.tolist() == [3]
    assert people.scores.tolist() == pytest.approx([2.7 + 0.8 + 1.0], rel=1e-5)


def test_empty_maps_give_no_people_and_wrong_shapes_are_refused() -> None:
    assert decode(torch.zeros(19, 8, 8), torch.zeros(38, 8, 8), OPENPOSE_18) == []
    assert decode(torch.full((18, 8, 8), torch.nan), torch.zeros(38, 8, 8), OPENPOSE_18) == []
    with pytest.raises(ValueError, match="18 joints and 19 limbs, but there are 15 heatmaps and 26 field channels"):
        decode(torch.zeros(15, 8, 8), torch.zeros(26, 8, 8), OPENPOSE_18)
    with pytest.raises(ValueError, match=r"`heatmaps` must have shape \(K, H, W\) and `pafs` \(2L, H, W\)"):
        decode(torch.zeros(19, 8, 8), torch.zeros(38, 8, 9), OPENPOSE_18)
