"""Freed memory is kept: pages that were touched once are not asked of the system again."""

import platform
import subprocess
import sys

PROGRAM = """
import resource, sys
import torch
from firstsight.engine.memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "kept" else None
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step():
    torch.ones(16 << 20)  # 64 MiB, 16,384 pages of 4 KiB
for _ in range(30):  # the heap grows until a piece fits
    step()
before = faults()
for _ in range(10):
    step()
print(kept, faults() - before)
"""


def test_pages_are_touched_once() -> None:
    """In a process of its own: it holds for all of one."""
    said = {}
    for how in ("kept", "given back"):
        done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
        kept, faults = done.stdout.split()
        said[how] = kept, int(faults)
    if platform.libc_ver()[0] != "glibc":
        assert said["kept"][0] == "False"  # it knows of nothing to do, and does nothing
        return
    assert said["kept"][0] == "True"
    assert said["kept"][1] < 500 < said["given back"][1]
