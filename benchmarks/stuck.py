"""The study's network that cannot learn: its losses over 200 updates; then the same without the layer at fault.

    python benchmarks/stuck.py [--seeds 3] [--steps 200] [--epochs 300]

First `gan-stuck` as it is: the losses of every update, their mean and standard deviation, and the worst seed's mean
distance from what the arithmetic says, E[s(x)^2] = 0.2934 for G and twice that for D (x from N(0, 1), s the sigmoid).
Then with the layer and without it, by the study's gradient descent and by Adam, measured as `firstsight evaluate` does.
"""

import argparse
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from gan import train

from firstsight import load_data
from firstsight.engine.loop import seed_everything
from firstsight.recipes import find_recipe
from firstsight.recipes.train import NullCallback, RunOptions, TrainingRun


def losses(seed: int, steps: int) -> tuple[list[float], list[float]]:
    """G's and D's loss at every update."""
    recipe = find_recipe("gan-stuck")
    session = TrainingRun(
        recipe, replace(recipe.settings, seed=seed, epochs=steps), RunOptions(device="cpu"), NullCallback()
    )
    task = session.make_task(load_data("digits", "train"), load_data("digits", "test"))
    found = []
    for step in range(steps):
        seed_everything(seed * steps + step)
        scalars = task.train_step(task.batches.get(*divmod(step, task.batches.steps)))
        found.append((float(scalars["g_loss"]), float(scalars["d_loss"])))
    return [g for g, _ in found], [d for _, d in found]


def gaussian_mean() -> float:
    """E[s(x)^2] for x from N(0, 1), by a sum over a fine grid."""
    x = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = torch.exp(-x.square() / 2)
    return float((torch.sigmoid(x).square() * density).sum() / density.sum())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=300)
    arguments = parser.parse_args()
    rows = [losses(seed, arguments.steps) for seed in range(arguments.seeds)]
    expected = gaussian_mean()
    print(f"gan-stuck, {arguments.steps} updates, {arguments.seeds} seeds; by arithmetic G {expected:.4f}, D", end=" ")
    print(f"{2 * expected:.4f}")
    for name, column, factor in (("G", 0, 1), ("D", 1, 2)):
        every = [value for row in rows for value in row[column]]
        means = [statistics.mean(row[column]) for row in rows]
        away = max(abs(mean - factor * expected) for mean in means)
        print(
            f"  {name}: {statistics.mean(every):.4f} +- {statistics.stdev(every):.4f} over updates"
            f" ({min(every):.4f} to {max(every):.4f}); a seed's mean lies within {away:.4f} of it"
        )
    more = ["--epochs", str(arguments.epochs), "--evaluate-every", str(arguments.epochs)]
    rows_of = {
        "as it is": [], "without the layer": ["--no-bn-on-logit"], "with Adam": ["--optimizer", "adam"],
        "with Adam, without the layer": ["--optimizer", "adam", "--no-bn-on-logit"],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        for name, change in rows_of.items():
            places = [Path(scratch) / name.replace(" ", "-") / str(seed) for seed in range(arguments.seeds)]
            found = [
                train("gan-stuck", seed, place, None, [*more, *change])["metrics"] for seed, place in enumerate(places)
            ]
            made = ", ".join(f"{row['modes']:.0f}" for row in found)
            away = ", ".join(f"{row['frechet']:.1f}" for row in found)
            print(f"{arguments.epochs} epochs, {name}: {made} of 10 modes, Frechet distance {away}", flush=True)


if __name__ == "__main__":
    main()
