"""Reader and writer of videos, and reader of cameras, with PyAV (the extra ``video``).

Only one frame is in memory at a time. A frame that cannot be decoded is counted and skipped. A truncated file gives the
frames that it has.
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
"""Name of the camera. If there are several, a number follows: camera:1."""
DEFAULT_RATE = 25.0
"""Frames per second of a source that does not declare its rate."""
TIME_BASE = Fraction(1, 30_000)
"""Unit of the time stamps in written files, in seconds. The frame durations of common rates are multiples of it."""

ROTATIONS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
"""Transposes by counterclockwise degrees."""


def is_camera(source: str) -> bool:
    """Return whether a name is that of a camera.

    Examples
    --------
    >>> is_camera("camera"), is_camera("camera:1"), is_camera("camera.mp4")
    (True, True, False)
    """
    name, colon, number = source.partition(":")
    return name == CAMERA and (number.isdigit() or not colon)


def is_video(source: str) -> bool:
    """Return whether a name is that of a video file or of a camera.

    Examples
    --------
    >>> is_video("walk.MP4"), is_video("camera:1"), is_video("photo.jpg")
    (True, True, False)
    """
    return is_camera(source) or Path(source).suffix.lower() in SUFFIXES


@dataclass(frozen=True)
class Frame:
    """Frame of a video.

    Parameters
    ----------
    number : int
        Number of the frame, from 0, without damaged frames.
    seconds : float
        Time since the first frame.
    image : Image.Image
        RGB image, upright.
    """

    number: int
    seconds: float
    image: Image.Image


class Video:
    """Video file or camera; a context manager and an iterable of frames that can be read once.

    ``$FIRSTSIGHT_CAMERA`` replaces the default camera of the system, as FORMAT:SOURCE of ffmpeg: ``v4l2:/dev/video2``,
    ``dshow:video=HD Webcam``, or a file instead of a camera, ``mp4:walk.mp4``.

    Parameters
    ----------
    source : str
        Path of a video file, or name of a camera (see `is_camera`).

    Attributes
    ----------
    source : str
        The argument.
    frames_per_second : float
        Rate that the file declares, or 25.
    length : int | None
        Number of frames that the file declares. None if it does not, and for a camera.
    damaged : int
        Number of frames that could not be decoded so far.
    truncated : bool
        Whether the file ended early.

    Raises
    ------
    UsageError
        If PyAV is not installed, or ``$FIRSTSIGHT_CAMERA`` is invalid.
    DataError
        If the file or camera does not exist, or it has no video.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        location, format_name = _camera_input(source) if is_camera(source) else (source, None)
        if format_name is None and not Path(location).is_file():
            raise DataError(f"{source}: no such file")
        av = _av()
        try:
            self._container = av.open(location, format=format_name)
        except (av.FFmpegError, OSError, ValueError) as error:  # ValueError: ffmpeg does not know the format
            problem = "the camera cannot be opened" if format_name else "not a video"
            raise DataError(f"{source}: {problem} ({_reason(error)})") from None
        if not self._container.streams.video:
            self._container.close()
            raise DataError(f"{source}: it has no video stream")
        self._stream = self._container.streams.video[0]
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if width * height > MAX_PIXELS:
            self._container.close()
            limit = MAX_PIXELS // 1_000_000
            raise DataError(f"{source}: declares {width}x{height} pixels; the limit is {limit} million")
        self._stream.thread_type = "SLICE"  # threads for several frames would lose frames after a damaged one
        self.frames_per_second = float(self._stream.average_rate or DEFAULT_RATE)
        self.length = self._count_frames() if format_name is None else None
        self.damaged = 0
        self.truncated = False

    def _count_frames(self) -> int | None:
        """Return the number of frames that the file declares, directly or by its duration."""
        if self._stream.frames:
            return int(self._stream.frames)
        if self._stream.duration and self._stream.time_base:
            return round(float(self._stream.duration * self._stream.time_base) * self.frames_per_second)
        return None

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in order as RGB images, rotated as the file declares."""
        av = _av()
        number, start = 0, None
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):  # the file ends within a packet
                self.truncated = True
                packet = None
            try:
                decoded = packet.decode() if packet is not None else self._flush()
            except (av.FFmpegError, OSError):
                self.damaged += 1
                continue
            for frame in decoded:
                time = float(frame.time) if frame.time is not None else number / self.frames_per_second
                start = time if start is None else start  # the clock of a camera starts when the machine boots
                yield Frame(number, time - start, _to_upright_image(frame))
                number += 1
            if packet is None:
                break
        if self.length is not None and number + self.damaged < self.length - 1:
            self.truncated = True

    def _flush(self) -> list[Any]:
        """Return the frames that are still in the decoder."""
        try:
            return list(self._stream.decode(None))
        except _av().EOFError:
            return []

    def __enter__(self) -> "Video":
        """Return the video."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file or camera."""
        self._container.close()


