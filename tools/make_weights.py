"""Train the weights that the package ships and write them, in half precision, with their cards.

    python tools/make_weights.py [NAME ...] [--fashion PATH] [--cifar PATH] [--mnist PATH] [--lsp PATH]
                                 [--runs FOLDER | --measure]

Each is the recipe of its name with seed 0, nothing else. With --runs the training runs are kept, and a finished one is
read instead of trained again. --fashion and --mnist name folders with those sets' files, --cifar CIFAR-10's binary
archive or a zip of its pictures, --lsp a folder of Leeds Sports Pose Extended as COCO keypoints; without them the data
are found or, but for the last, downloaded. The figures on a card and in a file are measured with the half-precision
file that is shipped; --measure measures those that are there again, without training.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from firstsight.data.datasets import SOURCES
from firstsight.data.keypoints.crops import Crops
from firstsight.data.keypoints.export_scenes import write_scenes
from firstsight.data.keypoints.splits import load_people
from firstsight.engine.rundir import versions
from firstsight.models.registry import GAN_MODELS
from firstsight.recipes import find_recipe
from firstsight.recipes.train import train
from firstsight.tasks.classification.evaluate import measure
from firstsight.tasks.classification.predict import evaluate
from firstsight.tasks.classification.settings import ClassificationSettings
from firstsight.tasks.gan.settings import GANSettings
from firstsight.tasks.pose.bottom_up.settings import BottomUpSettings
from firstsight.tasks.pose.evaluate import evaluate_pose
from firstsight.tasks.pose.top_down.evaluate import TopDownEvaluator
from firstsight.tasks.pose.top_down.settings import TopDownSettings
from firstsight.weights.bundled import parameters_of
from firstsight.weights.classifier import kind_of, read, read_file, weights_of_run, write
from firstsight.weights.generator import load_generator
from firstsight.weights.pose import load_pose
from firstsight.weights.top_down import load_top_down

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from scenes import composed

NAMES = (
    "lenet-digits", "lenet-fashion", "lenet-mnist", "convnet-fashion", "airbench-cifar10",
    "gan-digits", "dcgan-fashion", "infogan-mnist", "openpose-tiny-lsp", "pose-tiny-lsp",
)  # fmt: skip
"""Classifiers first: generators are measured with them."""
FOLDER = Path(__file__).parents[1] / "src/firstsight/weights"

CLASSIFIER_CARD = """# {name}

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
    parser.add_argument("--mnist", default="mnist")
    parser.add_argument("--lsp", default="lspet")
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--measure", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.names:
            recipe = find_recipe(name)
            places = {
                "fashion-mnist": arguments.fashion, "cifar10": arguments.cifar, "mnist": arguments.mnist,
                "lspet": arguments.lsp,
            }  # fmt: skip
            data = places.get(recipe.data, recipe.data)
            file, run = FOLDER / f"{name}.safetensors", None
            if not arguments.measure:
                folder = (arguments.runs or Path(scratch)) / f"{name}-0"
                run = train(name, out=folder, resume=True, data=data, seed=0).run_dir
                narrow(run, file)
            text, told = TEXTS[type(recipe.settings)](name, file, run, data)
            (FOLDER / f"{name}.md").write_text(text)
            print(f"{name}: {told}, {file.stat().st_size:,} bytes")


def narrow(run: Path, file: Path) -> None:
    """The weights of a run, written in half precision."""
    weights = weights_of_run(run)
    card, tensors = read_file(weights, kind_of(weights, print))
    if card["kind"] == "top-down":  # smaller by its batch norms
        card, tensors = card | {"folded": True}, load_top_down(run).model.state_dict()
    write(file, tensors, json.dumps(card, sort_keys=True), dtype=torch.float16)


def seal(file: Path, metrics: Mapping[str, float], **about: Any) -> str:
    """Write into a weights file what was measured with it; its SHA-256 in hex."""
    card, tensors = read_file(file, kind_of(file, print))
    card["about"] |= about | {"metrics": {name: round(value, 6) for name, value in metrics.items()}}
    write(file, tensors, json.dumps(card, sort_keys=True))
    return hashlib.sha256(file.read_bytes()).hexdigest()


GENERATOR_CARD = """# {name}

The generator of {model} ({kind}), trained on {title}: the average of its weights over the training.

| | |
| --- | --- |
| Frechet distance | {frechet:.2f} (training images: {floor:.2f}), N = {n:,}, in the features of `{reference}` |
| over draws | {drawn} |
| measured | {metrics} |
| parameters | {parameters:,} |
| recipe | `{name}`, seed 0: `{settings}` |
| over seeds | {result} |
| data | {title}; {terms}; <{homepage}> |
| codes | {codes} |
| output | {channels}x{size}x{size} |
| trained with | {versions} |
| SHA-256 | `{sha256}` |
| licence | the weights: MIT, as the code; the data keep their own terms |

For learning and for tests. It makes pictures like those of its data set and nothing else. Measured against the test
images with this half-precision file; Q's errors, where there are any, with the training run it is from.

Made by `python tools/make_weights.py {name}`.
"""


