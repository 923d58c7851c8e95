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
from collections.abc import Callable
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
        before = steps(out)
        process = child(arguments)
        if killed < kills:
            moment = rng.random()
            if moment < 0.2:  # while it starts
                time.sleep(rng.uniform(0, 1))
            else:
                wait(lambda before=before: steps(out)[-1:] != before[-1:])  # it has written a checkpoint of its own
                time.sleep(rng.uniform(0, 0.2))  # anywhere
                if moment > 0.5:  # in the middle of writing the next
                    wait(lambda: any(name.endswith(".tmp") for name in names(out)))
                    time.sleep(rng.uniform(0, 0.01))
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        if os.WIFEXITED(status):
            print(json.dumps({"killed": killed, "writing": writing, "code": os.WEXITSTATUS(status)}))
            return
        killed += 1
        writing += any(name.endswith(".tmp") for name in names(out))


def names(out: Path) -> list[str]:
    folder = out / "checkpoints"
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def steps(out: Path) -> list[str]:
    return sorted(name for name in names(out) if name.isdigit())


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not until() and time.monotonic() < deadline:
        time.sleep(0.0005)


if __name__ == "__main__":
    run()
