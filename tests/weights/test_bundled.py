"""The bundled weights are what their cards say.

Each card (``src/firstsight/weights/NAME.md``) states a metric and the number of samples it was measured on. The slow
tests repeat that measurement. The fast ones take a small part of the samples; their tolerance is a multiple of the
binomial standard error sqrt(p (1 - p) / n) of a share p of n samples. Wrong colors, a missing normalization or other
weights miss it: with red and blue swapped, for example, airbench loses 11 percentage points; its tolerance is 4.2.
"""

import hashlib
import importlib.resources
import io
import re
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from photographs import count_people
from PIL import Image
from safetensors import safe_open

from firstsight import estimate_pose, evaluate, generate, load, load_data, predict
from firstsight.data.batches import fit_images
from firstsight.data.keypoints.export_scenes import write_scenes
from firstsight.data.keypoints.keypoint_set import load_keypoints
from firstsight.data.keypoints.scenes import Scenes
from firstsight.data.keypoints.splits import load_people
from firstsight.data.sample_image import sample_people
from firstsight.tasks.gan.reference_classifier import reference_for
from firstsight.weights.bundled import bundled, card_of, parameters_of

FILES = bundled()
GENERATORS = ("dcgan-fashion", "gan-digits", "infogan-mnist")
CLASSIFIERS = ("airbench-cifar10", "convnet-fashion", "lenet-digits", "lenet-fashion", "lenet-mnist")
POSE_MODELS = ("openpose-tiny-lsp", "pose-tiny-lsp")
PHOTO_MODELS = ("openpose-small-photos", "pose-small-photos")
"""Pose networks for photographs."""
COSTLY = {"convnet-fashion", "dcgan-fashion", "infogan-mnist"}
"""Measured as their cards say in slow tests only."""
PCK = {
    "openpose-tiny-lsp": r"correct keypoints \| ([\d.]+), PCK@0.2 of the torso, ([\d,]+) test photo",
    "pose-tiny-lsp": r"correct keypoints \| ([\d.]+), PCK@0.2 of the torso; [\d.]+, PCK@0.1 of the box; ([\d,]+)",
}
"""Patterns of PCK and of the number of people in the cards."""


def slow_if_costly(names: tuple[str, ...]) -> list[object]:
    return [pytest.param(name, marks=pytest.mark.slow) if name in COSTLY else name for name in names]


def read_card(name: str, pattern: str) -> tuple[float, ...]:
    """Return the numbers that a pattern matches in the card of bundled weights."""
    match = re.search(pattern, FILES[name].with_suffix(".md").read_text())
    assert match is not None, f"the card of {name} has no {pattern}"
    return tuple(float(group.replace(",", "")) for group in match.groups())


def standard_error(share: float, n: int) -> float:
    return (share * (1 - share) / n) ** 0.5


def data_of(name: str, request: pytest.FixtureRequest) -> Path | None:
    """Return where the data set of bundled weights is; None for the one inside the package."""
    paths = {"fashion": "fashion-mnist", "cifar10": "cifar10/cifar10-train.zip", "mnist": "mnist-t10k"}
    path = paths.get(name.rpartition("-")[2])
    return None if path is None else request.getfixturevalue("shared") / path


def test_bundled_weights_are_complete_and_take_less_than_24_mib() -> None:
    assert tuple(FILES) == tuple(sorted(GENERATORS + CLASSIFIERS + POSE_MODELS + PHOTO_MODELS))
    assert sum(path.stat().st_size for path in FILES.values()) < 24 << 20


