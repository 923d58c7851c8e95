"""Deterministic weights and images that are equal in every version of every library.

The numbers are SplitMix64 of (CRC-32 of the name, index). Their scale depends on the kind of tensor, so that
activations neither vanish nor explode in 152 layers.
"""

import re
import zlib

import numpy as np
from numpy.typing import NDArray

GAMMA = 0x9E3779B97F4A7C15
BLOCK = 1 << 15
"""Numbers per block; a block fits into the processor's cache."""


def uniform(name: str, count: int) -> NDArray[np.float64]:
    """Return ``count`` numbers in [-1, 1), determined by the name."""
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
    """Return the tensor of a network's state with this name and shape."""
    values = uniform(name, int(np.prod(shape))).reshape(shape)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.float32)
    if name.endswith("running_var"):
        values = 1 + 0.5 * values
    elif name.endswith("running_mean") or name.endswith("bias"):
        values = 0.1 * values
    elif (
        len(shape) == 1
    ):  # weight of a batch norm; smaller at the end of a residual branch, as up to 50 branches add up
        is_last_in_branch = re.search(r"layer\d\.\d+\.bn[23]", name) is not None
        values = (0.25 if is_last_in_branch else 1) * (1 + 0.5 * values)
    else:
        values *= np.sqrt(3 * 2 / np.prod(shape[1:]))  # variance 2 / fan-in
    return values.astype(np.float32)


def photo(width: int, height: int) -> NDArray[np.uint8]:
    """Return a test image, (height, width, 3) uint8: waves and noise."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    waves = np.sin(x / (7 + 3 * c)) + np.cos(y / (11 - 2 * c)) + x / width
    noise = uniform(f"photo {width}x{height}", height * width * 3).reshape(height, width, 3)
    return np.clip(128 + 40 * waves + 30 * noise, 0, 255).astype(np.uint8)


def input_image(size: int) -> NDArray[np.float32]:
    """Return a network input, (1, 3, size, size), in [-1, 1)."""
    key = f"picture {size}"  # prose: ok
    return uniform(key, 3 * size * size).reshape(1, 3, size, size).astype(np.float32)
