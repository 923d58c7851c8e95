"""How good poses are: the percentage of correct keypoints (Yang and Ramanan 2013), and which pose is whose.

Everything is in pixels of the picture: keypoints x then y, boxes x, y, width, height. In truths a joint has a third
number v: 0 not annotated, 1 hidden, 2 visible; those with v > 0 are measured.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firstsight.metrics.average_precision import Detections, GroundTruth
from firstsight.pose.oks import object_keypoint_similarity
from firstsight.pose.skeleton import Skeleton

DIAGONALS = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))
"""Either is the length of a torso; the first counts where it is annotated."""
HEAD = 0.6
"""The size of a head over the diagonal of its box (MPII)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Pck:
    """Correct keypoints.

    Parameters
    ----------
    per_joint : Floats
        (K,) share of the annotated ones that are correct; nan where none is annotated.
    counts : NDArray[np.int64]
        (K,) how many were annotated, in the pictures kept.
    mean : float
        The same over all joints together; nan without any.
    joints : int
        How many were annotated, of all kinds.
    kept, left_out : int
        How many pictures were measured, and how many had no length to measure by.
    """

    per_joint: Floats
    counts: NDArray[np.int64]
    mean: float
    joints: int
    kept: int
    left_out: int


def pck(
    keypoints: ArrayLike, truth: ArrayLike, skeleton: Skeleton, *, threshold: float = 0.2,
    norm: Literal["torso", "box"] = "torso", boxes: ArrayLike | None = None,
) -> Pck:  # fmt: skip
    """Percentage of correct keypoints: those no farther from the truth than a share of the person's size.

    Parameters
    ----------
    keypoints : ArrayLike
        (N, K, 2) the pose of one person in each of N pictures; a joint with a negative coordinate or nan was not found,
        and is a miss.
    truth : ArrayLike
        (N, K, 3) x, y, v.
    threshold : float
        The share.
    norm : Literal['torso', 'box']
        Of the torso, from the left shoulder to the right hip, or where one of them is missing from the right shoulder
        to the left hip; or of the larger side of the box. A picture with no such length above 0 is left out.
    boxes : ArrayLike | None
        (N, 4), for "box".

    Raises
    ------
    ValueError
        The skeleton has no torso, boxes are missing, or a shape is wrong.
    """
    known = np.asarray(truth, np.float64)
    if known.shape[1:] != (len(skeleton), 3):
        raise ValueError(f"{skeleton.name} has {len(skeleton)} joints, each x, y, v; got truths {known.shape}")
    if norm == "box":
        if boxes is None:
            raise ValueError("norm 'box' needs boxes (N, 4)")
        lengths = np.asarray(boxes, np.float64)[:, 2:].max(1)
    elif norm == "torso":
        lengths = _torsos(known, skeleton)
    else:
        raise ValueError(f"norm is 'torso' or 'box'; got '{norm}'")
    return _correct(keypoints, known, lengths, threshold)


def pckh(keypoints: ArrayLike, truth: ArrayLike, heads: ArrayLike, *, threshold: float = 0.5) -> Pck:
    """As `pck`, by the size of the head: 0.6 times the diagonal of its box (Andriluka 2014).

    Parameters
    ----------
    keypoints, truth : ArrayLike
        As in `pck`.
    heads : ArrayLike
        (N, 4) boxes; without width and height the picture is left out.
    threshold : float
        Share of the head's size.
    """
    lengths = HEAD * np.hypot(*np.asarray(heads, np.float64)[:, 2:].T)
    return _correct(keypoints, np.asarray(truth, np.float64), lengths, threshold)


def poses_of_people(
    truth: GroundTruth, found: Detections, sigmas: ArrayLike, *, least: float = 0.5, max_detections: int = 20
) -> tuple[NDArray[np.int64], Floats]:
    """Which pose is whose, in a picture of several people, as `average_precision` has it at one similarity.

    A pose, the surest first, takes the most similar of the people that are left; people to be found before crowds and
    people without labels, which take up poses that are theirs.

    Parameters
    ----------
    sigmas : ArrayLike
        (K,) as in `Skeleton.sigmas`.
    least : float
        Similarity that is needed.
    max_detections : int
        Only so many poses with the highest scores are looked at.

    Returns
    -------
    tuple[NDArray[np.int64], Floats]
        For each person the number of the pose, (G,), -1 for none, and the similarity, (G,), 0 for none.
    """
    similarity = object_keypoint_similarity(
        found.keypoints, truth.keypoints, areas=truth.areas, boxes=truth.boxes, sigmas=sigmas
    )
    wanted = ~truth.crowd & (truth.keypoints[..., 2] > 0).any(1)
    poses, reached = np.full(len(wanted), -1), np.zeros(len(wanted))
    for pose in np.argsort(-found.scores, kind="stable")[:max_detections] if len(wanted) else ():
        free = (poses < 0) | truth.crowd
        fit = np.where(free & (similarity[pose] >= least), similarity[pose] + 2 * wanted, -1.0)
        person = len(fit) - 1 - int(fit[::-1].argmax())  # of equals the last
        if fit[person] >= 0:
            poses[person], reached[person] = pose, similarity[pose, person]
    return poses, reached


def _torsos(truth: Floats, skeleton: Skeleton) -> Floats:
    """(N,) lengths, 0 where there is none."""
    known = [ends for ends in DIAGONALS if set(ends) <= set(skeleton.joints)]
    if not known:
        raise ValueError(f"{skeleton.name} has no torso: no left_shoulder and right_hip, nor the other two (use 'box')")
    lengths = np.zeros(len(truth))
    for ends in known:
        a, b = (truth[:, skeleton.joints.index(name)] for name in ends)
        there = (lengths == 0) & (a[:, 2] > 0) & (b[:, 2] > 0)
        lengths[there] = np.hypot(*(a - b)[there, :2].T)
    return lengths


def _correct(keypoints: ArrayLike, truth: Floats, lengths: Floats, threshold: float) -> Pck:
    """Which joints lie within a share of the length (N,) of the truth; pictures without one are left out."""
    poses = np.asarray(keypoints, np.float64)
    if poses.shape != (*truth.shape[:2], 2) or lengths.shape != truth.shape[:1]:
        got = (poses.shape, truth.shape, lengths.shape)
        raise ValueError(f"keypoints are (N, K, 2), truths (N, K, 3) and lengths (N,); got {got}")
    kept = lengths > 0
    poses, truth, reach = poses[kept], truth[kept], threshold * lengths[kept]
    annotated = truth[..., 2] > 0  # (N, K)
    near = np.hypot(*np.moveaxis(poses - truth[..., :2], -1, 0)) <= reach[:, None]  # nan is not
    correct = annotated & near & (poses >= 0).all(-1)
    counts, rights = annotated.sum(0), correct.sum(0)
    return Pck(
        per_joint=np.divide(rights, counts, out=np.full(len(counts), np.nan), where=counts > 0),
        counts=counts,
        mean=float(rights.sum() / counts.sum()) if counts.any() else float("nan"),
        joints=int(counts.sum()), kept=int(kept.sum()), left_out=int((~kept).sum()),
    )  # fmt: skip
