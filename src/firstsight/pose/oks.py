"""Object keypoint similarity (OKS) of poses, and non-maximum suppression with it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def object_keypoint_similarity(
    keypoints: ArrayLike, truth: ArrayLike, *, areas: ArrayLike, boxes: ArrayLike, sigmas: ArrayLike
) -> Floats:
    """Mean over the labelled joints of exp(-distance^2 / (2 area (2 sigma)^2)).

    For a person without any labelled joint it is the mean over all joints, and the distance is that to the box grown by
    its own size on every side.

    Parameters
    ----------
    keypoints : ArrayLike
        (D, K, 2 or 3) poses; a third number is not looked at.
    truth : ArrayLike
        (G, K, 3) x, y, v.
    areas : ArrayLike
        (G,) squared pixels.
    boxes : ArrayLike
        (G, 4).
    sigmas : ArrayLike
        (K,) as in `Skeleton.sigmas`.

    Returns
    -------
    Floats
        (D, G) in [0, 1].

    Examples
    --------
    >>> one = [[[3, 5, 2], [7, 5, 0]]]
    >>> object_keypoint_similarity([[[3, 5], [9, 9]]], one, areas=[40], boxes=[[0, 0, 8, 8]], sigmas=[0.1, 0.1])
    array([[1.]])
    """
    found, known = np.asarray(keypoints, np.float64), np.asarray(truth, np.float64)
    spread = (np.asarray(sigmas, np.float64) * 2) ** 2  # (K,)
    if not found.shape[1:2] == known.shape[1:2] == spread.shape:
        raise ValueError(f"as many joints as sigmas ({len(spread)}); got poses {found.shape}, truths {known.shape}")
    result = np.zeros((len(found), len(known)))
    people = zip(known, np.asarray(areas, np.float64), np.asarray(boxes, np.float64), strict=True)
    for person, (joints, area, box) in enumerate(people):
        labelled = joints[:, 2] > 0
        if labelled.any():
            away = found[..., :2] - joints[:, :2]  # (D, K, 2)
        else:
            labelled = np.ones_like(labelled)
            low, high = box[:2] - box[2:], box[:2] + 2 * box[2:]
            away = np.maximum(0, low - found[..., :2]) + np.maximum(0, found[..., :2] - high)
        exponent = (away[..., 0] ** 2 + away[..., 1] ** 2) / spread / (area + np.spacing(1)) / 2
        result[:, person] = np.exp(-exponent.compress(labelled, axis=1)).sum(1) / labelled.sum()
    return result


def oks_nms(keypoints: ArrayLike, scores: ArrayLike, sigmas: ArrayLike, *, threshold: float = 0.9) -> NDArray[np.int64]:
    """Which poses to keep: the surest first, and none that is too similar to one that is kept (OKS-NMS, Xiao 2018).

    Similarity is `object_keypoint_similarity` over all joints, with the mean of the areas of both poses' boxes.

    Parameters
    ----------
    keypoints : ArrayLike
        (D, K, 2 or 3). scores : (D,). sigmas : (K,).
    threshold : float
        Poses more similar than this are one.

    Returns
    -------
    NDArray[np.int64]
        Their numbers, the surest first.

    Examples
    --------
    >>> poses = [[[0, 0], [9, 9]], [[0, 0], [9, 8]], [[50, 50], [60, 60]]]
    >>> oks_nms(poses, [0.5, 0.9, 0.7], [0.1, 0.1], threshold=0.8)
    array([1, 2])
    """
    found, sure = np.asarray(keypoints, np.float64)[..., :2], np.asarray(scores, np.float64)
    sides = np.ptp(found, axis=1) if len(found) else np.zeros((0, 2))
    areas = sides.prod(1)
    spread = (np.asarray(sigmas, np.float64) * 2) ** 2
    order, kept = list(np.argsort(-sure, kind="stable")), []
    while order:
        best = order.pop(0)
        kept.append(best)
        rest = np.array(order, np.int64)
        away = ((found[rest] - found[best]) ** 2).sum(2)  # (rest, K)
        exponent = away / spread / ((areas[rest] + areas[best])[:, None] / 2 + np.spacing(1)) / 2
        similar = np.exp(-exponent).mean(1)
        order = rest[similar <= threshold].tolist()
    return np.array(kept, np.int64)
