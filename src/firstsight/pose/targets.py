"""Training targets of pose networks: a Gaussian for every joint, a part affinity field for every limb.

Positions are x, y in pixels of the image, with pixel centers at integers. The cell in row i and column j of a map of
stride s covers the s x s pixels from x = s j, y = s i.

`joint_heatmap` and `limb_field` are the definitions, as loops over all cells. `gaussian_heatmaps` draws the joints of
one person. `heatmap_targets` and `paf_targets` draw all people of a batch at once.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from firstsight.pose.skeleton import Skeleton

MAX_EXPONENT = 4.6052
"""A Gaussian is cut off where its exponent exceeds this value: at a hundredth of its height (ln 100)."""
MIN_LENGTH = 1e-7
"""Shorter limbs, in cells, have no direction and are not drawn."""
Align = Literal["center", "reference"]
"""Position of limbs relative to the cells, see `paf_targets`."""
IMAGES_PER_CHUNK = 8
"""Number of images whose limbs are drawn at a time, so that intermediate results stay in the processor's cache."""


def gaussian_heatmaps(keypoints: Tensor, visible: Tensor, *, size: tuple[int, int], sigma: float) -> Tensor:
    """Draw one Gaussian per joint.

    Parameters
    ----------
    keypoints : Tensor
        (N, K, 2) float tensor, x then y, in pixels of the map; pixel centers at integers.
    visible : Tensor
        (N, K) bool tensor; the map of an invisible joint is 0.
    size : tuple[int, int]
        (height, width) of the maps.
    sigma : float
        Standard deviation in pixels of the map.

    Returns
    -------
    Tensor
        (N, K, height, width) float tensor in [0, 1]; 1 where a joint falls on a pixel center.

    Examples
    --------
    >>> visible = torch.ones(1, 1, dtype=torch.bool)
    >>> gaussian_heatmaps(torch.tensor([[[2.0, 1.0]]]), visible, size=(3, 5), sigma=1.0)[0, 0, 1, 2]
    tensor(1.)
    """
    height, width = size
    x = torch.arange(width, dtype=keypoints.dtype, device=keypoints.device)
    y = torch.arange(height, dtype=keypoints.dtype, device=keypoints.device)
    gaussian_x = torch.exp(-(x - keypoints[..., :1]).square() / (2 * sigma**2))  # (N, K, width)
    gaussian_y = torch.exp(-(y - keypoints[..., 1:]).square() / (2 * sigma**2))  # (N, K, height)
    gaussian_x = torch.where(visible[..., None], gaussian_x, torch.zeros_like(gaussian_x))
    return gaussian_y[..., :, None] * gaussian_x[..., None, :]


def joint_heatmap(joint: tuple[float, float], *, size: tuple[int, int], sigma: float) -> Tensor:
    """Draw the heatmap of one joint, as the paper defines it (Cao 2017, section 2.2).

    `heatmap_targets` computes the same for all joints of a batch, without loops.

    Parameters
    ----------
    joint : tuple[float, float]
        x, y in cells; the centers of cells are at integers.
    size : tuple[int, int]
        (height, width) of the map.
    sigma : float
        Standard deviation in cells.

    Returns
    -------
    Tensor
        (height, width) in [0, 1]. Unlike in the paper, values below 0.01 are 0.

    Examples
    --------
    >>> joint_heatmap((1, 0), size=(2, 3), sigma=1.0)
    tensor([[0.6065, 1.0000, 0.6065],
            [0.3679, 0.6065, 0.3679]])
    """
    heatmap = torch.zeros(*size)
    for y in range(size[0]):
        for x in range(size[1]):
            squared_distance = (x - joint[0]) ** 2 + (y - joint[1]) ** 2
            exponent = squared_distance / (2 * sigma**2)
            if exponent <= MAX_EXPONENT:
                heatmap[y, x] = math.exp(-exponent)
    return heatmap


