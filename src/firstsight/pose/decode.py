"""From heatmaps and part affinity fields to people.

Three steps, each of which can be looked at: peaks of the heatmaps are joints (`find_peaks`); pairs of joints with the
limb's field between them are limbs (`find_limbs`); limbs that share a joint are one person (`assemble`). The first two
are in `firstsight.pose.exact` and `firstsight.pose.fast`, the third in `firstsight.pose.parts`; `decode` does all.
"fast" then puts fragments together and gives people the joints that they lack (`firstsight.pose.complete`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from torch import Tensor

from firstsight.pose import exact, fast
from firstsight.pose.complete import give_joints, join_fragments
from firstsight.pose.parts import Limbs, Peaks, People, Pose, assemble
from firstsight.pose.skeleton import Skeleton

Method = Literal["fast", "exact"]
METHODS: tuple[Method, ...] = get_args(Method)
FINDERS: dict[Method, tuple[Callable[[Tensor], Peaks], Callable[[Tensor, Peaks, Skeleton], list[Limbs]]]] = {
    "fast": (fast.find_peaks, fast.find_limbs),
    "exact": (exact.find_peaks, exact.find_limbs),
}


@dataclass(frozen=True)
class Decoded:
    """People, and what they were made of.

    Parameters
    ----------
    poses : list[Pose]
        One for each person.
    peaks : Peaks
        All joints that were found; limbs : of each kind, pairs of them; people : which joint is whose.
    """

    poses: list[Pose]
    peaks: Peaks
    limbs: list[Limbs]
    people: People


def decode(heatmaps: Tensor, pafs: Tensor, skeleton: Skeleton, *, method: Method = "fast") -> list[Pose]:
    """People in the maps of one picture.

    Parameters
    ----------
    heatmaps : Tensor
        (K, H, W) or (K + 1, H, W) with the background last, which is left out.
    pafs : Tensor
        (2 limbs, H, W).
    skeleton : Skeleton
        Whose joints and limbs they are.
    method : Method
        "exact" is the published code, and wants maps that are four times as fine as the network's; "fast" wants the
        network's own: of peaks that are near to each other the highest stays, places are between pixels, fragments in
        one place are one person, and who lacks a joint is given one that is around.

    Returns
    -------
    list[Pose]
        Keypoints in pixels of the maps, pixel centres at integers.

    Raises
    ------
    ValueError
        Maps of another skeleton, or of two sizes; a method that there is not.
    """
    return decode_steps(heatmaps, pafs, skeleton, method=method).poses


def decode_steps(heatmaps: Tensor, pafs: Tensor, skeleton: Skeleton, *, method: Method = "fast") -> Decoded:
    """As `decode`, with all that lies between the maps and the people; (K, H, W) heatmaps, (2 limbs, H, W) fields."""
    if method not in FINDERS:
        raise ValueError(f"decode: unknown method '{method}' ({', '.join(METHODS)})")
    if heatmaps.ndim != 3 or pafs.ndim != 3 or heatmaps.shape[1:] != pafs.shape[1:]:
        raise ValueError(f"maps are (K, H, W) of one size; got {tuple(heatmaps.shape)} and {tuple(pafs.shape)}")
    if len(heatmaps) - len(skeleton) not in (0, 1) or len(pafs) != 2 * len(skeleton.limbs):
        raise ValueError(
            f"{skeleton.name} has {len(skeleton)} joints and {len(skeleton.limbs)} limbs, the maps"
            f" {len(heatmaps)} heatmaps and {len(pafs)} fields"
        )
    find_peaks, find_limbs = FINDERS[method]
    peaks = find_peaks(heatmaps[: len(skeleton)])
    limbs = find_limbs(pafs, peaks, skeleton)
    people = assemble(peaks, limbs, skeleton)
    if method == "fast":
        people = give_joints(peaks, join_fragments(peaks, people))
    return Decoded(_poses(peaks, people), peaks, limbs, people)


def _poses(peaks: Peaks, people: People) -> list[Pose]:
    there = (people.joints >= 0)[..., None]  # (P, K, 1)
    places = np.concatenate([peaks.xy, peaks.scores[:, None]], 1).astype(np.float64)
    keypoints = np.where(there, places.take(people.joints, 0, mode="clip"), -1.0) if len(places) else np.empty(0)
    return [
        Pose(one, score, (left, top, right - left, bottom - top))
        for one, score, (left, top), (right, bottom) in zip(
            keypoints,
            people.scores.tolist(),
            np.where(there, keypoints[..., :2], np.inf).min(1).tolist(),
            np.where(there, keypoints[..., :2], -np.inf).max(1).tolist(),
            strict=True,
        )
    ]
