"""Digits in photographs become images of the form of MNIST."""

from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageDraw

from firstsight import load, load_data
from firstsight.data.datasets import DATASETS, InkFormat
from firstsight.data.image_input import to_pil
from firstsight.data.ink import find_strokes, to_ink_format
from firstsight.data.sample_image import sample_people, sample_photo
from helpers.phone_photos import font_mask, handwritten_mask, photograph

FONTS = ("STIXGeneral", "STIXGeneralBol", "DejaVuSerif", "DejaVuSansMono", "cmss10")
SEED = 20
MNIST = InkFormat(size=28, box=20, stroke=0.1)


def draw(*, dark: bool = True, size: tuple[int, int] = (300, 200), width: int = 8) -> Image.Image:
    """Return an image with a ring, 60 pixels wide and 80 high, at (200, 60)."""
    paper, ink = (230, 30) if dark else (30, 230)
    image = Image.new("L", size, paper)
    ImageDraw.Draw(image).ellipse((200, 60, 259, 139), outline=ink, width=width)
    return image


@pytest.mark.parametrize("dark", [True, False])
def test_a_digit_is_scaled_to_the_box_and_its_center_of_mass_is_the_center(dark: bool) -> None:
    strokes = find_strokes(draw(dark=dark))
    assert strokes is not None and strokes.is_dark is dark and strokes.num_digits == 1
    pixels = np.asarray(to_ink_format(strokes, MNIST), float)
    rows, columns = np.nonzero(pixels.max(1) > 60)[0], np.nonzero(pixels.max(0) > 60)[0]
    assert 19 <= rows[-1] - rows[0] + 1 <= 20 and 14 <= columns[-1] - columns[0] + 1 <= 16
    total = pixels.sum()
    assert abs((pixels.sum(1) * np.arange(28)).sum() / total - 13.5) <= 0.5
    assert abs((pixels.sum(0) * np.arange(28)).sum() / total - 13.5) <= 0.5
    assert pixels[13, 13] < 20 and pixels.max() > 240


def test_a_shadow_leaves_no_trace() -> None:
    light = np.linspace(0.4, 1, 300)[None] * np.where(np.arange(200) < 100, 1, 0.7)[:, None]
    shaded = Image.fromarray((np.asarray(draw()) * light).astype(np.uint8))
    strokes = [find_strokes(image) for image in (draw(), shaded)]
    plain, other = (np.asarray(to_ink_format(found, MNIST), float) for found in strokes if found)
    shifted = [np.roll(other, shift, (0, 1)) for shift in np.ndindex(2, 2)]  # the center is rounded to a pixel
    shifted += [np.roll(other, (-row, -column), (0, 1)) for row, column in np.ndindex(2, 2)]
    assert min(np.abs(plain - image).mean() for image in shifted) < 4


def test_thin_strokes_become_as_wide_as_those_of_mnist() -> None:
    thin, thick = find_strokes(draw(width=2)), find_strokes(draw(width=8))
    assert thin is not None and thick is not None
    means = [np.asarray(to_ink_format(strokes, MNIST), float).mean() for strokes in (thin, thick)]
    assert means[0] == pytest.approx(means[1], rel=0.25)


def test_colors_of_ink_and_paper_do_not_matter() -> None:
    mask = np.asarray(draw(), float)[..., None] / 255
    red_on_pink = np.array([250.0, 190, 190]) * mask + np.array([210.0, 30, 30]) * (1 - mask)
    strokes = find_strokes(Image.fromarray(red_on_pink.astype(np.uint8)))
    assert strokes is not None and strokes.is_dark


def test_digits_side_by_side_are_counted() -> None:
    image = draw()
    ImageDraw.Draw(image).ellipse((60, 60, 119, 139), outline=30, width=8)
    strokes = find_strokes(image)
    assert strokes is not None and strokes.num_digits == 2


@pytest.mark.parametrize("path", [sample_photo, sample_people])
def test_photographs_of_people_have_no_strokes(path: object) -> None:
    assert find_strokes(to_pil(path())) is None  # type: ignore[operator]


@pytest.mark.parametrize(
    "image", [Image.new("L", (40, 30), 128), Image.new("RGB", (4, 4)), Image.effect_noise((64, 64), 90)]
)
def test_empty_images_and_noise_have_no_strokes(image: Image.Image) -> None:
    assert find_strokes(image) is None


@pytest.mark.slow
def test_digits_on_paper_as_a_phone_takes_them_are_read() -> None:
    """Ten in print and ten in handwriting. The thresholds were chosen with other fonts, digits and seeds."""
    generator = np.random.default_rng(SEED)
    digits = load_data("digits", "test")
    model = load("lenet-mnist")
    fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
    photos = []
    for index in range(20):
        label, size = index % 10, int(generator.integers(120, 320))
        if index < 10:
            mask = font_mask(label, fonts / f"{FONTS[index % len(FONTS)]}.ttf", size)
        else:
            positions = np.nonzero(digits.labels.numpy() == label)[0]
            mask = handwritten_mask(digits.images[int(generator.choice(positions)), 0].numpy(), size)
        photos.append(photograph(mask, generator))
    labels = [str(index % 10) for index in range(20)]
    predictions = model.predict([BytesIO(photo) for photo in photos])
    right = sum(item.label == label for item, label in zip(predictions, labels, strict=True))
    assert right >= 18
    assert all(item.remarks[0].startswith("inverted: dark digit") for item in predictions)
    unchanged = model.predict(photos, invert="no")
    assert sum(item.label == label for item, label in zip(unchanged, labels, strict=True)) <= 6


@pytest.mark.parametrize("name", ["mnist", "digits"])
def test_the_registry_has_the_form_of_digits(name: str) -> None:
    assert DATASETS[name].ink is not None
    assert DATASETS["cifar10"].ink is None


def test_images_of_the_data_set_are_unchanged() -> None:
    model = load("lenet-digits")
    images = load_data("digits", "test").images
    for image in images[:100]:
        assert (model.to_pixels(Image.fromarray(image[0].numpy())) == image).all()
