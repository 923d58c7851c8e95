"""Program that decodes one video and writes its frames to standard output; `firstsight.data.video_process` runs it.

Decoders are written in C and cannot be interrupted, and a damaged file can make one compute forever, crash, or take all
memory. This program is a separate process, so all three end with a message: the system limits its memory and the
computing time of each frame, and the process that reads the frames can end it at any time.

The argument is a `Request` as JSON. The output is a sequence of messages: the length of the header (4 bytes,
little-endian) and the header (JSON). The RGB pixels of a frame are in shared memory, or after its header. The reader
answers a frame by a byte to standard input, and the end of standard input ends this program.
"""

import json
import logging
import mmap
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

FORMATS = "mov,matroska,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg,mxf,dv,rm,nut,ivf,gif,h264,hevc,m4v,obu,yuv4mpegpipe,apng"
"""Formats of files, by ffmpeg's names. Playlists are none of them, because they name other files and addresses."""
MIN_SIDE = 4
"""Minimum width and height of a frame in pixels."""
MAX_THREADS = 4
"""Maximum number of threads that decode the slices of a frame."""
MAX_PIXEL_ASPECT = 10
"""A pixel that is declared to be longer than this is taken as a square."""
MAX_GAP = 3600.0
"""Maximum time between two frames in seconds. After a larger one, the clock continues at the frame rate."""
RATES = (0.01, 100_000)
"""Limits of the frame rate that a file can declare, in frames per second."""
SLOTS = 2
"""Number of frames that are decoded ahead of the reader, so that both work at the same time."""
PIXELS_PER_SECOND = 4_000_000
"""Slowest decoder: a frame has a second more for this number of pixels."""
HOW_TO_RAISE = "which FIRSTSIGHT_VIDEO_PIXELS raises"
REFUSED_SIZE = re.compile(r"\bP\w+ size (\d+)x(\d+) ")
"""Message of ffmpeg about a frame whose size is refused."""


@dataclass(frozen=True)
class Request:
    """Video to decode, and the limits.

    Parameters
    ----------
    location : str
        Path of the file, or location of the camera in ffmpeg's terms.
    format : str | None
        ffmpeg's format of a camera. None: a file, whose content determines the format.
    max_pixels : int
        Maximum number of pixels of a frame. Larger frames are not decoded.
    max_memory : int
        Maximum memory of the process in bytes, on Linux.
    seconds : float
        Maximum computing time of a frame in seconds, on systems other than Windows. Large frames have more time.
    memory : int | None
        File descriptor of shared memory for `SLOTS` frames; None: pixels are written to standard output.
    slot_size : int
        Bytes of shared memory for each frame.
    """

    location: str
    format: str | None
    max_pixels: int
    max_memory: int
    seconds: float
    memory: int | None
    slot_size: int


@dataclass(frozen=True)
class Opened:
    """Header of the first message.

    Parameters
    ----------
    frames_per_second : float | None
        Rate that the file declares; None if it declares none, or an impossible one.
    length : int | None
        Number of frames that the file declares, directly or by its duration.
    """

    frames_per_second: float | None
    length: int | None


@dataclass(frozen=True)
class FrameHeader:
    """Header of a frame.

    Parameters
    ----------
    seconds : float
        Time since the first frame.
    width : int
        Width in square pixels, before ``matrix`` is applied.
    height : int
        Height in square pixels.
    stride : int
        Bytes of a row of pixels. Negative: the last row comes first.
    size : int
        Number of bytes of the pixels.
    matrix : tuple[int, int, int, int]
        Display matrix (a, b, c, d): a point (x, y) is shown at (a x + c y, b x + d y). Only ratios matter.
    damaged : int
        Number of frames so far that could not be decoded.
    start : int | None
        Where the pixels start in the shared memory; None: they follow the header.
    """

    seconds: float
    width: int
    height: int
    stride: int
    size: int
    matrix: tuple[int, int, int, int]
    damaged: int
    start: int | None = None


@dataclass(frozen=True)
class End:
    """Header of the last message.

    Parameters
    ----------
    damaged : int
        Number of frames that could not be decoded.
    truncated : bool
        Whether the file ended early.
    problem : str | None
        Reason why frames could not be decoded, if it is known.
    """

    damaged: int
    truncated: bool
    problem: str | None


