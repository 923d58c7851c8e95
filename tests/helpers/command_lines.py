"""Run command lines of firstsight, each in a fork of one process that has imported the libraries.

    python -m helpers.command_lines FOLDER < STEPS

STEPS is a JSON list; a string is a command of the shell, a list holds a working directory and the arguments of
firstsight. They are carried out in order; outputs are kept in FOLDER meanwhile. Prints JSON: per step the exit code,
stdout and stderr.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from firstsight.cli import main
from helpers.forked import start, wait


def run_firstsight(folder: Path, arguments: list[str]) -> int:
    """Run a command line in a folder."""
    os.chdir(folder)
    return main(arguments)


def run() -> None:
    """Carry out the steps."""
    results = []
    for number, step in enumerate(json.load(sys.stdin)):
        stdout, stderr = (Path(sys.argv[1]) / f"{number}.{name}" for name in ("stdout", "stderr"))
        if isinstance(step, str):
            done = subprocess.run(step, shell=True, capture_output=True, text=True, check=False)
            results.append([done.returncode, done.stdout, done.stderr])
            continue
        folder, *arguments = step
        process = start(
            lambda folder=folder, arguments=arguments: run_firstsight(folder, arguments), stdout=stdout, stderr=stderr
        )
        results.append([wait(process), stdout.read_text(), stderr.read_text()])
    print(json.dumps(results))


if __name__ == "__main__":
    run()
