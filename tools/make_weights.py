"""Train the bundled weights, and write them in half precision with their cards.

    python tools/make_weights.py [NAME ...] [--fashion PATH] [--cifar PATH] [--mnist PATH] [--lsp PATH]
                                 [--photos PATH] [--boxes PATH] [--coco FILE] [--runs FOLDER | --measure]

Each file is the result of the recipe with the same name and seed 0. With --runs the runs are kept, and finished runs
are not trained again. The metrics in the cards and files are measured with the bundled half-precision files;
--measure measures the existing files again, without training.

Data: --fashion and --mnist take folders with the files of these data sets, --cifar the binary archive of CIFAR-10 or
a zip of its images, and --lsp a folder of Leeds Sports Pose Extended as COCO keypoints. --photos and --boxes take the
folders that label_photos.py and label_boxes.py wrote, and --coco a file of COCO keypoints to measure these weights on.
By default the data are searched on this machine and, except for those of people, downloaded.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from firstsight import load, train
from firstsight.data.datasets import DATASETS
from firstsight.data.keypoints.crops import Crops
from firstsight.data.keypoints.export_scenes import write_scenes
from firstsight.data.keypoints.keypoint_set import load_keypoints
from firstsight.data.keypoints.splits import load_people
from firstsight.engine.rundir import package_versions
from firstsight.models.registry import GAN_MODELS
from firstsight.recipes import find_recipe
from firstsight.tasks.classification.evaluate import evaluate_classifier
from firstsight.tasks.gan.evaluate import evaluate_generator
from firstsight.tasks.pose.evaluate import evaluate_pose
from firstsight.tasks.pose.top_down.evaluate import TopDownEvaluator
from firstsight.tasks.spec import task_of
from firstsight.weights.bundled import parameters_of
from firstsight.weights.io import read_weights, write_weights
from firstsight.weights.resolve import weights_of_run

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from calibrate_pose import calibrate, store
from photographs import count_people, count_singles, describe, describe_singles
from scenes import compose_scenes

NAMES = (
    "lenet-digits",
    "lenet-fashion",
    "lenet-mnist",
    "convnet-fashion",
    "airbench-cifar10",
    "gan-digits",
    "dcgan-fashion",
    "infogan-mnist",
    "openpose-tiny-lsp",
    "pose-tiny-lsp",
    "openpose-small-photos",
    "pose-small-photos",
)
"""Names of the bundled weights; classifiers first, because generators are evaluated with them."""
FOLDER = Path(__file__).parents[1] / "src/firstsight/weights"
PHOTO_HEIGHTS = {"openpose-small-photos": 256}
"""Height that photographs are resized to by bottom-up weights, chosen on the held-out photographs of --photos."""
MIN_PRECISION = 0.95
"""Precision of people from the default minimum score on, in as many held-out photographs with as without people."""

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
| license | weights: MIT, as the code; the data have their own terms |

For teaching and tests. It works for images like those of its data set, and predicts one of its classes for any other
image, too.

Created by `python tools/make_weights.py {name}`.
"""


