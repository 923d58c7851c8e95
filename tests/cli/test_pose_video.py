"""`firstsight pose` on videos and cameras, with a weights file that detects people drawn in colors."""

import io
import json
import os
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import unavailable
from firstsight.cli import main
from firstsight.data.video import Video, VideoWriter
from helpers.colored_people import SIZE, color_weights, crossing, draw, film
from helpers.stalled_video import stalled_video

Run = Callable[..., tuple[int, str, str]]
FRAMES = 12


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a weights file and a video of two people."""
    folder = tmp_path_factory.mktemp("files")
    color_weights(folder / "net.safetensors")
    film(folder / "walk.mp4", crossing, frames=FRAMES)
    return folder


@pytest.fixture
def pose(run: Run, files: Path) -> Run:
    """Run ``firstsight pose`` with the weights file."""
    return lambda *arguments: run("pose", *arguments, "--model", files / "net.safetensors")


@pytest.fixture
def walk(files: Path) -> Path:
    return Path(shutil.copy(files / "walk.mp4", "walk.mp4"))


def read_frames(path: Path | str) -> list[Any]:
    with Video(str(path)) as video:
        return list(video)


def packets(path: Path) -> list[Any]:
    """Return the packets of a video, in the order of the file."""
    import av

    with av.open(str(path)) as source:
        return [packet for packet in source.demux(source.streams.video[0]) if packet.size]


def overwrite_packets(path: Path, numbers: range | tuple[int, ...]) -> list[int]:
    """Overwrite packets with zeros; return the numbers of the frames that they held."""
    content, chosen = bytearray(path.read_bytes()), [packets(path)[number] for number in numbers]
    for packet in chosen:
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    return [round(25 * packet.pts * packet.time_base) for packet in chosen]


def test_json_has_a_line_per_frame_and_the_drawn_video_keeps_sizes_and_times(pose: Run, walk: Path) -> None:
    code, out, err = pose(walk, "--track", "--out", "people.mp4", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert list(document) == ["video", "frames_per_second", "skeleton", "frames", "damaged", "truncated", "timings"]
    assert (document["video"], document["frames_per_second"]) == ("walk.mp4", 25)
    assert (document["damaged"], document["truncated"]) == (0, False)
    assert document["skeleton"]["name"] == "body" and list(document["timings"]) == ["read", "network", "decode"]
    assert min(document["timings"].values()) > 0 and len(out.splitlines()) == FRAMES + 4
    assert [frame["frame"] for frame in document["frames"]] == list(range(FRAMES))
    assert [frame["seconds"] for frame in document["frames"]] == [number / 25 for number in range(FRAMES)]
    for number, frame in enumerate(document["frames"]):
        assert list(frame) == ["frame", "seconds", "people"]
        assert [list(one) for one in frame["people"]] == [["id", "score", "box", "keypoints"]] * 2
        assert sorted(one["id"] for one in frame["people"]) == [1, 2]
        leftmost = min(frame["people"], key=lambda one: one["box"][0])
        np.testing.assert_allclose(np.array(leftmost["keypoints"])[:, :2], crossing(number)[0], atol=1.5)
    drawn, before = read_frames("people.mp4"), read_frames(walk)
    assert [frame.seconds for frame in drawn] == [frame.seconds for frame in before] and len(drawn) == FRAMES
    for one, other in zip(drawn, before, strict=True):
        assert one.image.size == other.image.size == SIZE
        changed = np.abs(np.asarray(one.image).astype(int) - np.asarray(other.image)).sum(2) > 90
        assert 0.005 < changed.mean() < 0.2


def test_the_table_has_one_row_and_a_folder_gets_a_drawn_video(pose: Run, walk: Path) -> None:
    code, out, err = pose(walk, "--out", "drawn")
    head, row, drawn = out.splitlines()
    assert (code, err) == (0, "") and head.split() == ["video", "frames", "max.", "people", "frames/s"]
    assert row.split()[:3] == ["walk.mp4", str(FRAMES), "2"] and drawn == "drawn: drawn/walk-pose.mp4"
    assert len(read_frames("drawn/walk-pose.mp4")) == FRAMES
    code, out, err = pose(walk, "--smooth", "--frames", "5")
    head, row = out.splitlines()
    assert "identities" in head and row.split()[:4] == ["walk.mp4", "5", "2", "2"]
    assert code == 0 and "--out people.mp4" in err


def test_frames_limits_the_video_and_without_track_people_have_no_id(pose: Run, walk: Path) -> None:
    code, out, err = pose(walk, "--frames", "3", "--json", "--out", "three.mp4")
    document = json.loads(out)
    assert (code, err, document["truncated"], len(document["frames"])) == (0, "", False, 3)
    assert list(document["frames"][0]["people"][0]) == ["score", "box", "keypoints"]
    assert len(read_frames("three.mp4")) == 3
    assert len(json.loads(pose(walk, "--frames", "900", "--json")[1])["frames"]) == FRAMES


def test_a_truncated_video_gives_the_frames_before_the_cut_and_exit_code_1(pose: Run, walk: Path) -> None:
    """The index is at the front of the file, so what is left can be read."""
    import av

    with av.open(str(walk)) as source, av.open("front.mp4", "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    cut = packets(Path("front.mp4"))[7].pos
    Path("front.mp4").write_bytes(Path("front.mp4").read_bytes()[:cut])
    code, printed, err = pose("front.mp4", "--json", "--out", "people.mp4")
    document = json.loads(printed)
    assert code == 1 and document["truncated"] and len(document["frames"]) == len(read_frames("people.mp4")) == 7
    assert err == f"firstsight: front.mp4: is truncated; 7 of {FRAMES} frames were read\n"


def test_damaged_frames_are_counted_and_the_others_keep_their_times(pose: Run, walk: Path) -> None:
    lost = overwrite_packets(walk, (4, 8))
    code, out, err = pose(walk, "--json", "--out", "people.mp4")
    document = json.loads(out)
    assert (code, document["damaged"], document["truncated"]) == (1, 2, False)
    assert len(document["frames"]) == FRAMES - 2
    times = [frame["seconds"] for frame in document["frames"]]
    assert [round(25 * time) for time in times] == [number for number in range(FRAMES) if number not in lost]
    assert [frame.seconds for frame in read_frames("people.mp4")] == times
    assert err == "firstsight: walk.mp4: 2 damaged frames are left out\n"


def test_a_video_without_a_readable_frame_writes_no_output_file(pose: Run, walk: Path) -> None:
    overwrite_packets(walk, range(FRAMES))
    code, out, err = pose(walk, "--json", "--out", "drawn")
    assert code == 1 and json.loads(out)["frames"] == [] and not Path("drawn").exists()
    assert err == f"firstsight: walk.mp4: no frame can be read; {FRAMES} damaged frames are left out\n"


class Reader(io.StringIO):
    """A stream whose reader sends a signal to this process when it reads a text, or a moment later."""

    def __init__(self, text: str, number: int, *, delay: float = 0) -> None:
        super().__init__()
        self.text, self.number, self.delay = text, number, delay

    def write(self, text: str) -> int:
        if self.text in text and self.delay:
            threading.Timer(self.delay, os.kill, (os.getpid(), self.number)).start()
        elif self.text in text:
            os.kill(os.getpid(), self.number)
        return super().write(text)


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_document_and_the_video_after_the_current_frame(
    files: Path, walk: Path, number: int, expected: int
) -> None:
    before, reader = signal.getsignal(number), Reader('"frame": 3,', number)
    options = ("--model", str(files / "net.safetensors"), "--track", "--json", "--out", "people.mp4")
    with redirect_stdout(reader):
        code = main(["pose", str(walk), *options])
    assert code == expected and len(json.loads(reader.getvalue())["frames"]) == 4
    assert len(read_frames("people.mp4")) == 4 and signal.getsignal(number) is before


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch, walk: Path) -> None:
    """Let ``camera`` open the video file, which then does not say how long it is."""
    monkeypatch.setenv("FIRSTSIGHT_CAMERA", f"mp4:{walk}")


@pytest.mark.usefixtures("camera")
def test_ctrl_c_ends_a_camera_with_a_summary_and_exit_code_0(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    reader = Reader("press Ctrl-C to stop", signal.SIGINT)
    with redirect_stderr(reader):
        code = main(["pose", "camera:1", "--model", str(files / "net.safetensors"), "--out", "drawn"])
    assert code == 0 and reader.getvalue() == "camera:1: running; press Ctrl-C to stop\n"
    assert capfd.readouterr().out.splitlines()[1].split()[:3] == ["camera:1", "1", "2"]
    assert len(read_frames("drawn/camera-1-pose.mp4")) == 1


@pytest.mark.usefixtures("camera")
def test_frames_limits_a_camera(pose: Run) -> None:
    code, out, err = pose("camera", "--frames", "3", "--json")
    assert (code, err) == (0, "") and len(json.loads(out)["frames"]) == 3


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ("v4l2", 2, "FIRSTSIGHT_CAMERA must be FORMAT:SOURCE, as in v4l2:/dev/video2; got v4l2"),
        (":walk.mp4", 2, "FIRSTSIGHT_CAMERA must be FORMAT:SOURCE"),
        ("nonsense:walk.mp4", 1, "camera: the camera cannot be opened (no container format 'nonsense')"),
        ("mp4:gone.mp4", 1, "camera: the camera cannot be opened (No such file or directory)"),
    ],
)
def test_a_camera_variable_that_cannot_be_used_is_reported(
    pose: Run, monkeypatch: pytest.MonkeyPatch, value: str, code: int, message: str
) -> None:
    monkeypatch.setenv("FIRSTSIGHT_CAMERA", value)
    exit_code, out, err = pose("camera")
    assert (exit_code, out) == (code, "") and err.startswith(f"firstsight: {message}") and err.count("\n") == 1


def test_a_full_disk_is_reported_in_one_sentence_and_the_document_stays_readable(pose: Run, walk: Path) -> None:
    if not Path("/dev/full").exists():
        unavailable("this system has no /dev/full")
    Path("people.mp4").symlink_to("/dev/full")
    code, out, err = pose(walk, "--json", "--out", "people.mp4")
    assert (code, err) == (1, "firstsight: people.mp4: the disk is full\n")
    frames = json.loads(out)["frames"]
    assert [frame["frame"] for frame in frames] == list(range(len(frames)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("camera:97", "camera:97: "),
        ("gone.mp4", "gone.mp4: no such file"),
        ("text.mp4 --out people.mp4 --json", "text.mp4: not a video"),
    ],
)
def test_a_source_that_cannot_be_opened_is_reported(pose: Run, arguments: str, message: str) -> None:
    Path("text.mp4").write_text("not a video\n" * 50)
    code, out, err = pose(*arguments.split())
    assert (code, out, err.count("\n")) == (1, "", 1) and err.startswith(f"firstsight: {message}")
    assert not Path("people.mp4").exists()


def test_frames_too_wide_for_the_network_are_refused_before_anything_is_written(pose: Run) -> None:
    with VideoWriter(Path("long.mp4"), frames_per_second=5) as video:
        video.add(Image.new("RGB", (4000, 32)))
    code, out, err = pose("long.mp4", "--json", "--out", "people.mp4")
    assert (code, out) == (1, "") and err.startswith("firstsight: long.mp4: ") and "--height" in err
    assert not Path("people.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("walk.mp4 photo.png", "walk.mp4: a video or a camera must be the only input; got 2 names"),
        ("photo.png camera", "camera: a video or a camera must be the only input; got 2 names"),
        ("walk.mp4 --maps --out d", "--maps works for images only, but walk.mp4 is a video"),
        ("walk.mp4 --coco r.json", "--coco works for images only, but walk.mp4 is a video"),
        ("walk.mp4 --frames 0", "--frames must be at least 1; got 0"),
        ("walk.mp4 --out x.png", "--out must be an .mp4 file or a folder for a video; got x.png"),
        ("walk.mp4 --out no/x.mp4", "--out no/x.mp4: the folder no does not exist"),
        ("walk.mp4 --out walk.mp4", "--out walk.mp4: is an input of this command"),
        ("walk.mp4 --scales a", "--scales must be numbers separated by commas"),
        ("photo.png --track", "--track works for a video or a camera only; photo.png is neither"),
        ("photo.png --smooth", "--smooth works for a video or a camera only; photo.png is neither"),
        ("folder.mp4 --frames 3", "--frames works for a video or a camera only; folder.mp4 is neither"),
    ],
)
def test_options_that_do_not_fit_a_video_are_refused(pose: Run, walk: Path, arguments: str, message: str) -> None:
    Path("folder.mp4").mkdir()
    size = walk.stat().st_size
    code, out, err = pose(*arguments.split())
    assert (code, out) == (2, "") and err.startswith(f"firstsight: {message}")
    assert walk.stat().st_size == size


def test_without_pyav_videos_are_refused_with_the_install_command(
    pose: Run, walk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)  # as where it is not installed: importing it fails
    code, out, err = pose(walk)
    assert (code, out, err) == (2, "", "firstsight: videos need PyAV: pip install av\n")


def test_a_folder_named_camera_is_a_folder_of_images(pose: Run) -> None:
    Path("camera").mkdir()
    draw(crossing(0)).save("camera/frame.png")
    code, out, err = pose("camera", "--json")
    assert (code, err) == (0, "") and len(json.loads(out)[0]["people"]) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_video_that_does_not_go_on(files: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The results before the signal are kept."""
    reader = Reader('"frame": 2,', number, delay=0.5)
    images = [draw(crossing(frame)) for frame in range(5)]
    with stalled_video(Path("pipe"), images) as camera, redirect_stdout(reader):
        monkeypatch.setenv("FIRSTSIGHT_CAMERA", camera)
        code = main(["pose", "camera", "--model", str(files / "net.safetensors"), "--json"])
    assert code == (0 if number == signal.SIGINT else 143)
    frames = json.loads(reader.getvalue())["frames"]
    assert len(frames) > 2 and len(frames[2]["people"]) == 2