def heatmap_targets(
    keypoints: Tensor,
    visible: Tensor,
    *,
    size: tuple[int, int],
    stride: int = 8,
    sigma: float = 7.0,
    merge: Literal["maximum", "sum"] = "maximum",
) -> Tensor:
    """Draw the heatmaps of images with several people, and the background.

    Parameters
    ----------
    keypoints : Tensor
        (N, P, K, 2) joints of P people in each of N images, in pixels of the image.
    visible : Tensor
        (N, P, K) bool tensor; joints that are False are not drawn. People that pad a batch are False too.
    size : tuple[int, int]
        (height, width) of the maps.
    stride : int
        Pixels per cell.
    sigma : float
        Standard deviation in pixels of the image.
    merge : Literal["maximum", "sum"]
        How Gaussians of several people are combined: their maximum (Cao 2017), or their sum, at most 1 (Osokin 2018).

    Returns
    -------
    Tensor
        (N, K + 1, height, width) in [0, 1]; the last map is the background, 1 minus the maximum of the others.
    """
    height, width = size
    n, _, joints, _ = keypoints.shape
    maps = keypoints.new_zeros(n, joints + 1, height, width)
    image, person, joint = torch.nonzero(visible, as_tuple=True)
    center = keypoints[image, person, joint].double()  # (B, 2) of B Gaussians
    radius = (2 * MAX_EXPONENT) ** 0.5 * sigma
    shift = (stride - 1) / 2
    window = torch.arange(int(2 * radius / stride) + 1, device=keypoints.device)  # (W,) cells that a Gaussian covers
    cells = torch.ceil((center - radius - shift) / stride).long()[..., None] + window  # (B, 2, W)
    exponent = (cells * stride + shift - center[..., None]).square() / (2 * sigma**2)
    limit = torch.tensor([[width], [height]], device=keypoints.device)
    exponent.masked_fill_((cells < 0) | (cells >= limit), torch.inf)
    gaussian = torch.exp(-exponent).to(maps)
    exponent_x, exponent_y = exponent.unbind(1)
    is_inside = exponent_y[:, :, None] + exponent_x[:, None, :] <= MAX_EXPONENT  # (B, W, W)
    values = torch.where(is_inside, gaussian[:, 1, :, None] * gaussian[:, 0, None, :], 0)
    x, y = cells.unbind(1)
    rows = ((image * (joints + 1) + joint) * height)[:, None] + y.clamp(0, height - 1)
    index = ((rows * width)[:, :, None] + x.clamp(0, width - 1)[:, None, :]).flatten()
    flat = maps.view(-1)
    if merge == "maximum":
        flat.scatter_reduce_(0, index, values.flatten(), "amax")
    else:
        flat.scatter_add_(0, index, values.flatten()).clamp_(max=1)
    maps[:, joints] = 1 - maps[:, :joints].amax(1)
    return maps


def paf_targets(
    keypoints: Tensor,
    visible: Tensor,
    skeleton: Skeleton,
    *,
    size: tuple[int, int],
    stride: int = 8,
    thickness: float = 1.0,
    merge: Literal["mean", "last"] = "mean",
    align: Align = "center",
) -> Tensor:
    """Draw the part affinity fields of images with several people.

    The field of a limb is its unit vector from the first to the second joint in cells on the limb, and 0 elsewhere.

    Parameters
    ----------
    keypoints : Tensor
        (N, P, K, 2) joints, see `heatmap_targets`.
    visible : Tensor
        (N, P, K) bool tensor; a limb is drawn if both of its joints are visible.
    skeleton : Skeleton
        Skeleton with L limbs.
    size : tuple[int, int]
        (height, width) of the maps.
    stride : int
        Pixels per cell.
    thickness : float
        Half of the limb's width in cells.
    merge : Literal["mean", "last"]
        Field where limbs of several people overlap: their mean (Cao 2017), or that of the last person (Osokin 2018).
    align : Align
        "center": a cell is on the limb if its center is in the rectangle around the segment between the joints that
        extends by ``thickness`` on all sides (`limb_field` is the readable version). The centers of cells are those of
        the heatmaps. "reference": as in the code of Osokin 2018, the cell in column j is at x = s j instead of at its
        center, and is on the limb if its distance to the line through the joints is at most ``thickness`` and it is in
        the bounding box of the joints, extended by ``thickness``. So limbs are up to half a cell away from the
        heatmaps' joints, and skewed limbs have ragged ends.

    Returns
    -------
    Tensor
        (N, 2L, height, width), in the order of the skeleton's channels.
    """
    maps = keypoints.new_zeros(len(keypoints), 2 * len(skeleton.limbs), *size)
    for first in range(0, len(maps), IMAGES_PER_CHUNK):
        chunk = slice(first, first + IMAGES_PER_CHUNK)
        _draw_limbs(maps[chunk], keypoints[chunk], visible[chunk], skeleton, stride, thickness, merge, align)
    return maps


