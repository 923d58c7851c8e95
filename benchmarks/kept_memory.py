"""What training gains by keeping the memory it frees, and what that costs.

    python benchmarks/kept_memory.py [RECIPE ...] [--data PATH] [--steps 20] [--rounds 5]

The first steps of each recipe, with and without `keep_freed_memory`, each time in a process of its own, in alternation.
Ratios round by round, median with minimum and maximum; then the most memory either process used.
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

USUAL = ("lenet-digits", "convnet-digits", "gan-digits", "dcgan-digits")
WARM = 3
HOW = ("kept", "given back")


def steps(name: str, data: str | None, count: int, *, kept: bool) -> None:
    """Take steps; print their seconds, and the most megabytes in use."""
    if kept:
        keep_freed_memory()
    recipe = find_recipe(name)
    settings = replace(recipe.settings, data=data) if data else recipe.settings
    session = TrainingRun(recipe, settings, RunOptions(device="cpu"), NullCallback())
    task = session.make_task(*session.materials.load())
    for i in range(WARM + count):
        if i == WARM:
            began = time.perf_counter()
        task.train_step(task.batches.get(*divmod(i, task.batches.steps)))
    print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=USUAL)
    parser.add_argument("--data")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", choices=HOW, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return steps(arguments.recipes[0], arguments.data, arguments.steps, kept=arguments.child == "kept")
    for name in arguments.recipes:
        ratios, most = [], dict.fromkeys(HOW, 0.0)
        for _ in range(arguments.rounds):
            taken = {}
            for child in HOW:
                command = [sys.executable, __file__, name, "--child", child, "--steps", str(arguments.steps)]
                command += ["--data", arguments.data] if arguments.data else []
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
                taken[child], most[child] = float(said[0]), max(most[child], float(said[1]))
            ratios.append(taken["given back"] / taken["kept"])
        print(
            f"{name}: speed with memory kept, as a multiple: {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} rounds); "
            f"most in use {most['kept']:.0f} MB, else {most['given back']:.0f} MB"
        )
    return None


if __name__ == "__main__":
    main()
