"""Tracking of people who cross, leave and return; the 1 euro filter, by hand and by its properties."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from firstsight.pose.parts import Pose
from firstsight.pose.skeleton import COCO_17, LSP_14, Skeleton
from firstsight.pose.track import OneEuro, Tracker, _Track, pose_similarity

FloatArray = NDArray[np.float64]
PAIR = Skeleton(name="pair", joints=("a", "b"), limbs=((0, 1),), flip_pairs=((0, 1),), sigmas=(0.1, 0.05))
HEIGHTS = {
    "nose": 0,
    "eye": -4,
    "ear": -2,
    "shoulder": 22,
    "elbow": 52,
    "wrist": 80,
    "hip": 85,
    "knee": 130,
    "ankle": 175,
    "neck": 18,
    "head_top": -12,
}
SWINGS = {"elbow": 12, "wrist": 26, "knee": 14, "ankle": 30}


def walker(skeleton: Skeleton, frame: int, *, x: float, y: float = 100, speed: float, phase: float = 0) -> FloatArray:
    """Return the joints of a stick figure 187 pixels tall, seen from the side, whose arms and legs swing."""
    xy = np.zeros((len(skeleton), 2))
    for i, joint in enumerate(skeleton.joints):
        side, name = (-1, joint[5:]) if joint.startswith("left_") else (1, joint.removeprefix("right_"))
        against = side if name in ("elbow", "wrist") else -side
        swing = SWINGS.get(name, 0) * against * math.sin(0.25 * frame + phase)
        xy[i] = x + speed * frame + swing + 6 * side * (name in HEIGHTS and HEIGHTS[name] > 20), y + HEIGHTS[name]
    return xy


def pose(xy: FloatArray, detected: NDArray[np.bool_] | None = None) -> Pose:
    """Return a pose with these joints; the others are -1."""
    detected = np.ones(len(xy), dtype=bool) if detected is None else detected
    keypoints = np.column_stack([np.where(detected[:, None], xy, -1.0), np.where(detected, 0.8, -1.0)])
    low = xy[detected].min(0)
    high = xy[detected].max(0)
    return Pose(keypoints, 20.0, (*low.tolist(), *(high - low).tolist()))


def noisy_pose(rng: np.random.Generator, xy: FloatArray, *, noise: float, missing: float) -> Pose:
    """Return a pose with noise and missing joints, with at least three joints."""
    detected = rng.random(len(xy)) >= missing
    detected[rng.permutation(len(xy))[:3]] = True
    return pose(xy + rng.normal(0, noise, xy.shape), detected)


def idf1(truth: list[list[int]], ids: list[list[int]]) -> float:
    """Return IDF1 = 2 IDTP / (2 IDTP + IDFP + IDFN) with the best matching of people and ids (Ristani 2016)."""
    pairs = [pair for frame in zip(truth, ids, strict=True) for pair in zip(*frame, strict=True)]
    people, numbers = (sorted(set(names)) for names in zip(*pairs, strict=True))
    counts = np.array([[pairs.count((person, number)) for number in numbers] for person in people])
    correct = int(counts[linear_sum_assignment(counts, maximize=True)].sum())
    return 2 * correct / (2 * correct + 2 * (len(pairs) - correct))


def crossing(
    seed: int, skeleton: Skeleton, *, noise: float, missing: float, phase: float = 1.0, **options: Any
) -> float:
    """Return the IDF1 of two people who cross; their poses are in random order."""
    rng = np.random.default_rng(seed)
    tracker = Tracker(skeleton, **options)
    distance = 240 + 3 * rng.random()
    truth: list[list[int]] = []
    ids: list[list[int]] = []
    for frame in range(80):
        figures = [
            walker(skeleton, frame, x=100, speed=3),
            walker(skeleton, frame, x=100 + distance, y=103, speed=-3, phase=phase),
        ]
        order = rng.permutation(2).tolist()
        truth.append(order)
        ids.append(tracker.update([noisy_pose(rng, figures[i], noise=noise, missing=missing) for i in order]))
    return idf1(truth, ids)


def test_idf1_by_hand() -> None:
    """Two people in four frames swap ids before the last frame: six of eight ids are correct."""
    assert idf1([[0, 1]] * 4, [[7, 9], [7, 9], [7, 9], [9, 7]]) == 0.75
    assert idf1([[0, 1], [1, 0]], [[5, 2], [2, 5]]) == 1
    assert idf1([[0], [0], [0]], [[1], [2], [3]]) == pytest.approx(1 / 3)


def test_similarity_over_common_joints_by_hand() -> None:
    """Area 100: 2 * 100 * 0.2^2 = 8 for the first joint, 2 for the second; 2 and 1 pixels away both give exp(-1/2)."""
    one = np.array([[5.0, 5, 0.9], [9, 9, 0.1]])
    other = np.array([[7.0, 5, 0.2], [9, 10, 0.2]])
    assert pose_similarity(one, other, PAIR, area=100) == pytest.approx(math.exp(-0.5))
    other[0] = 5, 9, 0  # a score of 0 counts as detected
    assert pose_similarity(one, other, PAIR, area=100) == pytest.approx((math.exp(-2) + math.exp(-0.5)) / 2)
    other[0] = -1
    assert pose_similarity(one, other, PAIR, area=100) == pytest.approx(math.exp(-0.5))
    other[1] = -1
    assert pose_similarity(one, other, PAIR, area=100) == 0


@pytest.mark.parametrize("skeleton", [LSP_14, COCO_17], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize(("noise", "missing"), [(0, 0), (1, 0.1), (2, 0.3)])
def test_people_who_cross_keep_their_ids(skeleton: Skeleton, noise: float, missing: float) -> None:
    for seed in range(3):
        assert crossing(seed, skeleton, noise=noise, missing=missing) == 1


def test_without_velocity_people_who_cross_in_step_swap_ids() -> None:
    """Only the direction of their motion differs."""
    assert crossing(0, COCO_17, noise=1, missing=0.1, phase=2) == 1
    assert crossing(0, COCO_17, noise=1, missing=0.1, phase=2, velocity_gain=0.0) < 1


def ids_of(tracker: Tracker, numbers: range, figure: Callable[[int], FloatArray], *, seed: int = 0) -> set[int]:
    """Return the ids that one person gets in these frames."""
    rng = np.random.default_rng(seed)
    return {tracker.update([noisy_pose(rng, figure(frame), noise=1.5, missing=0.2)])[0] for frame in numbers}


def walk_right(frame: int) -> FloatArray:
    return walker(COCO_17, frame, x=80, speed=4)


def walk_left(frame: int) -> FloatArray:
    return walker(COCO_17, frame, x=500, speed=-4)


def test_a_person_missing_for_a_few_frames_keeps_the_id() -> None:
    tracker = Tracker(COCO_17)
    assert ids_of(tracker, range(20), walk_right) == {1}
    assert [tracker.update([]) for _ in range(5)] == [[]] * 5 and tracker.poses == []
    assert ids_of(tracker, range(25, 40), walk_right) == {1}


def test_ids_are_dropped_after_patience_frames_and_never_reused() -> None:
    """Another person gets a new id; so does a person who was missing for ``patience`` frames."""
    tracker = Tracker(COCO_17)
    assert ids_of(tracker, range(20), walk_right) == {1}
    assert ids_of(tracker, range(20, 30), walk_left) == {2}
    for _ in range(30):
        assert tracker.update([]) == []
    assert ids_of(tracker, range(20), walk_right) == {3}
    tracker = Tracker(COCO_17, patience=4)
    still = pose(walk_right(0))
    assert tracker.update([still]) == [1]
    for missing, number in ((3, 1), (4, 2), (3, 2)):
        assert all(tracker.update([]) == [] for _ in range(missing))
        assert tracker.update([still]) == [number]


def standing(x: float) -> Pose:
    return pose(walker(LSP_14, 0, x=x, speed=0))


def test_each_id_is_given_to_the_nearest_pose_and_only_once() -> None:
    """The order of the poses has no effect."""
    tracker = Tracker(LSP_14)
    assert tracker.update([standing(100)]) == [1]
    assert tracker.update([standing(106), standing(100), standing(500)]) == [2, 1, 3]
    assert tracker.update([standing(100), standing(500), standing(106)]) == [1, 3, 2]


def test_the_assignment_maximizes_the_sum_of_similarities() -> None:
    """Two people at a distance of 20 pixels move by 14: the first is near the second's old place, but keeps its id."""
    tracker = Tracker(LSP_14, min_similarity=0.01)
    assert tracker.update([standing(100), standing(120)]) == [1, 2]
    assert tracker.update([standing(114), standing(134)]) == [1, 2]


