"""The learning rate as a pure function of progress: nothing to store, nothing to advance."""

import math
from typing import Literal

Schedule = Literal["constant", "linear", "cosine", "steps", "tenths"]
STEPS, STEP = (100 / 280, 200 / 280, 260 / 280), 0.333
"""Where the rate falls, as shares of the training, and by what it is multiplied (Osokin 2018)."""
TENTHS, TENTH = (90 / 140, 120 / 140), 0.1
"""The same of Xiao 2018."""


def learning_rate_factor(progress: float, schedule: Schedule, warmup: float) -> float:
    """By what the base learning rate is multiplied.

    Parameters
    ----------
    progress : share of the training that is done, in [0, 1).
    schedule : what follows the warm-up: no change, a straight line to zero, half a cosine to zero, three steps to
        a third each (`STEPS`), or two to a tenth each (`TENTHS`).
    warmup : share of the training in which the rate grows linearly from zero, in [0, 1).

    >>> [round(learning_rate_factor(p, "linear", 0.2), 2) for p in (0.0, 0.1, 0.2, 0.6, 1.0)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return progress / warmup
    rest = (progress - warmup) / (1 - warmup)
    if schedule == "linear":
        return 1 - rest
    if schedule == "cosine":
        return (1 + math.cos(math.pi * rest)) / 2
    if schedule == "steps":
        return STEP ** sum(progress >= step for step in STEPS)
    if schedule == "tenths":
        return TENTH ** sum(progress >= step for step in TENTHS)
    return 1.0
