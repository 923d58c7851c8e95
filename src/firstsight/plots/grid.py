"""Grids of images, and their conversion to PNG and GIF files."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from firstsight.plots.encode import encode_image

BACKGROUND = 255
GAP = 2
"""Width of the gaps between images in pixels."""
MIN_SIDE = 56
"""Images in a report or an animation are enlarged to at least this side in pixels."""
STANDALONE_MIN_SIDE = 96
"""Images in a file of a single grid are enlarged to at least this side in pixels."""


def tile(images: NDArray[np.uint8], columns: int, *, min_side: int = MIN_SIDE) -> NDArray[np.uint8]:
    """Arrange images in a grid with white gaps.

    Parameters
    ----------
    images : NDArray[np.uint8]
        Images of shape (N, C, H, W), uint8, with C 1 or 3.
    columns : int
        Number of images in a row.
    min_side : int
        Images are enlarged by an integer factor so that their height is at least this number of pixels.

    Returns
    -------
    NDArray[np.uint8]
        Grid of shape (height, width) for grayscale images, (height, width, 3) for RGB images.
    """
    factor = max(1, -(-min_side // images.shape[2]))
    enlarged = images.repeat(factor, axis=2).repeat(factor, axis=3)
    n, channels, h, w = enlarged.shape
    rows = -(-n // columns)
    grid = np.full((rows * (h + GAP) + GAP, columns * (w + GAP) + GAP, channels), BACKGROUND, dtype=np.uint8)
    for i, image in enumerate(enlarged):
        top = GAP + i // columns * (h + GAP)
        left = GAP + i % columns * (w + GAP)
        grid[top : top + h, left : left + w] = image.transpose(1, 2, 0)
    return grid[..., 0] if channels == 1 else grid


def fit_image(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return an image that fits into a square: larger ones are reduced, smaller ones enlarged by a whole factor.

    Parameters
    ----------
    image : NDArray[np.uint8]
        (C, H, W) with C 1 or 3.
    side : int
        Side of the square in pixels.

    Returns
    -------
    NDArray[np.uint8]
        (height, width, 3) pixels.

    Examples
    --------
    >>> fit_image(np.zeros((1, 28, 20), dtype=np.uint8), 128).shape
    (112, 80, 3)
    """
    pixels = np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)
    factor = side // max(pixels.shape[:2])
    if factor:
        return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    reduced = Image.fromarray(np.ascontiguousarray(pixels))
    reduced.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(reduced)


def tile_png(images: NDArray[np.uint8], columns: int, *, min_side: int = MIN_SIDE) -> bytes:
    """Return the content of a PNG file of a grid of (N, C, H, W) images.

    Parameters
    ----------
    images : NDArray[np.uint8]
        See `tile`.
    columns : int
        See `tile`.
    min_side : int
        See `tile`.

    Returns
    -------
    bytes
        Content of the PNG file.
    """
    return encode_image(Image.fromarray(tile(images, columns, min_side=min_side)), ".png")


def encode_gif(frames: Sequence[bytes], *, milliseconds: int = 150) -> bytes:
    """Return the content of a GIF file: an animation that repeats forever and pauses for 2 s at its end.

    Parameters
    ----------
    frames : Sequence[bytes]
        Contents of image files of equal size.
    milliseconds : int
        Duration of each frame except the last.

    Returns
    -------
    bytes
        Content of the GIF file.
    """
    images = [Image.open(io.BytesIO(frame)).convert("RGB").quantize(64) for frame in frames]
    duration = [milliseconds] * (len(images) - 1) + [2000]
    return encode_image(images[0], ".gif", save_all=True, append_images=images[1:], duration=duration, loop=0)
