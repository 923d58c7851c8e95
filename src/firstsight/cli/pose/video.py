"""``firstsight pose`` of a video or a camera."""

import json
import os
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING

from firstsight.cli.outputs import check_outputs, make_folder
from firstsight.cli.pose.arguments import Arguments, estimator_of
from firstsight.cli.pose.window import WindowSink, choose_window
from firstsight.errors import UsageError
from firstsight.text import one_line

if TYPE_CHECKING:
    from firstsight.data.video import Video, VideoWriter
    from firstsight.pose.skeleton import Skeleton
    from firstsight.tasks.pose.video import FramePoses


def run(arguments: Arguments) -> int:
    """Process the video frame by frame; report unreadable frames on stderr, with exit code 1."""
    name = _check(arguments)
    target = _plan_target(arguments, name)
    make_window = choose_window() if arguments.show else None
    from firstsight.cli.console import log, progress, report_failures
    from firstsight.data.video import Video, is_camera
    from firstsight.engine.signals import StopRequest
    from firstsight.tasks.pose.video import track_video

    summary, most, is_closed = Summary(), arguments.frames, False
    with ExitStack() as opened:
        video = opened.enter_context(Video(name))
        estimator = estimator_of(arguments)
        sinks: list[JsonSink | VideoSink | WindowSink] = []
        if arguments.json:
            sinks.append(opened.enter_context(JsonSink(video, estimator.skeleton, summary)))
        if target is not None:
            sinks.append(opened.enter_context(VideoSink(target, video, estimator.skeleton)))
        window = None
        if make_window is not None:
            window = WindowSink(make_window("firstsight"), estimator.skeleton, is_live=is_camera(name))
            sinks.append(opened.enter_context(window))
        stop = opened.enter_context(StopRequest())
        video.stop_if(lambda: stop.signal_number > 0)
        if is_camera(name) and most is None:
            log(f"{name}: running; press {'q in the window' if window else 'Ctrl-C'} to stop")
        total = min((count for count in (video.length, most) if count is not None), default=None)
        frames = islice(track_video(estimator, video, track=arguments.track, smooth=arguments.smooth), most)
        for frame in progress(frames, "frames", total=total, quiet=arguments.json and sys.stdout.isatty()):
            summary.add(frame)
            for sink in sinks:
                sink.add(frame)
            is_closed = window is not None and window.is_closed
            if stop.signal_number or is_closed:
                break
    if not arguments.json and summary.frames:
        _print(name, summary, target, is_shown=arguments.show)
    code = report_failures(_faults(video, summary, stopped=is_closed or stop.signal_number > 0))
    if stop.signal_number and not (
        stop.signal_number == signal.SIGINT and is_camera(name)
    ):  # Ctrl-C is how a camera ends
        return 128 + stop.signal_number
    return code


def _check(arguments: Arguments) -> str:
    """Refuse options that are not for videos; return the name of the video or camera."""
    from firstsight.data.video import is_camera, is_video

    name = next(name for name in arguments.images if is_video(name))
    if len(arguments.images) > 1:
        raise UsageError(f"{name}: a video or a camera must be the only input; got {len(arguments.images)} names")
    for option in ("maps", "coco", "boxes", "compare"):
        if getattr(arguments, option):
            raise UsageError(
                f"`{option}` works for images only, but {name} is a {'camera' if is_camera(name) else 'video'}"
            )
    if arguments.frames is not None and arguments.frames < 1:
        raise UsageError(f"`frames` must be at least 1; got {arguments.frames}")
    return name


def _plan_target(arguments: Arguments, name: str) -> Path | None:
    """Return the file to draw, after checking that it may be written; None without ``--out``."""
    from firstsight.data.video import is_camera

    out = arguments.out
    if out is None:
        return None
    is_file = bool(out.suffix) and not out.is_dir()
    if is_file and out.suffix.lower() != ".mp4":
        raise UsageError(f"`out` must be an .mp4 file or a folder for a video; got {out}")
    stem, source = Path(name).stem, name
    if is_camera(name):
        stem = name.replace(":", "-")
        source = os.environ.get("FIRSTSIGHT_CAMERA", "").partition(":")[2]  # a file may replace the camera
    target = out if is_file else out / f"{stem}-pose.mp4"
    inputs = [source, arguments.model, arguments.detector]
    check_outputs([target], inputs=inputs, force=arguments.force, makes_folder=not is_file)
    return target


