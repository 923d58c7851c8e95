"""A worker of torchrun: the command line of firstsight, of which one process is killed at the second checkpoint.

    torchrun --nproc_per_node 2 --max-restarts 1 -m helpers.kill_rank RANK ARGUMENTS OF firstsight

The process of this rank gets SIGKILL, in the first attempt only. Process ids are written to the current folder.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from firstsight.cli import entry


class KillAtCheckpoint:
    """Audit hook that kills a process when the second checkpoint gets its name."""

    def __init__(self, rank: str) -> None:
        self.rank, self.checkpoints = rank, 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count the folders of checkpoints that are renamed."""
        if event == "os.rename" and Path(os.fsdecode(arguments[1])).parent.name == "checkpoints":
            self.checkpoints += 1
            if self.checkpoints == 2:
                os.kill(int(Path(f"{self.rank}.pid").read_text()), signal.SIGKILL)


def main() -> int:
    """Train, with the hook in the process that writes the checkpoints."""
    Path(f"{os.environ['RANK']}.pid").write_text(str(os.getpid()))
    if os.environ["RANK"] == "0" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        sys.addaudithook(KillAtCheckpoint(sys.argv.pop(1)))
    else:
        sys.argv.pop(1)
    return entry()


if __name__ == "__main__":
    sys.exit(main())
