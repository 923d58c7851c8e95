"""Reader and writer of videos, and reader of cameras, with PyAV (the extra ``video``).

Few frames are in memory at a time. A frame that cannot be decoded is counted and skipped. A truncated file gives the
frames that it has.
"""

import os
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from PIL import Image, ImageOps

from firstsight.arguments import is_digits
from firstsight.atomic_io import replacing
from firstsight.data.video_decoder import End, FrameHeader, Opened
from firstsight.data.video_process import DecoderProcess, Failed, Stopped
from firstsight.errors import DataError, UsageError

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg"})
CAMERA = "camera"
"""Name of the camera. If there are several, a number follows: camera:1."""
DEFAULT_RATE = 25.0
"""Frames per second of a source that does not declare its rate."""
TIME_BASE = Fraction(1, 30_000)
"""Unit of the time stamps in written files, in seconds. The frame durations of common rates are multiples of it."""

STRAIGHT = {
    (False, False): None,
    (True, False): Image.Transpose.FLIP_LEFT_RIGHT,
    (False, True): Image.Transpose.FLIP_TOP_BOTTOM,
    (True, True): Image.Transpose.ROTATE_180,
}
"""Transposes that keep rows, by the signs of a and d of the display matrix, see `nearest_transpose`."""
TURNED = {
    (False, False): Image.Transpose.TRANSPOSE,
    (True, False): Image.Transpose.ROTATE_90,
    (False, True): Image.Transpose.ROTATE_270,
    (True, True): Image.Transpose.TRANSVERSE,
}
"""Transposes that make rows to columns, by the signs of b and c."""
NO_PYAV = "videos need PyAV: pip install av"


def is_camera(source: str) -> bool:
    """Return whether a name is that of a camera.

    Examples
    --------
    >>> [is_camera(name) for name in ("camera", "camera:1", "camera.mp4", "camera:²")]
    [True, True, False, False]
    """
    name, colon, number = source.partition(":")
    return name == CAMERA and (is_digits(number) or not colon)


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

    A separate process decodes the video, with limits of memory and time (`firstsight.data.video_process`).
    ``$FIRSTSIGHT_VIDEO_PIXELS`` is the maximum number of pixels of a frame.

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
    problem : str | None
        Reason why frames could not be decoded, if it is known, as a part of a sentence.

    Raises
    ------
    UsageError
        If PyAV is not installed, or a variable of the environment is invalid.
    DataError
        If the file or camera does not exist, it has no video, or its frames are too large.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        location, format_name = _camera_input(source) if is_camera(source) else (source, None)
        if format_name is None and not Path(location).is_file():
            raise DataError(f"{source}: no such file")
        if find_spec("av") is None:
            raise UsageError(NO_PYAV)
        self.damaged = 0
        self.truncated = False
        self.problem: str | None = None
        self._process = DecoderProcess(location, format_name)
        weakref.finalize(self, self._process.close)
        try:
            opened, _ = self._process.receive()
        except Failed as failure:
            self._process.close()
            raise DataError(f"{source}: {failure}") from None
        except BaseException:
            self._process.close()
            raise
        assert isinstance(opened, Opened)
        self.frames_per_second = opened.frames_per_second or DEFAULT_RATE
        self.length = opened.length
        self._size: tuple[int, int] | None = None
        self._is_at_end = False

    def stop_if(self, should_stop: Callable[[], bool]) -> None:
        """End the iteration while a frame is waited for, for example after a signal.

        Parameters
        ----------
        should_stop : Callable[[], bool]
            Asked several times a second, in another thread.
        """
        self._process.should_stop = should_stop

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in order as RGB images, as players show them.

        Frames are flipped and rotated as the file declares, have square pixels, and all have the size of the first
        one: a frame of another size is resized, with black borders if its shape differs.
        """
        number = 0
        while not self._is_at_end:
            try:
                header, pixels = self._process.receive()
            except Stopped:
                self._is_at_end = True
                return
            except Failed as failure:
                header, pixels = End(self.damaged, True, str(failure)), memoryview(b"")
            if isinstance(header, FrameHeader):
                self.damaged = header.damaged
                yield Frame(number, header.seconds, self._fit(_to_upright_image(header, pixels)))
                number += 1
            elif isinstance(header, End):
                self._is_at_end = True
                self.damaged, self.truncated, self.problem = header.damaged, header.truncated, header.problem
        if self.length is not None and number + self.damaged < self.length - 1:
            self.truncated = True

    def _fit(self, image: Image.Image) -> Image.Image:
        if self._size is None:
            self._size = image.size
        return image if image.size == self._size else ImageOps.pad(image, self._size)

    def __enter__(self) -> "Video":
        """Return the video."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file or camera."""
        self._process.close()


