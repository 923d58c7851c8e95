"""Train a GAN recipe with several seeds, evaluate each generator, and print mean and standard deviation.

    python benchmarks/gan.py gan-digits --seeds 5
    python benchmarks/gan.py dcgan-fashion --seeds 2 --data PATH [--out DIR] [--lr 1e-4 ...]

Each seed is a separate process of the command line, which receives all other options. With --out the runs are kept,
and finished runs are not trained again. The averaged generator of the last epoch is compared with the test images, up
to 10,000 of them (`firstsight evaluate RUN`).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Train, evaluate, and print the metrics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    arguments, extra_options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = arguments.out or Path(scratch)
        rows = [
            train(arguments.recipe, seed, root / f"{arguments.recipe}-{seed}", arguments.data, extra_options)
            for seed in range(arguments.seeds)
        ]
    print(f"{arguments.recipe} {' '.join(extra_options)}:", end=" ")
    print(f"mean +- standard deviation of {len(rows)} seeds, N = {rows[0]['n']:,}")
    for name in rows[0]["metrics"]:
        values = [row["metrics"][name] for row in rows]
        std = statistics.stdev(values) if len(values) > 1 else 0.0
        median, mean = statistics.median(values), statistics.mean(values)
        print(f"  {name:<18} {mean:9.4f} +- {std:.4f}   median {median:.4f}, worst {worst(name, values):.4f}")


def worst(name: str, values: list[float]) -> float:
    """Return the worst value of a metric; for correlations the weakest."""
    if name.endswith(("_slant", "_width", "_stroke")):
        return min(values, key=abs)
    lower_is_better = ("frechet", "frechet_floor", "kl", "minutes", "q_error")
    return max(values) if name in lower_is_better else min(values)


def train(recipe: str, seed: int, out: Path, data: str | None, extra_options: list[str]) -> dict[str, dict[str, float]]:
    """Train one seed and return the result of `firstsight evaluate`, with the training time in minutes."""
    data_options = ["--data", data] if data else []
    command = [sys.executable, "-m", "firstsight"]
    options = ["--seed", str(seed), "--quiet", "--json", "--resume", "--out", str(out), *data_options, *extra_options]
    done = subprocess.run([*command, "train", recipe, *options], check=True, stdout=subprocess.PIPE, text=True)
    evaluated = subprocess.run(
        [*command, "evaluate", str(out), "--json"], check=True, stdout=subprocess.PIPE, text=True
    )
    row: dict[str, dict[str, float]] = json.loads(evaluated.stdout)
    row["metrics"]["minutes"] = json.loads(done.stdout)["seconds"] / 60
    print(f"seed {seed}: " + ", ".join(f"{k} {v:.4g}" for k, v in row["metrics"].items()), flush=True)
    return row


if __name__ == "__main__":
    main()