def limb_field(
    first: tuple[float, float], second: tuple[float, float], *, size: tuple[int, int], thickness: float = 1.0
) -> Tensor:
    """Draw the part affinity field of one limb, as the paper defines it (Cao 2017, section 2.3).

    `paf_targets` computes the same for all limbs of a batch, without loops.

    Parameters
    ----------
    first : tuple[float, float]
        x, y of the first joint, in cells; the centers of cells are at integers.
    second : tuple[float, float]
        x, y of the second joint.
    size : tuple[int, int]
        (height, width) of the maps.
    thickness : float
        Half of the limb's width in cells. Unlike in the paper, the limb also extends by it beyond both joints, so that
        the cell of each joint is on the limb.

    Returns
    -------
    Tensor
        (2, height, width) x and y of the unit vector from the first to the second joint, on the limb; 0 elsewhere.

    Examples
    --------
    >>> limb_field((1, 0), (4, 0), size=(2, 6), thickness=0.5)[0]
    tensor([[0., 1., 1., 1., 1., 0.],
            [0., 0., 0., 0., 0., 0.]])
    """
    field = torch.zeros(2, *size)
    dx, dy = second[0] - first[0], second[1] - first[1]
    length = (dx**2 + dy**2) ** 0.5
    if length < MIN_LENGTH:
        return field
    ux, uy = dx / length, dy / length  # unit vector along the limb
    for y in range(size[0]):
        for x in range(size[1]):
            along = (x - first[0]) * ux + (y - first[1]) * uy  # position along the limb, from the first joint
            across = (x - first[0]) * uy - (y - first[1]) * ux  # distance to the line through the joints
            if -thickness <= along <= length + thickness and abs(across) <= thickness:
                field[0, y, x] = ux
                field[1, y, x] = uy
    return field


def _draw_limbs(
    maps: Tensor,
    keypoints: Tensor,
    visible: Tensor,
    skeleton: Skeleton,
    stride: int,
    thickness: float,
    merge: str,
    align: Align,
) -> None:
    """Draw the limbs of all people of some images into ``maps``, in place."""
    n, limbs, height, width = len(maps), len(skeleton.limbs), *maps.shape[2:]
    first, second = (torch.tensor(ends, device=keypoints.device) for ends in zip(*skeleton.limbs, strict=True))
    image, person, limb = torch.nonzero(visible[:, :, first] & visible[:, :, second], as_tuple=True)
    shift = (stride - 1) / 2 if align == "center" else 0.0
    a = (keypoints[image, person, first[limb]].double() - shift) / stride  # (B, 2) of B limbs, in cells
    b = (keypoints[image, person, second[limb]].double() - shift) / stride
    unit, which, x, y = _rasterize(a, b, height, width, thickness, align)

    side = height * width
    flat = maps.view(-1)
    position = (y * width + x).long()
    limb_of_image = (image * limbs + limb).index_select(0, which)
    shared = limb_of_image * side + position  # equal for cells of one limb type that several people share
    channel = torch.tensor(skeleton.paf_channels, device=a.device)[limb]
    first_map = (image * 2 * limbs + channel).index_select(0, which)
    cell = first_map * side + position  # of the x component; the y component is one map later
    tally = which.new_empty(n * limbs * side, dtype=torch.int32).scatter_(0, shared, 0)
    if merge == "last":
        last = tally.scatter_reduce_(0, shared, which.int(), "amax")
        which = last.index_select(0, shared).long()  # all limbs that share a cell write the same value
        ux, uy = unit.to(maps).index_select(0, which).unbind(1)
        flat[cell] = ux
        flat[cell + side] = uy
    else:
        count = tally.index_add_(0, shared, torch.ones_like(shared, dtype=torch.int32))[shared]
        ux, uy = (unit[which] / count[:, None]).to(maps).unbind(1)
        flat.index_add_(0, cell, ux).index_add_(0, cell + side, uy)