@pytest.mark.parametrize("name", FILES)
def test_a_card_states_the_hash_of_a_half_precision_file(name: str) -> None:
    text = FILES[name].with_suffix(".md").read_text()
    assert hashlib.sha256(FILES[name].read_bytes()).hexdigest() in text
    with safe_open(FILES[name], framework="pt") as file:
        dtypes = {file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
    assert dtypes <= {torch.float16, torch.int64}
    for row in ("license", "recipe", "data", "SHA-256", "over seeds"):
        assert f"| {row} |" in text


@pytest.mark.parametrize("name", FILES)
def test_metrics_inside_a_file_are_those_of_its_card(name: str) -> None:
    """``firstsight weights list`` shows those inside the file."""
    text, card = FILES[name].with_suffix(".md").read_text(), card_of(FILES[name])
    assert card is not None
    metrics = card["about"]["metrics"]
    patterns = {
        "accuracy": (r"test accuracy \| ([\d.]+)%", 100),
        "frechet": (r"Frechet distance \| ([\d.]+)", 1),
        "ap": (r"average precision \| ([\d.]+)", 1),
        "pck": (r"correct keypoints \| ([\d.]+)", 1),
    }
    matches = {key: re.search(pattern, text) for key, (pattern, _) in patterns.items()}
    assert any(matches.values())
    for key, match in matches.items():
        assert (match is not None) == (key in metrics)
        if match:
            decimals = len(match[1].partition(".")[2])
            assert float(match[1]) == pytest.approx(metrics[key] * patterns[key][1], abs=0.5001 * 10**-decimals)


@pytest.mark.parametrize("name", slow_if_costly(CLASSIFIERS[1:]))  # airbench: below
def test_the_accuracy_of_a_classifier_is_that_of_its_card(name: str, request: pytest.FixtureRequest) -> None:
    accuracy, n = read_card(name, r"test accuracy \| ([\d.]+)% of ([\d,]+) images")
    result = evaluate(name, data_of(name, request))
    assert result.n == n
    assert 100 * result.metrics["accuracy"] == pytest.approx(accuracy, abs=0.05)
    network = load(name)
    assert not network.model.training
    assert network.card["about"]["recipe"] in (name, f"{name}-train")  # the data can be named cifar10-train


@pytest.mark.slow
def test_the_accuracy_of_airbench_is_that_of_its_card(shared: Path) -> None:
    """Predictions for all images are stored and have the accuracy of the card; every fifth is computed again.

    Two of these 1,000 may differ, by rounding of other processors. If 1 % of all stored predictions were wrong, so few
    would differ with a probability of 0.3 %. `helpers/store_predictions.py` writes the file.
    """
    accuracy, n = read_card("airbench-cifar10", r"test accuracy \| ([\d.]+)% of ([\d,]+) images")
    digits = Path(__file__).with_name("airbench-cifar10.txt").read_text().split()
    cached = torch.tensor([int(digit) for digit in "".join(digits)])
    network = load("airbench-cifar10")
    test = load_data(shared / "cifar10" / "cifar10-train.zip", "test", size=network.preprocess.resize)
    assert len(cached) == len(test) == n
    assert 100 * float((cached == test.labels).double().mean()) == pytest.approx(accuracy, abs=0.005)
    fifth = fit_images(test, network.preprocess)[::5].split(256)
    predictions = torch.cat([network.probabilities(batch).argmax(1) for batch in fifth])
    assert int((predictions != cached[::5]).sum()) <= 2


def test_airbench_has_about_the_accuracy_of_its_card_on_400_photographs(shared: Path) -> None:
    """One view of each photograph; the card is about the average over six."""
    with ZipFile(shared / "cifar10" / "cifar10-test.zip") as archive:
        names = sorted(archive.namelist())[::25]
        images = [Image.open(io.BytesIO(archive.read(name))) for name in names]
    assert len(images) == 400
    predictions = predict(replace(load("airbench-cifar10"), tta_views=1), images)
    labels = [name.split("/")[1] for name in names]
    accuracy = sum(p.top[0].label == label for p, label in zip(predictions, labels, strict=True)) / 400
    expected = read_card("airbench-cifar10", r"test accuracy \| ([\d.]+)%")[0] / 100
    assert accuracy == pytest.approx(expected, abs=3 * standard_error(expected, 400))


def test_convnet_has_about_the_accuracy_of_its_card_on_500_images(shared: Path) -> None:
    test = load_data(shared / "fashion-mnist", "test")
    images = [Image.fromarray(image[0].numpy()) for image in test.images[::20]]
    labels = [test.classes[label] for label in test.labels[::20]]
    predictions = predict("convnet-fashion", images)
    accuracy = sum(p.top[0].label == label for p, label in zip(predictions, labels, strict=True)) / 500
    expected = read_card("convnet-fashion", r"test accuracy \| ([\d.]+)%")[0] / 100
    assert accuracy == pytest.approx(expected, abs=3 * standard_error(expected, 500))


@pytest.mark.parametrize("name", slow_if_costly(GENERATORS))
def test_the_distance_of_a_generator_is_that_of_its_card(name: str, request: pytest.FixtureRequest) -> None:
    pattern = r"Frechet distance \| ([\d.]+) \(training images: ([\d.]+)\), N = ([\d,]+)"
    distance, floor, n = read_card(name, pattern)
    result = evaluate(name, data_of(name, request))
    assert result.n == n
    assert result.metrics["frechet"] == pytest.approx(distance, rel=0.02)
    assert result.metrics["frechet_floor"] == pytest.approx(floor, rel=0.02, abs=0.01)
    assert result.metrics["modes"] == 10


@pytest.mark.parametrize(
    ("name", "metric", "lenet"),
    [
        ("dcgan-fashion", "(?:class_accuracy|c1_asked)", "lenet-fashion"),
        ("infogan-mnist", "c1_purity", "lenet-mnist"),
    ],
)
def test_generated_images_show_the_class_of_their_label(name: str, metric: str, lenet: str) -> None:
    """The bundled LeNet classifies 40 images of each class; the fraction is that of the card."""
    generator, classifier = load(name), load(lenet)
    reference = reference_for(classifier.card["about"]["data"], classifier.classes)
    assert reference.in_domain and sorted(generator.table) == sorted(classifier.classes) and len(generator.table) == 10
    correct = 0
    for index, label in enumerate(classifier.classes):
        correct += int((reference(generate(generator, 40, label=label).images).labels == index).sum())
    (expected,) = read_card(name, rf"{metric} ([\d.]+)")
    assert correct / 400 == pytest.approx(expected, abs=3 * standard_error(expected, 400))


@pytest.mark.parametrize("name", POSE_MODELS)
def test_pose_networks_have_about_the_pck_of_their_cards_on_60_people(name: str, shared: Path) -> None:
    """Two standard errors, which are at most those of people whose joints are all correct or all wrong.

    With red and blue swapped, both networks lose more.
    """
    result = evaluate(name, shared / "lspet", limit=60, flip=name == "pose-tiny-lsp")
    expected = read_card(name, PCK[name])[0]
    assert result.n == 60
    assert result.metrics["pck"] == pytest.approx(expected, abs=2 * standard_error(expected, 60))


@pytest.mark.slow
def test_the_pck_and_precision_of_openpose_tiny_are_those_of_its_card(shared: Path, tmp_path: Path) -> None:
    """PCK on all photographs; average precision on a part of the composed scenes, so with a tolerance."""
    name, data = "openpose-tiny-lsp", shared / "lspet"
    estimator = load(name)
    assert parameters_of(FILES[name]) <= 1_000_000
    result = evaluate(estimator, data)
    pck, n = read_card(name, PCK[name])
    assert result.n == n == 998
    assert result.metrics["pck"] == pytest.approx(pck, abs=0.005)
    settings = estimator.card["about"]["settings"]
    scenes = Scenes(
        load_people(data)[1],
        "composed",
        batch_size=16,
        epochs=1,
        seed=0,
        side=settings["image_size"],
        min_scale=settings["min_scale"],
        max_scale=settings["max_scale"],
        rotate=settings["rotate"],
        max_people=settings["max_people"],
    )
    on_scenes = evaluate(estimator, write_scenes(scenes, tmp_path, ids=range(200)))
    (precision,) = read_card(name, r"average precision \| ([\d.]+)")
    assert on_scenes.n == 200 and on_scenes.metrics["ap"] == pytest.approx(precision, abs=0.06)


@pytest.mark.slow
def test_the_pck_of_pose_tiny_is_that_of_its_card(shared: Path) -> None:
    name = "pose-tiny-lsp"
    assert parameters_of(FILES[name]) <= 2_000_000
    result = evaluate(name, shared / "lspet", flip=True)
    pck, n = read_card(name, PCK[name])
    assert result.n == n == 998
    assert result.metrics["pck"] == pytest.approx(pck, abs=0.005)


@pytest.mark.parametrize("name", PHOTO_MODELS)
def test_photograph_networks_find_the_four_people_of_the_sample_photograph(name: str) -> None:
    """COCO's boxes; each person is found once, with most of the box; there are no other detections."""
    boxes = np.array(
        [
            [211.7, 78.1, 97.6, 120.8],
            [7.6, 110.9, 194.2, 267.2],
            [329.8, 100.2, 144.8, 181.0],
            [433.4, 134.0, 195.9, 288.0],
        ]
    )
    given = boxes if name == "pose-small-photos" else None
    poses = estimate_pose(sample_people(), name, boxes=given).poses
    assert len(poses) == 4
    centers = np.array([pose.keypoints[pose.keypoints[:, 2] > 0.3, :2].mean(0) for pose in poses])
    is_inside = (centers[:, None] > boxes[:, :2]).all(2) & (centers[:, None] < boxes[:, :2] + boxes[:, 2:]).all(2)
    assert sorted(is_inside.argmax(1)) == [0, 1, 2, 3] and is_inside.any(1).all()


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_no_people_are_found_in_a_palace_and_a_flower(name: str) -> None:
    """A palace and a flower, which ship with scikit-learn."""
    path = Path(str(importlib.resources.files("sklearn") / "datasets" / "images" / name))
    assert estimate_pose(path, "openpose-small-photos").poses == []


@pytest.mark.slow
@pytest.mark.parametrize("name", PHOTO_MODELS)
def test_the_precision_of_photograph_networks_is_that_of_their_cards(name: str, shared: Path) -> None:
    result = evaluate(name, shared / "coco-mini" / "person_keypoints.json")
    (precision,) = read_card(name, r"average precision \| ([\d.]+)")
    (correct,) = read_card(name, r"correct keypoints \| ([\d.]+)")
    assert result.n == 80
    assert result.metrics["ap"] == pytest.approx(precision, abs=0.005)
    assert result.metrics["pck"] == pytest.approx(correct, abs=0.005)
    assert parameters_of(FILES[name]) <= (2_000_000 if name.startswith("open") else 2_500_000)


@pytest.mark.slow
def test_few_people_are_drawn_in_photographs_without_people(shared: Path) -> None:
    """The counts of the card, which may change by one on another machine."""
    pattern = r"([\d]+) people are drawn in ([\d]+) photographs without people .* and ([\d]+) of ([\d]+) in"
    drawn, num_empty, kept, found = read_card("openpose-small-photos", pattern)
    counts = count_people(load("openpose-small-photos"), load_keypoints(shared / "coco-mini" / "person_keypoints.json"))
    assert counts.num_empty == num_empty == 44
    assert abs(counts.drawn_in_empty - drawn) <= 1 and counts.drawn_in_empty < counts.found_in_empty / 3
    assert abs(counts.drawn_in_others - kept) <= 2 and abs(counts.found_in_others - found) <= 2
