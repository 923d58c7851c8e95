"""Non-maximum suppression by object keypoint similarity (OKS), by hand."""

import math

import numpy as np
import pytest

from firstsight.pose.oks import oks_nms

SIGMAS = (0.5, 0.5)
"""OKS is the mean of exp(-d^2 / (2 area)), as (2 sigma)^2 is 1."""
SQUARE = np.array([[0.0, 0.0], [10.0, 10.0]])
"""Two joints with a bounding box of 10x10 pixels."""


def test_poses_are_kept_by_score_and_returned_highest_first() -> None:
    poses = np.stack([SQUARE, SQUARE + 0.1, SQUARE + 500, SQUARE + 0.2, SQUARE + 900])
    assert oks_nms(poses, [0.5, 0.9, 0.2, 0.7, 0.95], SIGMAS).tolist() == [4, 1, 2]
    assert oks_nms(poses, [0.5] * 5, SIGMAS).tolist() == [0, 2, 4]  # equal scores keep their order


def test_suppressed_pose_suppresses_no_other() -> None:
    """Neighbors at 4 pixels have an OKS of exp(-16 / 200) = 0.92, poses at 8 pixels one of exp(-64 / 200) = 0.73."""
    poses = SQUARE + np.array([[[0, 0]], [[4, 0]], [[8, 0]]])
    assert oks_nms(poses, [0.9, 0.8, 0.7], SIGMAS).tolist() == [0, 2]
    assert oks_nms(poses, [0.8, 0.9, 0.7], SIGMAS).tolist() == [1]


@pytest.mark.parametrize(
    ("other", "oks"),
    [
        (SQUARE + np.array([10, 0]), math.exp(-100 / 200)),
        (SQUARE * np.array([2, 1]), (1 + math.exp(-100 / (2 * 150))) / 2),  # the mean of the areas 100 and 200
        (SQUARE + np.array([0, 3]), math.exp(-9 / 200)),
    ],
)
def test_threshold_is_an_oks_with_the_mean_area_of_both_poses(other: np.ndarray, oks: float) -> None:
    poses = np.concatenate([np.stack([SQUARE, other]), np.full((2, 2, 1), 0.5)], 2)  # the third value is ignored
    assert oks_nms(poses, [0.9, 0.8], SIGMAS, threshold=oks + 1e-6).tolist() == [0, 1]
    assert oks_nms(poses, [0.9, 0.8], SIGMAS, threshold=oks - 1e-6).tolist() == [0]


def test_pose_at_the_threshold_is_kept() -> None:
    """Copies have an OKS of exactly 1."""
    poses = np.stack([SQUARE, SQUARE])
    assert oks_nms(poses, [0.9, 0.8], SIGMAS, threshold=1.0).tolist() == [0, 1]


def test_indices_of_no_poses_are_integers() -> None:
    kept = oks_nms(np.zeros((0, 2, 3)), np.zeros(0), SIGMAS)
    assert (kept.shape, kept.dtype) == ((0,), np.int64)
    assert np.zeros((0, 2, 3))[kept].shape == (0, 2, 3)
