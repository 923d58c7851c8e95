"""A kernel on a picture from a file."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image

from firstsight.data.image_io import load_image
from firstsight.ops.filtering import Filtered, filter_image
from firstsight.ops.kernels import kernel as find_kernel


def filter_picture(
    image: str | Path | Image.Image,
    kernel: str = "sobel-x",
    *,
    size: int | None = None,
    stride: int = 1,
    padding: int | Literal["same"] = "same",
    dilation: int = 1,
    colour: bool = False,
    at: tuple[int, int] | None = None,
) -> Filtered:
    """Filter a picture, turned grey unless ``colour``; what `firstsight filter` does.

    Parameters
    ----------
    kernel, size
        See `firstsight.ops.kernels.kernel`.
    stride, padding, dilation, at
        See `firstsight.ops.filtering.filter_image`.
    colour : bool
        Filter red, green and blue; the arithmetic is then that of the channel with the strongest answer.

    Raises
    ------
    UsageError
        An impossible value.
    DataError
        The picture cannot be read.
    """
    matrix = find_kernel(kernel, size)
    pixels = np.array(load_image(image).convert("RGB" if colour else "L"))
    channels_first = torch.from_numpy(pixels).permute(2, 0, 1) if colour else torch.from_numpy(pixels)[None]
    return filter_image(channels_first, matrix, stride=stride, padding=padding, dilation=dilation, at=at)
