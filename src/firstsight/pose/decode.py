"""Decoding of heatmaps and part affinity fields to people.

Decoding has three steps. `find_peaks` finds joints as peaks of the heatmaps. `find_limbs` finds pairs of joints that a
part affinity field connects. `assemble` groups limbs that share a joint into people. The first two steps are in
`firstsight.pose.exact` and `firstsight.pose.fast`, the third is in `firstsight.pose.parts`. The method "fast" then
joins fragments and fills in missing joints (`firstsight.pose.complete`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from torch import Tensor

from firstsight.pose import exact, fast
from firstsight.pose.complete import fill_missing_joints, join_fragments
from firstsight.pose.parts import Limbs, Peaks, People, Pose, assemble
from firstsight.pose.skeleton import Skeleton

Method = Literal["fast", "exact"]
METHODS: tuple[Method, ...] = get_args(Method)
FINDERS: dict[Method, tuple[Callable[[Tensor], Peaks], Callable[[Tensor, Peaks, Skeleton], list[Limbs]]]] = {
    "fast": (fast.find_peaks, fast.find_limbs),
    "exact": (exact.find_peaks, exact.find_limbs),
}


@dataclass(frozen=True)
class DecodeResult:
    """Poses, and the intermediate results of decoding.

    Attributes
    ----------
    poses : list[Pose]
        One pose per person.
    peaks : Peaks
        Peaks of all heatmaps.
    limbs : list[Limbs]
        Limbs of each type: pairs of peaks.
    people : People
        Peaks of each person.
    """

    poses: list[Pose]
    peaks: Peaks
    limbs: list[Limbs]
    people: People


def decode(heatmaps: Tensor, pafs: Tensor, skeleton: Skeleton, *, method: Method = "fast") -> list[Pose]:
    """Decode the maps of one image to poses.

    Parameters
    ----------
    heatmaps : Tensor
        (K, H, W), or (K + 1, H, W) with the background last, which is ignored. Maps of other number types, such as
        bfloat16, are converted to float32.
    pafs : Tensor
        (2L, H, W) part affinity fields.
    skeleton : Skeleton
        Skeleton with K joints and L limbs.
    method : Method
        "fast" takes the network's own maps. It finds subpixel peaks, keeps the highest of close peaks, joins fragments
        of a person, and fills in missing joints. "exact" reproduces the published code and takes maps that are
        upsampled four times.

    Returns
    -------
    list[Pose]
        Keypoints in pixels of the maps, with pixel centers at integers.

    Raises
    ------
    ValueError
        If the maps do not match the skeleton or each other in size, or the method is unknown.
    """
    return decode_steps(heatmaps, pafs, skeleton, method=method).poses


def decode_steps(heatmaps: Tensor, pafs: Tensor, skeleton: Skeleton, *, method: Method = "fast") -> DecodeResult:
    """Decode the maps of one image to poses, and return the intermediate results too.

    Parameters
    ----------
    heatmaps : Tensor
        (K, H, W) or (K + 1, H, W), see `decode`.
    pafs : Tensor
        (2L, H, W) part affinity fields.
    skeleton : Skeleton
        Skeleton with K joints and L limbs.
    method : Method
        "fast" or "exact", see `decode`.

    Returns
    -------
    DecodeResult
        Poses, peaks, limbs and people, in pixels of the maps.

    Raises
    ------
    ValueError
        If the maps do not match the skeleton or each other in size, or the method is unknown.
    """
    if method not in FINDERS:
        raise ValueError(f"`method` must be one of {', '.join(METHODS)}, got '{method}'")
    if heatmaps.ndim != 3 or pafs.ndim != 3 or heatmaps.shape[1:] != pafs.shape[1:]:
        raise ValueError(
            "`heatmaps` must have shape (K, H, W) and `pafs` (2L, H, W) with equal H and W,"
            f" got {tuple(heatmaps.shape)} and {tuple(pafs.shape)}"
        )
    if len(heatmaps) - len(skeleton) not in (0, 1) or len(pafs) != 2 * len(skeleton.limbs):
        raise ValueError(
            f"{skeleton.name} has {len(skeleton)} joints and {len(skeleton.limbs)} limbs, but there are"
            f" {len(heatmaps)} heatmaps and {len(pafs)} field channels (expected {len(skeleton)} or"
            f" {len(skeleton) + 1}, and {2 * len(skeleton.limbs)})"
        )
    find_peaks, find_limbs = FINDERS[method]
    peaks = find_peaks(heatmaps[: len(skeleton)])
    limbs = find_limbs(pafs, peaks, skeleton)
    people = assemble(peaks, limbs, skeleton)
    if method == "fast":
        people = fill_missing_joints(peaks, join_fragments(peaks, people))
    return DecodeResult(_make_poses(peaks, people), peaks, limbs, people)


def _make_poses(peaks: Peaks, people: People) -> list[Pose]:
    """Return the keypoints, score and bounding box of each person."""
    is_detected = (people.joints >= 0)[..., None]  # (P, K, 1)
    points = np.concatenate([peaks.xy, peaks.scores[:, None]], 1).astype(np.float64)
    keypoints = np.where(is_detected, points.take(people.joints, 0, mode="clip"), -1.0) if len(points) else np.empty(0)
    return [
        Pose(person, score, (left, top, right - left, bottom - top))
        for person, score, (left, top), (right, bottom) in zip(
            keypoints,
            people.scores.tolist(),
            np.where(is_detected, keypoints[..., :2], np.inf).min(1).tolist(),
            np.where(is_detected, keypoints[..., :2], -np.inf).max(1).tolist(),
            strict=True,
        )
    ]
