"""One function takes images of any usual form."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from firstsight.data.image_input import named_images, to_pil
from firstsight.errors import DataError, UsageError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """Return an image as the bytes of a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    "form", ["bytes", "bytearray", "file", "PIL", "array", "float", "tensor", "float tensor", "bf16"]
)
def test_every_form_gives_the_same_pixels(form: str) -> None:
    channels_first = torch.from_numpy(PIXELS).permute(2, 0, 1)
    image = {
        "bytes": png(PIXELS),
        "bytearray": bytearray(png(PIXELS)),
        "file": io.BytesIO(png(PIXELS)),
        "PIL": Image.fromarray(PIXELS),
        "array": PIXELS,
        "float": PIXELS / 255,
        "tensor": channels_first,
        "float tensor": channels_first.float() / 255,
        "bf16": (channels_first.double() / 255).to(torch.bfloat16),
    }[form]
    result = np.asarray(to_pil(image))
    tolerance = 1 if form == "bf16" else 0  # eight bits of a bfloat16 are fewer than those of the pixel
    assert result.shape == PIXELS.shape
    assert np.abs(result.astype(int) - PIXELS).max() <= tolerance


def test_paths_give_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(png(PIXELS))
    for form in (path, str(path)):
        assert (np.asarray(to_pil(form)) == PIXELS).all()
    with path.open("rb") as file:
        assert [(name, (np.asarray(image) == PIXELS).all()) for name, image in named_images(file)] == [
            (str(path), True)
        ]


def test_channels_of_opencv_are_swapped() -> None:
    assert (np.asarray(to_pil(PIXELS[..., ::-1], bgr=True)) == PIXELS).all()
    tensor = torch.from_numpy(PIXELS.copy()).permute(2, 0, 1).flip(0)
    assert (np.asarray(to_pil(tensor, bgr=True)) == PIXELS).all()


def test_gray_images_stay_gray() -> None:
    gray = PIXELS[..., 0]
    for form in (gray, gray[..., None], gray / 255, torch.from_numpy(gray), torch.from_numpy(gray)[None], gray > 127):
        image = to_pil(form)
        assert image.mode == "L" and image.size == (8, 6)
    assert np.asarray(to_pil(gray > 127)).max() == 255


def test_several_images() -> None:
    batch = np.stack([PIXELS, PIXELS[::-1]])
    for form in (batch, torch.from_numpy(batch).permute(0, 3, 1, 2), list(batch), (Image.fromarray(p) for p in batch)):
        images = [image for _, image in named_images(form)]
        assert len(images) == 2 and (np.asarray(images[1]) == PIXELS[::-1]).all()
    assert list(named_images([])) == []


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (3, UsageError, r"`image` must be a path, bytes, .*; got int"),
        (io.StringIO("x"), UsageError, "`image` is a text file; open it in binary mode"),
        (np.zeros((2, 3, 4, 5)), DataError, r"expected an array of shape .*; got \(2, 3, 4, 5\)"),
        (np.zeros((6, 8, 5), np.uint8), DataError, r"expected an array of shape .*; got \(6, 8, 5\)"),
        (np.zeros((4, 6, 8), np.uint8), DataError, r"got \(4, 6, 8\) \(channels first; use \.transpose"),
        (torch.zeros(6, 8, 3), DataError, r"expected a tensor of shape .*; got \(6, 8, 3\)"),
        (np.zeros((0, 8), np.uint8), DataError, r"got \(0, 8\)"),
        (PIXELS.astype(np.float32), DataError, r"floating-point values must be in \[0, 1\]; got \d+ to 2\d\d"),
        (np.full((6, 8), np.nan), DataError, r"must be in \[0, 1\]; some are NaN or infinite"),
        (np.full((6, 8), -0.1), DataError, "got -0.1 to -0.1"),
        (
            PIXELS.astype(np.int64),
            DataError,
            r"expected uint8, uint16 or floating-point .*; got int64; if they are in \[0, 255\], convert with",
        ),
        (b"not an image", DataError, "not an image"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(image: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        to_pil(image)  # type: ignore[arg-type]


def test_arrays_of_16_bits_and_with_opacity_are_read_as_png_files() -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (6, 8), dtype=np.uint16)
    assert np.abs(np.asarray(to_pil(deep), int) - np.asarray(to_pil(png(deep)), int)).max() <= 1
    alpha = np.random.default_rng(2).integers(0, 256, (6, 8, 4), dtype=np.uint8)
    expected = np.asarray(to_pil(png(alpha)))
    np.testing.assert_array_equal(np.asarray(to_pil(alpha)), expected)
    np.testing.assert_array_equal(np.asarray(to_pil(alpha[..., [2, 1, 0, 3]], bgr=True)), expected)


def test_a_number_instead_of_images_is_refused() -> None:
    with pytest.raises(
        UsageError,
        match=r"`images` must be a path, .* or \(N, C, H, W\), .* or a list of these; got int",
    ):
        list(named_images(3))  # type: ignore[arg-type]