class VideoWriter:
    """Writer of an MP4 file (H.264); a context manager.

    The file is written under a temporary name. It replaces an existing one when the block ends, unless the block ends
    with an error; see `firstsight.atomic_io.replacing`.

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
    OSError
        If the disk becomes full while frames are written; the error names ``path``.
    """

    def __init__(self, path: Path, *, frames_per_second: float) -> None:
        av = _av()
        self.path = path
        self._size: tuple[int, int] | None = None
        self._last_time = -1  # in units of TIME_BASE
        self._is_broken = False
        with ExitStack() as opened:
            try:
                temporary = opened.enter_context(replacing(path))
                temporary.open("wb").close()
            except OSError as error:
                raise DataError(f"{path}: cannot be written ({_reason(error)})") from None
            self._container = av.open(str(temporary), "w", format="mp4")
            opened.push(self._finish)
            codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
            rate = max(Fraction(frames_per_second).limit_denominator(1001), Fraction(1, 1001))
            self._stream: Any = self._container.add_stream(codec, rate=rate)
            self._stream.codec_context.time_base = TIME_BASE
            self._stream.pix_fmt = "yuv420p"
            self._step = 1 / (rate * TIME_BASE)
            self._opened = opened.pop_all()

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
            time = round(self._last_time + self._step) if self._last_time >= 0 else 0
        else:
            time = round(seconds / TIME_BASE)
        self._last_time = max(time, self._last_time + 1)
        frame.pts = self._last_time
        frame.time_base = TIME_BASE
        self._write(frame)

    def _write(self, frame: Any) -> None:
        try:
            with self._named_errors():
                self._container.mux(self._stream.encode(frame))
        except BaseException:
            self._is_broken = True  # another write would crash in ffmpeg
            raise

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Convert errors of ffmpeg, which name the temporary file, to errors that name the file."""
        try:
            yield
        except Exception as error:  # ffmpeg's errors are of many types
            if isinstance(error, OSError):
                raise OSError(error.errno, error.strerror, str(self.path)) from None
            raise DataError(f"{self.path}: the frames cannot be written ({_reason(error)})") from None

    def __enter__(self) -> "VideoWriter":
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the remaining frames, close the file and rename it; after an error, remove it."""
        self._opened.__exit__(kind, error, trace)

    def _finish(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._size is not None and not self._is_broken:
                self._write(None)
        finally:
            with self._named_errors():
                self._container.close()


def _av() -> ModuleType:
    try:
        import av
    except ImportError:
        raise UsageError(NO_PYAV) from None
    module: ModuleType = av
    av.logging.set_level(av.logging.PANIC)  # this module reports errors itself
    return module


def _to_upright_image(header: FrameHeader, pixels: memoryview) -> Image.Image:
    """Convert pixels to an image, flipped and rotated by multiples of 90 degrees as its display matrix says."""
    size = header.width, header.height
    orientation = 1 if header.stride > 0 else -1
    data: Any = pixels  # Pillow accepts every buffer; its annotation has fewer types
    image = Image.frombuffer("RGB", size, data, "raw", "RGB", abs(header.stride), orientation)
    transpose = nearest_transpose(*header.matrix)
    return image if transpose is None else image.transpose(transpose)


def nearest_transpose(a: int, b: int, c: int, d: int) -> Image.Transpose | None:
    """Return the transpose that is nearest to a display matrix; None for the identity.

    Parameters
    ----------
    a : int
        A point (x, y) is shown at (a x + c y, b x + d y); y points down, and the image is then moved to its place.
    b : int
        See ``a``.
    c : int
        See ``a``.
    d : int
        See ``a``.

    Examples
    --------
    >>> nearest_transpose(0, 1, -1, 0).name, nearest_transpose(-1, 0, 0, 1).name
    ('ROTATE_270', 'FLIP_LEFT_RIGHT')
    """
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return STRAIGHT[a < 0, d < 0]
    return TURNED[b < 0, c < 0]


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
