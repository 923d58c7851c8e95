"""Window that shows the frames of a video or a camera: of OpenCV if it is installed, else of tkinter."""

import os
import socket
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from firstsight.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from firstsight.pose.skeleton import Skeleton
    from firstsight.tasks.pose.video import FramePoses

ESCAPE = 27
INSTEAD = "or write a video with `out`"
RATE_FRAMES = 10
"""The frame rate in the title of the window is the mean over this many frames."""


class Window(Protocol):
    """A window on the screen."""

    def show(self, image: "Image", title: str, milliseconds: int) -> bool:
        """Show an image for at least some milliseconds; return False if the user has ended it."""

    def close(self) -> None:
        """Remove the window."""


class OpenCVWindow:
    """Window of OpenCV."""

    def __init__(self, name: str) -> None:
        import cv2

        self.cv2, self.name = cv2, name
        cv2.namedWindow(name, cv2.WINDOW_AUTOSIZE)

    def show(self, image: "Image", title: str, milliseconds: int) -> bool:
        """Show an image; q, Esc and the button of the window end it."""
        import numpy as np

        self.cv2.imshow(self.name, np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1]))
        self.cv2.setWindowTitle(self.name, title)
        key = self.cv2.waitKey(max(1, milliseconds)) & 0xFF
        return key not in (ord("q"), ESCAPE) and self.cv2.getWindowProperty(self.name, self.cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """Remove the window."""
        self.cv2.destroyAllWindows()


class TkWindow:
    """Window of tkinter."""

    def __init__(self, name: str) -> None:
        import tkinter

        self.root = tkinter.Tk(className=name)
        self.label = tkinter.Label(self.root, borderwidth=0)
        self.label.pack()
        self.is_open = True
        for key in ("q", "<Escape>"):
            self.root.bind(key, self._end)
        self.root.protocol("WM_DELETE_WINDOW", self._end)

    def _end(self, *_: object) -> None:
        self.is_open = False

    def show(self, image: "Image", title: str, milliseconds: int) -> bool:
        """Show an image; q, Esc and the button of the window end it."""
        import tkinter

        from PIL import ImageTk

        photo = ImageTk.PhotoImage(image, master=self.root)
        self.label.configure(image=photo)
        self.photo = photo  # tkinter does not keep it
        self.root.title(title)
        done = tkinter.BooleanVar(self.root, value=False)
        self.root.after(max(1, milliseconds), lambda: done.set(True))
        self.root.wait_variable(done)
        return self.is_open

    def close(self) -> None:
        """Remove the window."""
        self.root.destroy()


def choose_window() -> type[OpenCVWindow] | type[TkWindow]:
    """Return the kind of window that this machine has.

    Raises
    ------
    UsageError
        If there is no display, or neither OpenCV nor tkinter is installed.
    """
    if problem := display_problem(sys.platform, os.environ):
        raise UsageError(f"`show` needs a screen, but {problem}; run it in a desktop session, {INSTEAD}")
    if find_spec("cv2") is not None and _has_windows():
        return OpenCVWindow
    if find_spec("tkinter") is not None and find_spec("_tkinter") is not None and find_spec("PIL.ImageTk") is not None:
        return TkWindow
    raise UsageError(
        "`show` needs OpenCV or tkinter for a window: pip install opencv-python (or your system's package of tkinter,"
        f" such as python3-tk), {INSTEAD}"
    )


def _has_windows() -> bool:
    """Return whether OpenCV was built with windows; opencv-python-headless was not."""
    import cv2

    lines = (line.strip() for line in str(cv2.getBuildInformation()).splitlines())
    return not any(line.startswith("GUI:") and line.endswith("NONE") for line in lines)


def display_problem(platform: str, environment: Mapping[str, str]) -> str:
    """Return why windows cannot be opened; an empty string if they can.

    A library of windows may end the process if its display does not answer, so this is checked before.

    Parameters
    ----------
    platform : str
        ``sys.platform``.
    environment : Mapping[str, str]
        Environment variables.

    Examples
    --------
    >>> display_problem("linux", {})
    'DISPLAY is not set'
    >>> display_problem("win32", {})
    ''
    """
    if platform in ("win32", "darwin") or environment.get("WAYLAND_DISPLAY"):
        return ""
    display = environment.get("DISPLAY", "")
    if not display:
        return "DISPLAY is not set"
    host, _, number = display.rpartition(":")
    number = number.partition(".")[0]
    if not number.isdecimal():
        return f"DISPLAY={display} is not a display"
    paths = [f"/tmp/.X11-unix/X{number}", f"\0/tmp/.X11-unix/X{number}"]  # noqa: S108 - where X servers listen
    addresses: list[Any] = [(host, 6000 + int(number))] if host not in ("", "unix") else paths
    for address in addresses:
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        with socket.socket(family) as client:
            client.settimeout(2)
            try:
                client.connect(address)
            except OSError:
                continue
            return ""
    return f"the display {display} does not answer"


class WindowSink:
    """Context manager that shows the drawn frames in a window, with the frame rate in its title.

    Parameters
    ----------
    window : Window
        The window.
    skeleton : Skeleton
        Skeleton of the poses.
    is_live : bool
        Whether frames come from a camera. Those of a file are shown no faster than at their times.
    """

    def __init__(self, window: Window, skeleton: "Skeleton", *, is_live: bool) -> None:
        self.window, self.skeleton, self.is_live = window, skeleton, is_live
        self.is_closed = False
        self._times: list[float] = []
        self._start = 0.0

    def add(self, frame: "FramePoses") -> None:
        """Draw and show a frame."""
        from firstsight import plots

        now = perf_counter()
        if not self._times:
            self._start = now - frame.seconds
        self._times = [*self._times[-RATE_FRAMES:], now]
        wait = 0.0 if self.is_live else frame.seconds - (now - self._start)
        image = plots.draw_people(frame.image, frame.poses, self.skeleton, identities=frame.identities)
        self.is_closed = not self.window.show(image, self._title(), round(1000 * max(0.0, min(wait, 1.0))))

    def _title(self) -> str:
        seconds = self._times[-1] - self._times[0]
        rate = f" - {(len(self._times) - 1) / seconds:.1f} frames/s" if seconds else ""
        return f"firstsight pose{rate} - q: end"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.window.close()
