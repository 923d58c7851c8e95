"""Pose estimation for videos and cameras, with identities that are kept from frame to frame."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from PIL import Image

from firstsight.arguments import check_arguments
from firstsight.data.video import Frame, Video
from firstsight.pose.parts import Pose
from firstsight.pose.track import Tracker
from firstsight.tasks.pose.estimator import Estimator


@dataclass(frozen=True)
class FramePoses:
    """People in one frame.

    Attributes
    ----------
    number : int
        Number of the frame, from 0.
    seconds : float
        Time of the frame from the beginning of the video, in seconds.
    image : Image.Image
        The frame, upright, mode "RGB".
    poses : list[Pose]
        Keypoints and boxes in pixels of the frame, pixel centers at integers.
    identities : list[int] | None
        Identity of each pose, from 1; None without tracking.
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
    """Estimate the poses in a video, frame by frame; each frame is read when it is needed, and not kept.

    Parameters
    ----------
    estimator : Estimator
        Pose estimator that `firstsight.load` returned.
    video : str | Path | Video
        Path of a file; "camera" or "camera:1"; or a `Video`, whose ``damaged`` and ``truncated`` then report frames
        that cannot be read.
    track : bool
        Keep the identity of each person from frame to frame, see `firstsight.pose.track`.
    smooth : bool
        Smooth the keypoints over time (1 euro filter at the frame rate of the video); implies ``track``.

    Yields
    ------
    FramePoses
        Poses of the next frame.

    Raises
    ------
    UsageError
        If PyAV is not installed.
    DataError
        If there is no such file or camera, it has no video, or its frames are too wide for their height.
    """
    check_arguments(track_video, locals())
    with nullcontext(video) if isinstance(video, Video) else Video(str(video)) as opened:
        tracker: Tracker | None = None
        if track or smooth:
            tracker = Tracker(estimator.skeleton, smooth=smooth, frames_per_second=opened.frames_per_second)
        frames = iter(opened)
        while True:
            start = perf_counter()
            frame = next(frames, None)
            if frame is None:
                return
            read_seconds = perf_counter() - start
            yield _estimate_frame(estimator, tracker, frame, read_seconds, opened.source)


def _estimate_frame(
    estimator: Estimator, tracker: Tracker | None, frame: Frame, read_seconds: float, source: str
) -> FramePoses:
    result = estimator.infer(frame.image, name=source)
    start = perf_counter()
    poses, identities = result.poses, None
    if tracker is not None:
        identities = tracker.update(poses)
        poses = tracker.poses
    timings = result.timings | {
        "read": read_seconds + result.timings["read"],
        "decode": result.timings["decode"] + perf_counter() - start,
    }
    return FramePoses(frame.number, frame.seconds, frame.image, poses, identities, timings)
