"""Who is who from one frame of a video to the next, and joints that hold still.

`Tracker` expects people where their joints would be if each went on as it did, and pairs them with poses so that the
sum of object keypoint similarity is greatest. `OneEuro` (Casiez 2012) smooths slow joints much and fast ones little.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from firstsight.pose.oks import object_keypoint_similarity
from firstsight.pose.parts import Pose
from firstsight.pose.skeleton import Skeleton

GAIN, DAMPING = 0.4, 0.9
"""Share of a joint's error, per frame, by which its velocity is mended; what each frame without it leaves of that."""

Floats = NDArray[np.float64]


def similarity(one: Floats, other: Floats, skeleton: Skeleton, *, area: float) -> float:
    """Object keypoint similarity over the joints found in both, 0 if none is.

    Parameters
    ----------
    one, other : Floats
        (K, 3) x, y in pixels, and score; -1 where a joint was not found.
    area : float
        Of the body in square pixels, above 0.
    """
    both = (one[:, 2] >= 0) & (other[:, 2] >= 0)
    if not both.any():
        return 0.0
    truth = np.column_stack([other[:, :2], both])[None]
    found = object_keypoint_similarity(one[None], truth, areas=[area], boxes=np.zeros((1, 4)), sigmas=skeleton.sigmas)
    return float(found[0, 0])


@dataclass
class OneEuro:
    """The 1 euro filter of each joint's x and y: a low-pass filter whose cutoff rises with the speed.

    Parameters
    ----------
    joints : int
        How many there are, K.
    min_cutoff, derivative_cutoff : float
        In Hz, of a joint at rest (lower is calmer) and of the speed.
    beta : float
        By which the cutoff rises, in Hz per pixel per second; higher lags less. A joint that keeps its speed lags by
        less than 1 / (2 pi beta) pixels in the end, whatever the speed.
    """

    joints: int
    _: KW_ONLY
    frames_per_second: float = 30.0
    min_cutoff: float = 1.0
    beta: float = 0.05
    derivative_cutoff: float = 1.0

    def __post_init__(self) -> None:
        if min(self.frames_per_second, self.min_cutoff, self.derivative_cutoff) <= 0 or self.beta < 0:
            raise ValueError(f"frames_per_second and cutoffs must be above 0, beta at least 0; got {self}")
        self._found, self._xy, self._speed = np.zeros(self.joints, dtype=bool), *np.zeros((2, self.joints, 2))

    def __call__(self, xy: Floats, found: NDArray[np.bool_] | None = None) -> Floats:
        """Filter the next frame.

        Parameters
        ----------
        xy : Floats
            (K, 2) in pixels.
        found : NDArray[np.bool_] | None
            (K,); by default joints without a negative coordinate. The others stay as they are, and start anew when they
            are found again: the first place of a joint comes out as it goes in.
        """
        there = np.all(xy >= 0, axis=1) if found is None else found.copy()
        goes_on = (there & self._found)[:, None]
        before, speed = np.where(goes_on, self._xy, xy), np.where(goes_on, self._speed, 0.0)
        speed = speed + self._alpha(self.derivative_cutoff) * ((xy - before) * self.frames_per_second - speed)
        smooth = before + self._alpha(self.min_cutoff + self.beta * np.abs(speed)) * (xy - before)
        self._xy, self._speed, self._found = smooth, speed, there
        return smooth.copy()

    def _alpha(self, cutoff: float | Floats) -> float | Floats:
        return 1 / (1 + self.frames_per_second / (2 * np.pi * cutoff))  # 1 / (1 + tau / T), tau = 1 / (2 pi cutoff)


def smoothed(pose: Pose, one_euro: OneEuro) -> Pose:
    """The pose with its joints filtered and a box around them; scores stay."""
    keypoints = np.column_stack([one_euro(pose.keypoints[:, :2], pose.keypoints[:, 2] >= 0), pose.keypoints[:, 2]])
    return replace(pose, keypoints=keypoints, box=_around(keypoints))


