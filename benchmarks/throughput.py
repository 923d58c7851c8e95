"""Training throughput: firstsight's engine against the idiomatic PyTorch loop, in one run.

    python benchmarks/throughput.py [lenet | gan | dcgan | infogan] [--data PATH] [--rounds 7] [--samples 20000]
                                    [--batch-size N]
    python benchmarks/throughput.py gan-digits | dcgan-digits | infogan-digits

The other loops are those of `tutorials.py`. Same networks, same batch size, same number of threads, same number of
samples; the two alternate and their ratio is taken round by round. LeNet's batch is its recipe's. A generative
adversarial network is timed as its recipe for digits trains it, on the digits of this package; or, by the name of the
network, with the widths of the papers (InfoGAN with half of them) on pictures of 28 pixels in batches of 128, in
float32 and, where the processor computes in it, in bfloat16 as the larger recipes do. The other loop is in float32.
Without --data, Fashion-MNIST is found or downloaded as `firstsight data` says.
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
from tutorials import adversarial, classifier

from firstsight import load_data
from firstsight.data import ImageSet
from firstsight.engine.accelerator import computes_bfloat16
from firstsight.engine.loop import Loop
from firstsight.recipes import find_recipe
from firstsight.recipes.recipe import Recipe
from firstsight.recipes.train import NullCallback, RunOptions, TrainingRun
from firstsight.tasks.gan.settings import GANSettings

RECIPES = {"lenet": "lenet-fashion", "gan": "gan-fashion", "dcgan": "dcgan-fashion", "infogan": "infogan-mnist"}
DIGITS = ("gan-digits", "dcgan-digits", "infogan-digits")
WIDTHS = {"gan": 64, "dcgan": 64, "infogan": 32}
SAMPLES = {
    "lenet": 20_000, "gan": 12_800, "dcgan": 1_280, "infogan": 2_560,
    "gan-digits": 12_800, "dcgan-digits": 2_560, "infogan-digits": 5_120,
}  # fmt: skip
"""In a round; the digits, which are fewer, are gone through several times."""


def ours(recipe: Recipe, images: ImageSet, **changes: Any) -> Callable[[], float]:
    """One epoch of the engine, from the recipe's own task and loop; returns its seconds (evaluation left out)."""
    settings = replace(recipe.settings, epochs=1000, **{"precision": "float32"} | changes)
    session = TrainingRun(recipe, settings, RunOptions(device="cpu"), NullCallback())
    loop = Loop(
        session.make_task(images, images),
        session.accelerator,
        None,
        NullCallback(),
        epochs=1000,
        seed=0,
        checkpoint_seconds=1e9,
    )

    def epoch() -> float:
        began = time.perf_counter()
        loop.train_epoch(loop.state.step // loop.task.batches.steps)
        return time.perf_counter() - began

    return epoch


def named(name: str, batch_size: int | None) -> Recipe:
    """A recipe for digits as it is; else that of the network, with what the other loop has too."""
    recipe = find_recipe(RECIPES.get(name, name))
    changes: dict[str, Any] = {"batch_size": batch_size} if batch_size else {}
    if name in WIDTHS:
        plain = {"diffaug_translation": 0, "instance_noise": 0.0, "conditional": False, "g_width": 0}
        same = {"width": WIDTHS[name], "image_size": 28, "latent_dim": 62 if name == "infogan" else 100}
        changes = plain | same | {"batch_size": 128} | changes
    return replace(recipe, settings=replace(recipe.settings, **changes))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=[*RECIPES, *DIGITS], default="lenet")
    parser.add_argument("--data")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--batch-size", type=int)
    arguments = parser.parse_args()
    recipe = named(arguments.name, arguments.batch_size)
    settings, batch_size = recipe.settings, recipe.settings.batch_size
    data = arguments.data or ("digits" if arguments.name in DIGITS else "fashion-mnist")
    beside = Path(__file__).parents[2] / "shared" / "data" / data
    images = load_data(str(beside) if beside.is_dir() else data)
    samples = arguments.samples or SAMPLES[arguments.name]
    images = images.select(np.arange(min(samples, len(images))))
    epochs = round(samples / len(images))
    if isinstance(settings, GANSettings):
        shape = {"size": settings.image_size, "width": settings.width}
        runners = {
            "idiomatic loop": adversarial(images, batch_size, recipe.model, **shape),
            "firstsight": ours(recipe, images),
        }
        if arguments.name not in DIGITS and computes_bfloat16("cpu"):
            runners["firstsight, bfloat16"] = ours(recipe, images, precision="bfloat16")
    else:
        runners = {
            "idiomatic loop": classifier(images, batch_size),
            "firstsight": ours(recipe, images, lr=1e-3, flip="none", translate=0),
            "firstsight, augmented": ours(recipe, images, lr=1e-3),
        }
    for runner in runners.values():
        runner()  # warm
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(arguments.rounds):
        for name, runner in runners.items():
            seconds[name].append(sum(runner() for _ in range(epochs)))
    samples = epochs * len(images)
    print(f"{arguments.name} on {images.name}, {samples:,} samples a round, batch {batch_size},", end=" ")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {arguments.rounds} rounds")
    for name, values in seconds.items():
        speeds = [samples / value for value in values]
        ratios = [a / b for a, b in zip(seconds["idiomatic loop"], values, strict=True)]
        print(
            f"{name:24} {statistics.median(speeds):8,.0f} samples/s ({min(speeds):,.0f} to {max(speeds):,.0f}),"
            f" {statistics.median(ratios):.2f} x the idiomatic loop ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
