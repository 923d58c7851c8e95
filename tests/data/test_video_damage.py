"""Videos that lie: damaged headers, other sizes than declared, odd pixels, text that is not UTF-8, strange names."""

import os
import shutil
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from firstsight.data.video import Video
from firstsight.data.video_decoder import HOW_TO_RAISE
from firstsight.errors import DataError, UsageError

SIZE = (64, 48)
QUADRANTS = ((255, 0, 0), (0, 160, 0), (0, 0, 255), (200, 200, 200))
"""Colors of the upper left, upper right, lower left and lower right of every frame."""


def quadrants(size: tuple[int, int] = SIZE) -> Image.Image:
    width, height = size
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    for number, color in enumerate(QUADRANTS):
        y, x = divmod(number, 2)
        pixels[y * height // 2 : (y + 1) * height // 2, x * width // 2 : (x + 1) * width // 2] = color
    return Image.fromarray(pixels)


def write(path: Path, codec: str, sizes: Sequence[tuple[int, int]] = (SIZE,) * 3, *, aspect: Fraction | None = None,
          title: str = "") -> bytes:  # fmt: skip
    """Write a video whose frames may have several sizes; return the file's content.

    Each size has an encoder, and the packets of all follow each other in one stream.
    """
    pixels = {"mjpeg": "yuvj420p", "rawvideo": "bgr24", "qtrle": "rgb24", "png": "rgb24"}.get(codec, "yuv420p")
    with av.open(str(path), "w") as out:
        if title:
            out.metadata["title"] = title
        stream = out.add_stream(codec, rate=25)
        encoders = {size: stream.codec_context if size == sizes[0] else av.CodecContext.create(codec, "w")
                    for size in dict.fromkeys(sizes)}  # fmt: skip
        packets = []
        for size, encoder in encoders.items():
            encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = *size, pixels, Fraction(1, 25)
            if aspect:
                encoder.sample_aspect_ratio = aspect
            frame = av.VideoFrame.from_image(quadrants(size)).reformat(format=pixels)
            for number in [n for n, other in enumerate(sizes) if other == size]:
                frame.pts = number
                packets += encoder.encode(frame)
            packets += encoder.encode(None)
        for packet in sorted(packets, key=lambda packet: packet.pts):
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            out.mux(packet)
    return path.read_bytes()


def frames(path: Path | str) -> list[Image.Image]:
    with Video(str(path)) as video:
        return [frame.image for frame in video]


def assert_similar(image: Image.Image, expected: Image.Image) -> None:
    assert image.size == expected.size
    assert np.abs(np.asarray(image, dtype=float) - np.asarray(expected, dtype=float)).mean() < 12


def replace(path: Path, content: bytes, old: bytes, new: bytes) -> Path:
    """Write the content with one part replaced; the part must exist."""
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


def avi_size(content: bytes, width: int, height: int) -> bytes:
    """Return an AVI file whose header declares another size."""
    start = content.index(b"strf") + 12
    return content[:start] + struct.pack("<ii", width, height) + content[start + 8 :]


@pytest.mark.parametrize("name", ["extradata.mkv", "no-size.avi", "bits.avi", "depth.mov"])
def test_a_codec_that_cannot_be_opened_ends_in_one_sentence(name: str) -> None:
    """Asking such a decoder for its last frames fails again and again."""
    path = Path(name)
    if name == "extradata.mkv":
        content = bytearray(write(path, "ffv1"))
        start = content.index(b"\x63\xa2") + 3  # CodecPrivate
        content[start : start + 40] = b"\xff" * 40
    elif name == "no-size.avi":
        content = bytearray(avi_size(write(path, "rawvideo"), 0, 0))
    elif name == "bits.avi":
        content = bytearray(write(path, "rawvideo"))
        content[content.index(b"strf") + 22] = 77  # bits of a pixel
    else:
        content = bytearray(write(path, "qtrle"))
        start = content.index(b"rle ") + 78
        content[start : start + 2] = b"\0\x13"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{name}: its codec .* cannot be opened"), Video(name) as video:
        assert not list(video) and video.damaged
        raise DataError(f"{name}: its codec reads nothing; cannot be opened")  # some versions of ffmpeg open it


@pytest.mark.parametrize("name", ["title.mkv", "title.mp4", "title.avi", "title.webm"])
def test_text_that_is_not_utf8_does_not_matter(name: str) -> None:
    content = write(Path(name), "libvpx" if name.endswith("webm") else "mpeg4", title="Caf-Zxq")
    assert len(frames(replace(Path(name), content, b"Caf-Zxq", b"Caf\xe9\xc0\xff\x80"))) == 3


@pytest.mark.parametrize("name", ["tag.avi", "tag.mkv", "tag.mov"])
def test_an_unknown_codec_is_refused_with_what_to_do(name: str) -> None:
    codec, old, new = {"avi": ("mjpeg", b"MJPG", b"QQ?Q"), "mkv": ("ffv1", b"V_FFV1", b"V_QQ?1"),
                       "mov": ("mjpeg", b"jpeg", b"q?q?")}[name[-3:]]  # fmt: skip
    path = replace(Path(name), write(Path(name), codec), old, new)
    with pytest.raises(DataError, match=rf"^{name}: ffmpeg has no decoder for its codec; convert it") as failure:
        frames(path)
    assert str(failure.value).isprintable()


@pytest.mark.parametrize("codec", ["mjpeg", "ffv1", "png"])
def test_frames_of_another_size_than_the_header_are_read_as_they_are(codec: str) -> None:
    path = Path("lies.avi")
    path.write_bytes(avi_size(write(path, codec, [(160, 96)] * 2), 16, 16))
    images = frames(path)
    if codec == "ffv1":  # its frames do not contain their size
        assert len(images) <= 2
    else:
        assert_similar(images[0], quadrants((160, 96)))


@pytest.mark.parametrize(
    ("codec", "declared", "message"),
    [
        ("mjpeg", (640, 480), "640x480 pixels"),
        ("mjpeg", (16, 16), "640x480 pixels"),  # only the frames say so
        ("png", (16, 16), "640x480 pixels"),
        ("rawvideo", (30_000, 30_000), "30000x30000 pixels"),
        ("mpeg4", (65_535, 60_000), "pixels"),
    ],
)
def test_large_frames_are_refused_before_they_are_decoded(
    monkeypatch: pytest.MonkeyPatch, codec: str, declared: tuple[int, int], message: str
) -> None:
    """The limit is small, so that a frame of the test is large. The sentence says how to raise it."""
    path = Path("large.avi")
    path.write_bytes(avi_size(write(path, codec, [(640, 480)] * 2), *declared))
    monkeypatch.setenv("FIRSTSIGHT_VIDEO_PIXELS", str(640 * 480 // 2))
    try:
        with Video(str(path)) as video:
            assert not list(video)
            problem = video.problem or ""
    except DataError as error:
        problem = str(error)
    assert message in problem and HOW_TO_RAISE in problem
    if codec != "rawvideo":
        path.write_bytes(write(path, codec, [(640, 480)] * 2))
        monkeypatch.setenv("FIRSTSIGHT_VIDEO_PIXELS", str(640 * 480))
        assert len(frames(path)) == 2


@pytest.mark.parametrize("setting", ["0", "4k", "-5", "²", "9" * 400])
def test_an_invalid_limit_is_refused(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    write(Path("small.avi"), "mjpeg")
    monkeypatch.setenv("FIRSTSIGHT_VIDEO_PIXELS", setting)
    with pytest.raises(UsageError, match="FIRSTSIGHT_VIDEO_PIXELS must be the maximum number of pixels") as failure:
        Video("small.avi")
    assert len(str(failure.value)) <= 300


def test_frames_that_are_too_small_are_left_out_and_the_reason_is_kept() -> None:
    path = Path("tiny.avi")
    write(path, "png", [(64, 48), (3, 3), (64, 48)])
    with Video(str(path)) as video:
        assert len(list(video)) == 2 and video.damaged == 1
        assert video.problem == "3x3 pixels is too small; the minimum is 4x4"


@pytest.mark.parametrize("name", ["change.avi", "change.mkv"])
def test_later_frames_get_the_size_of_the_first_with_their_shape(name: str) -> None:
    """Larger frames shrink, and a frame of another shape gets black borders."""
    write(Path(name), "mjpeg", [(64, 48), (128, 96), (64, 48), (40, 96)])
    images = frames(name)
    assert [image.size for image in images] == [(64, 48)] * 4
    by_size = sorted(images, key=lambda image: np.asarray(image)[:, :16].mean())
    assert np.asarray(by_size[0])[:, :20].mean() < 8  # borders
    for image in by_size[1:]:
        assert_similar(image, quadrants())


@pytest.mark.parametrize(
    ("aspect", "expected"),
    [
        (Fraction(16, 15), (68, 48)),
        (Fraction(2, 1), (128, 48)),
        (Fraction(8, 9), (64, 54)),
        (Fraction(1, 1), (64, 48)),
        (Fraction(1, 1000), (64, 48)),  # no pixel is like that
    ],
)
def test_frames_have_square_pixels(aspect: Fraction, expected: tuple[int, int]) -> None:
    write(Path("wide.mkv"), "mpeg4", aspect=aspect)
    assert_similar(frames("wide.mkv")[0], quadrants(expected))


@pytest.mark.parametrize(
    "matrix",
    [(x, 0, 0, y) for x in (1, -1) for y in (1, -1)] + [(0, x, y, 0) for x in (1, -1) for y in (1, -1)],
)
def test_frames_are_mirrored_and_rotated_by_the_matrix_of_the_track(matrix: tuple[int, int, int, int]) -> None:
    """Expected from the definition: a point (x, y) is shown at (a x + c y, b x + d y)."""
    path, (a, b, c, d) = Path("matrix.mp4"), matrix
    content = bytearray(write(path, "mpeg4"))
    start = content.index(b"tkhd") + 44
    values = [65536 * value for value in (a, b, 0, c, d)]
    content[start : start + 36] = np.array([*values[:2], 0, *values[3:], 0, 0, 0, 1 << 30], dtype=">i4").tobytes()
    path.write_bytes(content)
    pixels = np.asarray(quadrants())
    ys, xs = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    new_x, new_y = a * xs + c * ys, b * xs + d * ys
    new_x, new_y = new_x - new_x.min(), new_y - new_y.min()
    expected = np.zeros((new_y.max() + 1, new_x.max() + 1, 3), dtype=np.uint8)
    expected[new_y, new_x] = pixels
    assert_similar(frames(path)[0], Image.fromarray(expected))


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile other.avi\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'></MPD>\n",
    ],
)
def test_playlists_which_name_other_files_are_no_videos(content: bytes) -> None:
    write(Path("other.avi"), "mjpeg")
    Path("list.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"^list\.mp4: not a video"):
        Video("list.mp4")


@pytest.mark.parametrize("name", ["http:walk.avi", "concat:walk.avi", "-f.avi", "a%03d.avi", b"caf\xe9.avi", "pipe:0"])
def test_any_name_is_that_of_a_file(name: str | bytes) -> None:
    write(Path("walk.avi"), "mjpeg")
    shutil.copy("walk.avi", name)
    assert len(frames(os.fsdecode(name))) == 3


def test_times_that_jump_or_go_back_continue_at_the_frame_rate() -> None:
    path = Path("times.mkv")
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuvj420p"
        for number, time in enumerate((0, 40, 90_000_000, 90_000_040)):
            frame = av.VideoFrame.from_image(quadrants()).reformat(format="yuvj420p")
            frame.pts = number
            for packet in stream.encode(frame):
                packet.pts = packet.dts = time
                packet.time_base = Fraction(1, 1000)
                out.mux(packet)
    with Video(str(path)) as video:
        times = [frame.seconds for frame in video]
        step = 1 / video.frames_per_second
    assert times == pytest.approx([0, 0.04, 0.04 + step, 0.08 + step])