def test_joints_are_remembered_for_patience_frames() -> None:
    """Upper and lower body have no joint in common, but the whole body was detected before."""
    upper = np.arange(17) < 11
    tracker = Tracker(COCO_17, patience=5)
    assert tracker.update([pose(walk_right(0))]) == [1]
    for _ in range(4):
        assert tracker.update([pose(walk_right(0), upper)]) == [1]
    assert tracker.update([pose(walk_right(0), ~upper)]) == [1]
    for _ in range(5):
        assert tracker.update([pose(walk_right(0), upper)]) == [1]
    assert tracker.update([pose(walk_right(0), ~upper)]) == [2]  # not detected in five frames: forgotten


def test_the_larger_area_of_pose_and_person_is_used() -> None:
    """An error of three pixels is small for a whole body, but not for a face."""
    tracker, face = Tracker(COCO_17), np.arange(17) < 5
    assert tracker.update([pose(walk_right(0))]) == [1] == tracker.update([pose(walk_right(0) + 3, face)])


def test_predicted_positions_and_velocities_by_hand() -> None:
    """After a motion by 10 the velocity is 4; it is damped in frames without the joint.

    The predictions are 14, 14 + 3.6 and 17.6 + 3.24 = 20.84. A detection at 26.84 after three frames gives a velocity
    of 3.24 + 0.4 * 6 / 3 = 4.04.
    """
    track = _Track(1, 1, 3)
    track.update(np.array([[0.0, 5, 1]]))
    track.predict(3)
    assert track.keypoints.tolist() == [[0, 5, 1]]
    track.update(np.array([[10.0, 5, 1]]))
    for expected in (14.0, 17.6, 20.84):
        track.predict(3)
        assert track.keypoints[0].tolist() == pytest.approx([expected, 5, 1])
    track.update(np.array([[26.84, 5, 1]]))
    assert track.velocity[0].tolist() == pytest.approx([4.04, 0])
    for score in (1, 1, 1, -1):
        track.predict(3)
        assert track.keypoints[0, 2] == score
    track.update(np.array([[50.0, 5, 1]]))
    assert track.velocity.tolist() == [[0, 0]]


