"""People in videos from Python: who is who, what is smoothed, what is held."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.optimize import linear_sum_assignment

from firstsight import plots
from firstsight.data.video import Frame, Video, VideoWriter
from firstsight.errors import DataError
from firstsight.plots.skeletons import identity_colour
from firstsight.pose.parts import Pose
from firstsight.pose.track import OneEuro
from firstsight.tasks.pose import PoseEstimator
from firstsight.tasks.pose_video import FramePoses, follow_video
from helpers.blob_video import BODY, Floats, body, crossing, film, marked

NEAR = 12.0
"""A pose whose joints are off by so many pixels, on average, is that person's."""


@pytest.fixture
def estimator() -> PoseEstimator:
    return PoseEstimator(marked())


def away(pose: Pose, person: Floats) -> float:
    found = pose.keypoints[:, 2] >= 0
    return float(np.hypot(*(pose.keypoints[found, :2] - person[found]).T).mean())


def idf1(truth: list[list[Floats]], told: list[list[tuple[int, Pose]]]) -> float:
    """2 IDTP / (people + poses), people and numbers paired at best (Ristani 2016), over the frames."""
    numbers = sorted({number for frame in told for number, _ in frame})
    counts = np.zeros((len(truth[0]), len(numbers)))
    for people, frame in zip(truth, told, strict=True):
        for number, pose in frame:
            for p, person in enumerate(people):
                counts[p, numbers.index(number)] += away(pose, person) < NEAR
    right = counts[linear_sum_assignment(counts, maximize=True)].sum()
    return float(2 * right / (sum(map(len, truth)) + sum(map(len, told))))


def test_people_who_cross_keep_their_numbers(estimator: PoseEstimator) -> None:
    """From pixels to numbers; by their order in the list alone, people would change them many times."""
    frames = 50
    video = film(Path("crossing.mp4"), crossing, frames=frames)
    found = list(follow_video(estimator, video, track=True))
    truth: list[list[Floats]] = [[one for one in crossing(number) if one is not None] for number in range(frames)]
    told = [list(zip(frame.identities or [], frame.poses, strict=True)) for frame in found]
    assert idf1(truth, told) >= 0.95
    assert idf1(truth, [list(enumerate(frame.poses)) for frame in found]) < 0.8
    assert {number for frame in found for number in frame.identities or []} == {1, 2}
    assert [frame.number for frame in found] == list(range(frames))
    assert [frame.seconds for frame in found] == pytest.approx([number / 25 for number in range(frames)])


def test_one_who_was_away_comes_back_with_their_number(estimator: PoseEstimator) -> None:
    """Hidden for eight frames; then for twenty, which is more than is waited for. A frame of no one has no numbers."""
    hidden = {*range(10, 18), *range(30, 50)}
    video = film(Path("away.mp4"), lambda n: [None if n in hidden else body(80 + n, 90)], frames=56)
    told = [frame.identities for frame in follow_video(estimator, video, track=True)]
    assert told == [[] if n in hidden else [1] if n < 30 else [2] for n in range(56)]


def test_without_track_no_one_has_a_number(estimator: PoseEstimator) -> None:
    frame = next(follow_video(estimator, film(Path("one.mp4"), crossing, frames=2)))
    assert frame.identities is None and len(frame.poses) == 2 and list(frame.took) == ["read", "network", "decode"]
    poses = estimator(frame.image)
    assert [pose.keypoints.tolist() for pose in poses] == [pose.keypoints.tolist() for pose in frame.poses]


def trembling(number: int) -> list[Floats | None]:
    rng = np.random.default_rng(number)
    return [body(160, 96) + rng.normal(0, 2, (5, 2))]


def joints(frames: list[FramePoses]) -> Floats:
    return np.stack([frame.poses[0].keypoints for frame in frames])


def test_joints_hold_still(estimator: PoseEstimator) -> None:
    """Who stands but trembles: less than half the variance is left, none of the place; twice the same; with numbers."""
    video = film(Path("trembling.mp4"), trembling, frames=60, rate=10)
    raw, calm, again = (
        list(follow_video(estimator, video, track=track, smooth=smooth))
        for track, smooth in ((True, False), (False, True), (True, True))
    )
    assert [frame.identities for frame in calm] == [[1]] * 60
    np.testing.assert_array_equal(joints(calm), joints(again))
    before, after = (np.where(joints(raw)[10:, :, 2:] >= 0, joints(one)[10:, :, :2], np.nan) for one in (raw, calm))
    assert np.isfinite(before).mean() > 0.9  # a joint that is not found now and then begins anew
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


def test_nothing_is_read_ahead(estimator: PoseEstimator) -> None:
    """A frame is read and shown to the network when it is asked for; whose video it is closes it."""
    shown = estimator.network.model.shown
    with Counted(str(film(Path("long.mp4"), crossing, frames=30))) as video:
        following = follow_video(estimator, video, smooth=True)
        assert (video.taken, len(shown)) == (0, 0)
        for number in range(1, 4):
            next(following)
            assert (video.taken, len(shown)) == (number, number)
        following.close()
        assert next(iter(video)).number == 0  # still open


def test_frames_that_are_too_long(estimator: PoseEstimator) -> None:
    """The sentence names the video."""
    with VideoWriter(Path("long.mp4"), frames_per_second=5) as out:
        out.add(Image.new("RGB", (2200, 32)))
    with pytest.raises(DataError, match=r"^long\.mp4: 2200x32 pixels would be 13200x192"):
        next(follow_video(estimator, Path("long.mp4")))


def test_a_skeleton_of_five_is_drawn_with_numbers() -> None:
    """Every limb in its person's colour; the number above them, within the picture; without numbers as before."""
    people = [body(60, 60), body(200, 100)]
    poses = [
        Pose(np.column_stack([one, np.full(5, 0.9)]), 9.0, (*one.min(0).tolist(), *np.ptp(one, axis=0).tolist()))
        for one in people
    ]
    grey = Image.new("RGB", (320, 192), (96, 96, 96))
    drawn = np.asarray(plots.draw_people(grey, poses, BODY, identities=[7, 12]))
    for one, number in zip(people, (7, 12), strict=True):
        x, y = np.rint((one[1] + one[3]) / 2).astype(int)  # of a hand and a foot
        assert drawn[y, x].tolist() == list(identity_colour(number))
        x, y = np.rint(one[0]).astype(int)
        above = drawn[max(y - 25, 0) : y - 6, x - 12 : x + 12].reshape(-1, 3)
        assert (above == identity_colour(number)).all(1).sum() > 30
    plain = np.asarray(plots.draw_people(grey, poses, BODY))
    assert (plain[:10] == 96).all() and not (drawn[:10] == 96).all()
    assert len({identity_colour(number) for number in range(1, 40)}) == 39
    high = Pose(poses[0].keypoints - (0, 20, 0), 9.0, (poses[0].box[0], -5.0, *poses[0].box[2:]))
    assert (np.asarray(plots.draw_people(grey, [high], BODY, identities=[1]))[:16] == identity_colour(1)).all(2).any()
