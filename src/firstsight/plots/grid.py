"""Pictures side by side on one sheet, as files: PNG and GIF."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PAPER = 255
GAP = 2
SMALLEST, ALONE = 56, 96
"""Small pictures are enlarged so that they can be seen: in a report or a film, and on a sheet of their own."""


def tile(images: NDArray[np.uint8], columns: int, *, smallest: int = SMALLEST) -> NDArray[np.uint8]:
    """Pictures in rows, with white gaps.

    Parameters
    ----------
    images : NDArray[np.uint8]
        (N, C, H, W), C = 1 or 3.
    smallest : int
        Pictures are enlarged by a whole factor to at least so many pixels a side.

    Returns
    -------
    NDArray[np.uint8]
        (height, width) for grey, (height, width, 3) for RGB.
    """
    factor = max(1, -(-smallest // images.shape[2]))
    large = images.repeat(factor, axis=2).repeat(factor, axis=3)
    n, channels, high, wide = large.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (high + GAP) + GAP, columns * (wide + GAP) + GAP, channels), PAPER, dtype=np.uint8)
    for i, image in enumerate(large):
        top, left = GAP + i // columns * (high + GAP), GAP + i % columns * (wide + GAP)
        sheet[top : top + high, left : left + wide] = image.transpose(1, 2, 0)
    return sheet[..., 0] if channels == 1 else sheet


def tile_png(images: NDArray[np.uint8], columns: int, *, smallest: int = SMALLEST) -> bytes:
    """The sheet of (N, C, H, W) pictures as a PNG file."""
    return _file(Image.fromarray(tile(images, columns, smallest=smallest)), "PNG")


def gif(sheets: Sequence[bytes], *, milliseconds: int = 150) -> bytes:
    """An endless animation of pictures of one size, as a GIF file; the last stands still for two seconds."""
    frames = [Image.open(io.BytesIO(sheet)).convert("RGB").quantize(64) for sheet in sheets]
    duration = [milliseconds] * (len(frames) - 1) + [2000]
    return _file(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0)


def _file(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format=kind, **options)
    return out.getvalue()