def test_a_joint_of_score_0_is_detected_and_one_of_score_minus_1_is_not() -> None:
    track = _Track(1, 1, 3)
    track.update(np.array([[0.0, 5, 0]]))
    track.predict(3)
    track.update(np.array([[10.0, 5, 0]]))
    assert track.velocity.tolist() == [[4, 0]]
    tracker = Tracker(PAIR, smooth=True)
    joints = np.array([[50.0, 20], [50, 80]])
    for shift in (0, 3):
        weak = pose(joints + shift)
        tracker.update([replace(weak, keypoints=np.column_stack([weak.keypoints[:, :2], [0, 0]]))])
    assert (tracker.poses[0].keypoints[:, :2] < joints + 3).all()  # smoothed joints lag


def test_collinear_and_empty_poses_get_ids() -> None:
    """A box without width keeps its id; a pose without joints gets an id that is not kept."""
    tracker = Tracker(PAIR)
    upright = np.array([[50.0, 20], [50, 80]])
    assert tracker.update([pose(upright)]) == [1] == tracker.update([pose(upright + np.array([3, 0]))])
    empty = Pose(np.full((2, 3), -1.0), 0.0, (0.0, 0.0, 0.0, 0.0))
    assert tracker.update([empty, pose(upright + 3)]) == [2, 1] and tracker.update([empty]) == [3]
    smooth = Tracker(PAIR, smooth=True)
    assert smooth.update([empty]) == [1] and (smooth.poses[0].keypoints == -1).all()


