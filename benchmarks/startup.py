"""How long the command line takes to answer: whole processes, the interpreter's own start subtracted beside.

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
    """Measure in turn and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - began)
    for name, values in seconds.items():
        counted = values[1:]  # the first round fills the disk cache
        print(f"{name:32} {statistics.median(counted):.3f} s ({min(counted):.3f} to {max(counted):.3f}, n = {rounds})")


if __name__ == "__main__":
    main()