@pytest.mark.parametrize("kind", ["codec", "large", "size"])
def test_a_video_that_cannot_be_decoded_ends_in_one_sentence(
    pose: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A codec that cannot be opened, large frames that the header declares, and large frames that it hides."""
    import av

    with av.open("film.avi", "w") as out:
        stream = out.add_stream("ffv1" if kind == "codec" else "mjpeg", rate=25)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p" if kind == "codec" else "yuvj420p"
        frame = av.VideoFrame.from_image(draw(crossing(0)))
        out.mux(stream.encode(frame) + stream.encode(None))
    content = bytearray(Path("film.avi").read_bytes())
    if kind != "large":
        start = content.index(b"strf") + 12
        content[start : start + 8] = bytes(8) if kind == "codec" else bytes([16, 0, 0, 0, 16, 0, 0, 0])
    Path("film.avi").write_bytes(content)
    if kind != "codec":
        monkeypatch.setenv("FIRSTSIGHT_VIDEO_PIXELS", "30000")
    code, _, err = pose("film.avi", "--out", "drawn")
    assert (code, err.count("\n")) == (1, 1) and err.startswith("firstsight: film.avi: ") and len(err) < 300
    assert "FIRSTSIGHT_VIDEO_PIXELS" in err or kind == "codec"
    assert not Path("drawn").exists()


def test_a_video_that_exists_is_replaced_with_force_only(pose: Run, walk: Path) -> None:
    Path("people.mp4").write_bytes(b"old")
    code, out, err = pose(walk, "--frames", "2", "--out", "people.mp4")
    assert (code, out) == (2, "") and Path("people.mp4").read_bytes() == b"old"
    assert err == "firstsight: people.mp4: exists; replace it with --force, or choose another name with --out\n"
    code, out, err = pose(walk, "--frames", "2", "--out", "people.mp4", "--force")
    assert (code, err) == (0, "") and out.endswith("drawn: people.mp4\n") and len(read_frames("people.mp4")) == 2


@pytest.mark.parametrize("kind", ["damaged", "too wide", "full disk"])
def test_a_video_that_cannot_be_drawn_keeps_the_old_file_and_leaves_nothing_else(
    pose: Run, walk: Path, kind: str
) -> None:
    Path("people.mp4").write_bytes(b"old")
    source, limits = walk, resource.getrlimit(resource.RLIMIT_FSIZE)
    if kind == "damaged":
        overwrite_packets(walk, range(FRAMES))
    elif kind == "too wide":
        source = Path("long.mp4")
        with VideoWriter(source, frames_per_second=5) as video:
            video.add(Image.new("RGB", (4000, 32)))
    else:  # writes beyond this size fail
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    before = {path.name for path in Path().iterdir()}
    try:
        code, _, err = pose(source, "--out", "people.mp4", "--force", "--frames", "3")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 1 and err.startswith("firstsight: ") and err.count("\n") == 1
    assert err == "firstsight: people.mp4: File too large\n" or kind != "full disk"
    assert Path("people.mp4").read_bytes() == b"old" and {path.name for path in Path().iterdir()} == before


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("고양이.mp4", "ascii"), ("고양이.mp4", "utf-8"), ("caf\udce9.mp4", "utf-8"), ("é\x1b.mp4", "cp949")],
)
def test_the_document_is_the_same_in_every_encoding(files: Path, walk: Path, name: str, encoding: str) -> None:
    walk.rename(name)
    printed = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with redirect_stdout(printed):
        code = main(["pose", name, "--model", str(files / "net.safetensors"), "--frames", "1", "--json"])
    printed.flush()
    text = printed.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert code == 0 and json.loads(text)["video"] == name and "\x1b" not in text


def test_names_of_drawn_videos_have_no_control_sequences(pose: Run, walk: Path) -> None:
    for name in ("a\x1b[2Jb", "c\nd", "[red]e"):
        Path(name).mkdir()
        code, out, err = pose(walk, "--frames", "1", "--out", name)
        shown = name.replace("\x1b", "\\x1b").replace("\n", "\\n")
        assert (code, err) == (0, "") and out.splitlines()[-1] == f"drawn: {shown}/walk-pose.mp4"
