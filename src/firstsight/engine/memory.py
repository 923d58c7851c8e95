"""Reuse of the memory that each training step frees."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of glibc's mallopt, from <malloc.h>."""
MAX_TRIM_THRESHOLD = 2**31 - 1
"""Bytes of free memory at the end of the heap that glibc keeps: the largest value that mallopt accepts."""


def keep_freed_memory() -> bool:
    """Make the C library keep freed memory for later tensors, in the whole process and until it ends.

    By default glibc returns large blocks to the system at once, and the system zeroes pages when they are allocated
    again. ``python benchmarks/kept_memory.py`` measures the gain in speed and the peak memory.

    Returns
    -------
    bool
        Whether the setting is supported. glibc supports it; the C libraries of macOS and Windows do not and stay
        unchanged.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, MAX_TRIM_THRESHOLD))