def test_each_person_is_smoothed_by_a_separate_filter() -> None:
    rng = np.random.default_rng(5)
    tracker, plain = Tracker(LSP_14, smooth=True), Tracker(LSP_14)
    bodies = [walker(LSP_14, 0, x=x, speed=0) for x in (100, 300)]
    errors: list[list[FloatArray]] = [[], []]
    for frame in range(90):
        order = rng.permutation(2).tolist()
        given = [noisy_pose(rng, bodies[i], noise=1.5, missing=0.05) for i in order]
        before = [item.keypoints.copy() for item in given]
        numbers = tracker.update(given)
        assert numbers == plain.update(given) and all(a is b for a, b in zip(plain.poses, given, strict=True))
        for i, item, was, result in zip(order, given, before, tracker.poses, strict=True):
            np.testing.assert_array_equal(item.keypoints, was)
            np.testing.assert_array_equal(result.keypoints[:, 2], was[:, 2])
            detected = was[:, 2] >= 0
            low = result.keypoints[detected, :2].min(0)
            high = result.keypoints[detected, :2].max(0)
            assert result.box == pytest.approx((*low, *(high - low))) and result.score == item.score
            assert (result.keypoints[~detected] == -1).all()
            if frame == 0:
                np.testing.assert_array_equal(result.keypoints, was)
            errors[i].append(np.where(detected[:, None], result.keypoints[:, :2] - bodies[i], np.nan))
    assert all(np.nanvar(np.stack(one[20:])) < 0.6 * 1.5**2 for one in errors)
    tracker.update([])
    again = pose(bodies[0] + 2)
    tracker.update([again])
    np.testing.assert_array_equal(tracker.poses[0].keypoints, again.keypoints)  # missing for a frame: restarted


def test_the_tracker_passes_the_frame_rate_to_its_filters() -> None:
    tracker, one_euro = Tracker(LSP_14, smooth=True, frames_per_second=60), OneEuro(14, frames_per_second=60)
    for frame in range(3):
        tracker.update([pose(walker(LSP_14, frame, x=100, speed=3))])
        np.testing.assert_array_equal(
            tracker.poses[0].keypoints[:, :2], one_euro(walker(LSP_14, frame, x=100, speed=3))
        )


def test_three_steps_of_the_one_euro_filter_by_hand() -> None:
    """The weight alpha(1 Hz) at 30 frames per second is 2 pi / (2 pi + 30) = 0.1731707.

    From 10 to 16: speed 0.1731707 * 180 = 31.17073, cutoff 1 + 0.05 * 31.17073 = 2.558536, alpha 0.3488984: 12.093390.
    16 again is 3.906610 from the last output, which is 117.19829 per second: speed 31.17073 + 0.1731707 * 86.02756 =
    46.068184, cutoff 3.303409, alpha 0.4089361: 13.690944.
    """
    one_euro = OneEuro(1)
    for given, expected in ((10.0, 10.0), (16.0, 12.093390), (16.0, 13.690944)):
        assert one_euro(np.array([[given, 7.0]]))[0].tolist() == pytest.approx([expected, 7], abs=1e-6)


