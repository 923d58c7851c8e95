"""Memory that training frees at every step and needs again at the next."""

import ctypes

TRIM, MMAP_MAX = -1, -4
"""M_TRIM_THRESHOLD and M_MMAP_MAX of glibc's <malloc.h>."""
KEPT = 2**31 - 1
"""Bytes at the heap's end that are kept when they are free."""


def keep_freed_memory() -> bool:
    """Let the C library keep what tensors free for the tensors to come.

    By default glibc gives large pieces back to the system at once, and the system zeroes pages when they are asked for
    again. What that is worth, and the most that is in use, is told by ``python benchmarks/kept_memory.py``. It holds
    for the whole process, and until it ends.

    Returns
    -------
    bool
        Whether the C library is one that knows of it (glibc does; those of macOS and Windows do not, and none is
        changed).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM, KEPT))
