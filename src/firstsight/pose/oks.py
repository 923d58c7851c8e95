"""Object keypoint similarity (OKS) of poses, and non-maximum suppression by OKS."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def object_keypoint_similarity(
    keypoints: ArrayLike, truth: ArrayLike, *, areas: ArrayLike, boxes: ArrayLike, sigmas: ArrayLike
) -> FloatArray:
    """Compute the object keypoint similarity (OKS) of every pose and every person (Lin 2014).

    OKS is the mean of ``exp(-distance^2 / (2 area (2 sigma)^2))`` over the labeled joints of the person. For a person
    without labeled joints, it is the mean over all joints, and the distance is measured to the box, which is extended
    by its own size on every side.

    Parameters
    ----------
    keypoints : ArrayLike
        (D, K, 2) or (D, K, 3) poses; the third value is ignored.
    truth : ArrayLike
        (G, K, 3) people: x, y and v, which is above 0 for labeled joints.
    areas : ArrayLike
        (G,) areas of the people in square pixels.
    boxes : ArrayLike
        (G, 4) x, y, width, height.
    sigmas : ArrayLike
        (K,) see `Skeleton.sigmas`.

    Returns
    -------
    FloatArray
        (D, G) similarities in [0, 1].

    Raises
    ------
    ValueError
        If the numbers of joints do not agree.

    Examples
    --------
    >>> person = [[[3, 5, 2], [7, 5, 0]]]
    >>> object_keypoint_similarity([[[3, 5], [9, 9]]], person, areas=[40], boxes=[[0, 0, 8, 8]], sigmas=[0.1, 0.1])
    array([[1.]])
    """
    poses = np.asarray(keypoints, np.float64)
    people = np.asarray(truth, np.float64)
    variances = (np.asarray(sigmas, np.float64) * 2) ** 2  # (K,)
    if not poses.shape[1:2] == people.shape[1:2] == variances.shape:
        raise ValueError(
            f"`keypoints` and `truth` must have one joint for each of the {len(variances)} `sigmas`,"
            f" got {poses.shape} and {people.shape}"
        )
    oks = np.zeros((len(poses), len(people)))
    rows = zip(people, np.asarray(areas, np.float64), np.asarray(boxes, np.float64), strict=True)
    for person, (joints, area, box) in enumerate(rows):
        is_labeled = joints[:, 2] > 0
        if is_labeled.any():
            distance = poses[..., :2] - joints[:, :2]  # (D, K, 2)
        else:
            is_labeled = np.ones_like(is_labeled)
            low = box[:2] - box[2:]
            high = box[:2] + 2 * box[2:]
            distance = np.maximum(0, low - poses[..., :2]) + np.maximum(0, poses[..., :2] - high)
        exponent = (distance[..., 0] ** 2 + distance[..., 1] ** 2) / variances / (area + np.spacing(1)) / 2
        oks[:, person] = np.exp(-exponent.compress(is_labeled, axis=1)).sum(1) / is_labeled.sum()
    return oks


def oks_nms(keypoints: ArrayLike, scores: ArrayLike, sigmas: ArrayLike, *, threshold: float = 0.9) -> NDArray[np.int64]:
    """Apply non-maximum suppression by OKS to poses (OKS-NMS, Xiao 2018).

    Poses are kept in the order of their scores, unless they are too similar to a pose that is already kept. The
    similarity is the OKS over all joints; its area is the mean of the bounding-box areas of both poses.

    Parameters
    ----------
    keypoints : ArrayLike
        (D, K, 2) or (D, K, 3) poses; the third value is ignored.
    scores : ArrayLike
        (D,) scores of the poses.
    sigmas : ArrayLike
        (K,) see `Skeleton.sigmas`.
    threshold : float
        Poses with a higher similarity to a kept pose are dropped.

    Returns
    -------
    NDArray[np.int64]
        Indices of the kept poses, highest score first.

    Examples
    --------
    >>> poses = [[[0, 0], [9, 9]], [[0, 0], [9, 8]], [[50, 50], [60, 60]]]
    >>> oks_nms(poses, [0.5, 0.9, 0.7], [0.1, 0.1], threshold=0.8)
    array([1, 2])
    """
    poses = np.asarray(keypoints, np.float64)[..., :2]
    sides = np.ptp(poses, axis=1) if len(poses) else np.zeros((0, 2))
    areas = sides.prod(1)
    variances = (np.asarray(sigmas, np.float64) * 2) ** 2
    order = list(np.argsort(-np.asarray(scores, np.float64), kind="stable"))
    kept = []
    while order:
        best = order.pop(0)
        kept.append(best)
        rest = np.array(order, np.int64)
        squared_distance = ((poses[rest] - poses[best]) ** 2).sum(2)  # (rest, K)
        exponent = squared_distance / variances / ((areas[rest] + areas[best])[:, None] / 2 + np.spacing(1)) / 2
        oks = np.exp(-exponent).mean(1)
        order = rest[oks <= threshold].tolist()
    return np.array(kept, np.int64)
