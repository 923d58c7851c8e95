"""Stateless random numbers: a pure function of seed, epoch, stream and sample id.

The generator is SplitMix64 (Steele, Lea and Flood 2014): the state is a key plus the id times the golden gamma, and
the output is the finalizer of the state. The numbers of a sample do not depend on its batch, on the number of workers,
or on numbers that were drawn before.
"""

import numpy as np
from numpy.typing import NDArray

GOLDEN_GAMMA = 0x9E3779B97F4A7C15
MASK_64 = 0xFFFFFFFFFFFFFFFF


def _finalize(state: int) -> int:
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK_64
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK_64
    return state ^ (state >> 31)


def _key(*parts: int) -> int:
    """Hash integers to one key of 64 bits."""
    key = 0
    for part in parts:
        key = _finalize((key + GOLDEN_GAMMA + (part & MASK_64)) & MASK_64)
    return key


def random_bits(ids: NDArray[np.int64], *, seed: int, epoch: int, stream: int) -> NDArray[np.uint64]:
    """Return 64 random bits for each id.

    Parameters
    ----------
    ids : NDArray[np.int64]
        (N,) sample ids.
    seed : int
        Seed of the run.
    epoch : int
        Epoch, from 0.
    stream : int
        Index of the random stream; streams are independent.

    Returns
    -------
    NDArray[np.uint64]
        (N,) random bits.
    """
    with np.errstate(over="ignore"):
        state = np.uint64(_key(seed, epoch, stream)) + ids.astype(np.uint64) * np.uint64(GOLDEN_GAMMA)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return state ^ (state >> np.uint64(31))


def uniform(ids: NDArray[np.int64], *, seed: int, epoch: int, stream: int) -> NDArray[np.float64]:
    """Return a uniform random number in [0, 1) for each id, with 53 random bits.

    Parameters
    ----------
    ids : NDArray[np.int64]
        (N,) sample ids.
    seed : int
        Seed of the run.
    epoch : int
        Epoch, from 0.
    stream : int
        Index of the random stream; streams are independent.

    Returns
    -------
    NDArray[np.float64]
        (N,) random numbers.
    """
    bits = random_bits(ids, seed=seed, epoch=epoch, stream=stream) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def permutation(n: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return a random order of 0..n-1: the ids sorted by their random bits of stream 0."""
    ids = np.arange(n, dtype=np.int64)
    return np.argsort(random_bits(ids, seed=seed, epoch=epoch, stream=0), kind="stable").astype(np.int64)
