"""What each of the well-known hacks does: a recipe with one of them taken away or added, over seeds, as one table.

    python benchmarks/hacks.py dcgan-digits --seeds 3 [--epochs 60] [--out DIR] [--only "no average" ...]

The first row is the recipe; every other differs from it by one setting. All measures are those of
`firstsight evaluate RUN`; a row whose distance differs from the first by more than both deviations together is marked.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from gan import train

HACKS = {
    "the recipe": [],
    "pictures in [0, 1], sigmoid": ["--output", "sigmoid"],
    "uniform noise": ["--noise", "uniform"],
    "real and generated mixed": ["--batches", "mixed"],
    "ReLU in D": ["--activation", "relu"],
    "no strided convolutions": ["--resampling", "plain"],
    "no label smoothing": ["--real-label", "1"],
    "noisy labels (5 %)": ["--label-flip-prob", "0.05"],
    "D learns twice as fast": ["--d-lr-mult", "2"],
    "D learns half as fast": ["--d-lr-mult", "0.5"],
    "spectral norm": ["--spectral-norm"],
    "R1, no batch norm in D": ["--r1-gamma", "1"],
    "no average of weights": ["--ema-decay", "0"],
    "packing 2": ["--packing", "2"],
    "moved before D, 2 pixels": ["--diffaug-translation", "2"],
    "noise before D, 0.4": ["--instance-noise", "0.4"],
    "both told the class": ["--conditional"],
    "SGD in D": ["--optimizer", "sgd-in-d", "--d-lr-mult", "100"],
    "batch norm in G": ["--batch-norm"],
    "beta1 0.9": ["--beta1", "0.9"],
    "saturating loss": ["--loss", "saturating"],
    "least squares": ["--loss", "least-squares"],
    "hinge": ["--loss", "hinge"],
    "Wasserstein, penalty": ["--loss", "wasserstein", "--n-critic", "3"],
}
NOT_IN = {"no strided convolutions": "gan", "both told the class": "gan", "batch norm in G": "dcgan"}
"""Rows that a network does not have: convolutions, classes, or a generator without batch norm."""


def main() -> None:
    """Train all, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="dcgan-digits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    parser.add_argument("--only", nargs="*", default=list(HACKS))
    arguments = parser.parse_args()
    fewer = ["--epochs", str(arguments.epochs)] if arguments.epochs else []
    names = [name for name in arguments.only if not arguments.recipe.startswith(NOT_IN.get(name, "-"))]
    table = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            folder = (arguments.out or Path(scratch)) / "-".join(HACKS[name] or ["recipe"]).replace("--", "")
            table[name] = [
                train(arguments.recipe, seed, folder / str(seed), arguments.data, [*fewer, *HACKS[name]])["metrics"]
                for seed in range(arguments.seeds)
            ]
    columns = [key for key in ("frechet", "precision", "recall", "modes", "kl") if key in table[names[0]][0]]
    print(f"\n{arguments.recipe} {' '.join(fewer)}, {arguments.seeds} seeds, mean +- sd\n")
    print(f"| | {' | '.join(columns)} | |\n| --- |{' --- |' * (len(columns) + 1)}")
    first = spread([row["frechet"] for row in table[names[0]]])
    for name, rows in table.items():
        cells = [spread([row[column] for row in rows]) for column in columns]
        away = cells[0][0] - first[0]
        clear = abs(away) > cells[0][1] + first[1]
        outcome = ("worse" if away > 0 else "better") if clear else ""
        print(f"| {name} | {' | '.join(f'{short(mean)} +- {sd:.2g}' for mean, sd in cells)} | {outcome} |")


def short(number: float) -> str:
    """Three digits, without an exponent."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def spread(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
