"""The first lesson's convolution: nested loops over a NumPy array, and nothing else."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def conv2d_numpy(
    x: Array, weight: Array, bias: Array | None = None, *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Array:
    """Two-dimensional convolution, one multiplication after the other.

    Parameters
    ----------
    x : Array
        (N, C, H, W) images.
    weight : Array
        (O, C, kh, kw) filters.
    bias : Array | None
        (O,), or None.
    stride : int
        Pixels from one position of the filter to the next.
    padding : int
        Zeros on every side of the image.
    dilation : int
        Pixels from one tap of the filter to the next.

    Returns
    -------
    Array
        (N, O, rows, columns) with rows = (H + 2 * padding - dilation * (kh - 1) - 1) // stride + 1, columns likewise.

    Raises
    ------
    ValueError
        Channels that differ, a filter larger than the padded image.

    Examples
    --------
    >>> conv2d_numpy(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    images, channels, height, width = x.shape
    filters, filter_channels, kh, kw = weight.shape
    if filter_channels != channels:
        raise ValueError(f"conv2d_numpy: the filters have {filter_channels} channels; the image has {channels}")
    padded = np.zeros((images, channels, height + 2 * padding, width + 2 * padding), x.dtype)
    padded[:, :, padding : padding + height, padding : padding + width] = x
    rows = (height + 2 * padding - dilation * (kh - 1) - 1) // stride + 1
    columns = (width + 2 * padding - dilation * (kw - 1) - 1) // stride + 1
    if rows < 1 or columns < 1:
        raise ValueError(f"conv2d_numpy: a filter of {kh}x{kw} pixels does not fit into an image of {height}x{width}")
    y = np.zeros((images, filters, rows, columns), np.result_type(x, weight))
    for n in range(images):
        for o in range(filters):
            for p in range(rows):
                for q in range(columns):
                    total = 0.0 if bias is None else bias[o]
                    for c in range(channels):
                        for i in range(kh):
                            for j in range(kw):
                                pixel = padded[n, c, stride * p + dilation * i, stride * q + dilation * j]
                                total += weight[o, c, i, j] * pixel
                    y[n, o, p, q] = total
    return y
