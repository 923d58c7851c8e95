"""`firstsight pose` of videos and cameras, as a user types it."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from firstsight.data.video import Video, VideoWriter
from helpers.blob_video import SIZE, Marked, crossing, film, marked

Run = Callable[..., tuple[int, str, str]]
FRAMES = 12


@pytest.fixture(autouse=True)
def sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any --model is a network that sees."""
    monkeypatch.setattr("firstsight.tasks.top_down_pose.load_network", lambda name, notify: marked())


@pytest.fixture
def walk() -> Path:
    return film(Path("walk.mp4"), crossing, frames=FRAMES)


def frames_of(path: Path | str) -> list[Any]:
    with Video(str(path)) as video:
        return list(video)


def packets(path: Path) -> list[tuple[int, int]]:
    """Where each packet of a video begins, in bytes, and how long it is."""
    import av

    with av.open(str(path)) as source:
        return [(packet.pos, packet.size) for packet in source.demux(source.streams.video[0]) if packet.size]


def test_a_video(run: Run, walk: Path) -> None:
    """Its people as one document, a line a frame; drawn in as many frames of the same size, at the same times."""
    code, out, err = run("pose", walk, "--model", "x", "--track", "--out", "people.mp4", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert list(told) == ["video", "frames_per_second", "skeleton", "frames", "damaged", "truncated", "seconds"]
    assert (told["video"], told["frames_per_second"], told["damaged"], told["truncated"]) == ("walk.mp4", 25, 0, False)
    assert told["skeleton"]["name"] == "body" and list(told["seconds"]) == ["read", "network", "decode"]
    assert min(told["seconds"].values()) > 0 and len(out.splitlines()) == FRAMES + 4
    assert [frame["frame"] for frame in told["frames"]] == list(range(FRAMES))
    assert [frame["seconds"] for frame in told["frames"]] == [number / 25 for number in range(FRAMES)]
    for number, frame in enumerate(told["frames"]):
        assert list(frame) == ["frame", "seconds", "people"]
        assert [list(one) for one in frame["people"]] == [["id", "score", "box", "keypoints"]] * 2
        assert sorted(one["id"] for one in frame["people"]) == [1, 2]
        nearest = min(frame["people"], key=lambda one: one["box"][0])
        np.testing.assert_allclose(np.array(nearest["keypoints"])[1:, :2], crossing(number)[0][1:], atol=1.5)
    drawn, before = frames_of("people.mp4"), frames_of(walk)
    assert [frame.seconds for frame in drawn] == [frame.seconds for frame in before] and len(drawn) == FRAMES
    for one, other in zip(drawn, before, strict=True):
        assert one.image.size == other.image.size == SIZE
        changed = np.abs(np.asarray(one.image).astype(int) - np.asarray(other.image)).sum(2) > 90
        assert 0.005 < changed.mean() < 0.2


def test_a_table_and_a_folder(run: Run, walk: Path) -> None:
    code, out, err = run("pose", walk, "--model", "x", "--out", "drawn")
    head, row, drawn = out.splitlines()
    assert (code, err) == (0, "") and head.split() == ["video", "frames", "people", "at", "once", "frames/s"]
    assert row.split()[:3] == ["walk.mp4", str(FRAMES), "2"] and drawn == "drawn: drawn/walk-pose.mp4"
    assert len(frames_of("drawn/walk-pose.mp4")) == FRAMES
    code, out, err = run("pose", walk, "--model", "x", "--smooth", "--frames", "5")
    head, row = out.splitlines()
    assert "identities" in head and row.split()[:4] == ["walk.mp4", "5", "2", "2"]
    assert code == 0 and "--out people.mp4" in err


def test_so_many_frames(run: Run, walk: Path) -> None:
    """Fewer than there are: no fault; nothing is numbered that is not followed."""
    code, out, err = run("pose", walk, "--model", "x", "--frames", "3", "--json", "--out", "three.mp4")
    told = json.loads(out)
    assert (code, err, told["truncated"], len(told["frames"])) == (0, "", False, 3)
    assert list(told["frames"][0]["people"][0]) == ["score", "box", "keypoints"]
    assert len(frames_of("three.mp4")) == 3
    assert len(json.loads(run("pose", walk, "--model", "x", "--frames", "900", "--json")[1])["frames"]) == FRAMES


def test_a_video_that_breaks_off(run: Run, walk: Path) -> None:
    """The index at the front, the rest missing: what there is is drawn and told; one sentence, code 1."""
    import av

    with av.open(str(walk)) as source, av.open("front.mp4", "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    start, _ = packets(Path("front.mp4"))[7]
    Path("front.mp4").write_bytes(Path("front.mp4").read_bytes()[:start])
    code, out, err = run("pose", "front.mp4", "--model", "x", "--json", "--out", "people.mp4")
    told = json.loads(out)
    assert code == 1 and told["truncated"] and len(told["frames"]) == len(frames_of("people.mp4")) == 7
    assert err == f"firstsight: front.mp4: breaks off; 7 of {FRAMES} frames could be read\n"


def test_frames_that_are_damaged(run: Run, walk: Path) -> None:
    """Two packets of zeros: they are counted, the others are told and drawn; one sentence, code 1."""
    held = bytearray(walk.read_bytes())
    for number in (4, 8):
        start, size = packets(walk)[number]
        held[start : start + size] = bytes(size)
    walk.write_bytes(held)
    code, out, err = run("pose", walk, "--model", "x", "--json", "--out", "people.mp4")
    told = json.loads(out)
    assert (code, told["damaged"], told["truncated"]) == (1, 2, False)
    assert len(told["frames"]) == FRAMES - 2
    times = [frame["seconds"] for frame in told["frames"]]
    assert [round(25 * time) for time in times] == [0, 1, 2, 3, 5, 6, 7, 9, 10, 11]  # those left out keep their time
    assert [frame.seconds for frame in frames_of("people.mp4")] == times
    assert err == "firstsight: walk.mp4: 2 damaged frames are left out\n"


def test_a_video_without_one_frame(run: Run, walk: Path) -> None:
    held = bytearray(walk.read_bytes())
    for start, size in packets(walk):
        held[start : start + size] = bytes(size)
    walk.write_bytes(held)
    code, out, err = run("pose", walk, "--model", "x", "--json", "--out", "drawn")
    assert code == 1 and json.loads(out)["frames"] == [] and not Path("drawn").exists()
    assert err == f"firstsight: walk.mp4: not one frame can be read; {FRAMES} damaged frames are left out\n"


class Stops(Marked):
    """Someone presses Ctrl-C, or the machine is switched off, while it looks at the fourth frame."""

    number = signal.SIGINT

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        if len(self.shown) == 3:
            os.kill(os.getpid(), self.number)
        return super().forward(images)


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> type[Stops]:
    monkeypatch.setattr("helpers.blob_video.Marked", Stops)
    return Stops


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_video_that_is_stopped(
    run: Run, walk: Path, stops: type[Stops], number: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found until then is told, and can be watched."""
    monkeypatch.setattr(stops, "number", number)
    before = signal.getsignal(number)
    code, out, err = run("pose", walk, "--model", "x", "--track", "--json", "--out", "people.mp4")
    assert (code, err) == (expected, "") and len(json.loads(out)["frames"]) == 4
    assert len(frames_of("people.mp4")) == 4 and signal.getsignal(number) is before


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch, walk: Path) -> None:
    """This machine has none: the file takes its place, and does not say how long it is."""
    monkeypatch.setattr("firstsight.data.video._camera", lambda source: (str(walk), "mp4"))


@pytest.mark.usefixtures("camera", "stops")
def test_a_camera_ends_with_a_key(run: Run) -> None:
    """There is no other end: the summary is printed, the video is whole, and all is well."""
    code, out, err = run("pose", "camera:1", "--model", "x", "--out", "drawn")
    assert code == 0 and err == "camera:1: Ctrl-C ends it\n"
    assert out.splitlines()[1].split()[:3] == ["camera:1", "4", "2"]
    assert len(frames_of("drawn/camera-1-pose.mp4")) == 4


@pytest.mark.usefixtures("camera")
def test_a_camera_gives_so_many_frames(run: Run) -> None:
    code, out, err = run("pose", "camera", "--model", "x", "--frames", "3", "--json")
    assert (code, err) == (0, "") and len(json.loads(out)["frames"]) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_is_full(run: Run, walk: Path) -> None:
    """One sentence, no crash, and a document that can be read as far as it goes."""
    Path("people.mp4").symlink_to("/dev/full")
    code, out, err = run("pose", walk, "--model", "x", "--json", "--out", "people.mp4")
    assert (code, err) == (1, "firstsight: people.mp4: the disk is full\n")
    assert len(json.loads(out)["frames"]) <= FRAMES


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("camera:97", "camera:97: "),
        ("gone.mp4", "gone.mp4: no such file"),
        ("text.mp4 --out people.mp4 --json", "text.mp4: not a video"),
    ],
)
def test_what_cannot_be_opened(run: Run, arguments: str, told: str) -> None:
    Path("text.mp4").write_text("not a video\n" * 50)
    code, out, err = run("pose", *arguments.split(), "--model", "x")
    assert (code, out, err.count("\n")) == (1, "", 1) and err.startswith(f"firstsight: {told}")
    assert not Path("people.mp4").exists()


def test_frames_that_are_too_long(run: Run) -> None:
    """A fault before the first frame: nothing is printed, nothing is left."""
    with VideoWriter(Path("long.mp4"), frames_per_second=5) as out:
        out.add(Image.new("RGB", (4000, 32)))
    code, out_text, err = run("pose", "long.mp4", "--model", "x", "--json", "--out", "people.mp4")
    assert (code, out_text) == (1, "") and err.startswith("firstsight: long.mp4: ") and "--height" in err
    assert not Path("people.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("walk.mp4 photo.png", "walk.mp4: a video or a camera is taken alone; got 2 names"),
        ("photo.png camera", "camera: a video or a camera is taken alone; got 2 names"),
        ("walk.mp4 --maps --out d", "--maps is for pictures; walk.mp4 is none"),
        ("walk.mp4 --coco r.json", "--coco is for pictures; walk.mp4 is none"),
        ("walk.mp4 --frames 0", "--frames must be at least 1; got 0"),
        ("walk.mp4 --out x.png", "--out must be an .mp4 or a folder for a video; got x.png"),
        ("walk.mp4 --out no/x.mp4", "--out no/x.mp4: there is no folder no"),
        ("walk.mp4 --out walk.mp4", "--out walk.mp4: that is the video itself"),
        ("walk.mp4 --scales a", "--scales a: not understood"),
        ("photo.png --track", "--track is for a video or a camera; photo.png is neither"),
        ("photo.png --smooth", "--smooth is for a video or a camera; photo.png is neither"),
        ("folder.mp4 --frames 3", "--frames is for a video or a camera; folder.mp4 is neither"),
    ],
)
def test_usage(run: Run, walk: Path, arguments: str, told: str) -> None:
    Path("folder.mp4").mkdir()
    size = walk.stat().st_size
    code, out, err = run("pose", *arguments.split(), "--model", "x")
    assert (code, out) == (2, "") and err.startswith(f"firstsight: {told}")
    assert walk.stat().st_size == size


def test_without_pyav(run: Run, walk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    code, out, err = run("pose", walk, "--model", "x")
    assert (code, out, err) == (2, "", "firstsight: videos need PyAV: pip install av\n")


def test_one_folder_of_a_name(run: Run) -> None:
    """A folder may be called like a video or a camera: its pictures are answered."""
    Path("camera").mkdir()
    film(Path("one.mp4"), crossing, frames=1)
    with Video("one.mp4") as video:
        next(iter(video)).image.save("camera/frame.png")
    code, out, err = run("pose", "camera", "--model", "x", "--json")
    assert (code, err) == (0, "") and len(json.loads(out)[0]["people"]) == 2
