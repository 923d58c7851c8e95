"""Joints and limbs by the rules of the published lightweight OpenPose (Osokin 2018), to the last tie.

Of peaks that are too near to each other the leftmost stays, a limb needs its field at nine of ten points, limbs are
chosen greedily by score. What is done otherwise is the work: a heatmap is compared with its neighbours where it is high
only, and a pair of joints is dropped as soon as two of its points have failed.
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

APART = 6
"""Peaks of one joint nearer than this, in pixels of the maps, are one."""
FIRST_POINTS = (3, 4, 6)
"""Points that are read first: a pair that fails at two of them cannot have what is needed."""


def find_peaks(heatmaps: Tensor) -> Peaks:
    """Where a heatmap is higher than its four neighbours.

    Parameters
    ----------
    heatmaps : Tensor
        (K, H, W) float; a map of the background is not to be among them. Left as they are.
    """
    maps = framed(heatmaps)
    kinds, high, wide = maps.shape
    flat = maps.ravel()
    at = np.flatnonzero(flat >= np.float32(LOWEST))
    for beside in (-1, 1, -wide, wide):
        at = at[flat[at] > flat[at + beside]]
    kind, place = np.divmod(at, high * wide)
    y, x = np.divmod(place, wide)
    x, y, value = x - 1, y - 1, flat[at]
    order = np.lexsort((y, x, kind))
    kind, xy, value = kind[order], np.stack([x[order], y[order]], 1), value[order]
    kept = _thinned(kind, xy)
    first = np.searchsorted(kind[kept], np.arange(kinds + 1))
    return Peaks(xy[kept].astype(np.int64), value[kept], first.astype(np.int64))


def _thinned(kind: Numbers, xy: Numbers) -> NDArray[np.bool_]:
    """Which peaks stay: the leftmost of those that are near to each other; one that is dropped drops no other."""
    kept = np.ones(len(kind), dtype=bool)
    kinds, places = kind.tolist(), xy.tolist()
    for i, (x, y) in enumerate(places):
        if not kept[i]:
            continue
        for j in range(i + 1, len(places)):
            dx = places[j][0] - x
            if kinds[j] != kinds[i] or dx >= APART:
                break
            if dx * dx + (places[j][1] - y) ** 2 < APART * APART:
                kept[j] = False
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
    channel = np.asarray(skeleton.paf_channels)[limb]
    start, whole = peaks.xy[pairs[:, 0]].astype(np.float32), (peaks.xy[pairs[:, 1]] - peaks.xy[pairs[:, 0]])
    whole = whole.astype(np.float32)
    unit = whole / (np.linalg.norm(whole, ord=2, axis=-1, keepdims=True) + np.float32(1e-6))
    values = _along(maps, channel, start, whole, unit)
    return best_limbs(pairs, limb, values, skeleton)


def _promising(maps: Floats, channel: Numbers, start: Floats, whole: Floats) -> NDArray[np.bool_]:
    """Which pairs fail at one of the first points at most, as `pairs_of` asks."""
    _, height, width = maps.shape
    (x, y), (dx, dy) = start, whole
    length = np.sqrt(dx * dx + dy * dy) + np.float32(1e-6)
    (ux, uy), (step_x, step_y) = (dx / length, dy / length), np.float32(1 / (POINTS - 1)) * whole
    flat = maps.reshape(-1)
    passed = np.zeros(dx.shape, dtype=np.int8)
    for point in FIRST_POINTS:
        row, column = (
            np.rint(step * np.float32(point) + begin).astype(np.int32) for step, begin in ((step_y, y), (step_x, x))
        )
        at = (channel * height + row) * width + column
        passed += flat[at] * ux + flat[at + height * width] * uy > LOWEST_FIELD
    return passed >= len(FIRST_POINTS) - 1


def _along(maps: Floats, channel: Numbers, start: Floats, whole: Floats, unit: Floats) -> Floats:
    """The field's share in each pair's direction at all of its points, in the nearest pixel: (pairs, points)."""
    _, height, width = maps.shape
    steps = (np.float32(1 / (POINTS - 1)) * whole)[:, None, :]
    places = (steps * np.arange(POINTS, dtype=np.float32)[:, None] + start[:, None, :]).round().astype(np.int32)
    flat, at = maps.ravel(), (channel[:, None] * height + places[..., 1]) * width + places[..., 0]
    return np.asarray(flat[at] * unit[:, 0, None] + flat[at + height * width] * unit[:, 1, None])
