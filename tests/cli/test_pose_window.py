"""`firstsight pose --show`: windows without a screen, and with a stand-in for the library of windows."""

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from firstsight.cli.pose import window
from firstsight.cli.pose.window import OpenCVWindow, TkWindow, choose_window, display_problem
from firstsight.errors import UsageError
from helpers.colored_people import SIZE, color_weights, crossing, film

Run = Callable[..., tuple[int, str, str]]
FRAMES = 6


class Screen:
    """Stand-in for OpenCV: it stores the images of a window and presses a key at the third one."""

    WINDOW_AUTOSIZE, WND_PROP_VISIBLE = 1, 4

    def __init__(self, key: int, *, visible: float = 1.0) -> None:
        self.key, self.visible = key, visible
        self.images: list[Any] = []
        self.titles: list[str] = []
        self.is_open = False

    def getBuildInformation(self) -> str:
        return "  GUI:                           QT5"

    def namedWindow(self, name: str, flags: int) -> None:
        self.is_open = True

    def imshow(self, name: str, image: Any) -> None:
        self.images.append(image)

    def setWindowTitle(self, name: str, title: str) -> None:
        self.titles.append(title)

    def waitKey(self, milliseconds: int) -> int:
        assert milliseconds >= 1
        return self.key if len(self.images) == 3 else -1

    def getWindowProperty(self, name: str, prop: int) -> float:
        return self.visible if len(self.images) == 3 else 1.0

    def destroyAllWindows(self) -> None:
        self.is_open = False


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a weights file and a video of two people."""
    folder = tmp_path_factory.mktemp("files")
    color_weights(folder / "net.safetensors")
    film(folder / "walk.mp4", crossing, frames=FRAMES)
    return folder


@pytest.fixture
def use_screen(monkeypatch: pytest.MonkeyPatch) -> Callable[[Screen], None]:
    """Return a function that installs a stand-in for OpenCV, on a machine with a display."""

    def install(screen: Screen) -> None:
        monkeypatch.setitem(sys.modules, "cv2", screen)
        monkeypatch.setattr(window, "display_problem", lambda *_: "")
        monkeypatch.setattr(window, "find_spec", lambda name: SimpleNamespace(name=name))

    return install


def test_without_a_display_one_sentence_says_what_to_do(run: Run, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    code, out, err = run("pose", files / "walk.mp4", "--show")
    assert (code, out) == (2, "") and err == (
        "firstsight: --show needs a screen, but DISPLAY is not set; run it in a desktop session, or write a video with"
        " --out\n"
    )


def test_a_display_is_asked_before_a_window_is_opened(tmp_path: Path) -> None:
    assert display_problem("linux", {"DISPLAY": "x"}) == "DISPLAY=x is not a display"
    assert display_problem("linux", {"DISPLAY": ":987"}) == "the display :987 does not answer"
    assert display_problem("linux", {"DISPLAY": "", "WAYLAND_DISPLAY": "wayland-0"}) == ""
    with socket.socket() as server:
        for port in range(6500, 6600):
            try:
                server.bind(("127.0.0.1", port))
                break
            except OSError:
                continue
        server.listen()
        assert display_problem("linux", {"DISPLAY": f"127.0.0.1:{server.getsockname()[1] - 6000}.0"}) == ""


def test_opencv_is_preferred_to_tkinter_and_their_absence_is_explained(
    use_screen: Callable[[Screen], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(-1)
    use_screen(screen)
    assert choose_window() is OpenCVWindow
    monkeypatch.setattr(screen, "getBuildInformation", lambda: "  GUI:                           NONE")
    assert choose_window() is TkWindow
    monkeypatch.setattr(window, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"needs OpenCV or tkinter for a window: pip install opencv-python \(or your"):
        choose_window()


@pytest.mark.parametrize(("key", "visible"), [(ord("q"), 1.0), (27, 1.0), (-1, 0.0)])
def test_a_key_or_the_button_of_the_window_ends_a_camera(
    run: Run,
    files: Path,
    use_screen: Callable[[Screen], None],
    monkeypatch: pytest.MonkeyPatch,
    key: int,
    visible: float,
) -> None:
    monkeypatch.setenv("FIRSTSIGHT_CAMERA", f"mp4:{files / 'walk.mp4'}")
    screen = Screen(key, visible=visible)
    use_screen(screen)
    code, out, err = run("pose", "camera", "--show", "--model", files / "net.safetensors")
    assert (code, err) == (0, "camera: running; press q in the window to stop\n")
    assert len(screen.images) == 3 and not screen.is_open
    assert "frames/s" in out and out.splitlines()[1].split()[:3] == ["camera", "3", "2"]
    assert screen.titles[-1].startswith("firstsight pose - ") and screen.titles[-1].endswith("frames/s - q: end")


def test_a_video_is_shown_to_its_end_with_its_poses(
    run: Run, files: Path, use_screen: Callable[[Screen], None]
) -> None:
    screen = Screen(-1)
    use_screen(screen)
    arguments = ("--model", files / "net.safetensors", "--json", "--out", "people.mp4")
    code, out, err = run("pose", files / "walk.mp4", "--show", *arguments)
    assert (code, err) == (0, "") and len(json.loads(out)["frames"]) == len(screen.images) == FRAMES
    assert screen.images[0].shape == (SIZE[1], SIZE[0], 3) and Path("people.mp4").exists()
    with Image.open(_first_frame(files)) as plain:
        bgr = np.asarray(plain.convert("RGB"))[..., ::-1]
    assert 0 < (np.abs(screen.images[0].astype(int) - bgr).max(2) > 60).mean() < 0.5  # only the poses differ


def _first_frame(files: Path) -> Path:
    from firstsight.data.video import Video

    with Video(str(files / "walk.mp4")) as video:
        next(iter(video)).image.save("first.png")
    return Path("first.png")


def test_images_have_no_window(run: Run) -> None:
    Image.new("RGB", (8, 8)).save("x.png")
    assert run("pose", "x.png", "--show")[::2] == (
        2,
        "firstsight: --show works for a video or a camera only; x.png is neither\n",
    )
