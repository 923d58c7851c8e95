"""Filter an image with a kernel."""

from typing import Literal

import numpy as np
import torch

from firstsight.arguments import check_arguments
from firstsight.data.image_input import ImageLike, to_pil
from firstsight.ops.filtering import FilterResult, filter_image
from firstsight.ops.kernels import get_kernel


def apply_filter(
    image: ImageLike,
    kernel: str = "sobel-x",
    *,
    size: int | None = None,
    stride: int = 1,
    padding: int | Literal["same"] = "same",
    dilation: int = 1,
    color: bool = False,
    at: tuple[int, int] | None = None,
    bgr: bool = False,
) -> FilterResult:
    """Convolve an image with a kernel and return the arithmetic of one output pixel.

    Parameters
    ----------
    image : ImageLike
        Image of any form, see `firstsight.data.image_input.to_pil`. It is converted to gray unless ``color``.
    kernel : str
        Name of a kernel or a matrix as text, see `firstsight.ops.kernels.get_kernel`.
    size : int | None
        Side of a kernel that exists in several sizes.
    stride : int
        Step between output pixels, at least 1.
    padding : int | Literal['same']
        Zeros on every side, or "same" for an output of the size of the image.
    dilation : int
        Distance between the taps of the kernel, at least 1.
    color : bool
        Filter red, green and blue separately; the arithmetic is that of the channel with the strongest response.
    at : tuple[int, int] | None
        (row, column) of the output pixel whose arithmetic is returned; None for the strongest response.
    bgr : bool
        Channels of an array are blue, green, red (OpenCV).

    Returns
    -------
    FilterResult
        Filtered image, kernel, and the arithmetic of one pixel.

    Raises
    ------
    UsageError
        If the kernel or a value is impossible.
    DataError
        If the image cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> apply_filter(np.eye(8, dtype=np.uint8) * 255, "box", size=3).output.shape
    (1, 8, 8)
    """
    check_arguments(apply_filter, locals())
    matrix = get_kernel(kernel, size)
    pixels = np.array(to_pil(image, bgr=bgr).convert("RGB" if color else "L"))
    channels_first = torch.from_numpy(pixels).permute(2, 0, 1) if color else torch.from_numpy(pixels)[None]
    return filter_image(channels_first, matrix, stride=stride, padding=padding, dilation=dilation, at=at)
