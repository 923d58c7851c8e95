"""Random numbers as a pure function of (seed, epoch, stream, sample id): nothing is stored, nothing is advanced.

SplitMix64 (Steele, Lea and Flood 2014): the state is a key plus id times the golden gamma, the output its finaliser.
The numbers of a sample do not depend on its batch, on the number of workers, or on what was drawn before.
"""

import numpy as np
from numpy.typing import NDArray

GOLDEN_GAMMA = 0x9E3779B97F4A7C15
WORD = 0xFFFFFFFFFFFFFFFF


def _finalise(state: int) -> int:
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & WORD
    return state ^ (state >> 31)


def _key(*parts: int) -> int:
    key = 0
    for part in parts:
        key = _finalise((key + GOLDEN_GAMMA + (part & WORD)) & WORD)
    return key


def random_bits(ids: NDArray[np.int64], *, seed: int, epoch: int, stream: int) -> NDArray[np.uint64]:
    """Sixty-four random bits for every id; (N,) int64 in, (N,) uint64 out."""
    with np.errstate(over="ignore"):
        state = np.uint64(_key(seed, epoch, stream)) + ids.astype(np.uint64) * np.uint64(GOLDEN_GAMMA)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return state ^ (state >> np.uint64(31))


def uniform(ids: NDArray[np.int64], *, seed: int, epoch: int, stream: int) -> NDArray[np.float64]:
    """A number in [0, 1) for every one of the (N,) ids, with 53 random bits."""
    bits = random_bits(ids, seed=seed, epoch=epoch, stream=stream) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def permutation(n: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """A random order of 0..n-1: the ids sorted by their random bits."""
    ids = np.arange(n, dtype=np.int64)
    return np.argsort(random_bits(ids, seed=seed, epoch=epoch, stream=0), kind="stable").astype(np.int64)
