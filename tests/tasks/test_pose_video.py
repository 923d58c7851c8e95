"""`track_video`: ids of people, smoothed joints, frames one by one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.optimize import linear_sum_assignment

from firstsight import plots
from firstsight.data.video import Frame, Video, VideoWriter
from firstsight.errors import DataError
from firstsight.plots.skeletons import identity_color
from firstsight.pose.parts import Pose
from firstsight.pose.track import OneEuro
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
from firstsight.tasks.pose.video import FramePoses, track_video
from helpers.blob_video import BODY, Floats, body, crossing, film, hue_network

NEAR = 12.0
"""A pose belongs to a person if the mean error of its joints is below this, in pixels."""


@pytest.fixture
def estimator() -> PoseEstimator:
    return PoseEstimator(hue_network())


def mean_error(pose: Pose, person: Floats) -> float:
    is_detected = pose.keypoints[:, 2] >= 0
    return float(np.hypot(*(pose.keypoints[is_detected, :2] - person[is_detected]).T).mean())


def idf1(truth: list[list[Floats]], predictions: list[list[tuple[int, Pose]]]) -> float:
    """Return IDF1 = 2 IDTP / (people + poses) over all frames, for the best matching of people and ids."""
    numbers = sorted({number for frame in predictions for number, _ in frame})
    counts = np.zeros((len(truth[0]), len(numbers)))
    for people, frame in zip(truth, predictions, strict=True):
        for number, pose in frame:
            for p, person in enumerate(people):
                counts[p, numbers.index(number)] += mean_error(pose, person) < NEAR
    correct = counts[linear_sum_assignment(counts, maximize=True)].sum()
    return float(2 * correct / (sum(map(len, truth)) + sum(map(len, predictions))))


def test_people_who_cross_keep_their_ids(estimator: PoseEstimator) -> None:
    """Numbering people by their order in each frame swaps the ids many times."""
    frames = 50
    video = film(Path("crossing.mp4"), crossing, frames=frames)
    result = list(track_video(estimator, video, track=True))
    truth: list[list[Floats]] = [[one for one in crossing(number) if one is not None] for number in range(frames)]
    with_ids = [list(zip(frame.identities or [], frame.poses, strict=True)) for frame in result]
    assert idf1(truth, with_ids) >= 0.95
    assert idf1(truth, [list(enumerate(frame.poses)) for frame in result]) < 0.8
    assert {number for frame in result for number in frame.identities or []} == {1, 2}
    assert [frame.number for frame in result] == list(range(frames))
    assert [frame.seconds for frame in result] == pytest.approx([number / 25 for number in range(frames)])


def test_a_person_hidden_for_a_few_frames_keeps_the_id(estimator: PoseEstimator) -> None:
    """Hidden for eight frames; then for twenty, which is more than the tracker's patience."""
    hidden = {*range(10, 18), *range(30, 50)}
    video = film(Path("away.mp4"), lambda n: [None if n in hidden else body(80 + n, 90)], frames=56)
    ids = [frame.identities for frame in track_video(estimator, video, track=True)]
    assert ids == [[] if n in hidden else [1] if n < 30 else [2] for n in range(56)]


def test_without_track_there_are_no_ids(estimator: PoseEstimator) -> None:
    frame = next(track_video(estimator, film(Path("one.mp4"), crossing, frames=2)))
    assert frame.identities is None and len(frame.poses) == 2 and list(frame.timings) == ["read", "network", "decode"]
    poses = estimator(frame.image)
    assert [pose.keypoints.tolist() for pose in poses] == [pose.keypoints.tolist() for pose in frame.poses]


def trembling(number: int) -> list[Floats | None]:
    rng = np.random.default_rng(number)
    return [body(160, 96) + rng.normal(0, 2, (5, 2))]


def joints(frames: list[FramePoses]) -> Floats:
    return np.stack([frame.poses[0].keypoints for frame in frames])


