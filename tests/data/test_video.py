"""Videos: written and read again; damaged files give the frames they have; what is no video is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firstsight.data.video import Video, VideoWriter, _camera_input, is_video
from firstsight.errors import DataError, UsageError

FRAMES, SIZE = 40, (64, 48)


def bar_image(number: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """Return an image of a white bar on gray that moves a pixel to the right with every frame."""
    pixels = np.full((size[1], size[0], 3), 90, dtype=np.uint8)
    pixels[:, number : number + 8] = 255
    return Image.fromarray(pixels)


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    path = tmp_path / "bar.mp4"
    with VideoWriter(path, frames_per_second=20) as out:
        for number in range(FRAMES):
            out.add(bar_image(number))
    return path


def test_written_video_is_read_again(movie: Path) -> None:
    """All frames in order, at their times, up to lossy compression."""
    with Video(str(movie)) as video:
        assert video.length == FRAMES and video.frames_per_second == 20
        frames = list(video)
        assert not video.damaged and not video.truncated
    assert [frame.number for frame in frames] == list(range(FRAMES))
    assert [frame.seconds for frame in frames] == pytest.approx([i / 20 for i in range(FRAMES)])
    for frame in frames:
        assert frame.image.size == SIZE and frame.image.mode == "RGB"
        difference = np.asarray(frame.image, dtype=float) - np.asarray(bar_image(frame.number), dtype=float)
        assert np.abs(difference).mean() < 4


@pytest.mark.parametrize(("rate", "expected"), [(30000 / 1001, 30000 / 1001), (12.5, 12.5), (24, 24)])
def test_frame_rate_is_kept_exactly(tmp_path: Path, rate: float, expected: float) -> None:
    """Not rounded to whole frames: an hour at 29.97 would end 3.6 seconds early."""
    with VideoWriter(tmp_path / "rate.mp4", frames_per_second=rate) as out:
        for number in range(9):
            out.add(bar_image(number))
    with Video(str(tmp_path / "rate.mp4")) as video:
        assert video.frames_per_second == pytest.approx(expected, rel=1e-9)


def test_frames_are_written_at_given_times_from_the_first_one(tmp_path: Path) -> None:
    """A camera's clock does not start at 0; a frame that is not later than the one before is shown at the same time."""
    with VideoWriter(tmp_path / "times.mp4", frames_per_second=10) as out:
        for number, seconds in enumerate((3.0, 3.1, 3.5, 3.5, 4.0)):
            out.add(bar_image(number), seconds=seconds)
        out.add(bar_image(5))
    with Video(str(tmp_path / "times.mp4")) as video:
        assert [frame.seconds for frame in video] == pytest.approx([0, 0.1, 0.5, 0.5, 1.0, 1.1], abs=1e-4)


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [((0, 1, -1, 0), -90), ((-1, 0, 0, -1), 180), ((0, -1, 1, 0), 90), ((1, 0, 0, 1), 0)],
    ids=["clockwise", "half", "counterclockwise", "none"],
)
def test_frames_are_rotated_by_the_matrix_of_the_track(movie: Path, matrix: tuple[int, ...], turn: int) -> None:
    """The track's matrix (ISO 14496-12: a point (x, y) is shown at (a x + c y, b x + d y)) turns the frames."""
    held = bytearray(movie.read_bytes())
    start = held.index(b"tkhd") + 44
    a, b, c, d = (65536 * part for part in matrix)
    held[start : start + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], dtype=">i4").tobytes()
    movie.write_bytes(held)
    with Video(str(movie)) as video:
        image = next(iter(video)).image
    expected = np.asarray(bar_image(0).rotate(turn, expand=True), dtype=float)
    assert np.abs(np.asarray(image, dtype=float) - expected).mean() < 4


def test_damaged_frames_are_counted_and_the_others_read(movie: Path) -> None:
    """Also near the end, where a decoder of several frames at once still holds some."""
    import av

    with av.open(str(movie)) as source:
        packets = [(p.pos, p.size) for p in source.demux(source.streams.video[0]) if p.size]
    held = bytearray(movie.read_bytes())
    for start, size in (packets[20], packets[-2]):
        held[start : start + size] = bytes(size)
    movie.write_bytes(held)
    with Video(str(movie)) as video:
        assert len(list(video)) == FRAMES - 2 and video.damaged == 2 and not video.truncated