def main() -> None:
    """Train the weights, convert them to half precision, measure them, and write the cards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--fashion", default="fashion-mnist")
    parser.add_argument("--cifar", default="cifar10")
    parser.add_argument("--mnist", default="mnist")
    parser.add_argument("--lsp", default="lspet")
    parser.add_argument("--photos", default="photos")
    parser.add_argument("--boxes", default="photos-boxes")
    parser.add_argument("--coco", type=Path)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--measure", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.names:
            recipe = find_recipe(name)
            paths = {
                "fashion-mnist": arguments.fashion,
                "cifar10": arguments.cifar,
                "mnist": arguments.mnist,
                "lspet": arguments.lsp,
            }
            data = paths.get(recipe.data, recipe.data)
            if recipe.data == "photos":
                data = arguments.photos if task_of(recipe.model).name == "bottom-up" else arguments.boxes
            file, run = FOLDER / f"{name}.safetensors", None
            if not arguments.measure:
                folder = (arguments.runs or Path(scratch)) / f"{name}-0"
                run = train(name, out=folder, resume=True, data=data, seed=0).run_dir
                write_half_precision(run, file, recipe=name)
                if name in PHOTO_HEIGHTS:
                    calibrate_on_photographs(file, data, PHOTO_HEIGHTS[name])
            if recipe.data == "photos":
                text, summary = photos_text(name, file, data, arguments.coco)
            else:
                text, summary = CARD_WRITERS[task_of(recipe.model).name](name, file, run, data)
            (FOLDER / f"{name}.md").write_text(text)
            print(f"{name}: {summary}, {file.stat().st_size:,} bytes")


def write_half_precision(run: Path, file: Path, *, recipe: str) -> None:
    """Write the weights of a run in half precision."""
    _, card, tensors = read_weights(weights_of_run(run))
    card["about"]["recipe"] = recipe
    if card["kind"] == "top-down":  # batch norm is folded into the convolutions
        card, tensors = card | {"folded": True}, load(run).network.model.state_dict()
    write_weights(file, tensors, json.dumps(card, sort_keys=True), dtype=torch.float16)


def calibrate_on_photographs(file: Path, data: str, height: int) -> None:
    """Set the height that photographs are resized to, and fit the scores on held-out photographs without athletes."""
    weights = read_weights(file)
    write_weights(file, weights.tensors, json.dumps(weights.card | {"height": height}, sort_keys=True))
    people = load_people(data)[1]
    rows = [index for index, image in enumerate(people.images) if image.path.parent.name != "lsp"]
    held_out = people.select(np.array(rows))
    store(file, calibrate(file, held_out, height=height, partly=False, balance=True, min_precision=MIN_PRECISION))


def add_metrics(file: Path, metrics: Mapping[str, float | None], **about: Any) -> str:
    """Add measured metrics to the card in a weights file, and return the SHA-256 of the file in hex."""
    _, card, tensors = read_weights(file)
    card["about"] |= about | {
        "metrics": {name: round(value, 6) for name, value in metrics.items() if value is not None}
    }
    write_weights(file, tensors, json.dumps(card, sort_keys=True))
    return hashlib.sha256(file.read_bytes()).hexdigest()


GENERATOR_CARD = """# {name}

Generator of `{model}`: {kind}. Trained on {title}; exponential moving average (EMA) of the weights.

| | |
| --- | --- |
| Frechet distance | {frechet:.2f} (training images: {floor:.2f}), N = {n:,}, in the features of `{reference}` |
| over draws | {draws} |
| measured | {metrics} |
| parameters | {parameters:,} |
| recipe | `{name}`, seed 0: `{settings}` |
| over seeds | {result} |
| data | {title}; {terms}; <{homepage}> |
| codes | {codes} |
| output | {channels}x{size}x{size} |
| trained with | {versions} |
| SHA-256 | `{sha256}` |
| license | weights: MIT, as the code; the data have their own terms |

For teaching and tests. It generates images like those of its data set. Measured against the test images with this
half-precision file; metrics of Q, if any, with Q of the training run.

Created by `python tools/make_weights.py {name}`.
"""


def generator_text(name: str, file: Path, run: Path | None, data: str) -> tuple[str, str]:
    """Return the card of a generator as Markdown, and its result in a few words."""
    generator = load(file)
    result = evaluate_generator(generator, data)
    recipe, dataset = find_recipe(name), DATASETS[find_recipe(name).data]
    run_metrics = evaluate_generator(load(run), data).metrics if run else generator.card["about"]["metrics"]
    q_metrics = {k: v for k, v in run_metrics.items() if k.startswith("q_")}  # Q is not bundled
    metrics = {**q_metrics, **result.metrics}
    other_metrics = ", ".join(f"{k} {v:.3f}" for k, v in metrics.items() if not k.startswith("frechet"))
    draws = f"{result.draws} of N images; standard deviation of one draw {metrics['frechet_sd']:.2f}"
    reference = {"name": result.reference, "sha256": result.sha256, "n": result.n}
    about = generator.card["about"]
    reference = {**about.get("reference", about.get("judge", {})), **reference}
    text = GENERATOR_CARD.format(
        name=name,
        model=recipe.model,
        kind=GAN_MODELS[recipe.model].summary,
        title=dataset.title,
        n=result.n,
        frechet=metrics["frechet"],
        floor=metrics["frechet_floor"],
        reference=result.reference,
        metrics=other_metrics,
        draws=draws,
        parameters=sum(p.numel() for p in generator.model.parameters()),
        settings=settings_text(name, generator.card),
        result=recipe.result,
        terms=dataset.license,
        homepage=dataset.homepage,
        codes=", ".join(f"{i}: {label}" for i, label in enumerate(generator.table)) or "none",
        channels=generator.preprocess.channels,
        size=generator.preprocess.resize,
        versions=versions_text(),
        sha256=add_metrics(file, metrics, reference=reference),
    )
    return text, f"Frechet distance {metrics['frechet']:.2f} at N = {result.n:,}"


POSE_CARD = """# {name}

