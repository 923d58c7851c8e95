"""Startup time of the command line and of the import, measured over whole processes.

The start of the Python interpreter alone is printed for comparison. --errors measures wrong command lines instead, one
or two of each command; each must end with exit code 1 or 2.

    python benchmarks/startup.py [--rounds 15] [--errors]
"""

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "firstsight --help": ["-m", "firstsight", "--help"],
    "firstsight train lenet --help": ["-m", "firstsight", "train", "lenet", "--help"],
    "firstsight models": ["-m", "firstsight", "models"],
    "import firstsight": ["-c", "import firstsight"],
    "import torch (for comparison)": ["-c", "import torch"],
}
ERRORS = (
    "nothing", "lenet", "train", "train FashionMNIST", "train lenet --epochz 3", "train lenet --epochs three",
    "train lenet --data nowhere", "evaluate lenet-digit", "evaluate lenet-digits --data nothing", "predict lenet x.png",
    "predict lenet-digits", "generate gan", "generate lenet-digits", "runs compare one", "export lenet-digits a.zip",
    "features lenet-digits gone.png", "summary lenett", "filter gone.png", "pose --model lenet-digits",
    "models --kind x", "data --x", "weights get lenet", "weights import x.pth --model lenett", "demo --epochs x",
    "completion tcsh",
)  # fmt: skip
"""Wrong command lines after ``firstsight``."""


def main() -> None:
    """Measure all commands in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--errors", action="store_true")
    options = parser.parse_args()
    rounds = options.rounds
    commands = {line: ["-m", "firstsight", *line.split()] for line in ERRORS} if options.errors else COMMANDS
    allowed = (1, 2) if options.errors else (0,)
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, arguments in commands.items():
            start = time.perf_counter()
            done = subprocess.run([sys.executable, *arguments], check=False, capture_output=True, text=True)
            seconds[name].append(time.perf_counter() - start)
            if done.returncode not in allowed:
                sys.exit(f"{name}: exit code {done.returncode}: {done.stderr}")
    width = max(map(len, commands))
    for name, values in seconds.items():
        warm = values[1:]  # the first round fills the disk cache
        print(f"{name:{width}} {statistics.median(warm):.3f} s ({min(warm):.3f} to {max(warm):.3f}, n = {rounds})")


if __name__ == "__main__":
    main()
