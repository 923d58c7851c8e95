"""Train a recipe with several seeds; print the test accuracy after the last epoch, with mean and standard deviation.

    python benchmarks/accuracy.py lenet-digits --seeds 5
    python benchmarks/accuracy.py lenet-fashion --seeds 5 --data PATH [--out DIR]

Each seed is a separate process of the command line. With --out the runs are kept, and finished runs are not trained
again. Other options are passed to `firstsight train`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from firstsight import load
from firstsight.profiling import summarize


def main() -> None:
    """Train and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    arguments, extra_options = parser.parse_known_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(arguments.seeds):
            out = (arguments.out or Path(scratch)) / f"{arguments.recipe}-{seed}"
            command = [sys.executable, "-m", "firstsight", "train", arguments.recipe, "--seed", str(seed), "--quiet"]
            command += ["--json", "--resume", "--out", str(out)]
            command += ["--data", arguments.data] if arguments.data else []
            done = subprocess.run([*command, *extra_options], check=True, stdout=subprocess.PIPE, text=True)
            row = json.loads(done.stdout)
            rows.append(row)
            accuracy, loss = row["metrics"]["accuracy"], row["metrics"]["loss"]
            cost = f"{row['seconds'] / 60:.1f} min, {train_petaflop(out):.3f} PFLOP"
            print(f"seed {seed}: accuracy {accuracy:.4%}, loss {loss:.4f}, {cost}", flush=True)
    accuracies = [100 * row["metrics"]["accuracy"] for row in rows]
    std = statistics.stdev(accuracies) if len(rows) > 1 else 0.0
    seconds = statistics.mean(row["seconds"] for row in rows)
    mean = statistics.mean(accuracies)
    print(
        f"{arguments.recipe}: {mean:.2f} +- {std:.2f} % (mean and standard deviation of {len(rows)} seeds, last epoch)",
        end=", ",
    )
    print(f"{seconds:.0f} s each, {rows[0]['parameters']:,} parameters")


def train_petaflop(run: Path) -> float:
    """Return the floating-point operations of a run's training steps, in units of 1e15.

    A multiply-accumulate counts as two operations, and a backward pass as two forward passes.
    """
    config = json.loads((run / "config.json").read_text())
    classifier = load(run)
    side = classifier.preprocess.input_size
    macs = summarize(classifier.model, (classifier.preprocess.channels, side, side)).macs
    return 3 * 2 * macs * int(config["data"]["train_images"]) * int(config["settings"]["epochs"]) / 1e15


if __name__ == "__main__":
    main()
