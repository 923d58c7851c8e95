"""Kill or interrupt trainings, and report how each process ended.

    python -m helpers.kill_training random FOLDER KILLS SEED -- ARGUMENTS OF firstsight
    python -m helpers.kill_training signals FOLDER -- ARGUMENTS OF firstsight

``random``: the first child trains undisturbed in FOLDER/calm, with a checkpoint after every step. Then children train
in FOLDER/1 and are killed at random moments: while they start, at any time after their first checkpoint, or while they
write a checkpoint. The next child resumes. When FOLDER/1 is trained to the end, FOLDER/2 begins, until KILLS children
were killed in all. Prints JSON: the number of children killed, how many of them while a checkpoint was being written,
the exit code of the last child of every folder.

``signals``: one child trains in FOLDER/SIGTERM, one in FOLDER/SIGINT, and each gets its signal after its first epoch.
Prints JSON: per signal its exit code, stdout and stderr.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firstsight.cli import main
from helpers.forked import start, wait


def train(out: Path, arguments: list[str]) -> int:
    """Start a child that trains in ``out``, or resumes; returns its process id."""
    return start(lambda: main([*arguments, "--out", str(out), "--resume", "--quiet", "--checkpoint-seconds", "0"]))


def kill_at_random(folder: Path, kills: int, seed: int, arguments: list[str]) -> dict[str, Any]:
    """Kill ``kills`` children at random moments, in as many trainings as that takes."""
    rng = random.Random(seed)
    killed = writing = 0
    codes: list[int] = []
    while killed < kills and not any(codes):
        out = folder / str(len(codes) + 1)
        code = -signal.SIGKILL
        while code == -signal.SIGKILL:
            before = newest(out)
            process = train(out, arguments)
            if killed < kills:
                wait_for_random_moment(rng, process, out, before)
                os.kill(process, signal.SIGKILL)  # no error if it has ended: it is waited for below
            code = wait(process)
            if code == -signal.SIGKILL:
                killed += 1
                writing += is_writing(out)
        codes.append(code)
    return {"killed": killed, "writing": writing, "codes": codes}


def wait_for_random_moment(rng: random.Random, process: int, out: Path, before: str) -> None:
    """Return at a random moment in the life of a child that resumes from checkpoint ``before``."""
    moment = rng.random()
    if moment < 0.2:  # while it starts
        time.sleep(rng.uniform(0, 0.4))
        return
    poll(process, lambda: newest(out) != before)
    time.sleep(rng.uniform(0, 0.1))  # anywhere
    if moment > 0.5:  # in the middle of writing the next checkpoint
        poll(process, lambda: is_writing(out))
        time.sleep(rng.uniform(0, 0.002))


def poll(process: int, condition: Callable[[], bool]) -> None:
    """Return as soon as a condition holds or the child has ended."""
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while not condition() and os.waitid(os.P_PID, process, options) is None:
        time.sleep(0.0005)


def names(out: Path) -> list[str]:
    """Return the names in the folder of checkpoints."""
    folder = out / "checkpoints"
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def newest(out: Path) -> str:
    """Return the name of the newest checkpoint, or an empty string."""
    return max((name for name in names(out) if name.isdigit()), default="")


def is_writing(out: Path) -> bool:
    """Return whether a checkpoint is being written, or its writer was killed."""
    return any(name.endswith(".tmp") for name in names(out))


def send_signals(folder: Path, arguments: list[str]) -> dict[str, Any]:
    """Send SIGTERM to one training and SIGINT to another."""
    summary = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        out, stdout, stderr = (folder / f"{number.name}{suffix}" for suffix in ("", ".stdout", ".stderr"))
        process = start(lambda out=out: main([*arguments, "--out", str(out), "--json"]), stdout=stdout, stderr=stderr)
        poll(process, (out / "metrics.jsonl").exists)
        os.kill(process, number)
        summary[number.name] = [wait(process), stdout.read_text(), stderr.read_text()]
    return summary


def run() -> None:
    """Train undisturbed, then kill and resume; prints the summary."""
    mode, folder = sys.argv[1], Path(sys.argv[2])
    end = sys.argv.index("--")
    numbers, arguments = [int(word) for word in sys.argv[3:end]], sys.argv[end + 1 :]
    if mode == "signals":
        print(json.dumps(send_signals(folder, arguments)))
        return
    if any("gan" in word for word in arguments):
        import scipy.optimize  # noqa: F401  # before the forks, which measure with it
    assert wait(train(folder / "calm", arguments)) == 0
    print(json.dumps(kill_at_random(folder, *numbers, arguments)))


if __name__ == "__main__":
    run()