def test_the_filter_keeps_constant_input() -> None:
    xy = np.random.default_rng(1).uniform(0, 500, (17, 2))
    one_euro = OneEuro(17)
    for _ in range(20):
        np.testing.assert_array_equal(one_euro(xy), xy)


def test_the_filter_restarts_after_a_missing_joint() -> None:
    """A missing joint passes unchanged, and its position and speed are forgotten; the other joint is not affected."""
    both, other, fresh = OneEuro(2), OneEuro(1), OneEuro(1)
    for frame, place in enumerate((10.0, 14.0, 20.0, -1.0, 90.0, 97.0)):
        result = both(np.array([[place, place], [4.0 * frame, 5]]))
        assert result[1].tolist() == other(np.array([[4.0 * frame, 5]]))[0].tolist()
        assert (result[0, 0] == place) == (place in (10, -1, 90))
        if place >= 90:
            assert result[0].tolist() == fresh(np.full((1, 2), place))[0].tolist()
    outside = np.array([[-2.0, 5], [30, 5]])  # outside the image, but detected
    assert both(outside, np.array([True, True]))[0, 0] > -2


def test_the_filter_copies_its_inputs_and_outputs() -> None:
    one_euro = OneEuro(1)
    xy = np.array([[10.0, 7]])
    detected = np.array([True])
    result = one_euro(xy, detected)
    result[:], detected[:], xy[:] = 0, False, 16
    assert one_euro(xy)[0, 0] == pytest.approx(12.093390, abs=1e-6)


def test_the_filter_reduces_the_variance_of_noise() -> None:
    noise = np.random.default_rng(2).normal(100, 1, (600, 17, 2))
    one_euro = OneEuro(17)
    assert np.stack([one_euro(xy) for xy in noise])[60:].var(0).mean() < noise.var() / 3


@pytest.mark.parametrize("speed", [30.0, 300.0, 3000.0])
def test_the_lag_is_bounded_at_every_speed(speed: float) -> None:
    """The bound is 1 / (2 pi beta); with beta 0 the lag is the speed times tau = 1 / (2 pi min_cutoff) seconds."""
    one_euro, fixed = OneEuro(1), OneEuro(1, beta=0.0)
    for frame in range(150):
        xy = np.full((1, 2), speed * frame / 30)
        lag, fixed_lag = (xy - one_euro(xy))[0, 0], (xy - fixed(xy))[0, 0]
        assert 0 <= lag <= fixed_lag
    assert 0 < lag < 1 / (2 * math.pi * 0.05)
    assert fixed_lag == pytest.approx(speed / (2 * math.pi), rel=1e-6)


def test_the_same_motion_is_filtered_alike_at_two_frame_rates() -> None:
    """The rates are 30 and 60 frames per second; the filter must know the rate."""

    def filtered(rate: int, given: float) -> FloatArray:
        one_euro = OneEuro(1, frames_per_second=given, beta=0.0)
        joints = 100 + 40 * np.sin(2 * math.pi * 0.5 * np.arange(4 * rate) / rate)
        return np.array([one_euro(np.full((1, 2), place))[0, 0] for place in joints])[:: rate // 30]

    slow, fast, wrong = filtered(30, 30.0), filtered(60, 60.0), filtered(60, 30.0)
    assert np.abs(slow - fast).max() < 1 < 8 < np.abs(slow - wrong).max()


def test_impossible_values_are_refused() -> None:
    for wrong in ({"frames_per_second": 0.0}, {"min_cutoff": -1.0}, {"beta": -0.1}, {"derivative_cutoff": 0.0}):
        with pytest.raises(ValueError, match="must be above 0, `beta` at least 0, got OneEuro"):
            OneEuro(3, **wrong)
    with pytest.raises(ValueError, match=r"at most 1, `patience` at least 1, got \(1.5, 15\)"):
        Tracker(PAIR, min_similarity=1.5)
    with pytest.raises(ValueError, match=r"got \(0.2, 0\)"):
        Tracker(PAIR, patience=0)
