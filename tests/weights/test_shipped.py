"""The shipped weights: they are what their cards say."""

import hashlib
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from firstsight import evaluate, load
from firstsight.weights.shipped import shipped

FILES = shipped()


def test_all_together_are_small() -> None:
    assert set(FILES) == {"lenet-digits", "lenet-fashion", "convnet-fashion", "airbench-cifar10"}
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
def test_accuracy_is_that_of_the_card(name: str, shared: Path) -> None:
    text = FILES[name].with_suffix(".md").read_text()
    accuracy, n = re.search(r"test accuracy \| ([\d.]+)% of ([\d,]+) images", text).groups()  # type: ignore[union-attr]
    places = {"fashion": shared / "fashion-mnist", "cifar10": shared / "cifar10" / "cifar10-train.zip"}
    found = evaluate(name, places.get(name.rpartition("-")[2]))
    assert found.n == int(n.replace(",", ""))
    assert 100 * found.metrics["accuracy"] == pytest.approx(float(accuracy), abs=0.05)
    network = load(name)
    assert not network.model.training
    assert network.card["about"]["recipe"] in (name, f"{name}-train")  # on pictures that go by the name cifar10-train
