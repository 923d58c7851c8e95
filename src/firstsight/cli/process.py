"""Streams and signals of a process that runs one command."""

import atexit
import io
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn


class MessageStream(io.TextIOWrapper):
    """Text stream for messages. Messages that cannot be written are dropped, because they are not the result."""

    def write(self, text: str) -> int:
        """Write text; from the first failure on, everything is dropped."""
        try:
            return super().write(text)
        except OSError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        try:
            super().flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        """Send what is buffered, and all that follows, to nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        with suppress(OSError):
            super().flush()


def prepare_process() -> None:
    """Make the streams and signals of this process safe for a command line.

    - A stream that the caller closed (``>&-``) becomes the null device. Otherwise the next file that is opened would
      receive the results.
    - Characters that the encoding of a stream lacks are written as escapes.
    - Messages on stderr that cannot be written are dropped.
    - Ctrl-C where Python would only print a traceback, such as in a destructor, ends the process.
    """
    if isinstance(sys.stderr, io.TextIOWrapper):
        messages = open(sys.stderr.fileno(), "wb", closefd=False)  # noqa: SIM115
        sys.stderr = MessageStream(
            messages, encoding=sys.stderr.encoding, errors="backslashreplace", line_buffering=True
        )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    for number, name in enumerate(("stdin", "stdout", "stderr")):  # in this order they get their own numbers
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open("r" if number == 0 else "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
    sys.unraisablehook = _end_on_interrupt


class WarningLines(logging.Handler):
    """Handler that prints every different message as one line on stderr."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message unless it was printed before."""
        from firstsight.cli.console import warn

        message = record.getMessage()
        if message not in self._printed:
            self._printed.add(message)
            warn(message)


@contextmanager
def logged_warnings() -> Iterator[None]:
    """Context manager that prints the warnings that the package logs, such as of a missing font."""
    logger, handler = logging.getLogger("firstsight"), WarningLines()
    logger.addHandler(handler)
    logger.propagate = False  # other packages may print all messages a second time
    try:
        yield
    finally:
        logger.propagate = True
        logger.removeHandler(handler)


def ignore_interrupts() -> None:
    """Ignore Ctrl-C from now on: the command has ended, and only Python shuts down."""
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def end_process(code: int) -> NoReturn:
    """End the process with an exit code, without the shutdown of Python."""
    atexit._run_exitfuncs()  # leaves a process group; see `firstsight.engine.accelerator`
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _end_on_interrupt(unraisable: Any) -> None:
    """Handle an exception that Python cannot raise: end the process on Ctrl-C, otherwise report as Python does."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        os._exit(128 + signal.SIGINT)
    sys.__unraisablehook__(unraisable)
