"""Tracking of people across the frames of a video, and smoothing of their joints.

`Tracker` predicts the joints of each person from their velocities. It assigns poses to people so that the sum of their
object keypoint similarities is maximal. `OneEuro` (Casiez 2012) smooths slow joints strongly and fast joints little.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from firstsight.pose.oks import object_keypoint_similarity
from firstsight.pose.parts import Pose, bounding_box
from firstsight.pose.skeleton import Skeleton

VELOCITY_GAIN = 0.4
"""Default fraction of a joint's prediction error, per frame, that is added to its velocity."""
VELOCITY_DAMPING = 0.9
"""Factor of a joint's velocity in each frame without this joint."""

FloatArray = NDArray[np.float64]


def pose_similarity(first: FloatArray, second: FloatArray, skeleton: Skeleton, *, area: float) -> float:
    """Compute the object keypoint similarity over the joints that both poses have.

    Parameters
    ----------
    first : FloatArray
        (K, 3) x, y in pixels, and score; -1 for a joint that was not detected.
    second : FloatArray
        (K, 3) like ``first``.
    skeleton : Skeleton
        Skeleton of both poses.
    area : float
        Area of the body in square pixels, above 0.

    Returns
    -------
    float
        Similarity in [0, 1]; 0 without common joints.
    """
    in_both = (first[:, 2] >= 0) & (second[:, 2] >= 0)
    if not in_both.any():
        return 0.0
    truth = np.column_stack([second[:, :2], in_both])[None]
    oks = object_keypoint_similarity(first[None], truth, areas=[area], boxes=np.zeros((1, 4)), sigmas=skeleton.sigmas)
    return float(oks[0, 0])


@dataclass
class OneEuro:
    """1 euro filter of the joints of one person: a low-pass filter whose cutoff frequency rises with the speed.

    Attributes
    ----------
    joints : int
        Number of joints, K.
    frames_per_second : float
        Frame rate of the video.
    min_cutoff : float
        Cutoff frequency of a joint at rest, in Hz; a lower value smooths more.
    beta : float
        Increase of the cutoff frequency with the speed, in Hz per pixel per second; a higher value lags less. At
        constant speed, the lag converges to less than 1 / (2 pi beta) pixels, regardless of the speed.
    derivative_cutoff : float
        Cutoff frequency of the speed, in Hz.

    Raises
    ------
    ValueError
        If the frame rate or a cutoff frequency is not above 0, or ``beta`` is negative.
    """

    joints: int
    _: KW_ONLY
    frames_per_second: float = 30.0
    min_cutoff: float = 1.0
    beta: float = 0.05
    derivative_cutoff: float = 1.0

    def __post_init__(self) -> None:
        if min(self.frames_per_second, self.min_cutoff, self.derivative_cutoff) <= 0 or self.beta < 0:
            raise ValueError(
                "`frames_per_second`, `min_cutoff` and `derivative_cutoff` must be above 0, `beta` at least 0,"
                f" got {self}"
            )
        self._detected = np.zeros(self.joints, dtype=bool)
        self._xy = np.zeros((self.joints, 2))
        self._speed = np.zeros((self.joints, 2))

    def __call__(self, xy: FloatArray, detected: NDArray[np.bool_] | None = None) -> FloatArray:
        """Filter the next frame.

        Parameters
        ----------
        xy : FloatArray
            (K, 2) x, y in pixels.
        detected : NDArray[np.bool_] | None
            (K,) which joints were detected; if None, those without a negative coordinate. Other joints are returned
            unchanged, and their filter restarts: the first position after a gap is returned unchanged too.

        Returns
        -------
        FloatArray
            (K, 2) filtered x, y.
        """
        detected = np.all(xy >= 0, axis=1) if detected is None else detected.copy()
        continues = (detected & self._detected)[:, None]
        previous = np.where(continues, self._xy, xy)
        speed = np.where(continues, self._speed, 0.0)
        speed = speed + self._alpha(self.derivative_cutoff) * ((xy - previous) * self.frames_per_second - speed)
        smooth = previous + self._alpha(self.min_cutoff + self.beta * np.abs(speed)) * (xy - previous)
        self._xy = smooth
        self._speed = speed
        self._detected = detected
        return smooth.copy()

    def _alpha(self, cutoff: float | FloatArray) -> float | FloatArray:
        """Return the weight of the new value, 1 / (1 + tau / T) with tau = 1 / (2 pi cutoff) and frame time T."""
        return 1 / (1 + self.frames_per_second / (2 * np.pi * cutoff))


def smooth_pose(pose: Pose, one_euro: OneEuro) -> Pose:
    """Return a pose with filtered joints and their bounding box; scores do not change."""
    xy = one_euro(pose.keypoints[:, :2], pose.keypoints[:, 2] >= 0)
    keypoints = np.column_stack([xy, pose.keypoints[:, 2]])
    return replace(pose, keypoints=keypoints, box=bounding_box(keypoints))


