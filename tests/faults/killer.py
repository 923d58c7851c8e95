"""Train in child processes that are killed at random moments and resumed, until the run is finished.

    python killer.py OUT KILLS SEED -- ARGUMENTS OF firstsight

The libraries are imported once, here, where nothing is computed; every child is a fork that runs the command line.
Prints, as JSON: how many children were killed, how many of them while a checkpoint was being written, and the exit code
of the child that came to the end.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import accelerate  # noqa: F401
import torch  # noqa: F401

import firstsight.recipes.train  # noqa: F401
from firstsight.cli import main


def child(arguments: list[str]) -> int:
    process = os.fork()
    if process == 0:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os._exit(main(arguments))
    return process


def run() -> None:
    out, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    arguments = [*sys.argv[sys.argv.index("--") + 1 :], "--out", str(out), "--resume", "--quiet"]
    rng = random.Random(seed)
    killed = writing = 0
    while True:
        process = child(arguments)
        if killed < kills:
            time.sleep(rng.uniform(0.05, 1.2))
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        if os.WIFEXITED(status):
            print(json.dumps({"killed": killed, "writing": writing, "code": os.WEXITSTATUS(status)}))
            return
        killed += 1
        checkpoints = out / "checkpoints"
        writing += bool(checkpoints.is_dir() and [p for p in checkpoints.iterdir() if p.name.endswith(".tmp")])


if __name__ == "__main__":
    run()
