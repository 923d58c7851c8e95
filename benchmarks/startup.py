"""Startup time of the command line and of the import, measured over whole processes.

The start of the Python interpreter alone is printed for comparison.

    python benchmarks/startup.py [--rounds 15]
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


def main() -> None:
    """Measure all commands in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - start)
    for name, values in seconds.items():
        warm = values[1:]  # the first round fills the disk cache
        print(f"{name:32} {statistics.median(warm):.3f} s ({min(warm):.3f} to {max(warm):.3f}, n = {rounds})")


if __name__ == "__main__":
    main()