class _Track:
    """State of one tracked person.

    Attributes
    ----------
    id : int
        Number of the person, from 1.
    keypoints : FloatArray
        (K, 3) predicted x, y and last score; the score is -1 for a joint without prediction.
    velocity : FloatArray
        (K, 2) pixels per frame.
    age : NDArray[np.int64]
        (K,) number of frames since each joint was detected.
    """

    def __init__(self, track_id: int, joints: int, patience: int) -> None:
        self.id = track_id
        self.keypoints = np.full((joints, 3), -1.0)
        self.velocity = np.zeros((joints, 2))
        self.age = np.full(joints, patience)

    def predict(self, patience: int) -> None:
        """Move the joints by their velocities to the next frame."""
        self.velocity[self.age > 0] *= VELOCITY_DAMPING
        self.keypoints[:, :2] += self.velocity
        self.age += 1
        self.keypoints[self.age > patience, 2] = -1

    def update(self, keypoints: FloatArray, gain: float = VELOCITY_GAIN) -> None:
        """Correct velocities and positions by the joints of a detected pose."""
        detected = keypoints[:, 2] >= 0
        predicted = self.keypoints[:, 2:] >= 0
        error = (keypoints - self.keypoints)[:, :2] / self.age[:, None]
        self.velocity[detected] = np.where(predicted, self.velocity + gain * error, 0)[detected]
        self.keypoints[detected] = keypoints[detected]
        self.age[detected] = 0


@dataclass
class Tracker:
    """Tracker that gives every person in a video an id, counted from 1.

    `update` must be called for every frame, including frames without people.

    Attributes
    ----------
    skeleton : Skeleton
        Skeleton of the poses.
    min_similarity : float
        Minimum similarity of a pose and a prediction to be the same person, in (0, 1].
    patience : int
        Number of consecutive frames without a detection after which a person or a joint is forgotten.
    velocity_gain : float
        Fraction of a joint's prediction error, per frame, that is added to its velocity; 0 disables motion.
    smooth : bool
        Whether to filter ``poses`` by `OneEuro`.
    frames_per_second : float
        Frame rate of the filter.
    poses : list[Pose]
        Poses of the last frame, filtered if ``smooth``.

    Raises
    ------
    ValueError
        If ``min_similarity`` or ``patience`` is out of range.
    """

    skeleton: Skeleton
    _: KW_ONLY
    min_similarity: float = 0.2
    patience: int = 15
    velocity_gain: float = VELOCITY_GAIN
    smooth: bool = False
    frames_per_second: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.min_similarity <= 1 or self.patience < 1:
            raise ValueError(
                "`min_similarity` must be above 0 and at most 1, `patience` at least 1,"
                f" got {(self.min_similarity, self.patience)}"
            )
        self.poses: list[Pose] = []
        self._tracks: list[_Track] = []
        self._filters: dict[int, OneEuro] = {}
        self._ids = count(1)

    def update(self, poses: Sequence[Pose]) -> list[int]:
        """Track the people of the next frame.

        Parameters
        ----------
        poses : Sequence[Pose]
            Poses of the frame, in any order.

        Returns
        -------
        list[int]
            Id of each pose. An id is never given to two people.
        """
        for track in self._tracks:
            track.predict(self.patience)
        matches = self._match(poses)
        k = len(self.skeleton)
        tracks = [matches.get(i) or _Track(next(self._ids), k, self.patience) for i in range(len(poses))]
        for pose, track in zip(poses, tracks, strict=True):
            track.update(pose.keypoints, self.velocity_gain)
        self._tracks = [t for t in dict.fromkeys(self._tracks + tracks) if t.age.min() < self.patience]
        ids = [track.id for track in tracks]
        self.poses = list(poses)
        if self.smooth:  # a person who is missing in a frame loses the filter, which restarts afterwards
            filters = self._filters
            rate = self.frames_per_second
            self._filters = {n: filters.get(n) or OneEuro(k, frames_per_second=rate) for n in ids}
            self.poses = [smooth_pose(pose, self._filters[n]) for pose, n in zip(poses, ids, strict=True)]
        return ids

    def _match(self, poses: Sequence[Pose]) -> dict[int, _Track]:
        """Return the track of each matched pose, by the pose's index."""
        table = np.zeros((len(poses), len(self._tracks)))
        for i, j in np.ndindex(table.shape):
            area = max(_area(poses[i].box), _area(bounding_box(self._tracks[j].keypoints)))
            table[i, j] = pose_similarity(poses[i].keypoints, self._tracks[j].keypoints, self.skeleton, area=area)
        table[table < self.min_similarity] = 0
        pairs = zip(*linear_sum_assignment(table, maximize=True), strict=True)
        return {int(i): self._tracks[j] for i, j in pairs if table[i, j] > 0}


def _area(box: tuple[float, float, float, float]) -> float:
    """Return the area of a box, but at least that of a quarter of the squared longer side, for joints on a line."""
    return max(box[2] * box[3], max(box[2:]) ** 2 / 4, 1.0)
