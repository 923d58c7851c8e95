"""Videos: what is written is read again, damaged files give what they have, and what is none is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firstsight.data.video import Video, VideoWriter, is_video
from firstsight.errors import DataError

FRAMES, SIZE = 40, (64, 48)


def picture(number: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A white bar on grey that moves a pixel to the right with every frame."""
    pixels = np.full((size[1], size[0], 3), 90, dtype=np.uint8)
    pixels[:, number : number + 8] = 255
    return Image.fromarray(pixels)


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    path = tmp_path / "bar.mp4"
    with VideoWriter(path, frames_per_second=20) as out:
        for number in range(FRAMES):
            out.add(picture(number))
    return path


def test_what_is_written_is_read(movie: Path) -> None:
    """All frames in order, at their times, within what compression changes."""
    with Video(str(movie)) as video:
        assert video.length == FRAMES and video.frames_per_second == 20
        frames = list(video)
        assert not video.damaged and not video.truncated
    assert [frame.number for frame in frames] == list(range(FRAMES))
    assert [frame.seconds for frame in frames] == pytest.approx([i / 20 for i in range(FRAMES)])
    for frame in frames:
        assert frame.image.size == SIZE and frame.image.mode == "RGB"
        away = np.abs(np.asarray(frame.image, dtype=float) - np.asarray(picture(frame.number), dtype=float))
        assert away.mean() < 4


def test_an_odd_size_loses_a_row_and_a_column(tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    with VideoWriter(path, frames_per_second=30) as out:
        for number in range(3):
            out.add(picture(number, (65, 49)))
    with Video(str(path)) as video:
        assert [frame.image.size for frame in video] == [(64, 48)] * 3


def test_a_file_that_breaks_off_gives_what_it_has(tmp_path: Path) -> None:
    """The index at the front, as for the web, the last third of the bytes missing; noise, so that bytes are many."""
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


def test_an_empty_video_is_closed(tmp_path: Path) -> None:
    """Nothing was added: the file is there, and is no video."""
    path = tmp_path / "none.mp4"
    with VideoWriter(path, frames_per_second=30):
        pass
    with pytest.raises(DataError, match=r"none\.mp4: (not a video|there are no pictures)"):
        Video(str(path))


def test_what_is_no_video(tmp_path: Path, movie: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 50)
    with pytest.raises(DataError, match=r"text\.mp4: not a video"):
        Video(str(text))
    with pytest.raises(DataError, match=r"gone\.mp4: no such file"):
        Video(str(tmp_path / "gone.mp4"))
    with pytest.raises(DataError, match="camera:97: "):
        Video("camera:97")
    headless = tmp_path / "headless.mp4"
    headless.write_bytes(movie.read_bytes()[:200])
    with pytest.raises(DataError, match=r"headless\.mp4: not a video"):
        Video(str(headless))
    with pytest.raises(DataError, match="cannot be written"):
        VideoWriter(tmp_path / "no" / "folder.mp4", frames_per_second=30)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.mp4", True), ("b.MOV", True), ("camera", True), ("camera:2", True), ("camera:x", False), ("camera.png", False),
     ("a.png", False), ("folder", False)],
)  # fmt: skip
def test_names(name: str, expected: bool) -> None:
    assert is_video(name) is expected
