"""The recipe `gan-stuck`, which fails on purpose: its losses, and training without the layer that causes the failure.

    python benchmarks/stuck.py [--seeds 3] [--steps 200] [--epochs 300]

1. Losses of `gan-stuck` at every step: mean, standard deviation and range, and the largest difference between a seed's
   mean and the expected loss. The expected loss is E[s(x)^2] = 0.2934 for G and twice that for D, with x from N(0, 1)
   and the sigmoid s.
2. Training with and without the layer (batch norm on D's logit), with the original SGD and with Adam, evaluated as in
   `firstsight evaluate`.
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
    """Return the losses of G and of D at every step."""
    recipe = find_recipe("gan-stuck")
    settings = replace(recipe.settings, seed=seed, epochs=steps)
    run = TrainingRun(recipe, settings, RunOptions(device="cpu"), NullCallback())
    task = run.make_task(load_data("digits", "train"), load_data("digits", "test"))
    g_losses, d_losses = [], []
    for step in range(steps):
        seed_everything(seed * steps + step)
        scalars = task.train_step(task.batches.get(*divmod(step, task.batches.steps)))
        g_losses.append(float(scalars["g_loss"]))
        d_losses.append(float(scalars["d_loss"]))
    return g_losses, d_losses


def expected_loss() -> float:
    """Return E[s(x)^2] for x from N(0, 1) and the sigmoid s, by numerical integration."""
    x = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = torch.exp(-x.square() / 2)
    return float((torch.sigmoid(x).square() * density).sum() / density.sum())


def main() -> None:
    """Measure and print both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=300)
    arguments = parser.parse_args()
    rows = [losses(seed, arguments.steps) for seed in range(arguments.seeds)]
    expected = expected_loss()
    print(
        f"gan-stuck, {arguments.steps} steps, {arguments.seeds} seeds; expected loss of G {expected:.4f}, of D", end=" "
    )
    print(f"{2 * expected:.4f}")
    for name, column, factor in (("G", 0, 1), ("D", 1, 2)):
        values = [value for row in rows for value in row[column]]
        means = [statistics.mean(row[column]) for row in rows]
        max_error = max(abs(mean - factor * expected) for mean in means)
        print(
            f"  {name}: {statistics.mean(values):.4f} +- {statistics.stdev(values):.4f} over steps"
            f" ({min(values):.4f} to {max(values):.4f}); largest error of a seed's mean {max_error:.4f}"
        )
    epoch_options = ["--epochs", str(arguments.epochs), "--evaluate-every", str(arguments.epochs)]
    variants = {
        "unchanged": [],
        "without the layer": ["--no-bn-on-logit"],
        "with Adam": ["--optimizer", "adam"],
        "with Adam, without the layer": ["--optimizer", "adam", "--no-bn-on-logit"],
    }
    with tempfile.TemporaryDirectory() as scratch:
        for name, options in variants.items():
            folder = Path(scratch) / name.replace(" ", "-")
            metrics = [
                train("gan-stuck", seed, folder / str(seed), None, [*epoch_options, *options])["metrics"]
                for seed in range(arguments.seeds)
            ]
            modes = ", ".join(f"{row['modes']:.0f}" for row in metrics)
            distances = ", ".join(f"{row['frechet']:.1f}" for row in metrics)
            print(f"{arguments.epochs} epochs, {name}: {modes} of 10 modes, Frechet distance {distances}", flush=True)


if __name__ == "__main__":
    main()