def generator_text(name: str, file: Path, run: Path | None, data: str) -> tuple[str, str]:
    """The card of a generator as Markdown, and its result in a few words."""
    made, found = load_generator(file), measure(file, data)
    recipe, source = find_recipe(name), SOURCES[find_recipe(name).data]
    asked = measure(run, data).metrics if run else made.card["about"]["metrics"]
    metrics = {k: v for k, v in asked.items() if k.startswith("q_")} | found.metrics  # Q is not shipped
    told = ", ".join(f"{k} {v:.3f}" for k, v in metrics.items() if not k.startswith("frechet"))
    drawn = f"{found.draws} of N pictures; standard deviation of one {metrics['frechet_sd']:.2f}"
    reference = made.card["about"]["judge"] | {"name": found.reference, "sha256": found.sha256, "n": found.n}
    text = GENERATOR_CARD.format(
        name=name, model=recipe.model, kind=GAN_MODELS[recipe.model].summary, title=source.title, n=found.n,
        frechet=metrics["frechet"], floor=metrics["frechet_floor"], reference=found.reference, metrics=told,
        drawn=drawn,
        parameters=sum(p.numel() for p in made.model.parameters()), settings=settings_text(name, made.card),
        result=recipe.result, terms=source.licence, homepage=source.homepage,
        codes=", ".join(f"{i}: {label}" for i, label in enumerate(made.table)) or "none",
        channels=made.preprocess.channels, size=made.preprocess.resize, versions=versions_text(),
        sha256=seal(file, metrics, reference=reference),
    )  # fmt: skip
    return text, f"Frechet distance {metrics['frechet']:.2f} at N = {found.n:,}"


POSE_CARD = """# {name}

{model} with the skeleton {skeleton}, trained on scenes composed of people of {title}.

| | |
| --- | --- |
| average precision | {ap:.3f} ({ap50:.3f} at a similarity of 0.50, {ap75:.3f} at 0.75), recall {ar:.3f} |
| measured on | {scenes:,} composed scenes of {people:,} people never seen |
| correct keypoints | {pck:.3f}, PCK@0.2 of the torso, {photographs:,} photographs of one person never seen |
| by joint | {joints} |
| parameters | {parameters:,} |
| recipe | `{name}`, seed 0: `{settings}` |
| over seeds | {result} |
| data | {title}; {terms}; <{homepage}> |
| input | {height} pixels high, blue, green, red, (pixel - 128) / 256 |
| trained with | {versions} |
| SHA-256 | `{sha256}` |
| licence | the weights: MIT, as the code; the data keep their own terms |

For learning and for tests. It has seen athletes only, from head to foot, and learnt from nothing on two cores: the
published network knows far more. Measured with this half-precision file (last epoch); scenes are composed as in the
training, in epoch 0 of seed 0.

Made by `python tools/make_weights.py {name} --lsp PATH`; measured again by `python benchmarks/scenes.py --data PATH`.
"""
PEOPLE = {
    "lspet": (
        "Leeds Sports Pose Extended (Johnson and Everingham 2011, cropped)",
        "photographs from Flickr, for research",
        "http://sam.johnson.io/research/lspet.html",
    )
}
"""Sets of people: title, terms, homepage."""


def pose_text(name: str, file: Path, run: Path | None, data: str) -> tuple[str, str]:
    """The card of a pose network as Markdown, and its result in a few words."""
    network, recipe = load_pose(file), find_recipe(name)
    title, terms, homepage = PEOPLE[recipe.data]
    _, people = load_people(data)
    with tempfile.TemporaryDirectory() as scratch:
        found = evaluate_pose(network, write_scenes(composed(network, people), scratch))
    alone = evaluate_pose(network, data)
    text = POSE_CARD.format(
        name=name, model=recipe.model, skeleton=network.skeleton.name, title=title, terms=terms, homepage=homepage,
        **{key: found.metrics[key] for key in ("ap", "ap50", "ap75", "ar")}, scenes=found.n, people=found.people,
        pck=alone.metrics["pck"], photographs=alone.n,
        joints=", ".join(f"{joint} {share:.2f}" for joint, (share, _) in alone.joints.items()),
        parameters=parameters_of(file), settings=settings_text(name, network.card), result=recipe.result,
        height=network.height, versions=versions_text(),
        sha256=seal(file, found.metrics | {"pck": alone.metrics["pck"]}, measured_on=f"{found.n:,} composed scenes"),
    )  # fmt: skip
    return (
        text,
        f"AP {found.metrics['ap']:.3f} in {found.n:,} scenes, PCK@0.2 {alone.metrics['pck']:.3f} of {alone.n:,}",
    )


