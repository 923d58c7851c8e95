"""Training throughput of firstsight's loop compared with an idiomatic PyTorch loop, alternating in one run.

    python benchmarks/throughput.py [lenet | gan | dcgan | infogan] [--data PATH] [--rounds 7] [--samples 20000]
                                    [--batch-size N]
    python benchmarks/throughput.py gan-digits | dcgan-digits | infogan-digits

The idiomatic loops are in `tutorials.py`. Both loops use the same network, batch size, number of threads and number of
samples, and the ratio of their times is taken in each round. LeNet uses the batch size of its recipe. A GAN is timed in
one of two configurations:

- by the name of a recipe for digits: with the settings of the recipe, on the embedded digits;
- by the name of a network: with the widths of the paper (half of them for InfoGAN), images of 28x28 pixels and batch
  size 128, in float32, and also in bfloat16 if the processor supports it, as in the larger recipes. The idiomatic loop
  uses float32.

Without --data, Fashion-MNIST is searched on this machine or downloaded (see `firstsight data`).
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tutorials import classifier_epoch, gan_epoch

from firstsight import load_data
from firstsight.data.images.image_set import ImageSet
from firstsight.engine.accelerator import supports_bfloat16
from firstsight.engine.loop import Loop
from firstsight.recipes import find_recipe
from firstsight.recipes.recipe import Recipe
from firstsight.recipes.train import NullCallback, RunOptions, TrainingRun
from firstsight.tasks.gan.settings import GANSettings

RECIPES = {"lenet": "lenet-fashion", "gan": "gan-fashion", "dcgan": "dcgan-fashion", "infogan": "infogan-mnist"}
DIGITS = ("gan-digits", "dcgan-digits", "infogan-digits")
WIDTHS = {"gan": 64, "dcgan": 64, "infogan": 32}
SAMPLES = {
    "lenet": 20_000,
    "gan": 12_800,
    "dcgan": 1_280,
    "infogan": 2_560,
    "gan-digits": 12_800,
    "dcgan-digits": 2_560,
    "infogan-digits": 5_120,
}
"""Samples per round. The digits have fewer images, so a round takes several epochs of them."""


def make_loop(recipe: Recipe, images: ImageSet, **changes: Any) -> Callable[[], float]:
    """Return a function that times one epoch of firstsight's loop in seconds, without evaluation."""
    settings = replace(recipe.settings, epochs=1000, **{"precision": "float32"} | changes)
    run = TrainingRun(recipe, settings, RunOptions(device="cpu"), NullCallback())
    loop = Loop(
        run.make_task(images, images),
        run.accelerator,
        None,
        NullCallback(),
        epochs=1000,
        seed=0,
        checkpoint_seconds=1e9,
    )

    def epoch() -> float:
        start = time.perf_counter()
        loop.train_epoch(loop.state.step // loop.task.batches.steps)
        return time.perf_counter() - start

    return epoch


def configure(name: str, batch_size: int | None) -> Recipe:
    """Return a recipe for digits unchanged, or the network's recipe without features that the idiomatic loop lacks."""
    recipe = find_recipe(RECIPES.get(name, name))
    changes: dict[str, Any] = {"batch_size": batch_size} if batch_size else {}
    if name in WIDTHS:
        disabled = {"diffaug_translation": 0, "instance_noise": 0.0, "conditional": False, "g_width": 0}
        common = {"d_width": WIDTHS[name], "image_size": 28, "latent_dim": 62 if name == "infogan" else 100}
        changes = disabled | common | {"batch_size": 128} | changes
    return replace(recipe, settings=replace(recipe.settings, **changes))


def main() -> None:
    """Measure and print the throughputs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=[*RECIPES, *DIGITS], default="lenet")
    parser.add_argument("--data")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--batch-size", type=int)
    arguments = parser.parse_args()
    recipe = configure(arguments.name, arguments.batch_size)
    settings, batch_size = recipe.settings, recipe.settings.batch_size
    data = arguments.data or ("digits" if arguments.name in DIGITS else "fashion-mnist")
    shared = Path(__file__).parents[2] / "shared" / "data" / data
    images = load_data(str(shared) if shared.is_dir() else data)
    samples = arguments.samples or SAMPLES[arguments.name]
    images = images.select(np.arange(min(samples, len(images))))
    epochs = round(samples / len(images))
    if isinstance(settings, GANSettings):
        shape = {"size": settings.image_size, "width": settings.d_width}
        runners = {
            "idiomatic loop": gan_epoch(images, batch_size, recipe.model, **shape),
            "firstsight": make_loop(recipe, images),
        }
        if arguments.name not in DIGITS and supports_bfloat16("cpu"):
            runners["firstsight, bfloat16"] = make_loop(recipe, images, precision="bfloat16")
    else:
        runners = {
            "idiomatic loop": classifier_epoch(images, batch_size),
            "firstsight": make_loop(recipe, images, lr=1e-3, flip="none", translate=0),
            "firstsight, augmented": make_loop(recipe, images, lr=1e-3),
        }
    for runner in runners.values():
        runner()  # warm-up
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(arguments.rounds):
        for name, runner in runners.items():
            seconds[name].append(sum(runner() for _ in range(epochs)))
    samples = epochs * len(images)
    print(f"{arguments.name} on {images.name}, {samples:,} samples per round, batch size {batch_size},", end=" ")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {arguments.rounds} rounds")
    for name, values in seconds.items():
        speeds = [samples / value for value in values]
        ratios = [a / b for a, b in zip(seconds["idiomatic loop"], values, strict=True)]
        print(
            f"{name:24} {statistics.median(speeds):8,.0f} samples/s ({min(speeds):,.0f} to {max(speeds):,.0f}),"
            f" {statistics.median(ratios):.2f} times the idiomatic loop ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
