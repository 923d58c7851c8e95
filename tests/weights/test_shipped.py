"""The shipped weights: they are what their cards say."""

import hashlib
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from firstsight import evaluate, load
from firstsight.data.people import load_people
from firstsight.data.scenes import Scenes
from firstsight.data.written import write_scenes
from firstsight.tasks.generate import generate
from firstsight.tasks.judge import judge_for
from firstsight.tasks.measure import measure
from firstsight.tasks.measure_pose import measure_pose
from firstsight.weights.generator import load_generator
from firstsight.weights.pose import load_pose
from firstsight.weights.shipped import card_of, parameters_of, shipped
from firstsight.weights.top_down import load_top_down

FILES = shipped()
GENERATORS = ("gan-digits", "dcgan-fashion", "infogan-mnist")
POSES = ("openpose-tiny-lsp",)
TOP_DOWN = ("pose-tiny-lsp",)
CLASSIFIERS = ("airbench-cifar10", "convnet-fashion", "lenet-digits", "lenet-fashion", "lenet-mnist")


def test_all_together_are_small() -> None:
    assert tuple(FILES) == tuple(sorted(GENERATORS + CLASSIFIERS + POSES + TOP_DOWN))
    assert sum(path.stat().st_size for path in FILES.values()) < 16 << 20


@pytest.mark.parametrize("name", FILES)
def test_card_and_file_belong_together(name: str) -> None:
    text = FILES[name].with_suffix(".md").read_text()
    assert hashlib.sha256(FILES[name].read_bytes()).hexdigest() in text
    with safe_open(FILES[name], framework="pt") as file:
        kinds = {file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
    assert kinds <= {torch.float16, torch.int64}
    for word in ("licence", "recipe", "data", "SHA-256", "over seeds"):
        assert f"| {word} |" in text


@pytest.mark.parametrize("name", FILES)
def test_the_file_tells_what_its_card_tells(name: str) -> None:
    """What ``firstsight weights list`` shows comes from the file."""
    text, card = FILES[name].with_suffix(".md").read_text(), card_of(FILES[name])
    assert card is not None
    metrics = card["about"]["metrics"]
    told = {
        "accuracy": (r"test accuracy \| ([\d.]+)%", 100), "frechet": (r"Frechet distance \| ([\d.]+)", 1),
        "ap": (r"average precision \| ([\d.]+)", 1), "pck": (r"correct keypoints \| ([\d.]+)", 1),
    }  # fmt: skip
    found = {key: re.search(pattern, text) for key, (pattern, _) in told.items()}
    assert any(found.values())
    for key, match in found.items():
        assert (match is not None) == (key in metrics)
        if match:
            digits = len(match[1].partition(".")[2])
            assert float(match[1]) == pytest.approx(metrics[key] * told[key][1], abs=0.5001 * 10**-digits)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name == "airbench-cifar10" else name for name in CLASSIFIERS],
)
def test_accuracy_is_that_of_the_card(name: str, shared: Path) -> None:
    text = FILES[name].with_suffix(".md").read_text()
    accuracy, n = re.search(r"test accuracy \| ([\d.]+)% of ([\d,]+) images", text).groups()  # type: ignore[union-attr]
    found = evaluate(name, places(shared).get(name.rpartition("-")[2]))
    assert found.n == int(n.replace(",", ""))
    assert 100 * found.metrics["accuracy"] == pytest.approx(float(accuracy), abs=0.05)
    network = load(name)
    assert not network.model.training
    assert network.card["about"]["recipe"] in (name, f"{name}-train")  # on pictures that go by the name cifar10-train


def places(shared: Path) -> dict[str, Path]:
    """Where the data of each recipe lie."""
    return {
        "fashion": shared / "fashion-mnist",
        "cifar10": shared / "cifar10" / "cifar10-train.zip",
        "mnist": shared / "mnist-t10k",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_is_what_its_card_says(name: str, shared: Path) -> None:
    text = FILES[name].with_suffix(".md").read_text()
    pattern = r"Frechet distance \| ([\d.]+) \(([\d.]+) of as many training pictures\), N = ([\d,]+)"
    told = re.search(pattern, text)
    assert told is not None
    distance, floor, n = told.groups()
    found = measure(name, places(shared).get(name.rpartition("-")[2]))
    assert found.n == int(n.replace(",", ""))
    assert found.metrics["frechet"] == pytest.approx(float(distance), rel=0.02)
    assert found.metrics["frechet_floor"] == pytest.approx(float(floor), rel=0.02, abs=0.01)
    assert found.metrics["modes"] == 10


@pytest.mark.slow
@pytest.mark.parametrize("name", POSES)
def test_a_pose_network_is_what_its_card_says(name: str, shared: Path, tmp_path: Path) -> None:
    """Correct keypoints of all photographs; precision of a part of the scenes, which is not far from that of all."""
    text, data = FILES[name].with_suffix(".md").read_text(), shared / "lspet"
    network = load_pose(name)
    assert parameters_of(FILES[name]) <= 1_000_000
    alone = measure_pose(network, data)
    told, n = re.search(r"correct keypoints \| ([\d.]+), PCK@0.2 of the torso, ([\d,]+) photo", text).groups()  # type: ignore[union-attr]
    assert alone.n == int(n.replace(",", "")) == 998
    assert alone.metrics["pck"] == pytest.approx(float(told), abs=0.005)
    settings = network.card["about"]["settings"]
    scenes = Scenes(
        load_people(data)[1], "composed", batch_size=16, epochs=1, seed=0, side=settings["image_size"],
        smallest=settings["smallest"], largest=settings["largest"], rotate=settings["rotate"], most=settings["people"],
    )  # fmt: skip
    together = measure_pose(network, write_scenes(scenes, tmp_path, ids=range(200)))
    (precision,) = re.search(r"average precision \| ([\d.]+)", text).groups()  # type: ignore[union-attr]
    assert together.n == 200 and together.metrics["ap"] == pytest.approx(float(precision), abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("name", TOP_DOWN)
def test_a_network_of_one_person_at_a_time_is_what_its_card_says(name: str, shared: Path) -> None:
    text, data = FILES[name].with_suffix(".md").read_text(), shared / "lspet"
    network = load_top_down(name)
    assert parameters_of(FILES[name]) <= 2_000_000
    found = measure_pose(network, data, flip=True)
    pattern = r"keypoints \| ([\d.]+), PCK@0.2 of the torso; [\d.]+, PCK@0.1 of the box; ([\d,]+)"
    card = re.search(pattern, text)
    assert card is not None
    told, n = card.groups()
    assert found.n == int(n.replace(",", "")) == 998
    assert found.metrics["pck"] == pytest.approx(float(told), abs=0.005)


def test_a_digit_by_one_flag() -> None:
    """The table of codes that comes with the weights: what is asked for is what the judge sees, most of the time."""
    made = load_generator("infogan-mnist")
    assert sorted(made.table) == [str(i) for i in range(10)]
    judge = judge_for("mnist", tuple(sorted(made.table)))
    assert judge.knows
    for digit in ("0", "1", "7"):
        seen = judge.look(generate(made, 100, label=digit).images)
        assert float((seen.labels == int(digit)).double().mean()) > 0.7