def _rasterize(
    a: Tensor, b: Tensor, height: int, width: int, thickness: float, align: Align
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Find the cells on each limb.

    Parameters
    ----------
    a : Tensor
        (B, 2) x, y of the first joint of each limb, in cells.
    b : Tensor
        (B, 2) x, y of the second joint of each limb, in cells.
    height : int
        Height of the maps.
    width : int
        Width of the maps.
    thickness : float
        Half of the limb's width in cells.
    align : Align
        See `paf_targets`.

    Returns
    -------
    tuple[Tensor, Tensor, Tensor, Tensor]
        Unit vectors (B, 2); and for each cell of each limb the index of the limb, x and y.
    """
    vector = b - a
    length = vector.norm(dim=1)
    limit = torch.tensor([width, height], dtype=a.dtype, device=a.device)
    margin = thickness if align == "reference" else 2**0.5 * thickness  # of the corners of a rotated rectangle
    low = (torch.minimum(a, b) - margin).clamp_min(0).trunc().long()
    high = torch.minimum(torch.maximum(a, b) + margin + (align == "center"), limit).trunc().long()
    spans = (high - low).clamp_min(0)
    area = spans.prod(1) * (length >= MIN_LENGTH)

    unit = vector / length.clamp_min(MIN_LENGTH)[:, None]
    starts = (area.cumsum(0) - area)[:, None]
    columns = [starts.to(a), spans[:, :1].to(a), low.to(a), a, unit, length[:, None]]
    which = torch.repeat_interleave(area)  # (cells of all boxes,) limb of each cell
    table = torch.cat(columns, 1).index_select(0, which)  # one lookup per cell of a box
    start, box_width, left, top, ax, ay, ux, uy, limb_length = table.unbind(1)
    number = torch.arange(len(which), device=a.device) - start
    row = (number / box_width).floor_()
    x = left + number - row * box_width
    y = top + row
    is_near = ((x - ax) * uy - (y - ay) * ux).abs() <= thickness
    if align == "center":
        along = (x - ax) * ux + (y - ay) * uy
        is_near &= (along >= -thickness) & (along <= limb_length + thickness)
    on_limb = is_near.nonzero().squeeze(1)
    return unit, which.index_select(0, on_limb), x.index_select(0, on_limb), y.index_select(0, on_limb)


def normal_density(size: tuple[int, int], mean: tuple[float, float], covariance: Sequence[Sequence[float]]) -> Tensor:
    """Draw a Gaussian with a full covariance matrix, with a peak value of 1.

    Parameters
    ----------
    size : tuple[int, int]
        (height, width) of the map.
    mean : tuple[float, float]
        (x, y) of the peak.
    covariance : Sequence[Sequence[float]]
        ((var x, cov), (cov, var y)) in squared pixels. The correlation of x and y is cov / sqrt(var x var y).

    Returns
    -------
    Tensor
        (height, width) map in double precision.

    Raises
    ------
    ValueError
        If ``covariance`` is not symmetric and positive definite.
    """
    matrix = torch.tensor(covariance, dtype=torch.float64)
    if not torch.equal(matrix, matrix.T) or bool((torch.linalg.eigvalsh(matrix) <= 0).any()):
        raise ValueError(f"`covariance` must be symmetric and positive definite, got {covariance}")
    y, x = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) for side in size), indexing="ij")
    offset = torch.stack([x - mean[0], y - mean[1]], -1)  # (height, width, 2)
    return torch.exp(-0.5 * torch.einsum("hwi,ij,hwj->hw", offset, torch.linalg.inv(matrix), offset))