@dataclass(frozen=True)
class Refusal:
    """Header of the only message about a video that cannot be decoded.

    Parameters
    ----------
    reason : str
        Part of a sentence.
    """

    reason: str


class Refused(Exception):
    """Video that cannot be decoded; the message is a part of a sentence."""


def main() -> None:
    """Decode the video of the request in the first argument."""
    request = Request(**json.loads(sys.argv[1]))
    output = Output(request)
    limit_memory(request.max_memory)
    code = 1
    try:
        decoder = Decoder(request)
        output.send(decoder.opened)
        for header, pixels in decoder.frames():
            output.send_frame(header, pixels)
        output.send(decoder.end)
        code = 0
    except BrokenPipeError:  # the reader has gone
        pass
    except Exception as error:  # any error of ffmpeg or PyAV; their types differ between versions
        output.send(Refusal(reason(error)))
    finally:
        os._exit(code)  # closing a damaged file may crash


class Output:
    """Messages to the process that reads the frames, which is at most `SLOTS` frames behind.

    Parameters
    ----------
    request : Request
        Where the pixels are written.
    """

    def __init__(self, request: Request) -> None:
        self._stream = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # a library may print
        self._slot_size = request.slot_size
        self._memory = None if request.memory is None else mmap.mmap(request.memory, SLOTS * request.slot_size)
        self._slot = 0
        self._free = threading.Semaphore(SLOTS)
        threading.Thread(target=self._read_answers, daemon=True).start()

    def send(self, header: "Opened | End | Refusal | FrameHeader") -> None:
        """Write a header.

        Parameters
        ----------
        header : Opened | End | Refusal | FrameHeader
            Header of the message.
        """
        limit_computing(0)  # waiting for the reader is no computing
        text = json.dumps({"message": type(header).__name__} | asdict(header)).encode()
        self._stream.write(len(text).to_bytes(4, "little") + text)
        self._stream.flush()

    def send_frame(self, header: "FrameHeader", pixels: memoryview) -> None:
        """Write the header and the pixels of a frame.

        Parameters
        ----------
        header : FrameHeader
            Header of the message.
        pixels : memoryview
            RGB pixels, ``header.size`` bytes.
        """
        limit_computing(0)
        self._free.acquire()
        if self._memory is None or header.size > self._slot_size:
            self.send(header)
            self._stream.write(pixels)
            self._stream.flush()
        else:
            start = self._slot * self._slot_size
            self._memory[start : start + header.size] = pixels
            self.send(replace(header, start=start))
            self._slot = (self._slot + 1) % SLOTS

    def _read_answers(self) -> None:
        """Count the frames that were read; end this process, even if it computes, when the reader is gone."""
        while os.read(sys.stdin.fileno(), 1):
            self._free.release()
        os._exit(0)


def limit_memory(max_bytes: int) -> None:
    """Limit the memory of this process; a request for more fails, which ffmpeg reports as an error.

    Parameters
    ----------
    max_bytes : int
        Limit in bytes.
    """
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (max_bytes, max_bytes))
    except (ImportError, OSError, ValueError):  # Windows; or the system has a lower limit
        pass


def limit_computing(seconds: float) -> None:
    """Let the system end this process after a computing time; a decoder in C cannot delay it.

    Parameters
    ----------
    seconds : float
        Computing time of all threads from now on, in seconds. 0 means no limit.
    """
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)


