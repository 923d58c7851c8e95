"""Photographs of a digit on paper, drawn as a phone would take them.

    PYTHONPATH=tests python -m helpers.phone_photos FOLDER

writes ten of them, those of the figure in ``docs/howto/own-digits.md``.
"""

import io
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from firstsight import load_data

TURNS = {1: 0, 3: 180, 6: 90, 8: 270}
"""Degrees, counterclockwise, by which the pixels are stored for each EXIF orientation."""


def font_mask(digit: int, font: Path, size: int) -> Image.Image:
    """Return a printed digit as a mask."""
    face = ImageFont.truetype(str(font), size)
    left, top, right, bottom = face.getbbox(str(digit))
    mask = Image.new("L", (int(right - left) + 8, int(bottom - top) + 8))
    ImageDraw.Draw(mask).text((4 - left, 4 - top), str(digit), fill=255, font=face)
    return mask


def handwritten_mask(pixels: NDArray[np.uint8], size: int) -> Image.Image:
    """Return a handwritten digit of the data set "digits", (32, 32), as a mask with sharp strokes."""
    large = Image.fromarray(pixels).crop((2, 2, 30, 30)).resize((size, size), Image.Resampling.BICUBIC)
    return large.point(lambda value: int(min(max((value - 70) * 4, 0), 255)))


def photograph(mask: Image.Image, generator: np.random.Generator) -> bytes:
    """Return the bytes of a JPEG file: dark ink on light paper in color, with a shadow, blur, noise and an orientation.

    Parameters
    ----------
    mask : Image.Image
        Ink of the digit, of mode "L".
    generator : np.random.Generator
        Draws everything else.
    """
    width, height = (480, 640) if generator.random() < 0.5 else (640, 480)
    mask = mask.rotate(generator.uniform(-8, 8), Image.Resampling.BICUBIC, expand=True)
    free = width - mask.width, height - mask.height
    place = tuple(int(generator.uniform(0.1, 0.9) * side) for side in free)
    full = Image.new("L", (width, height))
    full.paste(mask, place)
    ink = np.asarray(full.filter(ImageFilter.GaussianBlur(generator.uniform(0.5, 2.5))), np.float64)[..., None] / 255
    paper = generator.uniform(175, 250, 3)
    color = generator.uniform(10, 90, 3)
    color[generator.integers(3)] += generator.uniform(0, 70)  # blue, red or green ink
    image = paper * (1 - ink) + color * ink
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    angle = generator.uniform(0, 2 * np.pi)
    gradient = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) + 0.5
    light = 1 - generator.uniform(0.1, 0.5) * np.clip(gradient, 0, 1)
    edge = np.cos(angle + 1) * (x - 0.5) + np.sin(angle + 1) * (y - 0.5) - generator.uniform(-0.2, 0.3)
    light *= 1 - generator.uniform(0, 0.3) / (1 + np.exp(-edge * 40))  # the shadow of the phone, with a soft edge
    image = image * light[..., None] + generator.normal(0, generator.uniform(2, 8), image.shape)
    orientation = int(generator.choice([*TURNS]))
    pixels = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).rotate(TURNS[orientation], expand=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    pixels.save(stream, "JPEG", quality=85, exif=exif)
    return stream.getvalue()


def write_photographs(folder: Path, *, seed: int = 3) -> None:
    """Write a photograph of each digit to a folder: in print and in handwriting in turn."""
    generator = np.random.default_rng(seed)
    digits = load_data("digits")
    font = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    folder.mkdir(parents=True, exist_ok=True)
    for label in range(10):
        if label % 2:
            mask = font_mask(label, font, 200)
        else:
            position = int(generator.choice(np.nonzero(digits.labels.numpy() == label)[0]))
            mask = handwritten_mask(digits.images[position, 0].numpy(), 200)
        (folder / f"{label}.jpg").write_bytes(photograph(mask, generator))


if __name__ == "__main__":
    write_photographs(Path(sys.argv[1]))
