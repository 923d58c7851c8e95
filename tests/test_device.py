"""Devices: networks compute on the requested device; a device that does not exist is refused in one sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from firstsight import load
from firstsight.data.sample_image import sample_photo
from firstsight.engine.device import choose_device, device_of
from firstsight.errors import UsageError
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
from firstsight.tasks.pose.top_down.estimate import TopDownEstimator

AVAILABLE = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
ABSENT = [name for name, available in AVAILABLE.items() if not available]
ModelAndCall = tuple[torch.nn.Module, Callable[[], Any]]


def test_auto_selects_an_available_device() -> None:
    assert choose_device("auto") == next(name for name in AVAILABLE if name not in ABSENT)
    assert choose_device("cpu") == "cpu"
    assert choose_device(torch.device("cpu")) == "cpu"
    for name in ABSENT:
        with pytest.raises(UsageError, match=rf"`device={name}`: .* is not available .*; use `device=cpu`"):
            choose_device(name)
    for wrong in ("tpu", "gpu", "cpu:x", 0, torch.float64):
        with pytest.raises(UsageError, match=r"`device` must be auto, cpu, cuda or mps; got"):
            choose_device(wrong)  # type: ignore[arg-type]


def classifier() -> ModelAndCall:
    network = load("lenet-digits")
    images = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    return network.model, lambda: network.probabilities(images)


def generator() -> ModelAndCall:
    network = load("gan-digits")
    return network.model, lambda: network(network.draw(2))


def bottom_up() -> ModelAndCall:
    estimator = PoseEstimator("openpose-tiny-lsp", flip=True)
    return estimator.network.model, lambda: estimator(sample_photo())


def top_down() -> ModelAndCall:
    estimator = TopDownEstimator("pose-tiny-lsp", flip=True)
    return estimator.network.model, lambda: estimator(sample_photo())


@pytest.mark.parametrize("build", [classifier, generator, bottom_up, top_down])
def test_inputs_are_moved_to_the_device_of_the_weights(build: Callable[[], ModelAndCall]) -> None:
    """The device "meta" computes only shapes, so everything works except copying the result back."""
    model, call = build()
    assert device_of(model) == torch.device("cpu")
    call()
    model.to("meta")
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        call()


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "lenet-digits", "PHOTO"],
        ["evaluate", "lenet-digits"],
        ["evaluate", "gan-digits"],
        ["evaluate", "openpose-tiny-lsp", "--data", "PHOTO"],
        ["generate", "gan-digits", "--out", "OUT"],
        ["pose", "PHOTO"],
        ["pose", "PHOTO", "--compare"],
        ["train", "lenet-digits", "--out", "OUT"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("device", ABSENT)
def test_an_absent_device_is_refused(
    command: list[str], device: str, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    paths = {"PHOTO": sample_photo(), "OUT": tmp_path / "out.png"}
    code, out, err = run(*(paths.get(word, word) for word in command), "--device", device)
    assert (code, out) == (2, "")
    assert f"--device {device}: {device.upper()} is not available" in err
