"""Kill a training at chosen file operations, resume it, and report how each one ended.

    python kill_at.py FOLDER START STEP -- ARGUMENTS OF firstsight

An audit hook of Python counts the operations that change files below the run directory: opening for writing, mkdir,
rename, remove, rmdir. The first child runs undisturbed in FOLDER/calm and tells how many there are. For every STEP-th
operation k, from START on, a child trains in FOLDER/k and is killed with SIGKILL just before operation k; then another
one resumes it to the end. Prints JSON: the number of operations, and per k the signal that ended the first child and
the exit code of the second.

The libraries are imported once, here, where nothing is computed; every child is a fork.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import accelerate  # noqa: F401
import torch  # noqa: F401

import firstsight.recipes.train  # noqa: F401
from firstsight.cli import main

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class FileOperations:
    """Audit hook that counts the file operations below a folder and kills the process before a given one."""

    def __init__(self, folder: Path, kill_at: int = 0) -> None:
        self.folder, self.kill_at, self.count = str(folder), kill_at, 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count one event."""
        if event != "open" and event not in CHANGES:
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
            return
        # rmtree names files relative to a descriptor of their folder: all of those are below the run directory
        path = "" if isinstance(arguments[0], int) else os.fsdecode(arguments[0])
        if path.startswith(self.folder) or not path.startswith("/"):
            self.count += 1
            if self.count == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


def child(out: Path, arguments: list[str], *, kill_at: int = 0, report: int = -1) -> int:
    """Train in a fork; returns its wait status. The number of operations is written to the descriptor ``report``."""
    process = os.fork()
    if process == 0:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        operations = FileOperations(out, kill_at)
        sys.addaudithook(operations)
        code = main([*arguments, "--out", str(out), "--resume", "--quiet", "--checkpoint-seconds", "0"])
        if report >= 0:
            os.write(report, str(operations.count).encode())
        os._exit(code)
    return os.waitpid(process, 0)[1]


def run() -> None:
    """Kill and resume at every chosen operation."""
    folder, start, step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    arguments = sys.argv[sys.argv.index("--") + 1 :]
    reader, writer = os.pipe()
    assert child(folder / "calm", arguments, report=writer) == 0
    total = int(os.read(reader, 100))
    ends = {}
    for k in range(start, total + 1, step):
        killed = child(folder / str(k), arguments, kill_at=k)
        resumed = child(folder / str(k), arguments)
        ends[k] = [os.WTERMSIG(killed), os.waitstatus_to_exitcode(resumed)]
    print(json.dumps({"operations": total, "ends": ends}))


if __name__ == "__main__":
    run()
