"""The process that decodes: limits of time and memory, interruption while it is waited for, and its end."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from conftest import unavailable
from firstsight.data import video_process
from firstsight.data.video import Video, VideoWriter
from firstsight.errors import DataError
from helpers.stalled_video import stalled_video

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses signals and named pipes of POSIX")
FRAMES = 40


@pytest.fixture
def movie() -> Path:
    with VideoWriter(Path("gray.mp4"), frames_per_second=25) as out:
        for number in range(FRAMES):
            out.add(Image.new("RGB", (64, 48), (number, 90, 90)))
    return Path("gray.mp4")


@pytest.fixture
def stalled_camera(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let ``camera`` send 20 frames and then nothing more."""
    images = [Image.new("RGB", (64, 48), (number, 90, 90)) for number in range(20)]
    with stalled_video(Path("pipe"), images) as camera:
        monkeypatch.setenv("FIRSTSIGHT_CAMERA", camera)
        yield


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text() if Path("/proc").exists() else True


def wait_for_the_end(process: int) -> None:
    deadline = time.monotonic() + 20
    while is_running(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(process)


def process_of(video: Video) -> int:
    return video._process._process.pid


@pytest.mark.parametrize("work", ["sum(range(10**15))", "'a' * 30 + 'b' in 'a' * 10 ** 9", "(3 ** 10**8) ** 99"])
def test_code_that_cannot_be_interrupted_ends_at_its_limit(work: str) -> None:
    code = f"from firstsight.data.video_decoder import limit_computing as l; l(0.05); {work}; print('all of it')"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, env=environment)
    assert result.returncode == -signal.SIGPROF and not result.stdout


def test_a_frame_that_takes_too_long_ends_the_video(monkeypatch: pytest.MonkeyPatch, movie: Path) -> None:
    """Even starting needs more than the limit of this test."""
    monkeypatch.setattr(video_process, "SECONDS", 0.001)
    with pytest.raises(DataError, match=r"^gray\.mp4: a frame takes too long to decode$"):
        Video(str(movie))


def test_a_file_that_does_not_answer_ends_the_video(monkeypatch: pytest.MonkeyPatch, movie: Path) -> None:
    """The process is stopped, as if its disk were not there any more."""
    monkeypatch.setattr(video_process, "WAITING", 5.0)
    with Video(str(movie)) as video:
        video._process._waiting = 0.3
        os.kill(process_of(video), signal.SIGSTOP)
        frames = list(video)
    assert len(frames) <= 3 and video.truncated and video.problem == "no frame within 0 seconds"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_decoder_that_crashes_ends_the_video_only(movie: Path, number: int) -> None:
    with Video(str(movie)) as video:
        os.kill(process_of(video), number)
        frames = list(video)
        assert len(frames) <= 3 and video.truncated
        assert video.problem == f"the decoder crashed, exit code {-number}"
        assert not list(video)


def test_a_frame_that_needs_too_much_memory_ends_the_video(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only Linux counts the memory that ffmpeg requests."""
    if sys.platform != "linux":
        unavailable("this system does not limit memory")
    with VideoWriter(Path("large.mp4"), frames_per_second=25) as out:
        for number in range(6):
            out.add(Image.new("RGB", (1280, 960), (number, 90, 90)))
    with Video("large.mp4") as video:
        assert len(list(video)) == 6
    monkeypatch.setattr(video_process, "BYTES_PER_PIXEL", 3)
    with Video("large.mp4") as video:
        assert len(list(video)) < 6
        assert video.problem == "a frame needs more than 48 MB, which FIRSTSIGHT_VIDEO_PIXELS raises"


@pytest.mark.usefixtures("stalled_camera")
def test_waiting_for_a_frame_can_be_stopped() -> None:
    """The frames before are read; the source stays open."""
    with Video("camera") as video:
        frames = []
        video.stop_if(lambda: len(frames) > 10)
        for frame in video:
            frames.append(frame.number)
        assert frames[:11] == [*range(11)] and not video.truncated and video.problem is None
        assert not is_running(process_of(video))


@pytest.mark.usefixtures("stalled_camera")
def test_ctrl_c_interrupts_waiting_for_a_frame() -> None:
    with Video("camera") as video:
        process = process_of(video)
        with pytest.raises(KeyboardInterrupt):
            for frame in video:
                if frame.number == 10:
                    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        assert is_running(process)
    assert not is_running(process)


@pytest.mark.parametrize("how", ["with", "garbage", "error", "half"])
def test_no_process_is_left(movie: Path, how: str) -> None:
    if how == "with":
        with Video(str(movie)) as video:
            process = process_of(video)
            list(video)
    elif how == "half":
        with Video(str(movie)) as video:
            process = process_of(video)
            next(iter(video))
    elif how == "garbage":
        video = Video(str(movie))
        process = process_of(video)
        del video
        gc.collect()
    else:
        with pytest.raises(RuntimeError), Video(str(movie)) as video:
            process = process_of(video)
            raise RuntimeError
    assert not is_running(process)


def test_the_decoder_ends_with_a_program_that_is_killed(movie: Path) -> None:
    """Nothing in the program can run then; the decoder sees the end of its input."""
    code = (
        "import os, time; from firstsight.data.video import Video; "
        f"video = Video({str(movie)!r}); print(video._process._process.pid, flush=True); time.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as program:
        assert program.stdout is not None
        process = int(program.stdout.readline())
        program.kill()
    wait_for_the_end(process)


def test_pixels_arrive_without_shared_memory(monkeypatch: pytest.MonkeyPatch, movie: Path) -> None:
    """Some systems have none. The frames are the same."""
    with Video(str(movie)) as video:
        expected = [frame.image.tobytes() for frame in video]
    monkeypatch.delattr(os, "memfd_create", raising=False)
    with Video(str(movie)) as video:
        assert [frame.image.tobytes() for frame in video] == expected
    assert len(set(expected)) > FRAMES // 2
