"""Training throughput: firstsight's engine against the idiomatic PyTorch loop, in one run.

    python benchmarks/throughput.py [lenet | gan | dcgan | infogan] [--data PATH] [--rounds 7] [--samples 20000]
                                    [--batch-size N]

The other loops are those of `tutorials.py`. Same networks, same batch size, same number of threads, same number of
samples; the two alternate and their ratio is taken round by round. LeNet's batch is its recipe's, those of the
generative adversarial networks are 128; these are timed on pictures of 28 pixels as they are, in float32 and, where the
processor computes in it, in bfloat16 as their recipes do. The other loop is in float32. Without --data, Fashion-MNIST
is found or downloaded as `firstsight data` says.
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
from firstsight.engine.loop import Loop
from firstsight.recipes import find_recipe
from firstsight.recipes.accelerator import computes_bfloat16
from firstsight.recipes.train import Session, Silent, Where

RECIPES = {"lenet": "lenet-fashion", "gan": "gan-fashion", "dcgan": "dcgan-fashion", "infogan": "infogan-mnist"}
WIDTHS = {"gan": 64, "dcgan": 64, "infogan": 32}
SAMPLES = {"lenet": 20_000, "gan": 12_800, "dcgan": 1_280, "infogan": 2_560}


def ours(model: str, images: ImageSet, data: str, *, batch_size: int, **changes: Any) -> Callable[[], float]:
    """One epoch of the engine, from the recipe's own task and loop; returns its seconds (evaluation left out)."""
    recipe = find_recipe(RECIPES[model])
    changes = {"precision": "float32"} | changes
    settings = replace(recipe.settings, data=data, epochs=1000, batch_size=batch_size, **changes)
    session = Session(recipe, settings, Where(device="cpu"), Silent())
    loop = Loop(
        session.make_task(images, images),
        session.accelerator,
        None,
        Silent(),
        epochs=1000,
        seed=0,
        checkpoint_seconds=1e9,
    )

    def epoch() -> float:
        began = time.perf_counter()
        loop.train_epoch(loop.state.step // loop.task.batches.steps)
        return time.perf_counter() - began

    return epoch


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", choices=list(RECIPES), default="lenet")
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--batch-size", type=int)
    arguments = parser.parse_args()
    model, data = arguments.model, arguments.data
    settings = find_recipe(RECIPES[model]).settings
    batch_size = arguments.batch_size or (settings.batch_size if model == "lenet" else 128)
    beside = Path(__file__).parents[2] / "shared" / "data" / data
    if data == "fashion-mnist" and beside.is_dir():
        data = str(beside)
    images = load_data(data).select(np.arange(arguments.samples or SAMPLES[model]))
    if model == "lenet":
        runners = {
            "idiomatic loop": classifier(images, batch_size),
            "firstsight": ours(model, images, data, batch_size=batch_size, lr=1e-3, flip="none", shift=0),
            "firstsight, augmented": ours(model, images, data, batch_size=batch_size, lr=1e-3),
        }
    else:
        width = WIDTHS[model]
        same = {"batch_size": batch_size, "width": width, "image_size": 28, "latent": 62 if model == "infogan" else 100}
        same |= {"g_width": 0, "translation": 0, "instance_noise": 0.0, "conditional": False}  # the peer has none
        runners = {
            "idiomatic loop": adversarial(images, batch_size, model, width=width),
            "firstsight": ours(model, images, data, **same),
        }
        if computes_bfloat16("cpu"):
            runners["firstsight, bfloat16"] = ours(model, images, data, **same, precision="bfloat16")
    for runner in runners.values():
        runner()
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(arguments.rounds):
        for name, runner in runners.items():
            seconds[name].append(runner())
    print(f"{model} on {images.name}, {len(images):,} samples an epoch, batch {batch_size},", end=" ")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {arguments.rounds} rounds")
    for name, values in seconds.items():
        speeds = [len(images) / value for value in values]
        ratios = [a / b for a, b in zip(seconds["idiomatic loop"], values, strict=True)]
        print(
            f"{name:24} {statistics.median(speeds):8,.0f} samples/s ({min(speeds):,.0f} to {max(speeds):,.0f}),"
            f" {statistics.median(ratios):.2f} x the idiomatic loop ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
