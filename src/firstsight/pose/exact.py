"""Peaks and limbs by the exact rules of the published Lightweight OpenPose (Osokin 2018), including ties.

Of peaks that are close to each other, the leftmost one is kept. A limb needs the support of its field at nine of ten
points. Limbs are selected greedily by score.

The results are those of the published code; the computation is vectorized. Only pixels with a high value are compared
with their neighbors, and a pair of peaks is dropped as soon as two of its points have failed.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from firstsight.pose.parts import (
    NUM_POINTS,
    PAF_THRESHOLD,
    PEAK_THRESHOLD,
    FloatArray,
    IntArray,
    Limbs,
    Peaks,
    find_pairs,
    pad_heatmaps,
    select_limbs,
    to_float32,
)
from firstsight.pose.skeleton import Skeleton

NMS_RADIUS = 6
"""Peaks of one joint type that are closer than this are suppressed, in pixels of the maps."""
FIRST_POINTS = (3, 4, 6)
"""Points that are tested first. A pair that fails at two of them cannot reach the required number of points."""


def find_peaks(heatmaps: Tensor) -> Peaks:
    """Find the pixels where a heatmap is higher than at its four neighbors.

    Parameters
    ----------
    heatmaps : Tensor
        (K, H, W) float heatmaps without the background; not modified.

    Returns
    -------
    Peaks
        Peaks at integer positions, sorted by joint type and x.
    """
    maps = pad_heatmaps(heatmaps)
    joints, height, width = maps.shape
    flat = maps.ravel()
    index = np.flatnonzero(flat >= np.float32(PEAK_THRESHOLD))
    for neighbor in (-1, 1, -width, width):
        index = index[flat[index] > flat[index + neighbor]]
    joint, position = np.divmod(index, height * width)
    y, x = np.divmod(position, width)
    order = np.lexsort((y, x, joint))
    joint = joint[order]
    xy = np.stack([x[order] - 1, y[order] - 1], 1)  # without the border
    scores = flat[index][order]
    kept = _suppress_neighbors(joint, xy)
    offsets = np.searchsorted(joint[kept], np.arange(joints + 1))
    return Peaks(xy[kept].astype(np.int64), scores[kept], offsets.astype(np.int64))


def _suppress_neighbors(joint: IntArray, xy: IntArray) -> NDArray[np.bool_]:
    """Return which peaks are kept, of peaks sorted by joint type and x.

    Of peaks that are close to each other, the leftmost is kept. A suppressed peak suppresses no other.
    """
    kept = np.ones(len(joint), dtype=bool)
    joints = joint.tolist()
    points = xy.tolist()
    for i, (x, y) in enumerate(points):
        if not kept[i]:
            continue
        for j in range(i + 1, len(points)):
            dx = points[j][0] - x
            if joints[j] != joints[i] or dx >= NMS_RADIUS:
                break
            if dx * dx + (points[j][1] - y) ** 2 < NMS_RADIUS * NMS_RADIUS:
                kept[j] = False
    return kept


def find_limbs(pafs: Tensor, peaks: Peaks, skeleton: Skeleton) -> list[Limbs]:
    """Find pairs of peaks that the part affinity field connects; each peak is in at most one limb of a type.

    Parameters
    ----------
    pafs : Tensor
        (2L, H, W) float part affinity fields.
    peaks : Peaks
        Peaks of all joint types, in pixels of the fields.
    skeleton : Skeleton
        Skeleton with L limbs.

    Returns
    -------
    list[Limbs]
        L entries, one for each limb of the skeleton.
    """
    maps = to_float32(pafs)
    pairs, limb = find_pairs(peaks, skeleton, maps, _is_promising)
    channel = np.asarray(skeleton.paf_channels)[limb]
    start = peaks.xy[pairs[:, 0]].astype(np.float32)
    vector = (peaks.xy[pairs[:, 1]] - peaks.xy[pairs[:, 0]]).astype(np.float32)
    unit = vector / (np.linalg.norm(vector, ord=2, axis=-1, keepdims=True) + np.float32(1e-6))
    values = _sample_field(maps, channel, start, vector, unit)
    return select_limbs(pairs, limb, values, skeleton)


def _is_promising(maps: FloatArray, channel: IntArray, start: FloatArray, vector: FloatArray) -> NDArray[np.bool_]:
    """Return which pairs fail at no more than one of the first points; shapes as in `find_pairs`."""
    _, height, width = maps.shape
    x, y = start
    dx, dy = vector
    length = np.sqrt(dx * dx + dy * dy) + np.float32(1e-6)
    unit_x = dx / length
    unit_y = dy / length
    step_x, step_y = np.float32(1 / (NUM_POINTS - 1)) * vector
    flat = maps.reshape(-1)
    passed = np.zeros(dx.shape, dtype=np.int8)
    for point in FIRST_POINTS:
        row = np.rint(step_y * np.float32(point) + y).astype(np.int32)
        column = np.rint(step_x * np.float32(point) + x).astype(np.int32)
        index = (channel * height + row) * width + column
        passed += flat[index] * unit_x + flat[index + height * width] * unit_y > PAF_THRESHOLD
    return passed >= len(FIRST_POINTS) - 1


def _sample_field(
    maps: FloatArray, channel: IntArray, start: FloatArray, vector: FloatArray, unit: FloatArray
) -> FloatArray:
    """Return the field's component along each pair at all of its points, from the nearest pixel: (C, points)."""
    _, height, width = maps.shape
    step = (np.float32(1 / (NUM_POINTS - 1)) * vector)[:, None, :]
    points = (step * np.arange(NUM_POINTS, dtype=np.float32)[:, None] + start[:, None, :]).round().astype(np.int32)
    flat = maps.ravel()
    index = (channel[:, None] * height + points[..., 1]) * width + points[..., 0]
    return np.asarray(flat[index] * unit[:, 0, None] + flat[index + height * width] * unit[:, 1, None])
