"""Videos and cameras, frame by frame; PyAV reads and writes them, which the extra ``video`` brings.

Nothing of a video is held but the frame at hand, however long it is. A frame that cannot be decoded is counted and left
out; a file that breaks off gives what it has.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from PIL import Image

from firstsight.data.image_io import MAX_PIXELS
from firstsight.errors import DataError, UsageError

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg"})
CAMERA = "camera"
"""What a camera is called, with its number if there are several: camera, camera:1."""
USUAL_RATE = 25.0
"""Frames per second of a source that does not say."""
TICK = Fraction(1, 30_000)
"""Seconds that times in a written file are multiples of; so are those of the usual rates."""

TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
"""By degrees, counterclockwise."""


def is_camera(source: str) -> bool:
    """Is this the name of a camera?

    >>> is_camera("camera"), is_camera("camera:1"), is_camera("camera.mp4")
    (True, True, False)
    """
    name, colon, number = source.partition(":")
    return name == CAMERA and (number.isdigit() or not colon)


def is_video(source: str) -> bool:
    """Is this the name of a video file or of a camera?

    >>> is_video("walk.MP4"), is_video("camera:1"), is_video("photo.jpg")
    (True, True, False)
    """
    return is_camera(source) or Path(source).suffix.lower() in SUFFIXES


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Parameters
    ----------
    number : int
        Counted from 0, of those that could be decoded.
    seconds : float
        Since the first of them.
    image : Image.Image
        RGB, the right way up.
    """

    number: int
    seconds: float
    image: Image.Image


class Video:
    """A video file or a camera, opened; iterate over it once for its frames. A context manager.

    ``$FIRSTSIGHT_CAMERA`` replaces the camera that the system would open, as FORMAT:SOURCE in ffmpeg's terms:
    ``v4l2:/dev/video2``, ``dshow:video=HD Webcam``, or a file in its place, ``mp4:walk.mp4``.

    Attributes
    ----------
    frames_per_second
        As the file says, else 25.
    length
        How many frames there are, as the file says; None where it does not, or of a camera.
    damaged
        Frames that could not be decoded so far.
    truncated
        The file broke off before its end.

    Raises
    ------
    UsageError
        PyAV is not installed, or ``$FIRSTSIGHT_CAMERA`` is not understood.
    DataError
        No such file or camera, or no video in it.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        place, form = _camera(source) if is_camera(source) else (source, None)
        if form is None and not Path(place).is_file():
            raise DataError(f"{source}: no such file")
        av = _av()
        try:
            self._container = av.open(place, format=form)
        except (av.FFmpegError, OSError, ValueError) as error:  # ValueError: ffmpeg does not know the format
            what = "the camera cannot be opened" if form else "not a video"
            raise DataError(f"{source}: {what} ({_reason(error)})") from None
        if not self._container.streams.video:
            self._container.close()
            raise DataError(f"{source}: there are no pictures in it")
        self._stream = self._container.streams.video[0]
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if width * height > MAX_PIXELS:
            self._container.close()
            limit = MAX_PIXELS // 1_000_000
            raise DataError(f"{source}: declares {width}x{height} pixels; at most {limit} million are read")
        self._stream.thread_type = "SLICE"  # several frames at once would lose good ones after a damaged one
        self.frames_per_second = float(self._stream.average_rate or USUAL_RATE)
        self.length = self._count() if form is None else None
        self.damaged, self.truncated = 0, False

    def _count(self) -> int | None:
        if self._stream.frames:
            return int(self._stream.frames)
        if self._stream.duration and self._stream.time_base:
            return round(float(self._stream.duration * self._stream.time_base) * self.frames_per_second)
        return None

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order, as RGB pictures, turned as the file says."""
        av, number, start = _av(), 0, None
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):  # the file breaks off within a packet
                self.truncated = True
                packet = None
            try:
                decoded = packet.decode() if packet is not None else self._flushed()
            except (av.FFmpegError, OSError):
                self.damaged += 1
                continue
            for frame in decoded:
                time = float(frame.time) if frame.time is not None else number / self.frames_per_second
                start = time if start is None else start  # a camera counts from when the machine was switched on
                yield Frame(number, time - start, _upright(frame))
                number += 1
            if packet is None:
                break
        if self.length is not None and number + self.damaged < self.length - 1:
            self.truncated = True

    def _flushed(self) -> list[Any]:
        """What the decoder still holds; nothing where it has given all already."""
        try:
            return list(self._stream.decode(None))
        except _av().EOFError:
            return []

    def __enter__(self) -> "Video":
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self._container.close()


