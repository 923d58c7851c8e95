"""Metadata of image files: the orientation is read, everything else is ignored, and no bytes are a traceback."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from firstsight.data.image_io import open_image, read_header, to_gray_or_rgb
from firstsight.data.image_metadata import read_orientation, split_metadata
from firstsight.errors import DataError

RAMP = np.arange(24 * 16 * 3, dtype=np.uint8).reshape(16, 24, 3)
ODD_TAGS = {
    "a negative resolution": (0x11A, 10, 1, struct.pack("<ii", -72, 1)),
    "a resolution as text": (0x11A, 2, 7, b"72 dpi\0"),
    "a description as a number": (0x10E, 12, 1, struct.pack("<d", 1.5)),
    "a version as floats": (0x9000, 11, 3, struct.pack("<3f", 1, 2, 3)),
    "a negative pointer to GPS data": (0x8825, 9, 1, struct.pack("<i", -74)),
    "a pointer to itself": (0x8769, 4, 1, struct.pack("<I", 8)),
    "an XMP integer": (700, 4, 1, struct.pack("<I", 1 << 31)),
}


def exif(*tags: tuple[int, int, int, bytes], orientation: int = 6) -> bytes:
    """Return EXIF data with an orientation and other tags (number, type, count, values)."""
    entries = sorted([(0x112, 3, 1, struct.pack("<H", orientation)), *tags])
    offset = 8 + 2 + 12 * len(entries) + 4
    directory, values = struct.pack("<H", len(entries)), b""
    for tag, kind, count, data in entries:
        value = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", offset + len(values))
        directory += struct.pack("<HHI", tag, kind, count) + value
        values += data if len(data) > 4 else b""
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory + bytes(4) + values


def saved(kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(RAMP).save(out, kind, **options)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("tag", ODD_TAGS.values(), ids=ODD_TAGS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_images_with_odd_tags_are_read_and_turned(kind: str, tag: tuple[int, int, int, bytes]) -> None:
    plain = open_image(saved(kind))
    turned = open_image(saved(kind, exif=exif(tag)))
    np.testing.assert_array_equal(np.asarray(turned), np.rot90(np.asarray(plain), -1))


@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_that_of_pillow(orientation: int) -> None:
    content = saved("PNG", exif=exif(orientation=orientation))
    with Image.open(io.BytesIO(content)) as image:
        expected = {
            2: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
            3: image.rotate(180),
            4: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
            5: image.transpose(Image.Transpose.TRANSPOSE),
            6: image.rotate(-90, expand=True),
            7: image.transpose(Image.Transpose.TRANSVERSE),
            8: image.rotate(90, expand=True),
        }.get(orientation, image)
        np.testing.assert_array_equal(np.asarray(open_image(content)), np.asarray(expected.convert("RGB")))


@pytest.mark.parametrize("big", [False, True])
def test_tiff_orientation_is_applied_once_and_odd_tags_ignored(big: bool) -> None:
    content = saved("TIFF", tiffinfo={274: 6, 270: "text", 700: b"<x/>"}, big_tiff=big)
    np.testing.assert_array_equal(np.asarray(open_image(content)), np.rot90(RAMP, -1))
    assert split_metadata(content)[1] == 6
    assert split_metadata(split_metadata(content)[0])[1] == 1


@pytest.mark.parametrize(
    "large",
    [
        chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(8 << 20))),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(70 << 20))),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(8 << 20))),
        chunk(b"acTL", b"\xff" * 8),
        chunk(b"gAMA", b"x"),
    ],
    ids=["profile", "text", "XMP", "animation", "gamma"],
)
def test_png_with_large_or_damaged_metadata_is_read(large: bytes) -> None:
    content = saved("PNG")
    content = content[:33] + large + content[33:]
    np.testing.assert_array_equal(np.asarray(open_image(content)), RAMP)
    assert len(split_metadata(content)[0]) == len(saved("PNG"))


def test_orientation_in_the_text_of_older_programs_is_read() -> None:
    data = exif(orientation=8)
    text = f"\nexif\n{len(data):8}\n{data.hex()}\n".encode()
    content = saved("PNG")
    for part in (
        chunk(b"tEXt", b"Raw profile type exif\0" + text),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)),
    ):
        assert split_metadata(content[:33] + part + content[33:])[1] == 8


def test_orientation_of_an_image_in_memory_is_applied_once() -> None:
    image = Image.open(io.BytesIO(saved("JPEG", exif=exif(ODD_TAGS["a resolution as text"]))))
    image.load()
    turned = to_gray_or_rgb(image)
    assert turned.size == (16, 24)
    assert to_gray_or_rgb(turned).size == (16, 24)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM"])
def test_mutated_images_are_read_or_refused_in_one_sentence(kind: str) -> None:
    rng = random.Random(7)
    options = {} if kind in ("GIF", "BMP", "PPM", "TIFF") else {"exif": exif(ODD_TAGS["a resolution as text"])}
    whole = saved(kind, **options)
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(rng.choice((1, 2, 8))):
            content[rng.randrange(min(len(content), 400))] = rng.randrange(256)
        if rng.random() < 0.2:
            del content[rng.randrange(len(content)) :]
        try:
            assert open_image(bytes(content), name="x\n" * 200).mode in ("L", "RGB")
        except DataError as error:
            assert "\n" not in str(error) and len(str(error)) <= 300


def test_any_bytes_have_an_orientation() -> None:
    rng = random.Random(3)
    whole = exif(*ODD_TAGS.values())
    for length in range(0, len(whole), 3):
        assert 1 <= read_orientation(whole[:length]) <= 8
    for _ in range(500):
        content = bytearray(whole)
        content[rng.randrange(len(content))] = rng.randrange(256)
        assert 1 <= read_orientation(bytes(content)) <= 8


def tiff(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, "TIFF")
    return out.getvalue()


@pytest.mark.parametrize(
    ("values", "maximum"),
    [
        (np.linspace(0, 1, 64, dtype=np.float32), 1),
        (np.linspace(-0.05, 1.3, 64, dtype=np.float32), 1),  # an interpolation that overshoots
        (np.linspace(0, 255, 64, dtype=np.float32), 255),
        (np.linspace(0, 60_000, 64, dtype=np.float32), 65535),
        (np.arange(64, dtype=np.int32) * 4, 255),
        (np.arange(64, dtype=np.int32) * 1000, 65535),
    ],
)
def test_values_of_tiff_files_have_the_smallest_range(values: np.ndarray, maximum: float) -> None:
    values = values.reshape(8, 8)
    header = read_header(tiff(values))
    assert header.has_value_range and header.find_value_range() == maximum
    expected = np.clip(np.rint(values.astype(float) / maximum * 255), 0, 255)
    np.testing.assert_array_equal(np.asarray(open_image(tiff(values))), expected)


@pytest.mark.parametrize("value", [-3.0, 1e9, np.nan, np.inf])
def test_values_in_no_range_are_refused(value: float) -> None:
    values = np.full((8, 8), 0.5, np.float32)
    values[4, 4] = value
    with pytest.raises(DataError, match=r"^x: (values from|damaged image)"):
        open_image(tiff(values), name="x")


def test_large_images_are_converted_in_strips_with_the_same_pixels() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1100, 1000, 4), dtype=np.uint8)  # more than one strip
    image = Image.fromarray(pixels)
    expected = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    np.testing.assert_array_equal(np.asarray(to_gray_or_rgb(image)), np.asarray(expected))
    deep = rng.integers(0, 65536, (1100, 1000)).astype(np.uint16)
    np.testing.assert_array_equal(np.asarray(to_gray_or_rgb(Image.fromarray(deep))), np.rint(deep / 257))
