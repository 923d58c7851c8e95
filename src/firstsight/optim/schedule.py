"""Learning-rate schedules as pure functions of progress: no state to save, no step to call."""

import math
from typing import Literal

Schedule = Literal["constant", "linear", "cosine", "multistep"]


def learning_rate_factor(
    progress: float, schedule: Schedule, warmup: float, *, milestones: tuple[float, ...] = (), gamma: float = 0.1
) -> float:
    """Return the factor of the base learning rate.

    Parameters
    ----------
    progress : float
        Fraction of the training that is done, in [0, 1).
    schedule : Schedule
        Str After the warm-up: "constant"; "linear" or "cosine", which fall to 0; or "multistep".
    warmup : float
        Fraction of the training in which the factor rises linearly from 0, in [0, 1).
    milestones : tuple[float, ...]
        Tuple of float Fractions of the training at which "multistep" multiplies by ``gamma``.
    gamma : float
        Factor at each milestone.

    Examples
    --------
    >>> [round(learning_rate_factor(p, "linear", 0.2), 2) for p in (0.0, 0.1, 0.2, 0.6, 1.0)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return progress / warmup
    if schedule == "multistep":
        return gamma ** sum(progress >= milestone for milestone in milestones)
    rest = (progress - warmup) / (1 - warmup)
    if schedule == "linear":
        return 1 - rest
    if schedule == "cosine":
        return (1 + math.cos(math.pi * rest)) / 2
    return 1.0
