"""The three sums of convolution on a padded image: gather, scatter, and the gradient of the weights.

With kernel w[o, c, i, j], stride s and dilation d, output pixel (p, q) and kernel tap (i, j) meet at input pixel
(s*p + d*i, s*q + d*j)::

    gather    y[n, o, p, q] = sum over c, i, j of        w[o, c, i, j] * x[n, c, s*p + d*i, s*q + d*j]
    scatter   x[n, c, r, t] = sum over o, i, j, p, q of  w[o, c, i, j] * y[n, o, p, q]
                              where r = s*p + d*i and t = s*q + d*j
    weights   w[o, c, i, j] = sum over n, p, q of        y[n, o, p, q] * x[n, c, s*p + d*i, s*q + d*j]

Convolution computes gather; its gradients are scatter and weights. Transposed convolution computes scatter; its
gradients are gather and weights.

Gather and scatter are each implemented with three algorithms: ``loops`` (the definition, one value at a time),
``im2col`` (patches as the columns of a matrix, one matrix product) and ``taps`` (one matrix product per kernel tap).
Each function writes to its last argument: gather and weights overwrite it, scatter adds to it.

Shapes: x (N, C, H, W), padded; w (O, C, kh, kw); y (N, O, rows, columns).
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from firstsight.ops.geometry import Geometry, Pair

Algorithm = Literal["loops", "im2col", "taps"]
MAX_COLUMN_VALUES = 2**18
"""Number of values that im2col copies at a time: 1 MB of float32, which fits into the CPU cache."""


def gather_loops(padded: Tensor, weight: Tensor, geometry: Geometry, out: Tensor) -> None:
    """Compute each output value as the sum of a patch times the kernel (the definition)."""
    (sy, sx), (dy, dx), (high, wide) = geometry.stride, geometry.dilation, geometry.dilated_kernel
    for n in range(out.shape[0]):
        for o in range(out.shape[1]):
            for p in range(out.shape[2]):
                for q in range(out.shape[3]):
                    patch = padded[n, :, sy * p : sy * p + high : dy, sx * q : sx * q + wide : dx]
                    out[n, o, p, q] = (patch * weight[o]).sum()


def scatter_loops(y: Tensor, weight: Tensor, geometry: Geometry, out: Tensor) -> None:
    """Add the kernel, times each value of y, to the patch of that value (the definition)."""
    (sy, sx), (dy, dx), (high, wide) = geometry.stride, geometry.dilation, geometry.dilated_kernel
    for n in range(y.shape[0]):
        for o in range(y.shape[1]):
            for p in range(y.shape[2]):
                for q in range(y.shape[3]):
                    patch = out[n, :, sy * p : sy * p + high : dy, sx * q : sx * q + wide : dx]
                    patch += y[n, o, p, q] * weight[o]


def view_patches(padded: Tensor, geometry: Geometry, size: Pair) -> Tensor:
    """Return all patches as a view of shape (N, C, kh, kw, rows, columns).

    No data are copied, only strides change: a step in the kernel is ``dilation`` pixels, a step in the output
    ``stride`` pixels.
    """
    (sy, sx), (dy, dx) = geometry.stride, geometry.dilation
    n, c, h, w = padded.stride()
    return padded.as_strided((*padded.shape[:2], *geometry.kernel, *size), (n, c, dy * h, dx * w, sy * h, sx * w))


def gather_im2col(padded: Tensor, weight: Tensor, geometry: Geometry, out: Tensor) -> None:
    """Multiply weights (O, C*kh*kw) by patches (C*kh*kw, positions), a few output rows at a time."""
    n, o, height, width = out.shape
    matrix = weight.flatten(1)
    results = out.view(n, o, height * width)
    if geometry.kernel == (1, 1) and geometry.stride == (1, 1):  # the image is already the matrix of patches
        torch.bmm(matrix.expand(n, -1, -1), padded[:, :, :height, :width].flatten(2), out=results)
        return
    step = max(1, MAX_COLUMN_VALUES // (matrix.shape[1] * width))
    for patches, result in zip(view_patches(padded, geometry, (height, width)), results, strict=True):
        for top in range(0, height, step):
            columns = patches[:, :, :, top : top + step].reshape(matrix.shape[1], -1)
            torch.mm(matrix, columns, out=result[:, top * width : (top + step) * width])


def scatter_im2col(y: Tensor, weight: Tensor, geometry: Geometry, out: Tensor) -> None:
    """Compute all patches by one product, (C*kh*kw, O) times (O, positions), and add each at its position."""
    size: Pair = (y.shape[2], y.shape[3])
    columns = weight.flatten(1).T @ y.flatten(2)  # (N, C*kh*kw, positions)
    patches = columns.unflatten(2, size).unflatten(1, weight.shape[1:])  # (N, C, kh, kw, rows, columns)
    for i, j, rows, cols in geometry.taps(size):
        out[:, :, rows, cols] += patches[:, :, i, j]


def gather_taps(padded: Tensor, weight: Tensor, geometry: Geometry, out: Tensor) -> None:
    """Sum one matrix product per kernel tap.

    With stride 1 no pixels are copied. In memory, the pixels that tap (i, j) reads start at ``i*d*W + j*d`` of the
    padded image. The rows of the sum are as wide as the padded image, and the excess at their ends is dropped.
    """
    (kh, kw), (dy, dx) = geometry.kernel, geometry.dilation
    size: Pair = (out.shape[2], out.shape[3])
    kernels = weight.permute(2, 3, 0, 1).contiguous()  # (kh, kw, O, C)
    if geometry.stride != (1, 1):
        out.zero_()
        for i, j, rows, cols in geometry.taps(size):
            out += (kernels[i, j] @ padded[:, :, rows, cols].flatten(2)).unflatten(2, size)
        return
    width = padded.shape[3]
    length = (size[0] - 1) * width + size[1]
    wide = padded.new_empty(len(weight), size[0] * width)
    for image, result in zip(padded.flatten(2), out, strict=True):
        wide.zero_()
        for i in range(kh):
            for j in range(kw):
                start = dy * i * width + dx * j
                wide[:, :length].addmm_(kernels[i, j], image[:, start : start + length])
        result.copy_(wide.unflatten(1, (size[0], width))[..., : size[1]])


def scatter_taps(y: Tensor, weight: Tensor, geometry: Geometry, out: Tensor) -> None:
    """Add, for each kernel tap, its matrix product with y to the pixels that the tap reads."""
    size: Pair = (y.shape[2], y.shape[3])
    flat = y.flatten(2)
    for i, j, rows, cols in geometry.taps(size):
        out[:, :, rows, cols] += (weight[:, :, i, j].T @ flat).unflatten(2, size)


def compute_weight_grad(padded: Tensor, y: Tensor, geometry: Geometry, out: Tensor) -> None:
    """Compute, for each kernel tap, the sum over images and positions of y times the pixels that the tap reads."""
    size: Pair = (y.shape[2], y.shape[3])
    flat = y.flatten(2)
    for i, j, rows, cols in geometry.taps(size):
        out[:, :, i, j] = (flat @ padded[:, :, rows, cols].flatten(2).transpose(1, 2)).sum(0)


Sum = Callable[[Tensor, Tensor, Geometry, Tensor], None]
GATHER: dict[Algorithm, Sum] = {"loops": gather_loops, "im2col": gather_im2col, "taps": gather_taps}
SCATTER: dict[Algorithm, Sum] = {"loops": scatter_loops, "im2col": scatter_im2col, "taps": scatter_taps}