class VideoWriter:
    """Writer of an MP4 file (H.264); a context manager. The file is complete after it is closed.

    Parameters
    ----------
    path : Path
        File to write.
    frames_per_second : float
        Frame rate, greater than 0.

    Raises
    ------
    UsageError
        If PyAV is not installed.
    DataError
        If the file cannot be written.
    """

    def __init__(self, path: Path, *, frames_per_second: float) -> None:
        av = _av()
        self.path = path
        try:
            path.open("wb").close()
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({_reason(error)})") from None
        self._container = av.open(str(path), "w", format="mp4")
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        rate = max(Fraction(frames_per_second).limit_denominator(1001), Fraction(1, 1001))
        self._stream: Any = self._container.add_stream(codec, rate=rate)
        self._stream.codec_context.time_base = TIME_BASE
        self._stream.pix_fmt = "yuv420p"
        self._size: tuple[int, int] | None = None
        self._last_time = -1  # in units of TIME_BASE
        self._step = 1 / (rate * TIME_BASE)
        self._is_broken = False

    def add(self, image: Image.Image, *, seconds: float | None = None) -> None:
        """Add an RGB image.

        Parameters
        ----------
        image : Image.Image
            Image of the size of the first one. An odd last row or column is dropped.
        seconds : float | None
            Time of the frame, after the one before. None follows the frame rate.
        """
        if self._size is None:
            self._size = (image.width // 2 * 2, image.height // 2 * 2)
            self._stream.width, self._stream.height = self._size
        if image.size != self._size:
            image = image.crop((0, 0, *self._size))
        frame = _av().VideoFrame.from_image(image)
        if seconds is None:
            self._last_time = round(self._last_time + self._step) if self._last_time >= 0 else 0
        else:
            self._last_time = max(round(seconds / TIME_BASE), self._last_time + 1)
        frame.pts = self._last_time
        frame.time_base = TIME_BASE
        self._write(frame)

    def _write(self, frame: Any) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except (_av().FFmpegError, OSError):
            self._is_broken = True  # another write would crash in ffmpeg
            raise

    def __enter__(self) -> "VideoWriter":
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the remaining frames and close the file, also after an error, so that it can be played."""
        try:
            if self._size is not None and not self._is_broken:
                self._write(None)
        finally:
            self._container.close()


def _av() -> ModuleType:
    try:
        import av
    except ImportError:
        raise UsageError("videos need PyAV: pip install av") from None
    module: ModuleType = av
    av.logging.set_level(av.logging.PANIC)  # this module reports errors itself
    return module


def _to_upright_image(frame: Any) -> Image.Image:
    """Convert a decoded frame, rotated as the file declares: phones store videos sideways."""
    image: Image.Image = frame.to_image()
    rotation = ROTATIONS.get(frame.rotation % 360)
    return image if rotation is None else image.transpose(rotation)


def _camera_input(source: str) -> tuple[str, str]:
    """Return the location of a camera and its ffmpeg format; ``$FIRSTSIGHT_CAMERA`` sets both as FORMAT:SOURCE."""
    setting = os.environ.get("FIRSTSIGHT_CAMERA")
    if setting:
        format_name, _, location = setting.partition(":")
        if not (format_name and location):
            raise UsageError(f"FIRSTSIGHT_CAMERA must be FORMAT:SOURCE, as in v4l2:/dev/video2; got {setting}")
        return location, format_name
    number = int(source.partition(":")[2] or 0)
    if sys.platform == "darwin":
        return str(number), "avfoundation"
    if sys.platform == "win32":
        return f"video={number}", "dshow"
    location = f"/dev/video{number}"
    if not Path(location).exists():
        raise DataError(f"{source}: there is no camera at {location}")
    return location, "v4l2"


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
