"""Train a recipe of a generative adversarial network over several seeds; measure each generator; print mean and sd.

    python benchmarks/gan.py gan-digits --seeds 5
    python benchmarks/gan.py dcgan-fashion --seeds 2 --data PATH [--out DIR] [--lr 1e-4 ...]

Each seed is a run of the command line in a process of its own; more options are handed on to it. With --out the runs
are kept, and a run that is already finished there is read instead of trained again. Measured is the average generator
of the last epoch against the test images, as many as there are up to 10,000 (`firstsight evaluate RUN`).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    arguments, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = [
            train(arguments.recipe, seed, (arguments.out or Path(scratch)) / f"{arguments.recipe}-{seed}",
                  arguments.data, more)
            for seed in range(arguments.seeds)
        ]  # fmt: skip
    print(f"{arguments.recipe} {' '.join(more)}: mean +- sd of {len(rows)} seeds, N = {rows[0]['n']:,}")
    for name in rows[0]["metrics"]:
        values = [row["metrics"][name] for row in rows]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        middle = statistics.median(values)
        print(f"  {name:<18} {statistics.mean(values):9.4f} +- {spread:.4f}   median {middle:.4f}, worst",
              f"{worst(name, values):.4f}")  # fmt: skip


def worst(name: str, values: list[float]) -> float:
    """The value that speaks most against the generator; of correlations the weakest."""
    if name.endswith(("_slant", "_width", "_stroke")):
        return min(values, key=abs)
    least_is_best = ("frechet", "frechet_floor", "kl", "minutes", "q_error", "q_error_majority")
    return max(values) if name in least_is_best else min(values)


def train(recipe: str, seed: int, out: Path, data: str | None, more: list[str]) -> dict[str, dict[str, float]]:
    """One seed: its metrics, as `firstsight evaluate` measures them, and the minutes it took."""
    place = ["--data", data] if data else []
    command = [sys.executable, "-m", "firstsight"]
    options = ["--seed", str(seed), "--quiet", "--json", "--resume", "--out", str(out), *place, *more]
    done = subprocess.run([*command, "train", recipe, *options], check=True, stdout=subprocess.PIPE, text=True)
    asked = subprocess.run([*command, "evaluate", str(out), "--json"], check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, dict[str, float]] = json.loads(asked.stdout)
    row["metrics"]["minutes"] = json.loads(done.stdout)["seconds"] / 60
    print(f"seed {seed}: " + ", ".join(f"{k} {v:.4g}" for k, v in row["metrics"].items()), flush=True)
    return row


if __name__ == "__main__":
    main()
