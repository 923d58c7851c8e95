"""Learning-rate schedules as pure functions of training progress, without state."""

import math
from typing import Literal

Schedule = Literal["constant", "linear", "cosine", "multistep"]


def learning_rate_factor(
    progress: float, schedule: Schedule, warmup: float, *, milestones: tuple[float, ...] = (), gamma: float = 0.1
) -> float:
    """Return the factor by which to multiply the base learning rate.

    Parameters
    ----------
    progress : float
        Completed fraction of the training, in [0, 1].
    schedule : Schedule
        Schedule after the warmup: "constant"; "linear" or "cosine", which decay to 0; or "multistep".
    warmup : float
        Fraction of the training during which the factor increases linearly from 0, in [0, 1).
    milestones : tuple[float, ...]
        Fractions of the training at which "multistep" multiplies the factor by ``gamma``.
    gamma : float
        Factor of "multistep" at each milestone.

    Returns
    -------
    float
        Factor, in [0, 1] if ``gamma`` is at most 1.

    Examples
    --------
    >>> [round(learning_rate_factor(p, "linear", 0.2), 2) for p in (0.0, 0.1, 0.2, 0.6, 1.0)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return progress / warmup
    if schedule == "multistep":
        return gamma ** sum(progress >= milestone for milestone in milestones)
    decay_progress = (progress - warmup) / (1 - warmup)
    if schedule == "linear":
        return 1 - decay_progress
    if schedule == "cosine":
        return (1 + math.cos(math.pi * decay_progress)) / 2
    return 1.0