{model} with the skeleton {skeleton}, trained on scenes composed of people of {title}.

| | |
| --- | --- |
| average precision | {ap:.3f} ({ap50:.3f} at OKS 0.50, {ap75:.3f} at OKS 0.75), average recall {ar:.3f} |
| measured on | {scenes:,} composed scenes of {people:,} test people |
| correct keypoints | {pck:.3f}, PCK@0.2 of the torso, {photographs:,} test photographs of one person |
| by joint | {joints} |
| parameters | {parameters:,} |
| recipe | `{name}`, seed 0: `{settings}` |
| over seeds | {result} |
| data | {title}; {terms}; <{homepage}> |
| input | height {height} pixels, BGR, (pixel - 128) / 256 |
| trained with | {versions} |
| SHA-256 | `{sha256}` |
| license | weights: MIT, as the code; the data have their own terms |

For teaching and tests. It was trained from scratch on two cores, with full-body images of athletes only; the
published network is far more accurate. Measured with this half-precision file (last epoch); the scenes are composed
as in training, with epoch 0 and seed 0.

Created by `python tools/make_weights.py {name} --lsp PATH`; measure it with `python benchmarks/scenes.py --data PATH`.
"""
PEOPLE_DATASETS = {
    "lspet": (
        "Leeds Sports Pose Extended (Johnson and Everingham 2011, cropped)",
        "photographs from Flickr, for research",
        "http://sam.johnson.io/research/lspet.html",
    )
}
"""Title, terms and homepage of data sets of people."""


def pose_text(name: str, file: Path, run: Path | None, data: str) -> tuple[str, str]:
    """Return the card of a bottom-up pose network as Markdown, and its result in a few words."""
    estimator, recipe = load(file), find_recipe(name)
    title, terms, homepage = PEOPLE_DATASETS[recipe.data]
    _, people = load_people(data)
    with tempfile.TemporaryDirectory() as scratch:
        result = evaluate_pose(estimator, write_scenes(compose_scenes(estimator.card, people), scratch))
    single = evaluate_pose(estimator, data)
    text = POSE_CARD.format(
        name=name,
        model=recipe.model,
        skeleton=estimator.skeleton.name,
        title=title,
        terms=terms,
        homepage=homepage,
        **{key: result.metrics[key] for key in ("ap", "ap50", "ap75", "ar")},
        scenes=result.n,
        people=result.people,
        pck=single.metrics["pck"],
        photographs=single.n,
        joints=", ".join(f"{joint} {share:.2f}" for joint, (share, _) in single.joints.items()),
        parameters=parameters_of(file),
        settings=settings_text(name, estimator.card),
        result=recipe.result,
        height=estimator.network.height,
        versions=versions_text(),
        sha256=add_metrics(
            file, {**result.metrics, "pck": single.metrics["pck"]}, measured_on=f"{result.n:,} composed scenes"
        ),
    )
    ap, pck = result.metrics["ap"], single.metrics["pck"]
    return text, f"AP {ap:.3f} on {result.n:,} scenes, PCK@0.2 {pck:.3f} on {single.n:,} people"


TOP_DOWN_CARD = """# {name}

{model} with the skeleton {skeleton}, top-down (one person at a time), trained on people of {title}.

| | |
| --- | --- |
| correct keypoints | {pck:.3f}, PCK@0.2 of the torso; {pck_box:.3f}, PCK@0.1 of the box; {n:,} test people |
| measured | in ground-truth boxes, with flip test; PCK@0.2 without flip test: {pck_no_flip:.3f} |
| by joint | {joints} |
| average precision | {ap:.3f} ({ap50:.3f} at OKS 0.50), the same people |
| parameters | {parameters:,}, with every batch norm folded into its convolution |
| recipe | `{name}`, seed 0: `{settings}` |
| over seeds | {result} |
| data | {title}; {terms}; <{homepage}> |
| input | {height}x{width} pixels, BGR, (pixel - 128) / 256; boxes enlarged by 25 % |
| trained with | {versions} |
| SHA-256 | `{sha256}` |
| license | weights: MIT, as the code; the data have their own terms |

