"""Weights and pictures as a formula of a name and an index, the same in every version of every library.

SplitMix64 of (CRC-32 of the name, index) makes the numbers; the kind of tensor sets their scale, so that signals
neither die nor explode on their way through 152 layers.
"""

import re
import zlib

import numpy as np
from numpy.typing import NDArray

GAMMA = 0x9E3779B97F4A7C15
BLOCK = 1 << 15
"""Numbers that are computed at once, so that they stay in the processor's cache."""


def uniform(name: str, count: int) -> NDArray[np.float64]:
    """``count`` numbers in [-1, 1)."""
    values, seed = np.empty(count), np.uint64(zlib.crc32(name.encode()) << 20)
    with np.errstate(over="ignore"):
        for start in range(0, count, BLOCK):
            block = values[start : start + BLOCK]
            state = np.arange(start + 1, start + 1 + len(block), dtype=np.uint64) * np.uint64(GAMMA) + seed
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state ^= state >> np.uint64(31)
            block[:] = (state >> np.uint64(11)) * 2.0**-52 - 1
    return values


def tensor(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The tensor of a network's state that has this name and shape."""
    values = uniform(name, int(np.prod(shape))).reshape(shape)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.float32)
    if name.endswith("running_var"):
        values = 1 + 0.5 * values
    elif name.endswith("running_mean") or name.endswith("bias"):
        values = 0.1 * values
    elif len(shape) == 1:  # a batch norm's weight; small at the end of a residual branch, so that fifty of them add up
        last = re.search(r"layer\d\.\d+\.bn[23]", name) is not None
        values = (0.25 if last else 1) * (1 + 0.5 * values)
    else:
        values *= np.sqrt(3 * 2 / np.prod(shape[1:]))  # variance 2 / fan-in
    return values.astype(np.float32)


def photo(width: int, height: int) -> NDArray[np.uint8]:
    """A picture of any shape as from a file, (height, width, 3) uint8: waves under noise."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    waves = np.sin(x / (7 + 3 * c)) + np.cos(y / (11 - 2 * c)) + x / width
    noise = uniform(f"photo {width}x{height}", height * width * 3).reshape(height, width, 3)
    return np.clip(128 + 40 * waves + 30 * noise, 0, 255).astype(np.uint8)


def picture(size: int) -> NDArray[np.float32]:
    """One picture, (1, 3, size, size), in [-1, 1)."""
    return uniform(f"picture {size}", 3 * size * size).reshape(1, 3, size, size).astype(np.float32)
