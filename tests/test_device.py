"""Where networks compute: on the device that is named, or a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from firstsight import PoseEstimator
from firstsight.cli import main
from firstsight.data.photo import sample_photo
from firstsight.engine.device import choose_device, device_of
from firstsight.errors import UsageError
from firstsight.tasks.top_down_pose import TopDownEstimator
from firstsight.weights.classifier import load
from firstsight.weights.generator import load_generator

THERE = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
ABSENT = [name for name, there in THERE.items() if not there]
Used = tuple[torch.nn.Module, Callable[[], Any]]


def test_auto_takes_what_is_there() -> None:
    assert choose_device("auto") == next(name for name in THERE if name not in ABSENT) and choose_device("cpu") == "cpu"
    for name in (*ABSENT, "tpu"):
        with pytest.raises(UsageError, match=f"has no {name}; use --device cpu"):
            choose_device(name)


def classified() -> Used:
    network = load("lenet-digits")
    images = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    return network.model, lambda: network.probabilities(images)


def generated() -> Used:
    network = load_generator("gan-digits")
    return network.model, lambda: network(network.draw(2))


def posed() -> Used:
    estimator = PoseEstimator("openpose-tiny-lsp", flip=True)
    return estimator.network.model, lambda: estimator(sample_photo())


def posed_alone() -> Used:
    estimator = TopDownEstimator("pose-tiny-lsp", flip=True)
    return estimator.network.model, lambda: estimator(sample_photo())


@pytest.mark.parametrize("used", [classified, generated, posed, posed_alone])
def test_the_input_goes_where_the_weights_are(used: Callable[[], Used]) -> None:
    """On "meta", which computes shapes only, everything but bringing the answer back can be done."""
    model, use = used()
    assert device_of(model) == torch.device("cpu")
    use()
    model.to("meta")
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        use()


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "lenet-digits", "PICTURE"], ["evaluate", "lenet-digits"], ["evaluate", "gan-digits"],
        ["evaluate", "openpose-tiny-lsp", "--data", "PICTURE"], ["generate", "gan-digits", "--out", "OUT"],
        ["pose", "PICTURE"], ["pose", "PICTURE", "--compare"], ["train", "lenet-digits", "--out", "OUT"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("device", ABSENT)
def test_a_device_that_is_not_there(
    command: list[str], device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {"PICTURE": str(sample_photo()), "OUT": str(tmp_path / "made.png")}
    assert main([*(named.get(word, word) for word in command), "--device", device]) == 2
    assert f"--device {device}: this machine" in capsys.readouterr().err
