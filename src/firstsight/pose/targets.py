"""What a bottom-up pose network is to answer: a bump for every joint, a field along every limb.

Positions are pixels of the picture, x then y, pixel centres at integers. A cell (i, j) of a map of stride s stands for
the s x s pixels from (s j, s i) on.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from firstsight.pose.skeleton import Skeleton

CUT = 4.6052
"""A bump ends where its exponent exceeds this: at a hundredth of its height (ln 100)."""
TOGETHER = 8
"""The limbs of so many pictures are drawn in one go: what is on the way stays in the processor's cache."""


def gaussian_heatmaps(keypoints: Tensor, visible: Tensor, *, size: tuple[int, int], sigma: float) -> Tensor:
    """Draw one Gaussian bump per joint.

    Parameters
    ----------
    keypoints : Tensor
        (N, K, 2) float tensor, x then y, in pixels of the map; pixel centres at integers.
    visible : Tensor
        (N, K) bool tensor; a hidden joint leaves its map empty.
    size : tuple[int, int]
        (height, width) of the maps.
    sigma : float
        Standard deviation in pixels of the map.

    Returns
    -------
    Tensor
        (N, K, height, width) float tensor in [0, 1]; 1 where a joint falls on a pixel centre.

    Examples
    --------
    >>> visible = torch.ones(1, 1, dtype=torch.bool)
    >>> gaussian_heatmaps(torch.tensor([[[2.0, 1.0]]]), visible, size=(3, 5), sigma=1.0)[0, 0, 1, 2]
    tensor(1.)
    """
    height, width = size
    x = torch.arange(width, dtype=keypoints.dtype, device=keypoints.device)
    y = torch.arange(height, dtype=keypoints.dtype, device=keypoints.device)
    across = torch.exp(-(x - keypoints[..., :1]).square() / (2 * sigma**2))  # (N, K, width)
    down = torch.exp(-(y - keypoints[..., 1:]).square() / (2 * sigma**2))  # (N, K, height)
    across = torch.where(visible[..., None], across, torch.zeros_like(across))
    return down[..., :, None] * across[..., None, :]


def heatmap_targets(
    keypoints: Tensor, visible: Tensor, *, size: tuple[int, int], stride: int = 8, sigma: float = 7.0,
    merge: Literal["maximum", "sum"] = "maximum",
) -> Tensor:  # fmt: skip
    """Heatmaps of pictures with several people, and the background.

    Parameters
    ----------
    keypoints : Tensor
        (N, P, K, 2) joints of P people in each of N pictures, in pixels of the picture.
    visible : Tensor
        (N, P, K) bool; what is False leaves no mark (also to fill up pictures with fewer people).
    size : tuple[int, int]
        (height, width) of the maps.
    stride : int
        Pixels per cell.
    sigma : float
        Standard deviation in pixels of the picture.
    merge : Literal['maximum', 'sum']
        Where bumps of people meet: the greatest (Cao 2017), or their sum, at most 1 (Osokin 2018).

    Returns
    -------
    Tensor
        (N, K + 1, height, width) in [0, 1]; the last map is one minus the greatest of the others.
    """
    height, width = size
    n, _, joints, _ = keypoints.shape
    maps = keypoints.new_zeros(n, joints + 1, height, width)
    picture, person, joint = torch.nonzero(visible, as_tuple=True)
    place = keypoints[picture, person, joint].double()  # (B, 2), of B bumps
    reach = (2 * CUT) ** 0.5 * sigma
    shift = (stride - 1) / 2
    window = torch.arange(int(2 * reach / stride) + 1, device=keypoints.device)
    cells = torch.ceil((place - reach - shift) / stride).long()[..., None] + window  # (B, 2, W)
    exponent = (cells * stride + shift - place[..., None]).square() / (2 * sigma**2)
    limit = torch.tensor([[width], [height]], device=keypoints.device)
    exponent.masked_fill_((cells < 0) | (cells >= limit), torch.inf)
    slopes = torch.exp(-exponent).to(maps)
    across, down = exponent.unbind(1)
    high = down[:, :, None] + across[:, None, :] <= CUT  # (B, W, W)
    bumps = torch.where(high, slopes[:, 1, :, None] * slopes[:, 0, None, :], 0)
    x, y = cells.unbind(1)
    rows = ((picture * (joints + 1) + joint) * height)[:, None] + y.clamp(0, height - 1)
    at = ((rows * width)[:, :, None] + x.clamp(0, width - 1)[:, None, :]).flatten()
    flat = maps.view(-1)
    if merge == "maximum":
        flat.scatter_reduce_(0, at, bumps.flatten(), "amax")
    else:
        flat.scatter_add_(0, at, bumps.flatten()).clamp_(max=1)
    maps[:, joints] = 1 - maps[:, :joints].amax(1)
    return maps


