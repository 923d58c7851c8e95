"""Joints and limbs from the network's own maps, without enlarging them: for use, where `exact` is for comparing.

What is otherwise than in the published code, and why:

- Maps stay as coarse as the network makes them. A joint's place between the cells is where a normal curve through the
  peak and its two neighbours has its top, in each direction (heatmaps are trained to be such curves).
- Of peaks that are near to each other the highest stays, not the leftmost.
- Equal neighbours (plateaus, as of small integers or half precision) are one peak, not none.
- The fields of all limbs are read at once, between the cells by bilinear interpolation. A pair of joints is dropped
  early if the field points along it neither at a third nor at two thirds of the way.
- Fragments of a person are put together, and people are given the joints they lack (`firstsight.pose.complete`).
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from firstsight.pose.parts import (
    LOWEST,
    LOWEST_FIELD,
    POINTS,
    Floats,
    Limbs,
    Numbers,
    Peaks,
    best_limbs,
    framed,
    pairs_of,
)
from firstsight.pose.skeleton import Skeleton

APART = 1.5
"""Peaks of one joint nearer than this, in cells of the maps, are one: 6 pixels of maps four times as fine."""
FIRST_POINTS = (3, 6)
"""Points that are read first, in the nearest cell: a pair that fails at both cannot have what is needed."""
TINY = 1e-3
"""The least value that a logarithm is taken of."""


def find_peaks(heatmaps: Tensor) -> Peaks:
    """Where a heatmap is highest, to a part of a cell.

    Parameters
    ----------
    heatmaps : Tensor
        (K, H, W) float; a map of the background is not to be among them. Left as they are.
    """
    maps = framed(heatmaps)
    kinds, high, wide = maps.shape
    flat = maps.ravel()
    at = np.flatnonzero(flat >= LOWEST)
    value = flat[at]
    left, right, above, below = flat[at - 1], flat[at + 1], flat[at - wide], flat[at + wide]
    top = (value > left) & (value >= right) & (value > above) & (value >= below)
    at, value = at[top], value[top]
    (across, rise_x), (down, rise_y) = (
        _summit(before[top], value, after[top]) for before, after in ((left, right), (above, below))
    )
    kind, place = np.divmod(at, wide * high)
    y, x = np.divmod(place, wide)
    xy = np.stack([x - 1 + across, y - 1 + down], 1)
    order = np.lexsort((xy[:, 0], kind))
    kind, xy, value = kind[order], xy[order], (value * rise_x * rise_y)[order]
    kept = _thinned(kind, xy, value)
    first = np.searchsorted(kind[kept], np.arange(kinds + 1))
    return Peaks(xy[kept], value[kept], first.astype(np.int64))


def _summit(before: Floats, value: Floats, after: Floats) -> tuple[Floats, Floats]:
    """Where a normal curve through three values in a row has its top, from -1/2 to 1/2, and how much higher that is."""
    a, b, c = (np.log(np.maximum(v, TINY)) for v in (before, value, after))
    bend = np.maximum(2 * b - a - c, 1e-6)
    place = np.clip((c - a) / (2 * bend), -0.5, 0.5)
    return place, np.exp((c - a) * place / 4)


def _thinned(kind: Numbers, xy: Floats, value: Floats) -> NDArray[np.bool_]:
    """Which peaks stay, of peaks sorted by kind and x: the highest of those that are near to each other."""
    near: list[tuple[int, int]] = []
    for step in range(1, len(kind)):
        close = (kind[step:] == kind[:-step]) & (xy[step:, 0] - xy[:-step, 0] < APART)
        if not close.any():
            break
        first = np.flatnonzero(close)
        apart = np.square(xy[first + step] - xy[first]).sum(1) < APART**2
        near += [(int(i), int(i) + step) for i in first[apart]]
    kept = np.ones(len(kind), dtype=bool)
    for i, j in sorted(near, key=lambda pair: -max(value[pair[0]], value[pair[1]])):
        if kept[i] and kept[j]:
            kept[j if value[i] >= value[j] else i] = False
    return kept


def find_limbs(pafs: Tensor, peaks: Peaks, skeleton: Skeleton) -> list[Limbs]:
    """Pairs of joints with the limb's field between them, each joint in one of them at most.

    Parameters
    ----------
    pafs : Tensor
        (2 limbs, H, W) float.

    Returns
    -------
    list[Limbs]
        One for each limb of the skeleton.
    """
    maps = np.ascontiguousarray(pafs.detach().cpu().numpy(), dtype=np.float32)
    pairs, limb = pairs_of(peaks, skeleton, maps, _promising)
    start = peaks.xy[pairs[:, 0]].astype(np.float32)
    whole = peaks.xy[pairs[:, 1]].astype(np.float32) - start
    unit = whole / np.maximum(np.hypot(whole[:, 0], whole[:, 1]), np.float32(1e-6))[:, None]
    values = _along(maps, np.asarray(skeleton.paf_channels)[limb], start, whole, unit)
    return best_limbs(pairs, limb, values, skeleton)


def _promising(maps: Floats, channel: Numbers, start: Floats, whole: Floats) -> NDArray[np.bool_]:
    """Which pairs pass at one of the first points at least, read in the nearest cell, as `pairs_of` asks."""
    _, height, width = maps.shape
    (x, y), (dx, dy) = start + np.float32(0.5), whole
    needed = np.float32(LOWEST_FIELD) * np.sqrt(dx * dx + dy * dy)
    across, down = maps.reshape(-1), maps[1:].reshape(-1)
    begin = (channel * (height * width)).astype(np.int32)
    passed = np.zeros(dx.shape, dtype=bool)
    for point in FIRST_POINTS:
        share = np.float32(point / (POINTS - 1))
        row, column = (y + share * dy).astype(np.int32), (x + share * dx).astype(np.int32)
        at = begin + row * width + column
        passed |= across.take(at, mode="clip") * dx + down.take(at, mode="clip") * dy > needed
    return passed


def _along(maps: Floats, channel: Numbers, start: Floats, whole: Floats, unit: Floats) -> Floats:
    """The same between the cells, at all points of each pair: (pairs, points)."""
    _, height, width = maps.shape
    share = np.linspace(0, 1, POINTS, dtype=np.float32)
    x, y = (start[:, axis, None] + whole[:, axis, None] * share for axis in (0, 1))  # (pairs, points)
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    left, above = np.minimum(np.floor(x), max(width - 2, 0)), np.minimum(np.floor(y), max(height - 2, 0))
    dx, dy = x - left, y - above
    row = above.astype(np.int32) + (channel[:, None] * height).astype(np.int32)
    corner = row * width + left.astype(np.int32)
    right, below = min(1, width - 1), width * min(1, height - 1)
    value = np.zeros_like(x)
    for axis in (0, 1):
        flat = maps[axis:].reshape(-1)
        one, two, three, four = (flat.take(corner + step, mode="clip") for step in (0, right, below, below + right))
        upper, lower = one + (two - one) * dx, three + (four - three) * dx
        value += (upper + (lower - upper) * dy) * unit[:, axis, None]
    return value
