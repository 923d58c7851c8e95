"""Crops of single people for top-down networks, and the transform back to the image; on tensors.

A crop is a matrix (2, 3) that maps pixels of the image (x, y, 1) to pixels of the network's input. Pixel centers are at
integers in both, so there is no offset of half a pixel, and `inverse` maps joints back exactly.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

GRAY = 128.0
"""Value of pixels outside of the image; the networks get it as 0."""


def crop_regions(boxes: Tensor, *, aspect: float, padding: float = 1.25) -> Tensor:
    """Expand boxes to the aspect ratio of the network's input, and then by a factor.

    Parameters
    ----------
    boxes : Tensor
        (N, 4) x, y of the first corner, width, height.
    aspect : float
        Width over height of the network's input.
    padding : float
        Factor of both sides (1.25 as published).

    Returns
    -------
    Tensor
        (N, 4) x, y of the center, width, height.

    Examples
    --------
    >>> crop_regions(torch.tensor([[10.0, 20.0, 30.0, 80.0]]), aspect=0.75, padding=1.0)
    tensor([[25., 60., 60., 80.]])
    """
    corner, (width, height) = boxes[:, :2], boxes[:, 2:].unbind(1)
    size = torch.stack([torch.maximum(width, height * aspect), torch.maximum(height, width / aspect)], 1)
    return torch.cat([corner + boxes[:, 2:] / 2, size * padding], 1)


def crop_matrices(
    regions: Tensor, *, size: tuple[int, int], degrees: Tensor | None = None, flipped: Tensor | None = None
) -> Tensor:
    """Compute the matrices that map regions of the image to the network's input.

    Parameters
    ----------
    regions : Tensor
        (N, 4) x, y of the center, width, height. They have the aspect ratio of the input.
    size : tuple[int, int]
        (height, width) of the input.
    degrees : Tensor | None
        (N,) clockwise rotation, as y points down. None means no rotation.
    flipped : Tensor | None
        (N,) bool: flip horizontally before the rotation. None means no flip.

    Returns
    -------
    Tensor
        (N, 2, 3) matrices.
    """
    height, width = size
    scale = height / regions[:, 3]
    angle = torch.deg2rad(torch.zeros_like(scale) if degrees is None else degrees.to(scale))
    sign = torch.ones_like(scale) if flipped is None else 1 - 2 * flipped.to(scale)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rotation = torch.stack([torch.stack([sign * cos, -sin], 1), torch.stack([sign * sin, cos], 1)], 1)
    center = scale.new_tensor([(width - 1) / 2, (height - 1) / 2])
    shift = center - (rotation @ regions[:, :2, None])[..., 0]
    return torch.cat([rotation, shift[..., None]], 2)


def transform_points(points: Tensor, matrices: Tensor) -> Tensor:
    """Apply affine matrices to points.

    Parameters
    ----------
    points : Tensor
        (N, K, 2) x, y.
    matrices : Tensor
        (N, 2, 3) matrices, one for the K points of a row.

    Returns
    -------
    Tensor
        (N, K, 2) transformed points.
    """
    return points @ matrices[..., :2].mT + matrices[:, None, :, 2]


def inverse(matrices: Tensor) -> Tensor:
    """Return the inverse of matrices (N, 2, 3), which map the network's input to the image."""
    rotation = torch.linalg.inv(matrices[..., :2])
    return torch.cat([rotation, -rotation @ matrices[..., 2:]], 2)


def warp(images: Sequence[Tensor], matrices: Tensor, *, size: tuple[int, int], fill: float = GRAY) -> Tensor:
    """Extract a crop of each image with bilinear interpolation.

    If an image is reduced by an integer factor or more, it is averaged by that factor first (antialiasing).

    Parameters
    ----------
    images : Sequence[Tensor]
        N images (C, H, W), uint8 or float, on the CPU. The same image may be used several times.
    matrices : Tensor
        (N, 2, 3) maps from pixels of the images to pixels of the crops.
    size : tuple[int, int]
        (height, width) of the crops.
    fill : float
        Value outside of the image.

    Returns
    -------
    Tensor
        (N, C, height, width) float, in the range of the images.
    """
    height, width = size
    to_image = inverse(matrices)
    corners = to_image.new_tensor([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]])
    corners = transform_points(corners.expand(len(to_image), 4, 2), to_image)
    factors = (to_image[:, :, 0].norm(dim=1) + 0.25).floor().clamp(min=1)  # pixels of the image for one of the crop

    # the window of each image that its crop needs, aligned to the factor
    low = ((corners.amin(1) - 1) / factors[:, None]).floor().clamp(min=0) * factors[:, None]
    high = torch.maximum((corners.amax(1) + 2 + factors[:, None]).floor(), low + 1)
    window = torch.minimum(high, high.new_tensor([(image.shape[2], image.shape[1]) for image in images])) - low

    # coordinates of F.grid_sample, from -1 to 1 in the window: the sum of a term of the column and one of the row
    unit = 2 / (factors[:, None] * (window / factors[:, None]).ceil().clamp(min=1))
    rotation, shift = to_image[:, :, :2] * unit[:, :, None], (to_image[:, :, 2] - low + 0.5) * unit - 1
    column_term = (rotation[:, :, 0, None] * torch.arange(width).to(to_image))[:, :, None, :].numpy()
    row_term = (rotation[:, :, 1, None] * torch.arange(height).to(to_image) + shift[..., None])[..., None].numpy()

    crops = np.empty((len(to_image), len(images[0]), height, width), column_term.dtype)
    windows = zip(low.long().tolist(), high.long().tolist(), factors.long().tolist(), strict=True)
    # one image at a time stays in the cache of one core; torch would split these small operations over all cores
    for i, ((left, top), (right, bottom), factor) in enumerate(windows):
        pixels = images[i].numpy()[:, top:bottom, left:right]
        grid = torch.from_numpy(column_term[i] + row_term[i]).movedim(0, 2)[None]
        _sample(pixels, grid, factor=factor, fill=fill, out=crops[i])
    return torch.from_numpy(crops)


def _sample(pixels: NDArray[np.generic], grid: Tensor, *, factor: int, fill: float, out: NDArray[np.floating]) -> None:
    """Average the pixels (C, H, W) of a window by a factor, and write the samples at ``grid`` to ``out``."""
    values = np.subtract(pixels, fill, dtype=out.dtype)
    if not values.size:
        out[:] = fill
        return
    window = torch.from_numpy(values)[None]
    if factor > 1:
        window = F.avg_pool2d(window, factor, ceil_mode=True, count_include_pad=False)
    samples = F.grid_sample(window, grid, padding_mode="zeros", align_corners=False)
    np.add(samples[0].numpy(), out.dtype.type(fill), out=out)
