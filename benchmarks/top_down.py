"""Ablation of top-down pose training: one setting changed per row, as one table.

    python benchmarks/top_down.py [--data PATH] [--epochs 4] [--image-size 96] [--seeds 1] [--out DIR] [--only NAME ...]

The metric is PCK@0.2 of the torso after the last epoch, on 10 % of the training people that are held out, never on the
test set. The first row is the recipe pose-tiny-lsp with this image size and number of epochs, without its smaller crops
in the first epochs. Each other row changes what its name says.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from firstsight.recipes.train import NullCallback, train

CHANGES: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "MSE loss": {"head": "mse"},
    "SimCC": {"head": "simcc", "sigma": 3.0},
    "sigma 4 pixels": {"sigma": 4.0},
    "sigma 12 pixels": {"sigma": 12.0},
    "rotation 0": {"rotate": 0.0},
    "rotation 30": {"rotate": 30.0},
    "rotation 90": {"rotate": 90.0},
    "no scaling": {"scale": 0.0},
    "no EMA of weights": {"ema_decay": 0.0},
    "no flips in training": {"flip": "none"},
    "no flip test": {"flip_test": False},
    "half bodies, 0.3": {"half_body": 0.3},
    "random erasing, 0.5": {"random_erasing": 0.5},
    "a third of the learning rate": {"lr": 1e-3},
    "smaller crops in 75 % of the epochs": {"low_res_fraction": 0.75},
}


def main() -> None:
    """Train all rows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="lspet")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    parser.add_argument("--only", nargs="*", default=list(CHANGES))
    arguments = parser.parse_args()
    common = {
        "data": arguments.data,
        "epochs": arguments.epochs,
        "image_size": arguments.image_size,
        "val_fraction": 0.1,
        "evaluate_every": arguments.epochs,
        "low_res_fraction": 0.0,
    }
    size = f"{arguments.image_size}x{arguments.image_size}"
    print(f"\n{arguments.epochs} epochs at {size}, {arguments.seeds} seed(s), 10 % of the training people held out\n")
    print("| | PCK@0.2 | PCK-box@0.1 | people/s |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.only:
            folder = (arguments.out or Path(scratch)) / name.replace(" ", "-").replace(",", "")
            results = [
                train(
                    "pose-tiny-lsp",
                    out=folder / str(seed),
                    resume=True,
                    callback=NullCallback(),
                    seed=seed,
                    **(common | CHANGES[name]),
                )
                for seed in range(arguments.seeds)
            ]
            cells = [format_mean_std([result.metrics[key] for result in results]) for key in ("pck", "pck_box")]
            rate = statistics.mean(result.samples_per_second for result in results)
            print(f"| {name} | {' | '.join(cells)} | {rate:.0f} |", flush=True)


def format_mean_std(values: list[float]) -> str:
    """Format the mean, and with several values the standard deviation."""
    std = f" +- {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{std}"


if __name__ == "__main__":
    main()