def test_smooth_halves_the_variance_and_keeps_the_mean(estimator: PoseEstimator) -> None:
    """A person who stands but trembles; with ids the result is the same."""
    video = film(Path("trembling.mp4"), trembling, frames=45, rate=10)
    raw, calm, again = (
        list(track_video(estimator, video, track=track, smooth=smooth))
        for track, smooth in ((True, False), (False, True), (True, True))
    )
    assert [frame.identities for frame in calm] == [[1]] * 45
    np.testing.assert_array_equal(joints(calm), joints(again))
    before, after = (np.where(joints(raw)[10:, :, 2:] >= 0, joints(one)[10:, :, :2], np.nan) for one in (raw, calm))
    assert np.isfinite(before).mean() > 0.9  # a joint that is missed now and then restarts
    was, left = np.nanvar(before, 0), np.nanvar(after, 0)
    assert was.min() > 2 and (left < 0.6 * was).all() and left.mean() < 0.5 * was.mean()
    np.testing.assert_allclose(np.nanmean(after, 0), np.nanmean(before, 0), atol=0.5)
    one_euro = OneEuro(5, frames_per_second=10)  # the rate of the video
    for given, filtered in zip(joints(raw), joints(calm), strict=True):
        np.testing.assert_allclose(filtered[:, :2], one_euro(given[:, :2], given[:, 2] >= 0))


class Counted(Video):
    """A video that counts how many frames were taken from it."""

    taken = 0

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            self.taken += 1
            yield frame


def test_frames_are_read_only_when_needed_and_the_callers_video_stays_open(estimator: PoseEstimator) -> None:
    """The network gets a frame only when the caller requests it."""
    input_shapes = estimator.network.model.input_shapes
    with Counted(str(film(Path("long.mp4"), crossing, frames=30))) as video:
        following = track_video(estimator, video, smooth=True)
        assert (video.taken, len(input_shapes)) == (0, 0)
        for number in range(1, 4):
            next(following)
            assert (video.taken, len(input_shapes)) == (number, number)
        following.close()
        assert next(iter(video)).number == 0  # still open


def test_frames_too_wide_for_the_network_are_refused(estimator: PoseEstimator) -> None:
    """The message names the video."""
    with VideoWriter(Path("long.mp4"), frames_per_second=5) as out:
        out.add(Image.new("RGB", (2200, 32)))
    with pytest.raises(DataError, match=r"^long\.mp4: 2200x32 pixels would be 13200x192"):
        next(track_video(estimator, Path("long.mp4")))


def test_people_are_drawn_in_the_color_of_their_id_with_its_number() -> None:
    """The number stands above the person, within the image; without ids there is none."""
    people = [body(60, 60), body(200, 100)]
    poses = [
        Pose(np.column_stack([one, np.full(5, 0.9)]), 9.0, (*one.min(0).tolist(), *np.ptp(one, axis=0).tolist()))
        for one in people
    ]
    gray = Image.new("RGB", (320, 192), (96, 96, 96))
    drawn = np.asarray(plots.draw_people(gray, poses, BODY, identities=[7, 12]))
    for one, number in zip(people, (7, 12), strict=True):
        x, y = np.rint((one[1] + one[3]) / 2).astype(int)  # of a hand and a foot
        assert drawn[y, x].tolist() == list(identity_color(number))
        x, y = np.rint(one[0]).astype(int)
        above = drawn[max(y - 25, 0) : y - 6, x - 12 : x + 12].reshape(-1, 3)
        assert (above == identity_color(number)).all(1).sum() > 30
    plain = np.asarray(plots.draw_people(gray, poses, BODY))
    assert (plain[:10] == 96).all() and not (drawn[:10] == 96).all()
    assert len({identity_color(number) for number in range(1, 40)}) == 39
    high = Pose(poses[0].keypoints - (0, 20, 0), 9.0, (poses[0].box[0], -5.0, *poses[0].box[2:]))
    assert (np.asarray(plots.draw_people(gray, [high], BODY, identities=[1]))[:16] == identity_color(1)).all(2).any()
