"""The shipped weights: they are what their cards say."""

import hashlib
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from firstsight import evaluate, load
from firstsight.tasks.generate import generate
from firstsight.tasks.judge import judge_for
from firstsight.tasks.measure import measure
from firstsight.weights.generator import load_generator
from firstsight.weights.shipped import shipped

FILES = shipped()
GENERATORS = ("gan-digits", "infogan-mnist")
CLASSIFIERS = ("airbench-cifar10", "convnet-fashion", "lenet-digits", "lenet-fashion", "lenet-mnist")


def test_all_together_are_small() -> None:
    assert tuple(FILES) == tuple(sorted(GENERATORS + CLASSIFIERS))
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


@pytest.mark.parametrize("name", CLASSIFIERS)
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


def test_a_digit_by_one_flag() -> None:
    """The table of codes that comes with the weights: what is asked for is what the judge sees, most of the time."""
    made = load_generator("infogan-mnist")
    assert sorted(made.table) == [str(i) for i in range(10)]
    judge = judge_for("mnist", tuple(sorted(made.table)))
    assert judge.knows
    for digit in ("0", "1", "7"):
        seen = judge.look(generate(made, 100, label=digit).images)
        assert float((seen.labels == int(digit)).double().mean()) > 0.7
