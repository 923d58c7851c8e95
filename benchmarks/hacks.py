"""Ablation of the well-known GAN hacks: a recipe with one of them removed or added, over seeds, as one table.

    python benchmarks/hacks.py dcgan-digits --seeds 3 [--epochs 60] [--out DIR] [--only "no EMA of weights" ...]

The first row is the recipe, and each other row differs from it in one setting. The metrics are those of
`firstsight evaluate RUN`. A row is marked if its Frechet distance differs from the first row's by more than the sum of
their standard deviations.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from gan import train

HACKS = {
    "the recipe": [],
    "images in [0, 1], sigmoid": ["--output", "sigmoid"],
    "uniform noise": ["--noise", "uniform"],
    "mixed batches in D": ["--batches", "mixed"],
    "ReLU in D": ["--activation", "relu"],
    "no strided convolutions": ["--resampling", "plain"],
    "no label smoothing": ["--real-label", "1"],
    "flipped labels (5 %)": ["--label-flip-prob", "0.05"],
    "learning rate of D doubled": ["--d-lr-mult", "2"],
    "learning rate of D halved": ["--d-lr-mult", "0.5"],
    "spectral norm": ["--spectral-norm"],
    "R1, no batch norm in D": ["--r1-gamma", "1"],
    "no EMA of weights": ["--ema-decay", "0"],
    "packing 2": ["--packing", "2"],
    "DiffAugment translation, 2 pixels": ["--diffaug-translation", "2"],
    "instance noise, 0.4": ["--instance-noise", "0.4"],
    "class-conditional": ["--conditional"],
    "SGD in D": ["--optimizer", "sgd-in-d", "--d-lr-mult", "100"],
    "batch norm in G": ["--batch-norm"],
    "beta1 0.9": ["--beta1", "0.9"],
    "saturating loss": ["--loss", "saturating"],
    "least squares": ["--loss", "least-squares"],
    "hinge": ["--loss", "hinge"],
    "Wasserstein, gradient penalty": ["--loss", "wasserstein", "--n-critic", "3"],
}
NOT_APPLICABLE = {"no strided convolutions": "gan", "class-conditional": "gan", "batch norm in G": "dcgan"}
"""Rows that do not apply to a network: it has no convolutions or is not conditional, or its G has batch norm anyway."""


def main() -> None:
    """Train all rows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="dcgan-digits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    parser.add_argument("--only", nargs="*", default=list(HACKS))
    arguments = parser.parse_args()
    epochs = ["--epochs", str(arguments.epochs)] if arguments.epochs else []
    names = [name for name in arguments.only if not arguments.recipe.startswith(NOT_APPLICABLE.get(name, "-"))]
    table = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            folder = (arguments.out or Path(scratch)) / "-".join(HACKS[name] or ["recipe"]).replace("--", "")
            table[name] = [
                train(arguments.recipe, seed, folder / str(seed), arguments.data, [*epochs, *HACKS[name]])["metrics"]
                for seed in range(arguments.seeds)
            ]
    columns = [key for key in ("frechet", "precision", "recall", "modes", "kl") if key in table[names[0]][0]]
    print(f"\n{arguments.recipe} {' '.join(epochs)}, {arguments.seeds} seeds, mean +- standard deviation\n")
    print(f"| | {' | '.join(columns)} | |\n| --- |{' --- |' * (len(columns) + 1)}")
    baseline = mean_std([row["frechet"] for row in table[names[0]]])
    for name, rows in table.items():
        cells = [mean_std([row[column] for row in rows]) for column in columns]
        difference = cells[0][0] - baseline[0]
        is_clear = abs(difference) > cells[0][1] + baseline[1]
        outcome = ("worse" if difference > 0 else "better") if is_clear else ""
        print(f"| {name} | {' | '.join(f'{format_mean(mean)} +- {std:.2g}' for mean, std in cells)} | {outcome} |")


def format_mean(number: float) -> str:
    """Format a number with three significant digits, without an exponent."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def mean_std(values: list[float]) -> tuple[float, float]:
    """Return mean and standard deviation."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
