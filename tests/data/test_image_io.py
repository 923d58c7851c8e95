"""Images of every kind that files hold, opened as gray or RGB, resized, cropped and normalized."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from firstsight.data.batches import fit_pixels
from firstsight.data.image_io import Preprocess, center_crop_box, open_image, resize_to_square
from firstsight.errors import DataError
from helpers.files import bomb


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def test_gray_image_is_opened_exactly() -> None:
    image = open_image(saved(Image.fromarray(RAMP)))
    assert image.mode == "L"
    assert (np.asarray(image) == RAMP).all()


def test_sixteen_bit_image_is_divided_by_257() -> None:
    deep = RAMP.astype(np.uint16) * 257  # 0xABAB is the 16-bit form of 0xAB
    image = open_image(saved(Image.fromarray(deep)))
    assert image.mode == "L"
    assert (np.asarray(image) == RAMP).all()


def test_floating_point_image_is_read_as_values_from_0_to_1() -> None:
    image = open_image(saved(Image.fromarray(RAMP.astype(np.float32) / 255), "TIFF"))
    assert (np.asarray(image) == RAMP).all()


def test_transparent_pixels_are_blended_with_white() -> None:
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    image.putpixel((1, 1), (10, 20, 30, 255))
    image.putpixel((2, 2), (0, 0, 0, 128))
    result = open_image(saved(image))
    assert result.mode == "RGB"
    assert [result.getpixel(p) for p in ((0, 0), (1, 1), (2, 2))] == [(255, 255, 255), (10, 20, 30), (127, 127, 127)]


def test_gray_image_with_alpha_is_gray() -> None:
    image = Image.new("LA", (8, 8), (100, 255))
    result = open_image(saved(image))
    assert (result.mode, result.getpixel((0, 0))) == ("L", 100)


def test_palette_image_is_opened_in_its_colors_and_transparency() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([1, 2, 3, 40, 50, 60])
    image.putpixel((5, 5), 1)
    result = open_image(saved(image, "GIF", transparency=0))
    assert (result.getpixel((5, 5)), result.getpixel((0, 0))) == ((40, 50, 60), (255, 255, 255))
    opaque = open_image(saved(image))
    assert opaque.getpixel((0, 0)) == (1, 2, 3)


def test_cmyk_image_is_converted_to_rgb() -> None:
    result = open_image(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"))
    assert result.mode == "RGB"
    assert result.getpixel((0, 0)) == (255, 0, 0)


def test_bilevel_image_is_converted_to_gray() -> None:
    result = open_image(saved(Image.new("1", (8, 8), 1)))
    assert (result.mode, result.getpixel((0, 0))) == ("L", 255)


def test_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (12, 6), "black")
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    result = open_image(saved(image, "PNG", exif=exif))
    assert result.size == (6, 12)
    assert result.getpixel((5, 0)) == (255, 255, 255)


def test_first_frame_of_an_animation_is_opened() -> None:
    frames = [Image.new("L", (8, 8), level) for level in (10, 200)]
    result = open_image(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert result.convert("L").getpixel((0, 0)) == 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello, I am a text", "not an image"),
        (b"", "not an image"),
        (bomb(60_000, 60_000), "declare.*pixels; the limit is 100 million|too many pixels"),
        (bomb(11_000, 11_000), "declares 11000x11000 pixels; the limit is 100 million"),
        (saved(Image.new("L", (1, 1))), "1x1 pixels is too small"),
        (saved(Image.new("L", (900, 9))), "too narrow"),
        (
            saved(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)), "JPEG")[:700],
            "damaged",
        ),
        (saved(Image.fromarray(RAMP))[:50], "damaged|not an image"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "not an image",
        ),  # formats that run programs stay closed
    ],
)
def test_unreadable_image_is_refused_in_one_sentence(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"^x.png: .*({message})") as error:
        open_image(content, name="x.png")
    assert "\n" not in str(error.value)


def test_missing_image_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        open_image(tmp_path / "nothing.png")


def test_image_is_cropped_to_its_center_square() -> None:
    """A wide image whose center is white."""
    wide = np.zeros((10, 30), dtype=np.uint8)
    wide[:, 10:20] = 255
    pixels = resize_to_square(Image.fromarray(wide), channels=1, size=10)
    assert pixels.shape == (1, 10, 10)
    assert (pixels == 255).all()
    assert resize_to_square(Image.fromarray(wide), channels=3, size=5).shape == (3, 5, 5)


@pytest.mark.parametrize(
    ("width", "height", "resized", "corner"),
    [
        (500, 375, (341, 256), (58, 16)),  # the longer side is rounded down, half a pixel to the even number
        (375, 500, (256, 341), (16, 58)),
        (256, 256, (256, 256), (16, 16)),
        (224, 224, (256, 256), (16, 16)),
        (60, 40, (384, 256), (80, 16)),
    ],
)
def test_resize_to_256_and_center_crop_to_224_are_those_of_pil(
    width: int, height: int, resized: tuple[int, int], corner: tuple[int, int]
) -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8))
    left, top = corner
    expected = image.resize(resized, Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))
    assert center_crop_box(width, height, size=224, shorter=256) == (*resized, *corner)
    prepare = Preprocess(channels=3, resize=224, pad=0, mean=(0.0,) * 3, std=(1.0,) * 3, shorter=256)
    assert (prepare.to_pixels(image) == np.asarray(expected).transpose(2, 0, 1)).all()
    assert prepare.input_size == 224


def test_center_crop_larger_than_the_shorter_side_is_refused() -> None:
    with pytest.raises(DataError, match="cannot crop 224 pixels from a side of 200"):
        Preprocess(channels=3, resize=224, pad=0, mean=(0.0,) * 3, std=(1.0,) * 3, shorter=200)


def test_gray_value_is_the_luma_of_the_color() -> None:
    pixels = resize_to_square(Image.new("RGB", (4, 4), (10, 200, 50)), channels=1, size=4)
    assert int(pixels[0, 0, 0]) == round(0.299 * 10 + 0.587 * 200 + 0.114 * 50)


def test_normalized_value_is_that_of_the_formula() -> None:
    prepare = Preprocess(channels=3, resize=4, pad=2, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    expected = (images.double() / 255 - torch.tensor(prepare.mean).view(3, 1, 1)) / torch.tensor(prepare.std).view(
        3, 1, 1
    )
    torch.testing.assert_close(prepare.normalize(images, torch.float64), expected, rtol=1e-6, atol=1e-6)
    assert prepare.input_size == 8
    assert prepare.to_pixels(Image.new("L", (9, 9), 255)).shape == (3, 8, 8)
    assert prepare.to_pixels(Image.new("L", (9, 9), 255)).sum() == 3 * 4 * 4 * 255  # the border is black


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (28, (28, 2)),  # two pixels on each side, as in the LeNet paper
        (30, (30, 1)),
        (24, (24, 4)),  # exactly three quarters of the target
        (22, (32, 0)),  # less than three quarters
        (29, (32, 0)),  # three pixels cannot be divided between two sides
        (32, (32, 0)),
        (34, (32, 0)),
    ],
)
def test_images_a_little_smaller_than_the_target_are_padded_and_others_resized(
    size: int, expected: tuple[int, int]
) -> None:
    assert Preprocess.fit(size, 32) == expected


def test_letterboxed_images_are_whole_and_padded_with_black() -> None:
    wide = np.full((20, 40, 3), 200, dtype=np.uint8)
    wide[:, :5] = (255, 0, 0)  # the crop would cut this off
    pixels = resize_to_square(Image.fromarray(wide), channels=3, size=16, letterbox=True)
    assert pixels.shape == (3, 16, 16)
    assert (pixels[:, :4] == 0).all() and (pixels[:, 12:] == 0).all()
    assert pixels[:, 8, 0].tolist() == [255, 0, 0] and pixels[:, 8, 10].tolist() == [200, 200, 200]
    preprocess = Preprocess(channels=3, resize=16, pad=0, mean=(0.0,) * 3, std=(1.0,) * 3, letterbox=True)
    assert np.array_equal(preprocess.to_pixels(Image.fromarray(wide)), pixels)
    tensors = fit_pixels(torch.from_numpy(wide.transpose(2, 0, 1))[None], preprocess)[0]
    assert np.abs(tensors.numpy().astype(int) - pixels).max() <= 2
