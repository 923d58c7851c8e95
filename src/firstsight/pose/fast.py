"""Peaks and limbs from the network's own maps, without upsampling; the default (`exact` is for comparison).

Differences from the published code, and their reasons:

- The maps keep the resolution of the network, so decoding is fast. A subpixel position is the maximum of a Gaussian
  through a peak and its two neighbors in each direction; the network is trained to output such Gaussians.
- Of peaks that are close to each other, the highest one is kept, not the leftmost.
- A plateau of equal values, as from integers or half precision, is one peak. The published code finds none there.
- The fields of all limbs are sampled at once, with bilinear interpolation. A pair of peaks is dropped early if the
  field supports it neither at a third nor at two thirds of its length.
- Fragments of a person are joined, and missing joints are filled in (`firstsight.pose.complete`).
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

NMS_RADIUS = 1.5
"""Peaks of one joint type that are closer than this are suppressed, in pixels of the maps.

It equals 6 pixels of maps that are upsampled four times.
"""
FIRST_POINTS = (3, 6)
"""Points that are tested first, in the nearest pixel. A pair that fails at both has too few supporting points."""
MIN_VALUE = 1e-3
"""Lower bound of heatmap values before the logarithm."""


def find_peaks(heatmaps: Tensor) -> Peaks:
    """Find the local maxima of heatmaps with subpixel precision.

    Parameters
    ----------
    heatmaps : Tensor
        (K, H, W) float heatmaps without the background; not modified.

    Returns
    -------
    Peaks
        Peaks at subpixel positions, sorted by joint type and x.
    """
    maps = pad_heatmaps(heatmaps)
    joints, height, width = maps.shape
    flat = maps.ravel()
    index = np.flatnonzero(flat >= PEAK_THRESHOLD)
    value = flat[index]
    left = flat[index - 1]
    right = flat[index + 1]
    above = flat[index - width]
    below = flat[index + width]
    is_peak = (value > left) & (value >= right) & (value > above) & (value >= below)
    index = index[is_peak]
    value = value[is_peak]
    shift_x, gain_x = _fit_gaussian(left[is_peak], value, right[is_peak])
    shift_y, gain_y = _fit_gaussian(above[is_peak], value, below[is_peak])
    joint, position = np.divmod(index, width * height)
    y, x = np.divmod(position, width)
    xy = np.stack([x - 1 + shift_x, y - 1 + shift_y], 1)  # without the border
    order = np.lexsort((xy[:, 0], joint))
    joint = joint[order]
    xy = xy[order]
    scores = (value * gain_x * gain_y)[order]
    kept = _suppress_neighbors(joint, xy, scores)
    offsets = np.searchsorted(joint[kept], np.arange(joints + 1))
    return Peaks(xy[kept], scores[kept], offsets.astype(np.int64))


def _fit_gaussian(before: FloatArray, value: FloatArray, after: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fit a Gaussian through three values in a row.

    Return the position of its maximum relative to the middle value, from -1/2 to 1/2, and the ratio of the maximum to
    the middle value.
    """
    a, b, c = (np.log(np.maximum(v, MIN_VALUE)) for v in (before, value, after))
    curvature = np.maximum(2 * b - a - c, 1e-6)
    shift = np.clip((c - a) / (2 * curvature), -0.5, 0.5)
    return shift, np.exp((c - a) * shift / 4)


def _suppress_neighbors(joint: IntArray, xy: FloatArray, scores: FloatArray) -> NDArray[np.bool_]:
    """Return which peaks are kept, of peaks sorted by joint type and x: the highest of those close to each other."""
    close_pairs: list[tuple[int, int]] = []
    for step in range(1, len(joint)):
        is_candidate = (joint[step:] == joint[:-step]) & (xy[step:, 0] - xy[:-step, 0] < NMS_RADIUS)
        if not is_candidate.any():
            break
        first = np.flatnonzero(is_candidate)
        is_close = np.square(xy[first + step] - xy[first]).sum(1) < NMS_RADIUS**2
        close_pairs += [(int(i), int(i) + step) for i in first[is_close]]
    kept = np.ones(len(joint), dtype=bool)
    for i, j in sorted(close_pairs, key=lambda pair: -max(scores[pair[0]], scores[pair[1]])):
        if kept[i] and kept[j]:
            kept[j if scores[i] >= scores[j] else i] = False
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
    start = peaks.xy[pairs[:, 0]].astype(np.float32)
    vector = peaks.xy[pairs[:, 1]].astype(np.float32) - start
    unit = vector / np.maximum(np.hypot(vector[:, 0], vector[:, 1]), np.float32(1e-6))[:, None]
    values = _sample_field(maps, np.asarray(skeleton.paf_channels)[limb], start, vector, unit)
    return select_limbs(pairs, limb, values, skeleton)


def _is_promising(maps: FloatArray, channel: IntArray, start: FloatArray, vector: FloatArray) -> NDArray[np.bool_]:
    """Return which pairs pass at one or more of the first points, in the nearest pixel; shapes as in `find_pairs`."""
    _, height, width = maps.shape
    x, y = start + np.float32(0.5)
    dx, dy = vector
    threshold = np.float32(PAF_THRESHOLD) * np.sqrt(dx * dx + dy * dy)
    field_x = maps.reshape(-1)
    field_y = maps[1:].reshape(-1)
    base = (channel * (height * width)).astype(np.int32)
    passed = np.zeros(dx.shape, dtype=bool)
    for point in FIRST_POINTS:
        t = np.float32(point / (NUM_POINTS - 1))
        row = (y + t * dy).astype(np.int32)
        column = (x + t * dx).astype(np.int32)
        index = base + row * width + column
        passed |= field_x.take(index, mode="clip") * dx + field_y.take(index, mode="clip") * dy > threshold
    return passed


def _sample_field(
    maps: FloatArray, channel: IntArray, start: FloatArray, vector: FloatArray, unit: FloatArray
) -> FloatArray:
    """Return the field's component along each pair at all of its points, bilinearly interpolated: (C, points)."""
    _, height, width = maps.shape
    t = np.linspace(0, 1, NUM_POINTS, dtype=np.float32)
    x = (start[:, 0, None] + vector[:, 0, None] * t).clip(0, width - 1)  # (C, points)
    y = (start[:, 1, None] + vector[:, 1, None] * t).clip(0, height - 1)
    left = np.minimum(np.floor(x), max(width - 2, 0))
    top = np.minimum(np.floor(y), max(height - 2, 0))
    dx = x - left
    dy = y - top
    row = top.astype(np.int32) + (channel[:, None] * height).astype(np.int32)
    index = row * width + left.astype(np.int32)
    right = min(1, width - 1)  # offset of the next column; 0 in maps of one column
    below = width * min(1, height - 1)
    values = np.zeros_like(x)
    for axis in (0, 1):
        flat = maps[axis:].reshape(-1)
        v00, v01, v10, v11 = (flat.take(index + step, mode="clip") for step in (0, right, below, below + right))
        upper = v00 + (v01 - v00) * dx
        lower = v10 + (v11 - v10) * dx
        values += (upper + (lower - upper) * dy) * unit[:, axis, None]
    return values