class Decoder:
    """Decoder of a video.

    Parameters
    ----------
    request : Request
        Video and limits.

    Attributes
    ----------
    opened : Opened
        What the file declares.
    damaged : int
        Number of frames that could not be decoded so far.
    truncated : bool
        Whether the file ended early.
    problem : str | None
        Reason why frames could not be decoded, if it is known.

    Raises
    ------
    Refused
        If the file has no video, or one that cannot be decoded.
    """

    def __init__(self, request: Request) -> None:
        limit_computing(request.seconds)
        import av

        self._request = request
        self.damaged, self.truncated = 0, False
        self.problem: str | None = None
        self._last_log = ""
        self._matrices: dict[int, tuple[int, int, int, int]] = {}
        av.logging.set_level(av.logging.ERROR)
        log = logging.getLogger("libav")
        log.propagate = False
        log.addHandler(_Listener(self._read_log))
        self._options = {"max_pixels": str(request.max_pixels * 5 // 4 + 2**14)}  # ffmpeg counts borders, too
        options = dict(self._options)
        location = request.location
        if request.format is None:
            options |= {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
            location = f"file:{location}"  # a name such as "http:walk.mp4" is that of a file, too
        try:
            self._container = av.open(location, format=request.format, options=options, metadata_errors="replace")
        except Exception as error:  # see `main`
            problem = "the camera cannot be opened" if request.format else "not a video"
            is_other = self._last_log.startswith("Format not on whitelist")
            raise Refused(f"{problem} ({'the format is another one' if is_other else reason(error)})") from None
        self._stream = self._choose_stream()
        rate = self._stream.average_rate
        self._rate = float(rate) if rate and RATES[0] <= rate <= RATES[1] else None
        self.opened = Opened(self._rate, None if request.format else self._count_frames())

    @property
    def end(self) -> End:
        """Header of the last message."""
        return End(self.damaged, self.truncated, self.problem)

    def _choose_stream(self) -> Any:
        """Return the first video stream that is no cover image and has a decoder, ready to decode."""
        streams = self._container.streams.video
        if not streams:
            raise Refused("it has no video stream")
        moving = [one for one in streams if not one.disposition & one.disposition.attached_pic] or list(streams)
        stream: Any = next((one for one in moving if one.codec_context is not None), None)
        if stream is None:
            raise Refused("ffmpeg has no decoder for its codec; convert it, for example to H.264")
        context = stream.codec_context
        if context.width * context.height > self._request.max_pixels:
            raise Refused(f"declares {self._too_large(context.width, context.height)}")
        context.options = self._options
        context.thread_type = "SLICE"  # threads for several frames would lose frames after a damaged one
        context.thread_count = min(os.cpu_count() or 1, MAX_THREADS)
        try:
            context.open(strict=False)
        except Exception as error:  # see `main`
            raise Refused(self.problem or f"its codec {context.name} cannot be opened ({reason(error)})") from None
        return stream

    def _count_frames(self) -> int | None:
        """Return the number of frames that the file declares, directly or by its duration."""
        stream = self._stream
        if stream.frames > 0:
            return int(stream.frames)
        if stream.duration and stream.duration > 0 and stream.time_base and self._rate:
            return round(float(stream.duration * stream.time_base) * self._rate)
        return None

    def frames(self) -> Iterator[tuple[FrameHeader, memoryview]]:
        """Yield the header and the RGB pixels of each frame, in the order in which they are shown."""
        clock = Clock(1 / (self._rate or 25))
        self._limit()
        try:
            for packet in self._packets():
                for frame in self._decode(packet):
                    rgb = self._to_rgb(frame)
                    if rgb is not None:
                        yield self._header(frame, rgb, clock), memoryview(rgb.planes[0])
                        self._limit()
        except MemoryError:
            self.problem = f"a frame needs more than {self._request.max_memory >> 20} MB, {HOW_TO_RAISE}"
            self.truncated = True

    def _decode(self, packet: Any) -> list[Any]:
        """Return the frames that a packet completes; None means those that are left."""
        try:
            return list(self._stream.decode(packet))
        except EOFError:  # none are left
            return []
        except MemoryError:
            raise
        except Exception:  # see `main`
            self.damaged += 1
            return []

    def _header(self, frame: Any, rgb: Any, clock: "Clock") -> FrameHeader:
        stride, size = rgb.planes[0].line_size, rgb.planes[0].buffer_size
        return FrameHeader(
            clock(self._time(frame)), rgb.width, rgb.height, stride, size, self._matrix(frame), self.damaged
        )

    def _packets(self) -> Iterator[Any]:
        """Yield the packets of the stream, and None at the end, which lets the decoder give its last frames."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except Exception:  # the file ends within a packet; see `main`
                self.truncated = True
                packet = None
            if packet is None:
                yield None
                return
            if packet.size:  # one without content would end the decoding
                yield packet

    def _limit(self) -> None:
        context = self._stream.codec_context
        limit_computing(self._request.seconds + context.width * context.height / PIXELS_PER_SECOND)

    def _to_rgb(self, frame: Any) -> Any | None:
        """Convert a frame to RGB with square pixels; return None if that is impossible."""
        width, height = square_size(frame.width, frame.height, self._stream.sample_aspect_ratio)
        if min(frame.width, frame.height) < MIN_SIDE:
            self.problem = f"{frame.width}x{frame.height} pixels is too small; the minimum is {MIN_SIDE}x{MIN_SIDE}"
        elif width * height > self._request.max_pixels:
            self.problem = self._too_large(width, height)
        else:
            try:
                return frame.reformat(width, height, format="rgb24")
            except MemoryError:
                raise
            except Exception as error:  # see `main`
                self.problem = reason(error)
        self.damaged += 1
        return None

    def _time(self, frame: Any) -> float | None:
        """Return the time of a frame in seconds. At the end of a file, ``frame.time`` has another unit."""
        base = self._stream.time_base
        return None if frame.pts is None or base is None else float(frame.pts * base)

    def _matrix(self, frame: Any) -> tuple[int, int, int, int]:
        """Return the display matrix of a frame, read again only where the rotation changes.

        PyAV keeps a frame in memory whose side data were read, until the garbage collector runs.
        """
        if frame.rotation not in self._matrices:
            self._matrices[frame.rotation] = display_matrix(frame)
        return self._matrices[frame.rotation]

    def _read_log(self, message: str) -> None:
        self._last_log = message
        size = REFUSED_SIZE.search(message)
        if size and int(size[1]) * int(size[2]) > self._request.max_pixels:
            self.problem = self._too_large(int(size[1]), int(size[2]))

    def _too_large(self, width: int, height: int) -> str:
        limit = self._request.max_pixels / 1e6
        return f"{width}x{height} pixels; the limit is {limit:.1f} million, {HOW_TO_RAISE}"


class Clock:
    """Times of frames since the first one, which never go back or jump.

    Parameters
    ----------
    step : float
        Time between two frames without a usable time, in seconds.
    """

    def __init__(self, step: float) -> None:
        self._step = step
        self._last: float | None = None
        self._start = 0.0

    def __call__(self, time: float | None) -> float:
        """Return the time of the next frame since the first one.

        Parameters
        ----------
        time : float | None
            Time that the file declares, in seconds. A camera's clock starts when the machine boots.

        Examples
        --------
        >>> clock = Clock(0.5)
        >>> [clock(time) for time in (7.0, 8.0, None, 2.0, 3.0, 1e12)]
        [0.0, 1.0, 1.5, 2.0, 3.0, 3.5]
        """
        if self._last is None:
            self._last, self._start = 0.0, time or 0.0
            return 0.0
        seconds = None if time is None else time - self._start
        if seconds is None or not self._last <= seconds <= self._last + MAX_GAP:
            seconds = self._last + self._step
            self._start = self._start if time is None else time - seconds
        self._last = seconds
        return seconds


def square_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Return the size of a frame with square pixels; the side with the longer pixels grows.

    Parameters
    ----------
    width : int
        Width of the frame in its own pixels.
    height : int
        Height of the frame in its own pixels.
    aspect : Fraction | None
        Width of a pixel divided by its height; None or an impossible value: square.

    Examples
    --------
    >>> square_size(720, 576, Fraction(16, 15)), square_size(720, 480, Fraction(8, 9)), square_size(64, 48, None)
    ((768, 576), (720, 540), (64, 48))
    """
    if not aspect or not Fraction(1, MAX_PIXEL_ASPECT) <= aspect <= MAX_PIXEL_ASPECT:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def display_matrix(frame: Any) -> tuple[int, int, int, int]:
    """Return the part (a, b, c, d) of a frame's display matrix, see `FrameHeader`; the identity if it has none."""
    try:
        a, b, _, c, d, *_ = memoryview(bytes(frame.side_data["DISPLAYMATRIX"])).cast("i")
    except KeyError:
        return 1, 0, 0, 1
    except ValueError:  # PyAV does not know one kind of the frame's side data, and gives none
        return {90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), 270: (0, 1, -1, 0)}.get(frame.rotation % 360, (1, 0, 0, 1))
    return a, b, c, d


def reason(error: BaseException) -> str:
    """Return the shortest description of an error that says what happened."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


class _Listener(logging.Handler):
    """Handler that gives each message of ffmpeg to a function."""

    def __init__(self, read: Any) -> None:
        super().__init__()
        self._read = read

    def emit(self, record: logging.LogRecord) -> None:
        self._read(record.getMessage())


if __name__ == "__main__":
    main()
