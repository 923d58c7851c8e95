"""The three sums of convolution, on an image that is already padded: gather, scatter, and the weights' gradient.

With w[o, c, i, j] the kernel, s the stride and d the dilation, x and y are tied by pixel (s*p + d*i, s*q + d*j)::

    gather    y[n, o, p, q] = sum over c, i, j of        w[o, c, i, j] * x[n, c, s*p + d*i, s*q + d*j]
    scatter   x[n, c, r, t] = sum over o, i, j, p, q of  w[o, c, i, j] * y[n, o, p, q]
                              where r = s*p + d*i and t = s*q + d*j
    weights   w[o, c, i, j] = sum over n, p, q of        y[n, o, p, q] * x[n, c, s*p + d*i, s*q + d*j]

Convolution is gather; its gradients are the other two. Transposed convolution is scatter; its gradients are the other
two. Gather and scatter are each written in three ways that read the same: ``loops`` (the definition, one value after
the other), ``im2col`` (every patch a column, and one matrix product), ``taps`` (one matrix product for each position
in the kernel). Each function works on the tensor it is given last: gather and weights fill it, scatter adds to it.
Shapes: x (N, C, H, W), padded; w (O, C, kh, kw); y (N, O, rows, columns).
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from firstsight.ops.geometry import Geometry, Pair

Algorithm = Literal["loops", "im2col", "taps"]
CACHE = 2**18
"""How many numbers are laid out as columns at a time: 1 MB of float32, still in the cache when they are used."""


def gather_loops(padded: Tensor, weight: Tensor, geometry: Geometry, out: Tensor) -> None:
    """The definition: every output value is the sum of a patch times the kernel."""
    (sy, sx), (dy, dx), (high, wide) = geometry.stride, geometry.dilation, geometry.spans
    for n in range(out.shape[0]):
        for o in range(out.shape[1]):
            for p in range(out.shape[2]):
                for q in range(out.shape[3]):
                    patch = padded[n, :, sy * p : sy * p + high : dy, sx * q : sx * q + wide : dx]
                    out[n, o, p, q] = (patch * weight[o]).sum()


def scatter_loops(y: Tensor, weight: Tensor, geometry: Geometry, out: Tensor) -> None:
    """The definition: every value lays the kernel, times itself, on the patch it belongs to."""
    (sy, sx), (dy, dx), (high, wide) = geometry.stride, geometry.dilation, geometry.spans
    for n in range(y.shape[0]):
        for o in range(y.shape[1]):
            for p in range(y.shape[2]):
                for q in range(y.shape[3]):
                    patch = out[n, :, sy * p : sy * p + high : dy, sx * q : sx * q + wide : dx]
                    patch += y[n, o, p, q] * weight[o]


def windows(padded: Tensor, geometry: Geometry, size: Pair) -> Tensor:
    """What each kernel position meets at each output position: (N, C, kh, kw, rows, columns), without copying.

    A step in the kernel is ``dilation`` pixels, a step in the output ``stride`` pixels: only the strides are new.
    """
    (sy, sx), (dy, dx) = geometry.stride, geometry.dilation
    n, c, h, w = padded.stride()
    return padded.as_strided((*padded.shape[:2], *geometry.kernel, *size), (n, c, dy * h, dx * w, sy * h, sx * w))


def gather_im2col(padded: Tensor, weight: Tensor, geometry: Geometry, out: Tensor) -> None:
    """Patches as columns, a few output rows at a time: (O, C*kh*kw) times (C*kh*kw, positions)."""
    n, o, rows, across = out.shape
    matrix, results = weight.flatten(1), out.view(n, o, rows * across)
    if geometry.kernel == (1, 1) and geometry.stride == (1, 1):  # a patch of one pixel is the image itself
        torch.bmm(matrix.expand(n, -1, -1), padded[:, :, :rows, :across].flatten(2), out=results)
        return
    step = max(1, CACHE // (matrix.shape[1] * across))
    for image, result in zip(windows(padded, geometry, (rows, across)), results, strict=True):
        for top in range(0, rows, step):
            columns = image[:, :, :, top : top + step].reshape(matrix.shape[1], -1)
            torch.mm(matrix, columns, out=result[:, top * across : (top + step) * across])


def scatter_im2col(y: Tensor, weight: Tensor, geometry: Geometry, out: Tensor) -> None:
    """All patches by one product, (C*kh*kw, O) times (O, positions); then each is added where it belongs."""
    size: Pair = (y.shape[2], y.shape[3])
    columns = weight.flatten(1).T @ y.flatten(2)  # (N, C*kh*kw, positions)
    patches = columns.unflatten(2, size).unflatten(1, weight.shape[1:])  # (N, C, kh, kw, rows, columns)
    for i, j, rows, across in geometry.taps(size):
        out[:, :, rows, across] += patches[:, :, i, j]


def gather_taps(padded: Tensor, weight: Tensor, geometry: Geometry, out: Tensor) -> None:
    """One matrix product for each of the kernel's positions, added up.

    With stride 1 nothing is copied: in memory, the pixels that position (i, j) meets are the padded image's from
    ``i*d*W + j*d`` on. Rows of the sum are as wide as the padded image's; what is too much at their ends is cut off.
    """
    (kh, kw), (dy, dx) = geometry.kernel, geometry.dilation
    size: Pair = (out.shape[2], out.shape[3])
    kernels = weight.permute(2, 3, 0, 1).contiguous()  # (kh, kw, O, C)
    if geometry.stride != (1, 1):
        out.zero_()
        for i, j, rows, across in geometry.taps(size):
            out += (kernels[i, j] @ padded[:, :, rows, across].flatten(2)).unflatten(2, size)
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
    """Each kernel position hands its product with y to the pixels it met."""
    size: Pair = (y.shape[2], y.shape[3])
    flat = y.flatten(2)
    for i, j, rows, across in geometry.taps(size):
        out[:, :, rows, across] += (weight[:, :, i, j].T @ flat).unflatten(2, size)


def sum_weights(padded: Tensor, y: Tensor, geometry: Geometry, out: Tensor) -> None:
    """For each kernel position the products of y with the pixels that position met, summed."""
    size: Pair = (y.shape[2], y.shape[3])
    flat = y.flatten(2)
    for i, j, rows, across in geometry.taps(size):
        out[:, :, i, j] = (flat @ padded[:, :, rows, across].flatten(2).transpose(1, 2)).sum(0)


Sum = Callable[[Tensor, Tensor, Geometry, Tensor], None]
GATHER: dict[Algorithm, Sum] = {"loops": gather_loops, "im2col": gather_im2col, "taps": gather_taps}
SCATTER: dict[Algorithm, Sum] = {"loops": scatter_loops, "im2col": scatter_im2col, "taps": scatter_taps}
