"""Pose networks at work on videos and cameras: people of every frame, and who is who from one to the next."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from PIL import Image

from firstsight.data.video import Frame, Video
from firstsight.pose.parts import Pose
from firstsight.pose.track import Tracker
from firstsight.tasks.pose.estimator import Estimator


@dataclass(frozen=True)
class FramePoses:
    """The people of one frame.

    Parameters
    ----------
    number, seconds
        Of the frame, from 0, and of the video until then.
    image : Image.Image
        The frame, RGB, the right way up.
    poses : list[Pose]
        Keypoints and boxes in pixels of the frame, pixel centres at integers.
    identities : list[int] | None
        For each pose the number of its person, from 1; None where no one is followed.
    timings : dict[str, float]
        Seconds for "read" (with resizing), "network", "decode" (with tracking and smoothing); see `PoseResult`.
    """

    number: int
    seconds: float
    image: Image.Image
    poses: list[Pose]
    identities: list[int] | None
    timings: dict[str, float]


def track_video(
    estimator: Estimator, video: str | Path | Video, *, track: bool = False, smooth: bool = False
) -> Iterator[FramePoses]:
    """The people of a video, frame by frame: a frame is read when it is asked for, and none is held.

    Parameters
    ----------
    video : str | Path | Video
        A file; "camera" or "camera:1"; or a `Video`, whose ``damaged`` and ``truncated`` tell in the end what could not
        be read.
    track : bool
        People keep their numbers from frame to frame, see `firstsight.pose.track`.
    smooth : bool
        Also filter their joints, at the rate of the video; without numbers this cannot be, so it brings them.

    Raises
    ------
    UsageError
        PyAV is not installed.
    DataError
        No such file or camera, no video in it, or frames that are too long for their height.
    """
    with nullcontext(video) if isinstance(video, Video) else Video(str(video)) as opened:
        rate, skeleton = opened.frames_per_second, estimator.skeleton
        tracker = Tracker(skeleton, smooth=smooth, frames_per_second=rate) if track or smooth else None
        frames = iter(opened)
        while True:
            start = perf_counter()
            frame = next(frames, None)
            if frame is None:
                return
            read = perf_counter() - start
            yield _found(estimator, tracker, frame, read, opened.source)


def _found(estimator: Estimator, tracker: Tracker | None, frame: Frame, read: float, source: str) -> FramePoses:
    result = estimator.infer(frame.image, name=source)
    start = perf_counter()
    poses, identities = result.poses, None
    if tracker is not None:
        identities = tracker.update(poses)
        poses = tracker.poses
    timings = result.timings | {
        "read": read + result.timings["read"], "decode": result.timings["decode"] + perf_counter() - start,
    }  # fmt: skip
    return FramePoses(frame.number, frame.seconds, frame.image, poses, identities, timings)