TOP_DOWN_CARD = """# {name}

{model} with the skeleton {skeleton}, one person at a time, trained on people of {title}.

| | |
| --- | --- |
| correct keypoints | {pck:.3f}, PCK@0.2 of the torso; {pck_box:.3f}, PCK@0.1 of the box; {n:,} people never seen |
| measured | in labelled boxes, averaged with the mirror image; without that PCK@0.2 is {plain:.3f} |
| by joint | {joints} |
| average precision | {ap:.3f} ({ap50:.3f} at a similarity of 0.50), the same people |
| parameters | {parameters:,}, with every batch norm folded into its convolution |
| recipe | `{name}`, seed 0: `{settings}` |
| over seeds | {result} |
| data | {title}; {terms}; <{homepage}> |
| input | {height}x{width} pixels, blue, green, red, (pixel - 128) / 256; boxes grown by a quarter |
| trained with | {versions} |
| SHA-256 | `{sha256}` |
| licence | the weights: MIT, as the code; the data keep their own terms |

For learning and for tests. It has seen athletes only, one in each picture, and learnt from nothing on two cores.
Measured with this half-precision file (last epoch).

Made by `python tools/make_weights.py {name} --lsp PATH`; measured again by
`firstsight evaluate {name} --data PATH --flip`.
"""


def top_down_text(name: str, file: Path, run: Path | None, data: str) -> tuple[str, str]:
    """The card of a network of one person at a time as Markdown, and its result in a few words."""
    network, recipe = load_top_down(file), find_recipe(name)
    title, terms, homepage = PEOPLE[recipe.data]
    _, people = load_people(data)
    crops = Crops(people, batch_size=64, epochs=1, seed=0, size=network.size)
    measure = TopDownEvaluator(crops, most=crops.samples)
    with torch.inference_mode():
        metrics, answers = measure(network.model), measure.answers(network.model)
        plain = TopDownEvaluator(crops, most=crops.samples, flip_test=False)(network.model)["pck"]
    joints = zip(people.skeleton.joints, measure.pck(answers).per_joint.tolist(), strict=True)
    text = TOP_DOWN_CARD.format(
        name=name, model=recipe.model, skeleton=network.skeleton.name, title=title, terms=terms, homepage=homepage,
        **{key: metrics[key] for key in ("pck", "pck_box", "ap", "ap50")}, plain=plain, n=crops.samples,
        joints=", ".join(f"{joint} {share:.2f}" for joint, share in joints), parameters=parameters_of(file),
        settings=settings_text(name, network.card), result=recipe.result, height=network.size[0],
        width=network.size[1], versions=versions_text(), sha256=seal(file, metrics),
    )  # fmt: skip
    return text, f"PCK@0.2 {metrics['pck']:.3f}, PCK-box@0.1 {metrics['pck_box']:.3f} of {crops.samples:,}"


def settings_text(name: str, card: Mapping[str, Any]) -> str:
    """The settings that differ from the plain ones of their kind."""
    plain = type(find_recipe(name).settings)()
    settings = card["about"]["settings"]
    return ", ".join(f"{k}={v}" for k, v in settings.items() if v != getattr(plain, k, v) and k not in ("data", "seed"))


def versions_text() -> str:
    """What it was trained with."""
    return ", ".join(f"{k} {v}" for k, v in versions().items() if k in ("python", "torch", "firstsight"))


def classifier_text(name: str, file: Path, run: Path | None, data: str) -> tuple[str, str]:
    """The card of a classifier as Markdown, and its result in a few words."""
    network = read(file)
    found, recipe, prepare = evaluate(network, data), find_recipe(name), network.preprocess
    source = SOURCES[recipe.data]
    text = CLASSIFIER_CARD.format(
        name=name,
        model=recipe.model,
        title=source.title,
        accuracy=found.metrics["accuracy"],
        loss=found.metrics["loss"],
        n=found.n,
        split=f" ({'; '.join(found.notes)})" if found.notes else "",
        parameters=sum(p.numel() for p in network.model.parameters()),
        settings=settings_text(name, network.card),
        result=recipe.result,
        terms=source.licence,
        homepage=source.homepage,
        classes=", ".join(network.classes),
        input=f"{prepare.channels}x{prepare.input_size}x{prepare.input_size}, "
        f"mean {', '.join(f'{m:.4f}' for m in prepare.mean)}, std {', '.join(f'{s:.4f}' for s in prepare.std)}",
        versions=versions_text(),
        sha256=seal(file, found.metrics),
    )
    return text, f"{found.metrics['accuracy']:.4%} of {found.n:,}"


TEXTS: dict[type, Callable[[str, Path, Path | None, str], tuple[str, str]]] = {
    ClassificationSettings: classifier_text, GANSettings: generator_text, BottomUpSettings: pose_text,
    TopDownSettings: top_down_text,
}  # fmt: skip
"""How the weights of a kind of recipe are measured and told."""


if __name__ == "__main__":
    main()
