"""One person cut out of a picture for a network that looks at one at a time, and the way back; on tensors.

A crop is a matrix (2, 3): pixels of the picture, x, y, 1, to pixels of the network's input. Pixel centres are at
integers on both sides, so nothing is lost by halves of pixels, and `inverse` brings joints back where they were.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

GREY = 128.0
"""What lies outside of a picture; the networks are given it as 0."""


def regions(boxes: Tensor, *, aspect: float, padding: float = 1.25) -> Tensor:
    """What to cut out: boxes, wider or higher until they have the input's aspect, then grown on all sides.

    Parameters
    ----------
    boxes : (N, 4) x, y of the first corner, width, height.
    aspect : width over height of the network's input.
    padding : sides are multiplied by it (1.25 as published).

    Returns
    -------
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
    areas : (N, 4) x, y of the middle, width, height; of the input's aspect.
    size : (height, width) of the input.
    degrees : (N,) turn clockwise (y points down); none if not given.
    mirrored : (N,) bool, left and right change places before turning; none if not given.

    Returns
    -------
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
    pictures : N of them, (C, H, W) each, uint8 or float; the same one may be there several times.
    matrices : (N, 2, 3).
    size : (height, width) of the crops.
    fill : value outside of the picture.

    Returns
    -------
    (N, C, height, width) float, in the pictures' range.
    """
    height, width = size
    back = inverse(matrices)
    corners = back.new_tensor([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]])
    reached = moved(corners.expand(len(back), 4, 2), back)
    steps = (back[:, :, 0].norm(dim=1) + 0.25).floor().clamp(min=1)  # pixels of the picture for one of the crop
    low = ((reached.amin(1) - 1) / steps[:, None]).floor().clamp(min=0) * steps[:, None]
    high = reached.amax(1) + 2 + steps[:, None]
    parts = [
        _part(picture, *place, fill, back.dtype)
        for picture, place in zip(
            pictures, zip(low.long().tolist(), high.long().tolist(), steps.long().tolist(), strict=True), strict=True
        )
    ]
    # from the crop's -1 .. 1 to that of its part, as F.grid_sample counts; of nothing else in the batch
    sides = back.new_tensor([width, height])
    own = 2 / (steps[:, None] * back.new_tensor([(max(1, part.shape[2]), max(1, part.shape[1])) for part in parts]))
    middle = moved(((sides - 1) / 2).expand(len(back), 1, 2), back)[:, 0]
    turn = back[:, :, :2] * (sides / 2) * own[:, :, None]
    shift = (middle - low + 0.5) * own - 1
    grid = F.affine_grid(torch.cat([turn, shift[..., None]], 2), [len(back), 1, height, width], align_corners=False)
    crops = back.new_zeros(len(parts), len(pictures[0]), height, width)
    for crop, part, places in zip(crops, parts, grid.split(1), strict=True):
        if part.numel():
            crop.copy_(F.grid_sample(part[None], places, padding_mode="zeros", align_corners=False)[0])
    return crops.add_(fill)


def _part(picture: Tensor, low: list[int], high: list[int], step: int, fill: float, dtype: torch.dtype) -> Tensor:
    """What a crop is made of, less the fill; means of step x step pixels."""
    part = picture[:, low[1] : max(high[1], low[1] + 1), low[0] : max(high[0], low[0] + 1)].to(dtype) - fill
    if step == 1 or not part.numel():
        return part
    return F.avg_pool2d(part[None], step, ceil_mode=True, count_include_pad=False)[0]
