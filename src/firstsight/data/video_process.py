"""Process that decodes a video (`firstsight.data.video_decoder`), and the messages that it sends."""

import json
import mmap
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from time import monotonic
from typing import Any

from firstsight.arguments import is_digits
from firstsight.data.video_decoder import SLOTS, End, FrameHeader, Opened, Refusal, Request
from firstsight.errors import DataError, UsageError

MAX_PIXELS = 4096 * 4096
"""Default limit of the number of pixels of a frame."""
BYTES_PER_PIXEL = 32
"""Memory of the decoder for each pixel of the largest frame: about ten frames, of which each needs 1.5 to 6 bytes."""
SECONDS = 4.0
"""Limit of the computing time of a small frame."""
WAITING = 30.0
"""Limit of the time until the next frame of a file in seconds, for example on a disk that does not answer."""

Message = Opened | FrameHeader | End | Refusal
MESSAGES: dict[str, type[Message]] = {kind.__name__: kind for kind in (Opened, FrameHeader, End, Refusal)}


class Stopped(Exception):
    """The video ends here because the caller wants it."""


class Failed(Exception):
    """The video ends here because the process ended; the message is the reason."""


class DecoderProcess:
    """Process that decodes a video, a little ahead of its reader.

    Parameters
    ----------
    location : str
        Path of a file, or location of a camera.
    format : str | None
        ffmpeg's format of a camera; None for a file.

    Attributes
    ----------
    should_stop : Callable[[], bool]
        Asked several times a second while the process is waited for. If it returns true, `receive` raises `Stopped`.

    Raises
    ------
    UsageError
        If ``$FIRSTSIGHT_VIDEO_PIXELS`` is not a number of pixels.
    DataError
        If no process can be started.
    """

    def __init__(self, location: str, format: str | None) -> None:
        max_pixels = _max_pixels()
        self._waiting = None if format else WAITING
        self.should_stop: Callable[[], bool] = lambda: False
        self._waiting_since: float | None = None
        self._is_stopped = self._is_late = self._is_unanswered = False
        self._closed = threading.Event()
        slot_size = 3 * max_pixels
        descriptor, self._memory = _shared_memory(SLOTS * slot_size)
        max_memory = BYTES_PER_PIXEL * max(max_pixels, MAX_PIXELS)
        request = Request(location, format, max_pixels, max_memory, SECONDS, descriptor, slot_size)
        try:
            self._process = _start(request)
        finally:
            if descriptor is not None:
                os.close(descriptor)
        threading.Thread(target=self._watch, daemon=True).start()

    def receive(self) -> tuple[Opened | FrameHeader | End, memoryview]:
        """Return the header of the next message and the pixels of a frame, which the next call overwrites.

        Raises
        ------
        Stopped
            If ``should_stop`` returned true.
        Failed
            If the process refuses the video, or ended without a last message.
        """
        self._waiting_since = monotonic()
        try:
            self._answer()
            document = json.loads(self._read(int.from_bytes(self._read(4), "little")))
            header = MESSAGES[document.pop("message")](**document)
            if isinstance(header, Refusal):
                raise Failed(header.reason)
            return header, self._pixels(header) if isinstance(header, FrameHeader) else memoryview(b"")
        except EOFError:
            raise self._describe_the_end() from None
        finally:
            self._waiting_since = None

    def _answer(self) -> None:
        """Report to the process that the pixels of the last frame are not needed any more."""
        if self._is_unanswered and self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it has sent all and ended; the rest is in the pipe
                os.write(self._process.stdin.fileno(), b".")
        self._is_unanswered = False

    def _pixels(self, header: FrameHeader) -> memoryview:
        self._is_unanswered = True
        if header.start is None or self._memory is None:
            return memoryview(self._read(header.size))
        return memoryview(self._memory)[header.start : header.start + header.size]

    def _read(self, size: int) -> bytearray:
        buffer = bytearray(size)
        view = memoryview(buffer)
        stream: Any = self._process.stdout  # a BufferedReader, annotated as IO[bytes], which has no readinto
        while view:
            count = stream.readinto(view) if stream is not None else 0
            if not count:
                raise EOFError
            view = view[count:]
        return buffer

    def _describe_the_end(self) -> Exception:
        code = self._process.wait()
        if self._is_stopped:
            return Stopped()
        if self._is_late:
            return Failed(f"no frame within {self._waiting:.0f} seconds")
        if code == -getattr(signal, "SIGPROF", 0):
            return Failed("a frame takes too long to decode")
        return Failed(f"the decoder crashed, exit code {code}")

    def _watch(self) -> None:
        """End the process when `receive` waits too long, or is to stop."""
        while not self._closed.wait(0.1):
            since = self._waiting_since
            if since is None:
                continue
            self._is_stopped = self.should_stop()
            self._is_late = self._waiting is not None and monotonic() - since > self._waiting
            if self._is_stopped or self._is_late:
                self._process.kill()
                return

    def close(self) -> None:
        """End the process; this may be called more than once."""
        self._closed.set()
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def _start(request: Request) -> "subprocess.Popen[bytes]":
    """Start the decoder with the same search path for modules."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "firstsight.data.video_decoder", json.dumps(asdict(request))]
    try:
        return subprocess.Popen(  # noqa: S603 - this Python, without a shell
            command,
            stdin=subprocess.PIPE,  # closed when this process ends, which ends the decoder
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            pass_fds=() if request.memory is None else (request.memory,),
            start_new_session=True,  # Ctrl-C is for this process
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    except OSError as error:
        raise DataError(f"{request.location}: the decoder cannot be started ({error})") from None


def _shared_memory(size: int) -> tuple[int | None, mmap.mmap | None]:
    """Return a file descriptor of memory that two processes can use, and the memory; None where there is none.

    Linux has it without a name and without a separate limit, and it is free when both processes have ended.
    """
    try:
        descriptor = os.memfd_create("firstsight-video")
    except (AttributeError, OSError):
        return None, None
    try:
        os.ftruncate(descriptor, size)
        return descriptor, mmap.mmap(descriptor, size)
    except OSError:
        os.close(descriptor)
        return None, None


def _max_pixels() -> int:
    setting: Any = os.environ.get("FIRSTSIGHT_VIDEO_PIXELS", "")
    if not setting:
        return MAX_PIXELS
    if not (is_digits(setting) and int(setting)):
        raise UsageError(f"FIRSTSIGHT_VIDEO_PIXELS must be the maximum number of pixels of a frame; got {setting}")
    return int(setting)
