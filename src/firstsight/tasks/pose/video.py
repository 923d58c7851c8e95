"""Pose estimation for videos and cameras, with identities that are kept from frame to frame."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from PIL import Image

from firstsight.arguments import check_arguments
from firstsight.data.video import Frame, Video
from firstsight.pose.track import Tracker
from firstsight.tasks.pose.estimator import Estimator
from firstsight.tasks.pose.result import PoseResult


@dataclass(frozen=True, repr=False, kw_only=True)
class FramePoses(PoseResult):
    """People in one frame.

    The other attributes are those of `PoseResult`: poses, skeleton, image (the frame, upright, mode "RGB") and timings.
    The time of "read" is with resizing, that of "decode" with tracking and smoothing.

    Attributes
    ----------
    number : int
        Number of the frame, from 0.
    seconds : float
        Time of the frame from the beginning of the video, in seconds.
    identities : list[int] | None
        Identity of each pose, from 1; None without tracking.
    """

    number: int
    seconds: float
    identities: list[int] | None = None

    def draw(self) -> Image.Image:
        """Return the frame with the poses drawn over it, each person in the color of its identity, mode "RGB"."""
        from firstsight.plots import draw_people

        return draw_people(self.image, self.poses, self.skeleton, identities=self.identities, color_by_person=True)

    def to_dict(self) -> dict[str, Any]:
        """Return frame, people (with their identities), skeleton and timings as plain data for JSON."""
        result = super().to_dict()
        if self.identities is not None:
            people = zip(self.identities, result["people"], strict=True)
            result["people"] = [{"id": identity, **person} for identity, person in people]
        return {"frame": self.number, "seconds": round(self.seconds, 4), **result}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(frame {self.number} at {self.seconds:.2f} s, {len(self.poses)} people)"


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
    return FramePoses(
        poses=poses,
        skeleton=estimator.skeleton,
        image=frame.image,
        timings=timings,
        number=frame.number,
        seconds=frame.seconds,
        identities=identities,
    )
