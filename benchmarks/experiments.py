"""The experiment that made each network famous, repeated on small images: a table and a figure.

    python benchmarks/experiments.py alexnet --data PATH [--seeds 1] [--epochs N] [--out DIR] [--figure FILE.png]

Experiments: alexnet (ReLU and dropout), vgg (depth and batch norm), googlenet (cost, auxiliary classifiers), resnet
(shortcuts), airbench (differences to the published network and settings, on held-out training images), mobilenet
(depthwise separable convolutions). The data are Fashion-MNIST or CIFAR-10; --data is the folder with their files. With
--out the runs are kept, and finished runs are not trained again. The figure shows the training loss and the test
accuracy of the first seed by epoch.
"""

import argparse
import json
import re
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from accuracy import Result, mean_and_std, train

from firstsight.plots import compare_runs, encode_figure
from firstsight.plots.compare import Curve, Panel


@dataclass(frozen=True)
class Experiment:
    """Recipes to compare.

    Attributes
    ----------
    rows : dict[str, tuple[str, list[str]]]
        Recipe and options of `firstsight train`, by label.
    epochs : int
        Epochs of every run; 0 for those of the recipe.
    """

    rows: dict[str, tuple[str, list[str]]]
    epochs: int = 0


SHORTCUT = ["--val-fraction", "0.1", "--translate", "2", "--cutout", "0"]
"""Options of airbench's variant with shortcuts, with the published augmentation, on held-out training images."""
AIRBENCH = [*SHORTCUT, "--variant", "airbench94"]
"""Options of the published network."""
EXPERIMENTS = {
    "alexnet": Experiment(
        {
            "ReLU, dropout": ("alexnet-fashion", []),
            "tanh, dropout": ("alexnet-fashion", ["--variant", "tanh"]),
            "ReLU, no dropout": ("alexnet-fashion", ["--variant", "no-dropout"]),
        }
    ),
    "vgg": Experiment(
        {
            "VGG-11": ("vgg11-cifar10", []),
            "VGG-11, batch norm": ("vgg11-bn-cifar10", []),
            "VGG-16": ("vgg16-cifar10", []),
            "VGG-16, batch norm": ("vgg16-bn-cifar10", []),
        }
    ),
    "googlenet": Experiment(
        {
            "GoogLeNet, auxiliary classifiers": ("googlenet-fashion", []),
            "GoogLeNet, no auxiliary classifiers": ("googlenet-fashion", ["--variant", "no-auxiliary"]),
            "AlexNet": ("alexnet-fashion", []),
            "convnet": ("convnet-fashion", []),
        }
    ),
    "resnet": Experiment(
        {
            "plain-20": ("plain20-cifar10", []),
            "plain-56": ("plain56-cifar10", []),
            "ResNet-20": ("resnet20-cifar10", []),
            "ResNet-56": ("resnet56-cifar10", []),
        },
        epochs=8,
    ),
    "airbench": Experiment(
        {
            "airbench94": ("airbench-cifar10", AIRBENCH),
            "three convolutions, shortcut": ("airbench-cifar10", SHORTCUT),
            "no whitening": ("airbench-cifar10", [*AIRBENCH, "--whiten", "0"]),
            "no label smoothing": ("airbench-cifar10", [*AIRBENCH, "--label-smoothing", "0"]),
            "random instead of alternating flip": ("airbench-cifar10", [*AIRBENCH, "--flip", "random"]),
            "shift of 4 pixels": ("airbench-cifar10", [*AIRBENCH, "--translate", "4"]),
            "Cutout": ("airbench-cifar10", [*AIRBENCH, "--cutout", "12"]),
            "no test-time augmentation": ("airbench-cifar10", [*AIRBENCH, "--tta-views", "1"]),
            "batches of 2,000": ("airbench-cifar10", [*AIRBENCH, "--batch-size", "2000", "--lr", "0.24"]),
            "warm-up": ("airbench-cifar10", [*AIRBENCH, "--warmup", "0.2"]),
            "float32": ("airbench-cifar10", [*AIRBENCH, "--precision", "float32"]),
        },
        epochs=4,
    ),
    "mobilenet": Experiment({"MobileNet": ("mobilenet-cifar10", []), "VGG-11, batch norm": ("vgg11-bn-cifar10", [])}),
}


def main() -> None:
    """Train all rows, print the table and write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="epochs of every run")
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    parser.add_argument("--figure", type=Path, help="write the figure to this PNG file")
    arguments = parser.parse_args()
    experiment = EXPERIMENTS[arguments.experiment]
    epochs = arguments.epochs or experiment.epochs
    results: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.out or Path(scratch)
        shorter = ["--epochs", str(epochs), "--evaluate-every", "1"] if epochs else []
        suffix = f"-{epochs}-epochs" if epochs else ""
        for label, (recipe, options) in experiment.rows.items():
            name = re.sub("[^a-z0-9]+", "-", " ".join([recipe, *options]))
            results[label] = []
            for seed in range(arguments.seeds):
                out = folder / f"{name}{suffix}-{seed}"
                results[label].append(train(recipe, seed, out, data=arguments.data, options=[*options, *shorter]))
            print(f"| {label} | {describe(results[label])} |", flush=True)
        if arguments.figure:
            arguments.figure.write_bytes(draw(results))


def describe(results: list[Result]) -> str:
    """Return cost, training accuracy and test accuracy of some seeds as cells of a table."""
    first = results[0]
    minutes = statistics.mean(result.minutes for result in results)
    cost = f"{first.parameters:,} | {first.macs / 1e6:.1f} M | {minutes:.0f} min"
    train_accuracy = statistics.mean(result.train_accuracy for result in results)
    return f"{cost} | {train_accuracy:.1f} % | {mean_and_std([result.accuracy for result in results])}"


def draw(results: dict[str, list[Result]]) -> bytes:
    """Return the figure of the first seeds as a PNG file."""
    panels = [Panel("training loss", [], is_loss=True), Panel("test accuracy", [])]
    curves: list[list[Curve]] = [[], []]
    for number, (first, *_) in enumerate(results.values()):
        rows = [json.loads(line) for line in (first.run / "metrics.jsonl").read_text().splitlines()]
        for each, key in zip(curves, ("train/loss", "test/accuracy"), strict=True):
            points = [(row["epoch"], row[key]) for row in rows if key in row]
            each.append(Curve(number, *map(list, zip(*points, strict=True))))
    panels = [panel._replace(curves=each) for panel, each in zip(panels, curves, strict=True)]
    return encode_figure(compare_runs(list(results), panels), ".png")


if __name__ == "__main__":
    main()