def paf_targets(
    keypoints: Tensor, visible: Tensor, skeleton: Skeleton, *, size: tuple[int, int], stride: int = 8,
    thickness: float = 1.0, merge: Literal["mean", "last"] = "mean",
) -> Tensor:  # fmt: skip
    """Part affinity fields of pictures with several people: the unit vector of a limb, on it and beside it.

    Parameters
    ----------
    keypoints, visible : Tensor
        As in `heatmap_targets`; a limb is drawn where both of its joints are visible.
    skeleton : Skeleton
        Whose limbs and channels.
    size : tuple[int, int]
        (height, width) of the maps; stride : pixels per cell.
    thickness : float
        In cells: a cell is on the limb if it lies no farther from its line, and in its box grown by as much.
    merge : Literal['mean', 'last']
        Where limbs of people meet: their mean (Cao 2017), or the last person's (Osokin 2018).

    Returns
    -------
    Tensor
        (N, 2 limbs, height, width), in the order of the skeleton's channels.
    """
    maps = keypoints.new_zeros(len(keypoints), 2 * len(skeleton.limbs), *size)
    for first in range(0, len(maps), TOGETHER):
        some = slice(first, first + TOGETHER)
        _draw_limbs(maps[some], keypoints[some], visible[some], skeleton, stride, thickness, merge)
    return maps


def _draw_limbs(
    maps: Tensor, keypoints: Tensor, visible: Tensor, skeleton: Skeleton, stride: int, thickness: float, merge: str
) -> None:
    n, limbs, height, width = len(maps), len(skeleton.limbs), *maps.shape[2:]
    first, second = (torch.tensor(ends, device=keypoints.device) for ends in zip(*skeleton.limbs, strict=True))
    picture, person, limb = torch.nonzero(visible[:, :, first] & visible[:, :, second], as_tuple=True)
    a = keypoints[picture, person, first[limb]].double() / stride  # (B, 2), of B limbs, in cells
    b = keypoints[picture, person, second[limb]].double() / stride
    along = b - a
    length = along.norm(dim=1)
    limit = torch.tensor([width, height], dtype=a.dtype, device=a.device)
    low = (torch.minimum(a, b) - thickness).clamp_min(0).trunc().long()
    high = torch.minimum(torch.maximum(a, b) + thickness, limit).trunc().long()
    spans = (high - low).clamp_min(0)
    area = spans.prod(1) * (length >= 1e-7)

    unit = along / length.clamp_min(1e-7)[:, None]
    starts = (area.cumsum(0) - area)[:, None]
    table = torch.cat([starts.to(a), spans[:, :1].to(a), low.to(a), a, unit], 1)  # read once for every cell of a box
    which = torch.repeat_interleave(area)  # (cells of all boxes,): which limb
    start, wide, left, top, ax, ay, ux, uy = table.index_select(0, which).unbind(1)
    number = torch.arange(len(which), device=a.device) - start
    row = (number / wide).floor_()
    x, y = left + number - row * wide, top + row
    near = (((x - ax) * uy - (y - ay) * ux).abs() <= thickness).nonzero().squeeze(1)
    which, place = which.index_select(0, near), (y * width + x).index_select(0, near).long()

    side = height * width
    flat = maps.view(-1)
    own = (picture * limbs + limb).index_select(0, which)
    shared = own * side + place  # the same cell of the same limb, whoever's it is
    channel = torch.tensor(skeleton.paf_channels, device=a.device)[limb]
    first_map = (picture * 2 * limbs + channel).index_select(0, which)
    cell = first_map * side + place  # of the field's x; its y is a map later
    tally = which.new_empty(n * limbs * side, dtype=torch.int32).scatter_(0, shared, 0)
    if merge == "last":
        last = tally.scatter_reduce_(0, shared, which.int(), "amax")
        which = last.index_select(0, shared).long()  # all who share it write the same
        ux, uy = unit.to(maps).index_select(0, which).unbind(1)
        flat[cell], flat[cell + side] = ux, uy
    else:
        count = tally.index_add_(0, shared, torch.ones_like(shared, dtype=torch.int32))[shared]
        ux, uy = (unit[which] / count[:, None]).to(maps).unbind(1)
        flat.index_add_(0, cell, ux).index_add_(0, cell + side, uy)


def normal_density(size: tuple[int, int], mean: tuple[float, float], covariance: Sequence[Sequence[float]]) -> Tensor:
    """A bump of any shape, for the lesson: the normal distribution with that covariance, 1 at its top.

    Parameters
    ----------
    size : tuple[int, int]
        (height, width).
    mean : tuple[float, float]
        (x, y) of the top.
    covariance : Sequence[Sequence[float]]
        ((var x, cov), (cov, var y)) in squared pixels; their correlation is cov / sqrt(var x var y).

    Raises
    ------
    ValueError
        No covariance: not symmetric, or not positive definite.
    """
    matrix = torch.tensor(covariance, dtype=torch.float64)
    if not torch.equal(matrix, matrix.T) or bool((torch.linalg.eigvalsh(matrix) <= 0).any()):
        raise ValueError(f"a covariance is symmetric, and positive in every direction; got {covariance}")
    y, x = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) for side in size), indexing="ij")
    away = torch.stack([x - mean[0], y - mean[1]], -1)  # (height, width, 2)
    return torch.exp(-0.5 * torch.einsum("hwi,ij,hwj->hw", away, torch.linalg.inv(matrix), away))