class _Person:
    def __init__(self, number: int, joints: int, patience: int) -> None:
        self.number = number
        self.keypoints = np.full((joints, 3), -1.0)  # where each joint is expected; score -1 where that is not known
        self.velocity = np.zeros((joints, 2))  # pixels per frame
        self.unseen = np.full(joints, patience)  # frames since each joint was found

    def go_on(self, patience: int) -> None:
        self.velocity[self.unseen > 0] *= DAMPING
        self.keypoints[:, :2] += self.velocity
        self.unseen += 1
        self.keypoints[self.unseen > patience, 2] = -1

    def see(self, keypoints: Floats, gain: float = GAIN) -> None:
        found, known = keypoints[:, 2] >= 0, self.keypoints[:, 2:] >= 0
        error = (keypoints - self.keypoints)[:, :2] / self.unseen[:, None]
        self.velocity[found] = np.where(known, self.velocity + gain * error, 0)[found]
        self.keypoints[found], self.unseen[found] = keypoints[found], 0


@dataclass
class Tracker:
    """Numbers for the people of a video, from 1; `update` it with each frame, and with those that show no one.

    Parameters
    ----------
    skeleton : Skeleton
        Of the poses.
    least_similarity : float
        Of a pose and what is expected, for both to be the same person; above 0, at most 1.
    patience : int
        A person, or a joint, that was not found in so many frames in a row is forgotten.
    velocity_gain : float
        Share of a joint's error, per frame, by which its velocity is corrected; 0 for no motion.
    smooth, frames_per_second
        Whether `poses`, the last frame's as they came in, are filtered by `OneEuro`; its rate.
    """

    skeleton: Skeleton
    _: KW_ONLY
    least_similarity: float = 0.2
    patience: int = 15
    velocity_gain: float = GAIN
    smooth: bool = False
    frames_per_second: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.least_similarity <= 1 or self.patience < 1:
            got = (self.least_similarity, self.patience)
            raise ValueError(f"least_similarity must be above 0 and at most 1, patience at least 1; got {got}")
        self.poses: list[Pose] = []
        self._people: list[_Person] = []
        self._filters: dict[int, OneEuro] = {}
        self._numbers = count(1)

    def update(self, poses: Sequence[Pose]) -> list[int]:
        """Give each pose of the next frame the number of its person; no number is ever given to two people."""
        for person in self._people:
            person.go_on(self.patience)
        known, k = self._matches(poses), len(self.skeleton)
        people = [known.get(i) or _Person(next(self._numbers), k, self.patience) for i in range(len(poses))]
        for pose, person in zip(poses, people, strict=True):
            person.see(pose.keypoints, self.velocity_gain)
        self._people = [p for p in dict.fromkeys(self._people + people) if p.unseen.min() < self.patience]
        numbers, self.poses = [person.number for person in people], list(poses)
        if self.smooth:  # who is missing in a frame loses their filter, which starts anew when they come back
            old, rate = self._filters, self.frames_per_second
            self._filters = {n: old.get(n) or OneEuro(k, frames_per_second=rate) for n in numbers}
            self.poses = [smoothed(pose, self._filters[n]) for pose, n in zip(poses, numbers, strict=True)]
        return numbers

    def _matches(self, poses: Sequence[Pose]) -> dict[int, _Person]:
        table = np.zeros((len(poses), len(self._people)))
        for i, j in np.ndindex(table.shape):
            area = max(_area(poses[i].box), _area(_around(self._people[j].keypoints)))
            table[i, j] = similarity(poses[i].keypoints, self._people[j].keypoints, self.skeleton, area=area)
        table[table < self.least_similarity] = 0
        pairs = zip(*linear_sum_assignment(table, maximize=True), strict=True)
        return {int(i): self._people[j] for i, j in pairs if table[i, j] > 0}


def _around(keypoints: Floats) -> tuple[float, float, float, float]:
    xy = keypoints[keypoints[:, 2] >= 0, :2] if keypoints[:, 2].max() >= 0 else np.zeros((1, 2))
    (left, top), (right, bottom) = xy.min(0).tolist(), xy.max(0).tolist()
    return left, top, right - left, bottom - top


def _area(box: tuple[float, float, float, float]) -> float:
    return max(box[2] * box[3], max(box[2:]) ** 2 / 4, 1.0)  # the joints that were found may lie in line
