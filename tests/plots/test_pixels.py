"""Figures that show the pixels of images: none is blurred, none is smaller than it must be."""

import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from firstsight import plots


def pixels_of(figure: Figure) -> np.ndarray:
    """Return the RGB pixels of a figure."""
    return np.asarray(Image.open(io.BytesIO(plots.encode_png(figure))).convert("RGB"))


def find(pattern: np.ndarray, pixels: np.ndarray) -> int:
    """Return how many times an image (C, H, W) is in the pixels of a figure."""
    image = np.broadcast_to(pattern, (3, *pattern.shape[1:])).transpose(1, 2, 0)
    h, w = image.shape[:2]
    candidates = np.argwhere((pixels[: 1 - h, : 1 - w] == image[0, 0]).all(2))
    return sum(np.array_equal(pixels[y : y + h, x : x + w], image) for y, x in candidates)


def noise(*shape: int) -> np.ndarray:
    """Return an image of random pixels."""
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


def test_a_contact_sheet_has_the_pixels_of_the_images_and_no_empty_columns() -> None:
    large, small = noise(3, 128, 96), noise(1, 28, 28)
    sheet = pixels_of(plots.contact_sheet([[large, small], []], ["cat\n2 images", "고양이\n0 images"]))
    assert find(large, sheet) == 1
    assert find(small.repeat(4, axis=1).repeat(4, axis=2), sheet) == 1
    assert sheet.shape[1] < 2 * 136 + 200  # two images, and the labels
    assert pixels_of(plots.contact_sheet([[small]] * 62, ["x"] * 62)).shape[0] > 60 * 112


def test_an_image_and_the_input_of_the_network_are_enlarged_by_whole_factors() -> None:
    image, inputs = noise(3, 100, 128), noise(1, 64, 64)
    figure = pixels_of(plots.network_inputs([image], [inputs], ["a.png: cat"], "net", sizes=[(128, 100)]))
    assert find(image.repeat(2, axis=1).repeat(2, axis=2), figure) == 1
    assert find(inputs.repeat(4, axis=1).repeat(4, axis=2), figure) == 1
    figure = plots.network_inputs([noise(3, 400, 600)], [inputs], ["a"], "net", sizes=[(600, 400)])
    assert [image.get_array().shape for image in figure.axes[0].images] == [(171, 256, 3), (256, 256, 3)]
