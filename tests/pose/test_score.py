"""Scores of people: logistic calibration, its threshold, and removal of duplicates."""

import numpy as np
import pytest

from firstsight.pose.parts import Pose, bounding_box
from firstsight.pose.score import UNCALIBRATED, ScoreCalibration, fit_calibration, remove_duplicates
from firstsight.pose.skeleton import COCO_17

JOINTS = np.column_stack([np.linspace(0, 80, 17), np.linspace(0, 160, 17) ** 1.02, np.full(17, 0.9)])


def person(keypoints: np.ndarray, score: float) -> Pose:
    return Pose(keypoints, score, bounding_box(keypoints))


def test_calibration_recovers_the_probabilities_of_its_data() -> None:
    """20,000 detections of which a fraction sigmoid(1.5 log(raw) - 4) are people."""
    rng = np.random.default_rng(0)
    raw = np.exp(rng.uniform(-1, 6, 20_000))
    truth = 1 / (1 + np.exp(-(1.5 * np.log(raw) - 4)))
    calibration = fit_calibration(raw, rng.uniform(size=len(raw)) < truth)
    assert calibration.coefficient == pytest.approx(1.5, abs=0.06) and calibration.intercept == pytest.approx(
        -4, abs=0.15
    )
    assert np.abs(calibration(raw) - truth).max() < 0.02
    np.testing.assert_allclose(calibration([1.0, np.e]), 1 / (1 + np.exp([4.0, 2.5])), atol=0.02)


def test_threshold_has_the_highest_f1_at_the_required_precision() -> None:
    raw = np.array([8.0, 7, 6, 5, 4, 3, 2, 1])
    is_person = np.array([True, True, False, True, False, False, False, False])
    for min_precision, expected in ((0.5, 4), (0.9, 2)):  # 3 of 4 have the best F1; only the first 2 are all right
        calibration = fit_calibration(raw, is_person, min_precision=min_precision)
        assert (calibration(raw) >= calibration.min_score).sum() == expected
    with pytest.raises(ValueError, match="both True and False"):
        fit_calibration(raw, np.ones(8, bool))
    for wrong in (np.nan, np.inf):
        with pytest.raises(ValueError, match="`raw` must be finite"):
            fit_calibration([*raw[:7], wrong], is_person)
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="`weights` must be finite and above 0"):
            fit_calibration(raw, is_person, weights=[1.0] * 7 + [wrong])


def test_card_entries_are_read_and_checked() -> None:
    calibration = ScoreCalibration(coefficient=1.25, intercept=-3.5, min_score=0.4)
    assert ScoreCalibration.from_card(calibration.to_card()) == calibration
    assert ScoreCalibration.from_card(None) is UNCALIBRATED and UNCALIBRATED.min_score == 0
    entry = calibration.to_card()
    for wrong in ({"coefficient": -1}, {"min_score": 1.5}, {"intercept": float("nan")}, {"coefficient": "x"}):
        with pytest.raises(ValueError):
            ScoreCalibration.from_card(entry | wrong)
    with pytest.raises(ValueError, match="of type list"):
        ScoreCalibration.from_card([1, 2])


def test_the_better_of_two_poses_of_one_person_is_kept() -> None:
    best, near, far = JOINTS, JOINTS + np.array([2, -1, 0]), JOINTS + np.array([60, 0, 0])
    poses = [person(near, 0.5), person(best, 0.9), person(far, 0.4)]
    assert remove_duplicates(poses, COCO_17) == poses[1:]
    assert remove_duplicates([], COCO_17) == []


def test_people_with_few_common_joints_are_both_kept() -> None:
    """An upper and a lower body share two joints; a fragment whose joints are all in the better pose is dropped."""
    upper, lower, fragment = JOINTS.copy(), JOINTS.copy(), JOINTS.copy()
    upper[10:] = lower[:8] = fragment[5:] = -1
    poses = [person(upper, 0.8), person(lower, 0.7)]
    assert remove_duplicates(poses, COCO_17) == poses
    poses = [person(upper, 0.8), person(fragment, 0.3)]
    assert remove_duplicates(poses, COCO_17) == poses[:1]
