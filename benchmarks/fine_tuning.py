"""Training on a small folder of photographs from random weights against fine-tuning of trained weights.

    python benchmarks/fine_tuning.py FOLDER [--model airbench] [--weights airbench-cifar10] [--seeds 2] [--out DIR]

Every row has the defaults for a user's folder. FOLDER has a subfolder per class, or train/ and val/. Where a network
has ImageNet weights: --model resnet18 --weights imagenet. With --out the runs are kept, and finished runs are not
trained again.
"""

import argparse
import tempfile
from pathlib import Path

from accuracy import Result, train
from experiments import describe


def main() -> None:
    """Train all rows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="airbench")
    parser.add_argument("--weights", default="airbench-cifar10")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    arguments = parser.parse_args()
    model, weights = arguments.model, ["--weights", arguments.weights]
    rows: dict[str, tuple[str, list[str]]] = {
        "convnet, random weights": ("convnet", []),
        f"{model}, random weights": (model, []),
        f"{model}, new head only": (model, [*weights, "--freeze"]),
        f"{model}, all layers": (model, weights),
    }
    head_only = "new-head-only"
    with tempfile.TemporaryDirectory() as scratch:
        out = arguments.out or Path(scratch)

        def run(label: str, model: str, options: list[str], seed: int) -> Result:
            name = label.replace(",", "").replace(" ", "-").removeprefix(f"{model}-")
            return train(model, seed, out / f"{model}-{name}-{seed}", data=str(arguments.folder), options=options)

        for label, (network, options) in rows.items():
            results = [run(label, network, options, seed) for seed in range(arguments.seeds)]
            print(f"| {label} | {describe(results)} |", flush=True)
        label = f"{model}, new head first, then all layers"
        heads = [str(out / f"{model}-{head_only}-{seed}") for seed in range(arguments.seeds)]
        results = [run(label, model, ["--weights", head], seed) for seed, head in enumerate(heads)]
        print(f"| {label} | {describe(results)} |")


if __name__ == "__main__":
    main()
