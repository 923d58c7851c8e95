"""Train a recipe over several seeds; print the last epoch's test accuracy of each, then mean and standard deviation.

    python benchmarks/accuracy.py lenet-digits --seeds 5
    python benchmarks/accuracy.py lenet-fashion --seeds 5 --data PATH [--out DIR]

Each seed is a run of the command line in a process of its own. With --out the runs are kept, and a run that is already
finished there is read instead of trained again.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    arguments, more = parser.parse_known_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(arguments.seeds):
            out = (arguments.out or Path(scratch)) / f"{arguments.recipe}-{seed}"
            command = [sys.executable, "-m", "firstsight", "train", arguments.recipe, "--seed", str(seed), "--quiet"]
            command += [
                "--json",
                "--resume",
                "--out",
                str(out),
                *(["--data", arguments.data] if arguments.data else []),
            ]
            done = subprocess.run([*command, *more], check=True, stdout=subprocess.PIPE, text=True)
            row = json.loads(done.stdout)
            rows.append(row)
            accuracy, loss = row["metrics"]["accuracy"], row["metrics"]["loss"]
            print(f"seed {seed}: accuracy {accuracy:.4%}, loss {loss:.4f}, {row['seconds']:.1f} s", flush=True)
    accuracies = [100 * row["metrics"]["accuracy"] for row in rows]
    spread = statistics.stdev(accuracies) if len(rows) > 1 else 0.0
    seconds = statistics.mean(row["seconds"] for row in rows)
    mean = statistics.mean(accuracies)
    print(f"{arguments.recipe}: {mean:.2f} +- {spread:.2f} % (mean and sd of {len(rows)} seeds, last epoch)", end=", ")
    print(f"{seconds:.0f} s each, {rows[0]['parameters']:,} parameters")


if __name__ == "__main__":
    main()