class VideoWriter:
    """An MP4 file (H.264) that frames are added to; whole once it is closed. A context manager.

    Parameters
    ----------
    path : Path
        The file to write.
    frames_per_second : float
        Above 0.

    Raises
    ------
    UsageError
        PyAV is not installed.
    DataError
        The file cannot be written.
    """

    def __init__(self, path: Path, *, frames_per_second: float) -> None:
        av, self.path = _av(), path
        try:
            path.open("wb").close()
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({_reason(error)})") from None
        self._container = av.open(str(path), "w", format="mp4")
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        rate = max(Fraction(frames_per_second).limit_denominator(1001), Fraction(1, 1001))
        self._stream: Any = self._container.add_stream(codec, rate=rate)
        self._stream.codec_context.time_base = TICK
        self._stream.pix_fmt = "yuv420p"
        self._size: tuple[int, int] | None = None
        self._ticks, self._step, self._broken = -1, 1 / (rate * TICK), False

    def add(self, image: Image.Image, *, seconds: float | None = None) -> None:
        """Add an RGB picture.

        Parameters
        ----------
        image : Image.Image
            All have the size of the first, of which an odd row or column is left out.
        seconds : float | None
            When it is shown, after those before it; by default at the rate of the video.
        """
        if self._size is None:
            self._size = (image.width // 2 * 2, image.height // 2 * 2)
            self._stream.width, self._stream.height = self._size
        if image.size != self._size:
            image = image.crop((0, 0, *self._size))
        frame = _av().VideoFrame.from_image(image)
        usual = round(self._ticks + self._step) if self._ticks >= 0 else 0
        self._ticks = usual if seconds is None else max(round(seconds / TICK), self._ticks + 1)
        frame.pts, frame.time_base = self._ticks, TICK
        self._write(frame)

    def _write(self, frame: Any) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except (_av().FFmpegError, OSError):
            self._broken = True  # to write to it again would crash in ffmpeg
            raise

    def __enter__(self) -> "VideoWriter":
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left and close it, also after an error: what was added can be watched."""
        try:
            if self._size is not None and not self._broken:
                self._write(None)
        finally:
            self._container.close()


def _av() -> ModuleType:
    try:
        import av
    except ImportError:
        raise UsageError("videos need PyAV: pip install av") from None
    module: ModuleType = av
    av.logging.set_level(av.logging.PANIC)  # what is wrong is said by us, once
    return module


def _upright(frame: Any) -> Image.Image:
    """A decoded frame, turned as the file says: telephones hold their videos lying down."""
    image: Image.Image = frame.to_image()
    turn = TURNS.get(frame.rotation % 360)
    return image if turn is None else image.transpose(turn)


def _camera(source: str) -> tuple[str, str]:
    """Where a camera is found, and in which of ffmpeg's formats; ``$FIRSTSIGHT_CAMERA`` says it as FORMAT:SOURCE."""
    chosen = os.environ.get("FIRSTSIGHT_CAMERA")
    if chosen:
        form, _, place = chosen.partition(":")
        if not (form and place):
            raise UsageError(f"FIRSTSIGHT_CAMERA must be FORMAT:SOURCE, as in v4l2:/dev/video2; got {chosen}")
        return place, form
    number = int(source.partition(":")[2] or 0)
    if sys.platform == "darwin":
        return str(number), "avfoundation"
    if sys.platform == "win32":
        return f"video={number}", "dshow"
    place = f"/dev/video{number}"
    if not Path(place).exists():
        raise DataError(f"{source}: there is no camera at {place}")
    return place, "v4l2"


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
