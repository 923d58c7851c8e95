"""Train recipes with several seeds; print the test accuracy after the last epoch, with mean and standard deviation.

    python benchmarks/accuracy.py lenet-digits --seeds 5
    python benchmarks/accuracy.py lenet-fashion --seeds 5 --data PATH [--out DIR]

Each seed is a separate process of the command line. With --out the runs are kept, and finished runs are not trained
again. Other options are passed to `firstsight train`. The last line is a row of the table in docs/results.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from firstsight import load
from firstsight.profiling import summarize


@dataclass(frozen=True)
class Result:
    """Result of a finished run.

    Attributes
    ----------
    run : Path
        Run directory.
    accuracy, loss : float
        Test accuracy in percent and test loss in nats, after the last epoch.
    train_accuracy : float
        Accuracy on training images without augmentation, in percent.
    minutes : float
        Wall-clock time of the training.
    parameters : int
        Number of parameters of the network in training, with auxiliary classifiers.
    macs : int
        Multiply-accumulates of one image, without auxiliary classifiers.
    petaflop : float
        Floating-point operations of the training steps, in units of 1e15. A multiply-accumulate counts as two
        operations, and a backward pass as two forward passes.
    """

    run: Path
    accuracy: float
    loss: float
    train_accuracy: float
    minutes: float
    parameters: int
    macs: int
    petaflop: float


def main() -> None:
    """Train and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    arguments, options = parser.parse_known_args()
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(arguments.seeds):
            out = (arguments.out or Path(scratch)) / f"{arguments.recipe}-{seed}"
            result = train(arguments.recipe, seed, out, data=arguments.data, options=options)
            results.append(result)
            cost = f"{result.minutes:.1f} min, {result.petaflop:.3f} PFLOP"
            print(f"seed {seed}: accuracy {result.accuracy:.2f} %, loss {result.loss:.4f}, {cost}", flush=True)
    print(f"| `{arguments.recipe}` | {describe(results)} |")


def train(recipe: str, seed: int, out: Path, *, data: str | None, options: list[str]) -> Result:
    """Train a recipe in a new process, or read its finished run.

    Parameters
    ----------
    recipe : str
        Name of the recipe.
    seed : int
        Seed of the run.
    out : Path
        Run directory; an interrupted run in it is continued.
    data : str | None
        Path of the data; None for the recipe's data set by name.
    options : list[str]
        Further options of `firstsight train`.
    """
    command = [sys.executable, "-m", "firstsight", "train", recipe, "--seed", str(seed), "--quiet", "--json"]
    command += ["--resume", "--out", str(out), *(["--data", data] if data else []), *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return read_result(json.loads(done.stdout), out)


def read_result(row: dict, run: Path) -> Result:
    """Return the result of a run from the document that `firstsight train --json` printed."""
    config = json.loads((run / "config.json").read_text())
    classifier = load(run)
    side = classifier.preprocess.input_size
    macs = summarize(classifier.model, (classifier.preprocess.channels, side, side)).macs
    images = int(config["data"]["train_images"]) * int(config["settings"]["epochs"])
    return Result(
        run=run,
        accuracy=100 * row["metrics"]["accuracy"],
        loss=row["metrics"]["loss"],
        train_accuracy=100 * row["metrics"]["train_accuracy"],
        minutes=row["seconds"] / 60,
        parameters=row["parameters"],
        macs=macs,
        petaflop=3 * 2 * macs * images / 1e15,
    )


def describe(results: list[Result]) -> str:
    """Return parameters, multiply-accumulates, cost and accuracy of some seeds as cells of a table."""
    first = results[0]
    minutes = statistics.mean(result.minutes for result in results)
    cost = f"{first.parameters:,} | {first.macs / 1e6:.1f} M | {minutes:.0f} min, {first.petaflop:.3f} PFLOP"
    return f"{cost} | {mean_and_std([result.accuracy for result in results])}"


def mean_and_std(percentages: list[float]) -> str:
    """Return the mean and the standard deviation of some percentages.

    >>> mean_and_std([90.0, 91.0]), mean_and_std([90.0])
    ('90.50 ± 0.71 % (2 seeds)', '90.00 % (1 seed)')
    """
    mean = statistics.mean(percentages)
    if len(percentages) == 1:
        return f"{mean:.2f} % (1 seed)"
    return f"{mean:.2f} ± {statistics.stdev(percentages):.2f} % ({len(percentages)} seeds)"


if __name__ == "__main__":
    main()