def test_video_of_odd_size_loses_a_row_and_a_column(tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    with VideoWriter(path, frames_per_second=30) as out:
        for number in range(3):
            out.add(bar_image(number, (65, 49)))
    with Video(str(path)) as video:
        assert [frame.image.size for frame in video] == [(64, 48)] * 3


def test_truncated_video_gives_the_frames_it_has(tmp_path: Path) -> None:
    """The index is at the front, as for the web, and the last third of the file is missing; noise makes it large."""
    import av

    rng, noisy, front = np.random.default_rng(0), tmp_path / "noisy.mp4", tmp_path / "front.mp4"
    with VideoWriter(noisy, frames_per_second=20) as written:
        for _ in range(FRAMES):
            written.add(Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)))
    with av.open(str(noisy)) as source, av.open(str(front), "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    whole = front.read_bytes()
    front.write_bytes(whole[: len(whole) * 2 // 3])
    with Video(str(front)) as video:
        frames = list(video)
        assert FRAMES / 3 < len(frames) < FRAMES * 0.7 and video.truncated
    assert [frame.number for frame in frames] == list(range(len(frames)))


@pytest.mark.parametrize(("missing", "truncated"), [(0, False), (1, False), (2, True)])
def test_video_is_truncated_if_more_than_one_declared_frame_is_missing(
    movie: Path, missing: int, truncated: bool
) -> None:
    """A length that is computed from the duration may be off by one."""
    with Video(str(movie)) as video:
        video.length = FRAMES + missing
        assert len(list(video)) == FRAMES and video.truncated is truncated


def test_video_without_frames_is_closed_and_refused_when_read(tmp_path: Path) -> None:
    path = tmp_path / "none.mp4"
    with VideoWriter(path, frames_per_second=30):
        pass
    with pytest.raises(DataError, match=r"none\.mp4: (not a video|it has no video stream)"):
        Video(str(path))


def test_file_that_is_no_video_is_refused(tmp_path: Path, movie: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 50)
    with pytest.raises(DataError, match=r"text\.mp4: not a video"):
        Video(str(text))
    with pytest.raises(DataError, match=r"gone\.mp4: no such file"):
        Video(str(tmp_path / "gone.mp4"))
    headless = tmp_path / "headless.mp4"
    headless.write_bytes(movie.read_bytes()[:200])
    with pytest.raises(DataError, match=r"headless\.mp4: not a video"):
        Video(str(headless))
    with pytest.raises(DataError, match="cannot be written"):
        VideoWriter(tmp_path / "no" / "folder.mp4", frames_per_second=30)


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", ("/dev/video2", "v4l2")),
        ("darwin", ("2", "avfoundation")),
        ("win32", ("video=2", "dshow")),
    ],
)
def test_camera_is_opened_as_its_system_names_it(
    monkeypatch: pytest.MonkeyPatch, platform: str, expected: tuple[str, str]
) -> None:
    monkeypatch.delenv("FIRSTSIGHT_CAMERA", raising=False)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    monkeypatch.setattr(sys, "platform", platform)
    location = _camera_input("camera:2")
    default = _camera_input("camera")
    monkeypatch.undo()
    assert location == expected
    assert default == (expected[0].replace("2", "0"), expected[1])


def test_missing_camera_and_invalid_setting_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRSTSIGHT_CAMERA", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(DataError, match="camera:97: there is no camera at /dev/video97"):
        Video("camera:97")
    for setting in ("v4l2", "v4l2:", ":/dev/video2"):
        monkeypatch.setenv("FIRSTSIGHT_CAMERA", setting)
        with pytest.raises(UsageError, match=f"FIRSTSIGHT_CAMERA must be FORMAT:SOURCE, .*; got {setting}"):
            Video("camera")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.mp4", True),
        ("b.MOV", True),
        ("camera", True),
        ("camera:2", True),
        ("camera:x", False),
        ("camera.png", False),
        ("a.png", False),
        ("folder", False),
    ],
)
def test_video_is_recognized_by_name(name: str, expected: bool) -> None:
    assert is_video(name) is expected


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "full"), DataError("x"), MemoryError()])
def test_a_video_that_fails_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "old.mp4"
    path.write_bytes(b"old")
    for frames in (0, 1, 40):
        with pytest.raises(type(error)), VideoWriter(path, frames_per_second=20) as out:
            for _ in range(frames):
                out.add(Image.new("RGB", (64, 48)))
            raise error
        assert path.read_bytes() == b"old" and [*tmp_path.iterdir()] == [path]


def test_a_killed_writer_keeps_the_old_video_and_the_next_one_removes_its_file(tmp_path: Path) -> None:
    path = tmp_path / "old.mp4"
    path.write_bytes(b"old")
    code = (
        "import os, sys; from pathlib import Path; from PIL import Image\n"
        "from firstsight.data.video import VideoWriter\n"
        "with VideoWriter(Path(sys.argv[1]), frames_per_second=20) as out:\n"
        "    [out.add(Image.effect_noise((64, 48), 90).convert('RGB')) for _ in range(40)]\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == -9
    assert path.read_bytes() == b"old" and len([*tmp_path.iterdir()]) == 2
    with VideoWriter(path, frames_per_second=20) as out:
        out.add(Image.new("RGB", (64, 48)))
    assert [*tmp_path.iterdir()] == [path]
    with Video(str(path)) as video:
        assert len(list(video)) == 1