@dataclass
class Summary:
    """Totals over the frames: number of frames, maximum number of people, number of identities, time."""

    frames: int = 0
    people: int = 0
    identities: int | None = None
    timings: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("read", "network", "decode"), 0.0))
    start: float = field(default_factory=perf_counter)
    end: float = 0.0

    def add(self, frame: "FramePoses") -> None:
        """Count a frame."""
        self.frames, self.people = self.frames + 1, max(self.people, len(frame.poses))
        if frame.identities is not None:
            self.identities = max(self.identities or 0, *frame.identities, 0)
        for part, seconds in frame.timings.items():
            self.timings[part] += seconds
        self.end = perf_counter()


class JsonSink:
    """Context manager that prints one JSON document, one line for each processed frame."""

    def __init__(self, video: "Video", skeleton: "Skeleton", summary: Summary) -> None:
        self.video, self.skeleton, self.summary = video, skeleton, summary
        self.stream, self._frames = sys.stdout, 0  # stored now, because a progress bar replaces sys.stdout

    def add(self, frame: "FramePoses") -> None:
        """Print a frame."""
        from firstsight.tasks.pose.result import pose_to_dict

        people = [pose_to_dict(pose) for pose in frame.poses]
        if frame.identities is not None:
            people = [{"id": number} | one for number, one in zip(frame.identities, people, strict=True)]
        line = {"frame": frame.number, "seconds": round(frame.seconds, 4), "people": people}
        self._write((",\n" if self._frames else self._head()) + json.dumps(line))
        self.stream.flush()
        self._frames += 1

    def _write(self, text: str) -> None:
        """Write a part of the document, with escapes for characters that the encoding of the stream lacks."""
        from firstsight.cli.console import to_encodable

        self.stream.write(to_encodable(text, self.stream.encoding or "utf-8"))

    def _head(self) -> str:
        from firstsight.tasks.pose.result import skeleton_to_dict

        rate = round(self.video.frames_per_second, 4)
        head = {"video": self.video.source, "frames_per_second": rate, "skeleton": skeleton_to_dict(self.skeleton)}
        return json.dumps(head, ensure_ascii=False).removesuffix("}") + ',\n"frames": [\n'

    def __enter__(self) -> "JsonSink":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the document; print nothing if an error came before the first frame."""
        if kind is not None and not self._frames:
            return
        timings = {part: round(total, 4) for part, total in self.summary.timings.items()}
        tail = {"damaged": self.video.damaged, "truncated": self.video.truncated, "timings": timings}
        self._write(("\n" if self._frames else self._head()) + "],\n" + json.dumps(tail)[1:] + "\n")


class VideoSink:
    """Context manager that writes the drawn video; its folder is created with the first frame."""

    def __init__(self, path: Path, video: "Video", skeleton: "Skeleton") -> None:
        self.path, self.video, self.skeleton = path, video, skeleton
        self._opened = ExitStack()
        self._writer: VideoWriter | None = None

    def add(self, frame: "FramePoses") -> None:
        """Draw a frame."""
        from firstsight import plots
        from firstsight.data.video import VideoWriter

        if self._writer is None:
            make_folder(self.path.parent)
            writer = VideoWriter(self.path, frames_per_second=self.video.frames_per_second)
            self._writer = self._opened.enter_context(writer)
        drawn = plots.draw_people(frame.image, frame.poses, self.skeleton, identities=frame.identities)
        self._writer.add(drawn, seconds=frame.seconds)

    def __enter__(self) -> "VideoSink":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)


def _faults(video: "Video", summary: Summary, *, stopped: bool) -> list[str]:
    """Return one message about unreadable frames, or none."""
    problems = []
    if not summary.frames and not stopped:
        problems.append("no frame can be read")
    elif video.truncated and not stopped:
        known = f" of {video.length}" if video.length else ""
        problems.append(f"is truncated; {summary.frames}{known} frames were read")
    if video.damaged:
        problems.append(f"{video.damaged} damaged frame{'s are' if video.damaged > 1 else ' is'} left out")
    if not problems:
        return []
    return [one_line(f"{video.source}: {'; '.join(problems)}{f' ({video.problem})' if video.problem else ''}")]


def _print(name: str, summary: Summary, target: Path | None, *, is_shown: bool) -> None:
    from firstsight.cli.console import log, out, say, table

    rate = summary.frames / max(summary.end - summary.start, 1e-9)
    row = {"video": name, "frames": str(summary.frames), "max. people": str(summary.people)}
    if summary.identities is not None:
        row["identities"] = str(summary.identities)
    row["frames/s"] = f"{rate:.1f}"
    rows = table(*row, right=tuple(row)[1:])
    rows.add_row(*row.values())
    out().print(rows)
    if target is not None:
        say(f"drawn: {target}")
    elif not is_shown:
        log("to draw the poses: --out people.mp4, or --show for a window; --track keeps identities")
