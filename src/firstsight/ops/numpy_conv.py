"""Convolution as nested loops over NumPy arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def conv2d_numpy(
    x: Array, weight: Array, bias: Array | None = None, *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Array:
    """Apply a two-dimensional convolution, one multiplication at a time.

    Parameters
    ----------
    x : Array
        Images of shape (N, C, H, W).
    weight : Array
        Filters of shape (O, C, kh, kw).
    bias : Array | None
        Bias of shape (O,), or None.
    stride : int
        Distance between neighboring positions of the filter in pixels.
    padding : int
        Number of zeros on every side of the image.
    dilation : int
        Distance between neighboring taps of the filter in pixels.

    Returns
    -------
    Array
        Output of shape (N, O, rows, columns) with rows = (H + 2 * padding - dilation * (kh - 1) - 1) // stride + 1,
        and columns computed in the same way from W.

    Raises
    ------
    ValueError
        If the numbers of channels differ, or the filter is larger than the padded image.

    Examples
    --------
    >>> conv2d_numpy(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    num_images, channels, height, width = x.shape
    num_filters, filter_channels, kh, kw = weight.shape
    if filter_channels != channels:
        raise ValueError(f"conv2d_numpy: `weight` expects {filter_channels} input channels, got {channels} in `x`")
    padded = np.zeros((num_images, channels, height + 2 * padding, width + 2 * padding), x.dtype)
    padded[:, :, padding : padding + height, padding : padding + width] = x
    rows = (height + 2 * padding - dilation * (kh - 1) - 1) // stride + 1
    columns = (width + 2 * padding - dilation * (kw - 1) - 1) // stride + 1
    if rows < 1 or columns < 1:
        raise ValueError(f"conv2d_numpy: a filter of {kh}x{kw} pixels does not fit into an image of {height}x{width}")
    y = np.zeros((num_images, num_filters, rows, columns), np.result_type(x, weight))
    for n in range(num_images):
        for o in range(num_filters):
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
