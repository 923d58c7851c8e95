"""Gain in training speed by keeping freed memory (`keep_freed_memory`), and its cost in peak memory.

    python benchmarks/kept_memory.py [RECIPE ...] [--data PATH] [--steps 20] [--rounds 5]

The first steps of each recipe are timed with and without it, in separate processes that alternate. Printed are the
ratio of the times, as median over the rounds with minimum and maximum, and the peak memory of both.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace

from firstsight.engine.memory import keep_freed_memory
from firstsight.recipes import find_recipe
from firstsight.recipes.train import NullCallback, RunOptions, TrainingRun

DEFAULT_RECIPES = ("lenet-digits", "convnet-digits", "gan-digits", "dcgan-digits")
WARM_UP_STEPS = 3
MODES = ("kept", "returned")


def time_steps(name: str, data: str | None, count: int, *, kept: bool) -> None:
    """Train some steps; print their time in seconds and the peak memory in MiB."""
    if kept:
        keep_freed_memory()
    recipe = find_recipe(name)
    settings = replace(recipe.settings, data=data) if data else recipe.settings
    run = TrainingRun(recipe, settings, RunOptions(device="cpu"), NullCallback())
    task = run.make_task(*run.builder.load())
    for i in range(WARM_UP_STEPS + count):
        if i == WARM_UP_STEPS:
            start = time.perf_counter()
        task.train_step(task.batches.get(*divmod(i, task.batches.steps)))
    print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=DEFAULT_RECIPES)
    parser.add_argument("--data")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", choices=MODES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return time_steps(arguments.recipes[0], arguments.data, arguments.steps, kept=arguments.child == "kept")
    for name in arguments.recipes:
        ratios, peak = [], dict.fromkeys(MODES, 0.0)
        for _ in range(arguments.rounds):
            times = {}
            for mode in MODES:
                command = [sys.executable, __file__, name, "--child", mode, "--steps", str(arguments.steps)]
                command += ["--data", arguments.data] if arguments.data else []
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
                times[mode] = float(output[0])
                peak[mode] = max(peak[mode], float(output[1]))
            ratios.append(times["returned"] / times["kept"])
        print(
            f"{name}: speedup by keeping memory {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} rounds); "
            f"peak memory {peak['kept']:.0f} MiB, without {peak['returned']:.0f} MiB"
        )
    return None


if __name__ == "__main__":
    main()
