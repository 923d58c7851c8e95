"""One person cut out of a picture for a network that looks at one at a time, and the way back; on tensors.

A crop is a matrix (2, 3): pixels of the picture, x, y, 1, to pixels of the network's input. Pixel centres are at
integers on both sides, so nothing is lost by halves of pixels, and `inverse` brings joints back where they were.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

GREY = 128.0
"""What lies outside of a picture; the networks are given it as 0."""


def regions(boxes: Tensor, *, aspect: float, padding: float = 1.25) -> Tensor:
    """What to cut out: boxes, wider or higher until they have the input's aspect, then grown on all sides.

    Parameters
    ----------
    boxes : Tensor
        (N, 4) x, y of the first corner, width, height.
    aspect : float
        Width over height of the network's input.
    padding : float
        Sides are multiplied by it (1.25 as published).

    Returns
    -------
    Tensor
        (N, 4) x, y of the middle, width, height.

    Examples
    --------
    >>> regions(torch.tensor([[10.0, 20.0, 30.0, 80.0]]), aspect=0.75, padding=1.0)
    tensor([[25., 60., 60., 80.]])
    """
    corner, (width, height) = boxes[:, :2], boxes[:, 2:].unbind(1)
    size = torch.stack([torch.maximum(width, height * aspect), torch.maximum(height, width / aspect)], 1)
    return torch.cat([corner + boxes[:, 2:] / 2, size * padding], 1)


def crop_matrices(
    areas: Tensor, *, size: tuple[int, int], degrees: Tensor | None = None, mirrored: Tensor | None = None
) -> Tensor:
    """Matrices that bring regions to the network's input.

    Parameters
    ----------
    areas : Tensor
        (N, 4) x, y of the middle, width, height; of the input's aspect.
    size : tuple[int, int]
        (height, width) of the input.
    degrees : Tensor | None
        (N,) turn clockwise (y points down); none if not given.
    mirrored : Tensor | None
        (N,) bool, left and right change places before turning; none if not given.

    Returns
    -------
    Tensor
        (N, 2, 3).
    """
    height, width = size
    scale = height / areas[:, 3]
    angle = torch.deg2rad(torch.zeros_like(scale) if degrees is None else degrees.to(scale))
    across = torch.ones_like(scale) if mirrored is None else 1 - 2 * mirrored.to(scale)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    turn = torch.stack([torch.stack([across * cos, -sin], 1), torch.stack([across * sin, cos], 1)], 1)
    middle = scale.new_tensor([(width - 1) / 2, (height - 1) / 2])
    shift = middle - (turn @ areas[:, :2, None])[..., 0]
    return torch.cat([turn, shift[..., None]], 2)


def moved(places: Tensor, matrices: Tensor) -> Tensor:
    """Places (N, K, 2) of the pictures as they lie in their inputs, or with `inverse` the reverse."""
    return places @ matrices[..., :2].mT + matrices[:, None, :, 2]


def inverse(matrices: Tensor) -> Tensor:
    """(N, 2, 3) from inputs back to pictures."""
    turn = torch.linalg.inv(matrices[..., :2])
    return torch.cat([turn, -turn @ matrices[..., 2:]], 2)


def warp(pictures: Sequence[Tensor], matrices: Tensor, *, size: tuple[int, int], fill: float = GREY) -> Tensor:
    """Cut a crop out of each picture: bilinear, of means where it becomes much smaller.

    Parameters
    ----------
    pictures : Sequence[Tensor]
        N of them, (C, H, W) each, uint8 or float, on the CPU; the same one may be there several times.
    matrices : Tensor
        (N, 2, 3).
    size : tuple[int, int]
        (height, width) of the crops.
    fill : float
        Value outside of the picture.

    Returns
    -------
    Tensor
        (N, C, height, width) float, in the pictures' range.
    """
    height, width = size
    back = inverse(matrices)
    corners = back.new_tensor([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]])
    reached = moved(corners.expand(len(back), 4, 2), back)
    steps = (back[:, :, 0].norm(dim=1) + 0.25).floor().clamp(min=1)  # pixels of the picture for one of the crop
    low = ((reached.amin(1) - 1) / steps[:, None]).floor().clamp(min=0) * steps[:, None]
    high = torch.maximum((reached.amax(1) + 2 + steps[:, None]).floor(), low + 1)
    inside = torch.minimum(high, high.new_tensor([(each.shape[2], each.shape[1]) for each in pictures])) - low
    # places in the parts, -1 to 1, as F.grid_sample counts: one row's and one column's, to be added
    own = 2 / (steps[:, None] * (inside / steps[:, None]).ceil().clamp(min=1))
    turn, shift = back[:, :, :2] * own[:, :, None], (back[:, :, 2] - low + 0.5) * own - 1
    across = (turn[:, :, 0, None] * torch.arange(width).to(back))[:, :, None, :].numpy()
    down = (turn[:, :, 1, None] * torch.arange(height).to(back) + shift[..., None])[..., None].numpy()
    arrays, lows, highs = [each.numpy() for each in pictures], low.long().tolist(), high.long().tolist()
    means = steps.long().tolist()
    crops = np.empty((len(back), len(pictures[0]), height, width), across.dtype)

    # one at a time while it is in the cache, on one core: torch would share the small steps among all of them
    for i, ((left, top), (right, bottom)) in enumerate(zip(lows, highs, strict=True)):
        values = np.subtract(arrays[i][:, top:bottom, left:right], fill, dtype=across.dtype)
        if not values.size:
            crops[i] = fill
            continue
        part = torch.from_numpy(values)[None]
        if means[i] > 1:
            part = F.avg_pool2d(part, means[i], ceil_mode=True, count_include_pad=False)
        grid = torch.from_numpy(across[i] + down[i]).movedim(0, 2)[None]
        found = F.grid_sample(part, grid, padding_mode="zeros", align_corners=False)
        np.add(found[0].numpy(), crops.dtype.type(fill), out=crops[i])
    return torch.from_numpy(crops)
