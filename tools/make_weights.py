"""Train the weights that the package ships and write them, in half precision, with their cards.

    python tools/make_weights.py [NAME ...] [--fashion PATH] [--cifar PATH] [--runs FOLDER]

Each is the recipe of its name with seed 0, nothing else. With --runs the training runs are kept, and a finished one is
read instead of trained again. --fashion names a folder with Fashion-MNIST's files, --cifar CIFAR-10's binary archive or
a zip of its pictures; without them the data are found or downloaded. The figures on a card are measured with the
half-precision file that is shipped.
"""

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import torch

from firstsight.data.sources import SOURCES
from firstsight.engine.rundir import versions
from firstsight.recipes import find_recipe
from firstsight.recipes.train import train
from firstsight.tasks.predict import Evaluation, evaluate
from firstsight.weights.classifier import Classifier, load, read, write

NAMES = ("lenet-digits", "lenet-fashion", "convnet-fashion", "airbench-cifar10")
FOLDER = Path(__file__).parents[1] / "src/firstsight/weights"

CARD = """# {name}

{model} trained on {title}.

| | |
| --- | --- |
| test accuracy | {accuracy:.2%} of {n:,} images{split} (last epoch, seed 0, measured with this half-precision file) |
| test loss | {loss:.4f} nats |
| parameters | {parameters:,} |
| recipe | `{name}`, seed 0: `{settings}` |
| over seeds | {result} |
| data | {title}; {terms}; <{homepage}> |
| classes | {classes} |
| input | {input} |
| trained with | {versions} |
| SHA-256 | `{sha256}` |
| licence | the weights: MIT, as the code; the data keep their own terms |

For learning and for tests. It knows pictures like those of its data set and nothing else, and answers with one of its
classes whatever it is shown.

Made by `python tools/make_weights.py {name}`.
"""


def main() -> None:
    """Train, narrow, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--fashion", default="fashion-mnist")
    parser.add_argument("--cifar", default="cifar10")
    parser.add_argument("--runs", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.names:
            recipe = find_recipe(name)
            places = {"fashion-mnist": arguments.fashion, "cifar10": arguments.cifar}
            data = places.get(recipe.data, recipe.data)
            run = train(
                name, out=(arguments.runs or Path(scratch)) / f"{name}-0", resume=True, data=data, seed=0
            ).run_dir
            file = FOLDER / f"{name}.safetensors"
            trained = load(run)
            card = json.dumps(trained.card, sort_keys=True)
            write(file, trained.model.state_dict(), card, dtype=torch.float16)
            shipped = read(file)
            found = evaluate(shipped, data)
            (FOLDER / f"{name}.md").write_text(card_text(name, file, shipped, found))
            print(f"{name}: {found.metrics['accuracy']:.4%} of {found.n:,}, {file.stat().st_size:,} bytes")


def card_text(name: str, file: Path, network: Classifier, found: Evaluation) -> str:
    """The card as Markdown."""
    recipe, prepare = find_recipe(name), network.preprocess
    source, about = SOURCES[recipe.data], network.card["about"]
    plain = type(recipe.settings)()
    settings = {k: v for k, v in about["settings"].items() if v != getattr(plain, k) and k not in ("data", "seed")}
    return CARD.format(
        name=name,
        model=recipe.model,
        title=source.title,
        accuracy=found.metrics["accuracy"],
        loss=found.metrics["loss"],
        n=found.n,
        split=f" ({'; '.join(found.notes)})" if found.notes else "",
        parameters=sum(p.numel() for p in network.model.parameters()),
        settings=", ".join(f"{k}={v}" for k, v in settings.items()),
        result=recipe.result,
        terms=source.licence,
        homepage=source.homepage,
        classes=", ".join(network.classes),
        input=f"{prepare.channels}x{prepare.input_size}x{prepare.input_size}, "
        f"mean {', '.join(f'{m:.4f}' for m in prepare.mean)}, std {', '.join(f'{s:.4f}' for s in prepare.std)}",
        versions=", ".join(f"{k} {v}" for k, v in versions().items() if k in ("python", "torch", "firstsight")),
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )


if __name__ == "__main__":
    main()
