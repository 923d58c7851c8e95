"""The learning rate as a pure function of progress: nothing to store, nothing to advance."""

import math
from typing import Literal


def learning_rate_factor(progress: float, schedule: Literal["constant", "linear", "cosine"], warmup: float) -> float:
    """By what the base learning rate is multiplied.

    Parameters
    ----------
    progress : share of the training that is done, in [0, 1).
    schedule : what follows the warm-up: no change, a straight line to zero, or half a cosine to zero.
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
    return 1.0