For teaching and tests. It was trained from scratch on two cores, with images of one athlete each. Measured with this
half-precision file (last epoch).

Created by `python tools/make_weights.py {name} --lsp PATH`; measure it with
`firstsight evaluate {name} --data PATH --flip`.
"""


def top_down_text(name: str, file: Path, run: Path | None, data: str) -> tuple[str, str]:
    """Return the card of a top-down pose network as Markdown, and its result in a few words."""
    estimator, recipe = load(file), find_recipe(name)
    network = estimator.network
    title, terms, homepage = PEOPLE_DATASETS[recipe.data]
    _, people = load_people(data)
    crops = Crops(people, batch_size=64, epochs=1, seed=0, size=network.size)
    evaluator = TopDownEvaluator(crops, max_samples=crops.samples)
    with torch.inference_mode():
        metrics, predictions = evaluator(network.model), evaluator.predict(network.model)
        pck_no_flip = TopDownEvaluator(crops, max_samples=crops.samples, flip_test=False)(network.model)["pck"]
    joints = zip(people.skeleton.joints, evaluator.pck(predictions).per_joint.tolist(), strict=True)
    text = TOP_DOWN_CARD.format(
        name=name,
        model=recipe.model,
        skeleton=network.skeleton.name,
        title=title,
        terms=terms,
        homepage=homepage,
        **{key: metrics[key] for key in ("pck", "pck_box", "ap", "ap50")},
        pck_no_flip=pck_no_flip,
        n=crops.samples,
        joints=", ".join(f"{joint} {share:.2f}" for joint, share in joints),
        parameters=parameters_of(file),
        settings=settings_text(name, network.card),
        result=recipe.result,
        height=network.size[0],
        width=network.size[1],
        versions=versions_text(),
        sha256=add_metrics(file, metrics),
    )
    return text, f"PCK@0.2 {metrics['pck']:.3f}, PCK-box@0.1 {metrics['pck_box']:.3f} of {crops.samples:,}"


PHOTOS_CARD = """# {name}

{model} with the skeleton {skeleton}, {kind}, trained on photographs of people with the labels of teacher networks.

| | |
| --- | --- |
| average precision | {coco} |
| correct keypoints | {pck:.3f}, PCK@0.2 of the torso, the same photographs |
| on held-out photographs | {held_out} |
| people | {people} |
| parameters | {parameters:,} |
| recipe | `{name}`, seed 0: `{settings}` |
| over seeds | {result} |
| data | Stanford 40 Actions (Yao 2011; research use), Leeds Sports Pose Extended (Johnson and Everingham 2011; \
photographs from Flickr, for research); without people: the ants, bees and flowers of PyTorch's and TensorFlow's \
tutorials |
| teachers | {teachers} |
| input | {input} |
| trained with | {versions} |
| SHA-256 | `{sha256}` |
| license | weights: MIT, as the code; the data have their own terms |

Trained from scratch on two cores: no weights of the teachers are in it. Measured with this half-precision file (last
epoch). No setting was chosen on the photographs of COCO, except for the target precision of the minimum score.

