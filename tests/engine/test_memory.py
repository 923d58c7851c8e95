"""Freed memory is kept for later tensors."""

import platform
import subprocess
import sys

PROGRAM = """
import resource
import torch
from firstsight.engine.memory import keep_freed_memory

def page_faults(warm_up):
    for _ in range(warm_up):  # the heap grows until a tensor fits
        torch.ones(10 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(10 << 20)  # 40 MiB, 10,240 pages of 4 KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(page_faults(1), keep_freed_memory(), page_faults(20))
"""


def test_tensors_in_kept_memory_cause_no_page_faults() -> None:
    """The setting affects the whole process, so a child process runs it. Without glibc it has no effect."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    faults, is_kept, faults_when_kept = done.stdout.split()
    if platform.libc_ver()[0] == "glibc":
        assert is_kept == "True"
        assert int(faults_when_kept) < int(faults) / 10
    else:
        assert is_kept == "False"
