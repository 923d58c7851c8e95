"""Early stopping: the best epoch by validation is kept, the test set is not used, and a resumed run is the same."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import firstsight
from firstsight.engine.rundir import read_metrics
from firstsight.errors import Interrupted, UsageError
from firstsight.recipes.train import NullCallback, train
from firstsight.weights.io import read_weights

SETTINGS: dict[str, Any] = {
    "batch_size": 8, "image_size": 16, "lr": 3e-2, "epochs": 30, "patience": 3,
    "translate": 0, "scale": 0.0, "rotate": 0.0, "device": "cpu",
}  # fmt: skip


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Return a folder of noise with random classes: the network overfits, so validation gets worse."""
    rng = np.random.default_rng(3)
    for split, count in (("train", 20), ("test", 10)):
        for name in "ab":
            folder = tmp_path / "noise" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "noise"


def test_training_stops_and_keeps_the_weights_of_the_best_epoch(noise: Path) -> None:
    result = train("convnet", data=noise, out="run", **SETTINGS)
    lines = read_metrics(Path("run")).lines
    losses = [line["val/loss"] for line in lines]
    best = int(np.argmin(losses))
    assert len(lines) == result.epochs == best + 1 + 3 < 30
    assert f"stopped after epoch {result.epochs} of 30" in result.early_stopping
    assert f"the weights of epoch {best + 1} are kept" in result.early_stopping
    assert result.metrics["accuracy"] == lines[best]["test/accuracy"]
    assert result.metrics["loss"] == pytest.approx(lines[best]["test/loss"])
    assert lines[best]["test/loss"] != lines[-1]["test/loss"]
    evaluation = firstsight.evaluate("run")
    assert evaluation.metrics["accuracy"] == result.metrics["accuracy"] and evaluation.n == 20
    assert "8 of 40 training images are held out for early stopping" in Path("run/report.html").read_text()
    assert "are kept (validation loss" in Path("run/report.html").read_text()
    assert f"after epoch {best + 1}, seed" in Path("run/report.html").read_text()
    assert result.title.endswith(f"after epoch {best + 1}") and result.kept_epoch == best + 1
    (listed,) = firstsight.list_runs(Path("run"), finished=True)
    assert (listed.state, listed.kept_epoch, listed.last) == ("finished", best + 1, evaluation.metrics["accuracy"])
    assert "early stopping (<code>--patience 3</code>)" in Path("run/report.html").read_text()
    again = train("convnet", out="run", resume=True)
    assert (again.epochs, again.metrics, again.early_stopping) == (result.epochs, result.metrics, result.early_stopping)


class StopAt(NullCallback):
    """Callback that interrupts the training after an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_step_end(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        """Send Ctrl-C in the middle of the epoch."""
        if (epoch, index) == (self.epoch, 2):
            signal.raise_signal(signal.SIGINT)


def test_the_listed_result_is_that_of_the_kept_weights_without_a_test_in_their_epoch(noise: Path) -> None:
    result = train("convnet", data=noise, out="runs/a", **SETTINGS, evaluate_every=30)
    tested = [line["epoch"] for line in read_metrics(Path("runs/a")).lines if "test/accuracy" in line]
    (listed,) = firstsight.list_runs()
    assert tested == [result.epochs] and result.epochs not in (30, listed.kept_epoch)
    assert (listed.state, listed.last) == ("finished", result.metrics["accuracy"])


def test_a_resumed_run_stops_at_the_same_epoch_with_the_same_bits(noise: Path) -> None:
    whole = train("convnet", data=noise, out="whole", **SETTINGS)
    with pytest.raises(Interrupted):
        train("convnet", data=noise, out="cut", callback=StopAt(3), **SETTINGS)
    resumed = train("convnet", out="cut", resume=True)
    assert (resumed.epochs, resumed.metrics) == (whole.epochs, whole.metrics)
    assert resumed.early_stopping == whole.early_stopping
    first, second = (read_weights(Path(run) / "model.safetensors").tensors for run in ("whole", "cut"))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_test_images_do_not_decide(noise: Path) -> None:
    first = train("convnet", data=noise, out="first", **SETTINGS)
    for file in (noise / "test").rglob("*.png"):
        Image.new("RGB", (16, 16), "red").save(file)
    second = train("convnet", data=noise, out="second", **SETTINGS)
    assert first.early_stopping == second.early_stopping
    weights = [read_weights(Path(run) / "model.safetensors").tensors for run in ("first", "second")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_with_a_validation_fraction_these_images_are_used(noise: Path) -> None:
    train("convnet", data=noise, out="run", val_fraction=0.25, **{**SETTINGS, "epochs": 3})
    for line in read_metrics(Path("run")).lines:
        assert line["val/loss"] == line["test/loss"]


def test_without_patience_the_last_weights_are_kept(noise: Path) -> None:
    result = train("convnet", data=noise, out="run", **{**SETTINGS, "patience": 0, "epochs": 2})
    assert result.early_stopping == "" and result.epochs == 2
    assert all("val/loss" not in line for line in read_metrics(Path("run")).lines)
    with pytest.raises(UsageError, match="patience"):
        train("convnet", data=noise, patience=-1)