Created by `python tools/make_weights.py {name} --photos PATH --boxes PATH --coco FILE` with the labels of
`tools/label_photos.py` and `tools/label_boxes.py`; measure it with
`python benchmarks/photographs.py {name} --coco FILE`.
"""
TEACHERS = {
    "bottom-up": "human-pose-estimation-0001 (Open Model Zoo, Apache-2.0), two scales and flip",
    "top-down": "human-pose-estimation-0001 (Open Model Zoo, Apache-2.0) and MoveNet Thunder (Google, Apache-2.0),"
    " where both agree",
}


def photos_text(name: str, file: Path, data: str, coco: Path | None) -> tuple[str, str]:
    """Return the card of a pose network that was trained on photographs as Markdown, and its result in a few words."""
    if coco is None:
        raise SystemExit(f"{name}: --coco is missing, the photographs to measure it on")
    estimator, recipe = load(file), find_recipe(name)
    task = estimator.task
    measured, held_out = evaluate_pose(estimator, coco), evaluate_pose(estimator, data)
    boxes = ", labeled boxes" if task == "top-down" else ""
    size = "{}x{}".format(*estimator.network.size) if boxes else f"height {estimator.height}"
    if task == "bottom-up":
        athletes = load_people(data)[1]
        rows = [index for index, image in enumerate(athletes.images) if image.path.parent.name == "lsp"]
        singles = count_singles(estimator, athletes.select(np.array(rows)))
        people = f"{describe(count_people(estimator, load_keypoints(coco)))}; {describe_singles(singles)}"
    else:
        people = "one per box; the score is the mean of the joints, times that of the detector"
    metrics = {key: measured.metrics[key] for key in ("ap", "ap50", "ap75", "ar", "pck")}
    counts = f"{measured.n} photographs of COCO train2017 ({measured.people} people{boxes})"
    on = f"{counts}, height {measured.height}, {'flip' if boxes else 'no flip'}"
    text = PHOTOS_CARD.format(
        name=name,
        model=recipe.model,
        skeleton=estimator.skeleton.name,
        kind="bottom-up (all people at once)" if task == "bottom-up" else "top-down (one person at a time)",
        coco=f"{metrics['ap']:.3f} ({metrics['ap50']:.3f} at OKS 0.50), average recall {metrics['ar']:.3f}: {on}",
        pck=metrics["pck"],
        held_out=f"AP {held_out.metrics['ap']:.3f}, PCK@0.2 {held_out.metrics['pck']:.3f}, {held_out.n:,} photographs,"
        " compared with the labels of the teachers and, for athletes, of people",
        people=people,
        parameters=parameters_of(file),
        settings=settings_text(name, estimator.card),
        result=recipe.result,
        teachers=TEACHERS[task],
        input=f"{size} pixels, BGR, (pixel - 128) / 256{'; boxes enlarged by 25 %' if boxes else ''}",
        versions=versions_text(),
        sha256=add_metrics(file, metrics, measured_on=on),
    )
    return text, f"AP {metrics['ap']:.3f}, PCK@0.2 {metrics['pck']:.3f} on {measured.n} photographs"


def settings_text(name: str, card: Mapping[str, Any]) -> str:
    """Return the settings that differ from the defaults of their class."""
    defaults = type(find_recipe(name).settings)()
    settings = card["about"]["settings"]
    return ", ".join(
        f"{k}={v}" for k, v in settings.items() if v != getattr(defaults, k, v) and k not in ("data", "seed")
    )


def versions_text() -> str:
    """Return the versions of Python, torch and firstsight as text."""
    return ", ".join(f"{k} {v}" for k, v in package_versions().items() if k in ("python", "torch", "firstsight"))


def classifier_text(name: str, file: Path, run: Path | None, data: str) -> tuple[str, str]:
    """Return the card of a classifier as Markdown, and its result in a few words."""
    network = load(file)
    result, recipe, preprocess = evaluate_classifier(network, data), find_recipe(name), network.preprocess
    dataset = DATASETS[recipe.data]
    text = CLASSIFIER_CARD.format(
        name=name,
        model=recipe.model,
        title=dataset.title,
        accuracy=result.metrics["accuracy"],
        loss=result.metrics["loss"],
        n=result.n,
        split=f" ({'; '.join(result.notes)})" if result.notes else "",
        parameters=sum(p.numel() for p in network.model.parameters()),
        settings=settings_text(name, network.card),
        result=recipe.result,
        terms=dataset.license,
        homepage=dataset.homepage,
        classes=", ".join(network.classes),
        input=f"{preprocess.channels}x{preprocess.input_size}x{preprocess.input_size}, "
        f"mean {', '.join(f'{m:.4f}' for m in preprocess.mean)}, std {', '.join(f'{s:.4f}' for s in preprocess.std)}",
        versions=versions_text(),
        sha256=add_metrics(file, result.metrics),
    )
    return text, f"{result.metrics['accuracy']:.4%} of {result.n:,}"


CARD_WRITERS: dict[str, Callable[[str, Path, Path | None, str], tuple[str, str]]] = {
    "classification": classifier_text,
    "gan": generator_text,
    "bottom-up": pose_text,
    "top-down": top_down_text,
}
"""Functions that measure weights and return their card and a summary, by the name of the task in the registry."""


if __name__ == "__main__":
    main()
