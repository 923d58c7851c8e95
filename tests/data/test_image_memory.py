"""Memory for reading images: limits by kind of file, conversion in strips, and warnings of Pillow."""

import io
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from firstsight.data.image_io import open_image, read_header, to_gray_or_rgb
from firstsight.errors import DataError

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "image_memory.py"


def file_of(mode: str, kind: str, side: int = 900, *, orientation: int = 1, **options: Any) -> bytes:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new(mode, (side, side)).save(out, kind, **options, **({"exif": exif} if orientation > 1 else {}))
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "limit"),
    [
        (file_of("L", "PNG"), 1.0),
        (file_of("RGB", "PNG"), 0.87),
        (file_of("P", "PNG"), 0.7),
        (file_of("RGBA", "PNG"), 0.437),
        (file_of("RGB", "PNG", orientation=6), 0.5),
        (file_of("L", "PNG", orientation=6), 1.0),
        (file_of("RGB", "JPEG", progressive=True), 0.5),
        (file_of("RGB", "JPEG", progressive=True, subsampling=0), 0.35),
        (file_of("CMYK", "JPEG"), 0.437),
        (file_of("RGB", "WEBP"), 0.22),
        (file_of("F", "TIFF", compression="tiff_lzw"), 0.7),
        (file_of("RGB", "TIFF", compression="tiff_lzw", strip_size=1 << 30), 0.437),
    ],
)
def test_kinds_of_images_that_need_more_memory_have_a_lower_limit(
    monkeypatch: pytest.MonkeyPatch, content: bytes, limit: float
) -> None:
    monkeypatch.setenv("FIRSTSIGHT_MAX_MEGAPIXELS", "1")
    if limit > 0.81:
        assert read_header(content).max_pixels == pytest.approx(1e6 * limit, rel=0.03)
    else:
        words = (
            r"declares 900x900 pixels of such a \w+ file; the limit is (0\.\d+) million \(set FIRSTSIGHT_MAX_MEGAPIXELS"
        )
        with pytest.raises(DataError, match=words) as error:
            open_image(content)
        assert float(str(error.value).split("limit is ")[1].split()[0]) == pytest.approx(limit, rel=0.03)
    monkeypatch.setenv("FIRSTSIGHT_MAX_MEGAPIXELS", "5")
    assert open_image(content).size == (900, 900)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "PNG"), ("L", "PNG"), ("RGB", "WEBP"), ("RGBA", "PNG"), ("L", "TIFF")]
)
def test_large_images_are_turned_in_strips_with_the_same_pixels(
    monkeypatch: pytest.MonkeyPatch, orientation: int, mode: str, kind: str
) -> None:
    bands = len(mode)
    values = np.random.default_rng(orientation).integers(0, 256, (37, 23, bands), dtype=np.uint8)
    image = Image.fromarray(values[..., 0] if bands == 1 else values)
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    image.save(out, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    expected = open_image(out.getvalue())
    monkeypatch.setattr("firstsight.data.image_io.STRIP_PIXELS", 23 * 5)
    turned = open_image(out.getvalue())
    assert turned.mode == expected.mode == ("L" if mode == "L" else "RGB")
    np.testing.assert_array_equal(np.asarray(turned), np.asarray(expected))
    plain = to_gray_or_rgb(image, orientation=orientation)
    np.testing.assert_array_equal(np.asarray(turned), np.asarray(plain))


def test_tiles_that_are_larger_than_allowed_are_refused() -> None:
    """A tile has its own memory, however small the image is."""
    whole = file_of("RGB", "TIFF", 16)
    ifd = TiffImagePlugin.ImageFileDirectory_v2()
    with Image.open(io.BytesIO(whole)) as image:
        tags = dict(image.tag_v2)
    for tag in (273, 278, 279):
        tags.pop(tag, None)
    for tag, value in (tags | {259: 5, 322: 20_000, 323: 20_000, 324: 8, 325: 100}).items():
        ifd[tag] = value
    out = io.BytesIO(b"II*\0" + (108).to_bytes(4, "little") + bytes(100))
    out.seek(108)
    ifd.save(out)
    with pytest.raises(
        DataError, match=r"^x: declares tiles of 20000x20000 pixels; the limit is [0-9.]+ million \(set"
    ):
        open_image(out.getvalue(), name="x")


def test_reading_in_threads_leaves_the_warnings_of_others_alone() -> None:
    """Filters are shared by all threads; a warning of Pillow is no error in any of them."""
    damaged = bytearray(file_of("RGB", "TIFF", 16))
    position = damaged.index((0x0102).to_bytes(2, "little") + b"\3\0") + 4  # the number of bits per sample
    damaged[position : position + 4] = (70_000).to_bytes(4, "little")
    files = [file_of("RGB", "PNG", 16), file_of("P", "PNG", 16, transparency=b"\0\x80"), bytes(damaged)]

    def read(number: int) -> str:
        try:
            return open_image(files[number % len(files)], name="x").mode
        except DataError as error:
            return str(error)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        expected = [read(number) for number in range(len(files))]
        assert expected == ["RGB", "RGB", "x: damaged image (the header of the TIFF file is invalid)"]
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(read, range(240)))
        assert warnings.filters == before
        assert results == expected * 80
        with pytest.raises(UserWarning, match="mine"):
            warnings.warn("mine", stacklevel=1)
    assert not caught


@pytest.mark.slow
def test_reading_the_largest_images_takes_at_most_600_megabytes() -> None:
    kinds = ["JPEG, rotated", "PNG palette, transparent", "TIFF, one strip"]
    done = subprocess.run([sys.executable, SCRIPT, *kinds], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines()]
    peaks = {row[1].strip(): int(row[4].split()[0]) for row in rows if row[1].strip() in kinds}
    assert list(peaks) == kinds and max(peaks.values()) <= 600, peaks
