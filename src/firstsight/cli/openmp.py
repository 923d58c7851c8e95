"""Wait policy of the OpenMP threads of torch, chosen before torch is imported."""

import os
from collections.abc import Mapping
from pathlib import Path

CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
SPIN_COUNT = "10000"


def wait_policy(environment: Mapping[str, str], *, busy: bool) -> dict[str, str]:
    """Return the variables that choose how idle threads wait; none where the user has chosen.

    By default libgomp's threads spin for a long time. On a busy machine a spinning thread takes the core from the
    thread that it waits for, and small networks train many times slower. Threads that sleep at once cost about half
    as much again on an idle machine. So they spin briefly, and on a busy machine not at all.
    See ``benchmarks/threads.py``.

    Parameters
    ----------
    environment : Mapping[str, str]
        The environment of this process.
    busy : bool
        Whether as many other threads are running as there are processors; see `is_busy`.
    """
    if any(name in environment for name in CHOICES):
        return {}
    if busy:
        return {"OMP_WAIT_POLICY": "PASSIVE"}
    return {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": SPIN_COUNT}


def is_busy(loadavg: Path = Path("/proc/loadavg")) -> bool:
    """Return whether all processors are taken by others: from the running threads on Linux, else from the load."""
    processors = os.cpu_count() or 1
    try:
        running = int(loadavg.read_text().split()[3].split("/")[0]) - 1  # this thread is one of them
    except (OSError, ValueError, IndexError):
        running = int(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0
    return running >= processors
