"""Scores of people between 0 and 1, and removal of people that were found twice."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firstsight.pose.parts import Pose
from firstsight.pose.skeleton import Skeleton

FloatArray = NDArray[np.float64]
DUPLICATE_SIMILARITY = 0.5
"""Minimum mean similarity of the common joints of two poses of one person."""
DUPLICATE_JOINTS = 0.5
"""Minimum fraction of common joints among the joints of the pose with the lower score."""
MIN_AREA = 1.0
"""Smallest area of a person in square pixels."""


@dataclass(frozen=True)
class ScoreCalibration:
    """Conversion of raw scores of people to the probability that a person was found, by logistic regression.

    The raw score is that of the published code: the sum of the scores of joints and limbs, times the number of joints
    minus one. It has no upper limit, and its range differs between networks.

    Parameters
    ----------
    coefficient : float
        Change of the log-odds per unit of the logarithm of the raw score.
    intercept : float
        Log-odds at a raw score of 1.
    min_score : float
        Probability from which people are returned by default.
    """

    coefficient: float
    intercept: float
    min_score: float

    def __call__(self, raw: ArrayLike) -> FloatArray:
        """Return the probabilities for raw scores, of the same shape.

        Examples
        --------
        >>> ScoreCalibration(coefficient=1.0, intercept=-3.0, min_score=0.5)([1.0, np.exp(3.0)]).round(3)
        array([0.047, 0.5  ])
        """
        logits = self.coefficient * np.log(np.maximum(np.asarray(raw, np.float64), 1e-9)) + self.intercept
        probabilities: FloatArray = 1 / (1 + np.exp(-logits))
        return probabilities

    @classmethod
    def from_card(cls, entry: Any) -> "ScoreCalibration":
        """Return the calibration of a card, or `UNCALIBRATED` if it has none.

        Raises
        ------
        ValueError
            If it is incomplete, or a value is out of range.
        """
        if entry is None:
            return UNCALIBRATED
        if not isinstance(entry, Mapping):
            raise ValueError(f"a score calibration of type {type(entry).__name__}")
        values = {name: float(entry[name]) for name in ("coefficient", "intercept", "min_score")}
        if (
            not np.isfinite(list(values.values())).all()
            or values["coefficient"] <= 0
            or not 0 <= values["min_score"] <= 1
        ):
            raise ValueError(f"a score calibration {values}")
        return cls(**values)

    def to_card(self) -> dict[str, float]:
        """Return the entry for a card."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


UNCALIBRATED = ScoreCalibration(coefficient=1.0, intercept=-3.4, min_score=0.0)
"""Calibration of weights that have none: 0.5 at a raw score of 30; all people are returned."""


def fit_calibration(
    raw: ArrayLike, is_person: ArrayLike, *, weights: ArrayLike | None = None, min_precision: float = 0.5
) -> ScoreCalibration:
    """Fit a calibration to detections of which it is known whether they are a person.

    ``min_score`` is the threshold with the highest F1 score of the detections among those that ``min_precision`` of
    the returned people are right.

    Parameters
    ----------
    raw : ArrayLike
        (N,) raw scores, above 0.
    is_person : ArrayLike
        (N,) whether each is a person.
    weights : ArrayLike | None
        (N,) weights above 0 of the detections; None weighs them equally.
    min_precision : float
        Minimum fraction of right people among those with at least ``min_score``.

    Raises
    ------
    ValueError
        If not both persons and others are among the detections, a raw score is not finite, or a weight is not above 0.
    """
    from scipy.optimize import minimize

    x = np.log(np.maximum(np.asarray(raw, np.float64), 1e-9))
    y = np.asarray(is_person, bool)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    if y.all() or not y.any():
        raise ValueError("`is_person` must contain both True and False")
    if not np.isfinite(x).all():
        raise ValueError("`raw` must be finite, got NaN or infinity")
    if not (np.isfinite(w) & (w > 0)).all():
        raise ValueError("`weights` must be finite and above 0")

    def loss(parameters: FloatArray) -> float:
        logits = parameters[0] * x + parameters[1]
        return float((w * np.logaddexp(0, np.where(y, -logits, logits))).sum() / w.sum())

    coefficient, intercept = minimize(loss, np.array([1.0, -x.mean()]), method="BFGS").x
    calibration = ScoreCalibration(float(max(coefficient, 1e-3)), float(intercept), 0.0)
    scores = calibration(raw)
    order = np.argsort(-scores, kind="stable")
    right, total = np.cumsum((w * y)[order]), np.cumsum(w[order])
    precision = right / total
    f1 = 2 * right / (total + right[-1])
    allowed = precision >= min_precision
    best = int(np.argmax(np.where(allowed, f1, -1.0)))
    return ScoreCalibration(calibration.coefficient, calibration.intercept, float(scores[order[best]]))


def remove_duplicates(poses: Sequence[Pose], skeleton: Skeleton) -> list[Pose]:
    """Return the poses without those that are of the same person as a pose with a higher score.

    Parameters
    ----------
    poses : Sequence[Pose]
        Poses in one image.
    skeleton : Skeleton
        Skeleton of the poses; its sigmas are the tolerances of the joints.

    Returns
    -------
    list[Pose]
        Kept poses, in their order.
    """
    kept: list[int] = []
    for index in sorted(range(len(poses)), key=lambda index: -poses[index].score):
        if not any(_is_duplicate(poses[index], poses[other], skeleton) for other in kept):
            kept.append(index)
    return [poses[index] for index in sorted(kept)]


def _is_duplicate(pose: Pose, better: Pose, skeleton: Skeleton) -> bool:
    """Return whether two poses are of one person."""
    has_joint = pose.keypoints[:, 2] >= 0
    common = has_joint & (better.keypoints[:, 2] >= 0)
    if common.sum() < max(1, DUPLICATE_JOINTS * has_joint.sum()):
        return False
    area = max(pose.box[2] * pose.box[3], better.box[2] * better.box[3], MIN_AREA)
    distances = ((pose.keypoints[common, :2] - better.keypoints[common, :2]) ** 2).sum(1)
    variances = (2 * np.asarray(skeleton.sigmas)[common]) ** 2
    return bool(np.exp(-distances / variances / area / 2).mean() >= DUPLICATE_SIMILARITY)
