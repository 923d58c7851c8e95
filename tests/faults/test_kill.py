"""Killed or interrupted anywhere and resumed, a run ends with the same bits."""

import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from firstsight.errors import Interrupted
from firstsight.recipes.train import NullCallback, train
from helpers.modules import run_module

CLASSIFIER = ("train", "convnet")
GAN = ("train", "infogan", "--d-width", "4", "--categories", "2")


@pytest.fixture
def kill_training(tmp_path: Path, make_images: Callable[..., Path]) -> Callable[..., dict[str, Any]]:
    """Return a function that runs `helpers.kill_training` in ``tmp_path`` on 20 images of 8x8 pixels."""
    images = make_images({"dark": 10, "light": 10}, size=8, mode="L")

    def run(mode: str, *numbers: int, arguments: tuple[str, ...], epochs: int) -> dict[str, Any]:
        options = ["--data", str(images), "--epochs", str(epochs), "--image-size", "8", "--batch-size", "8"]
        done = run_module("helpers.kill_training", mode, tmp_path, *numbers, "--", *arguments, *options)
        assert done.returncode == 0, done.stderr
        summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return summary

    return run


def state(run: Path) -> dict[str, Any]:
    """Return hashes of the final checkpoint, weights and samples, and the metrics without their times."""
    last = max((run / "checkpoints").iterdir())
    files = [*last.glob("*.safetensors"), *run.glob("samples/*")]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "weights": hash_of_weights(run),
        "metrics": [{k: v for k, v in line.items() if k != "seconds"} for line in lines],
    }


def hash_of_weights(run: Path) -> str:
    """Return a hash of the weights in ``model.safetensors`` without its card, which holds the settings."""
    weights = load_file(run / "model.safetensors")
    return hashlib.sha256(b"".join(weights[name].tobytes() for name in sorted(weights))).hexdigest()


def assert_same_run(run: Path, undisturbed: Path) -> None:
    assert state(run) == state(undisturbed), run
    assert (run / "report.html").exists(), run
    assert not list(run.glob("**/*.tmp")), run


@pytest.mark.slow
def test_run_killed_fifty_times_at_random_moments_ends_with_the_same_bits(
    tmp_path: Path, kill_training: Callable[..., dict[str, Any]]
) -> None:
    """A checkpoint is written after every step; most kills arrive while one is being written."""
    summary = kill_training("random", 50, 11, arguments=CLASSIFIER, epochs=40)
    assert summary["killed"] == 50 and not any(summary["codes"])
    assert summary["writing"] >= 5
    for number in range(1, len(summary["codes"]) + 1):
        assert_same_run(tmp_path / str(number), tmp_path / "calm")


@pytest.mark.slow
def test_gan_killed_twenty_times_at_random_moments_ends_with_the_same_bits(
    tmp_path: Path, kill_training: Callable[..., dict[str, Any]]
) -> None:
    """Both networks, the average, both optimizers, and the sheets of samples."""
    summary = kill_training("random", 20, 5, arguments=GAN, epochs=4)
    assert summary["killed"] == 20 and not any(summary["codes"])
    models = ("generator", "discriminator", "average", "generator-optimizer", "discriminator-optimizer")
    assert {f"{name}.safetensors" for name in models} < set(state(tmp_path / "calm")["files"])
    assert len(list((tmp_path / "calm" / "samples").iterdir())) == 4
    for number in range(1, len(summary["codes"]) + 1):
        assert_same_run(tmp_path / str(number), tmp_path / "calm")


def test_sigterm_and_ctrl_c_save_the_state_and_exit_with_143_and_130(
    tmp_path: Path, kill_training: Callable[..., dict[str, Any]]
) -> None:
    summary = kill_training("signals", arguments=CLASSIFIER, epochs=100_000)
    for name, expected in (("SIGTERM", 143), ("SIGINT", 130)):
        code, stdout, stderr = summary[name]
        assert (code, stdout) == (expected, "")
        assert stderr.splitlines()[-1].startswith("firstsight: stopped at epoch ")
        command = f"continue with: firstsight train {tmp_path / name} --resume"
        assert stderr.rstrip().endswith(f"the state is saved, {command}")
        assert list((tmp_path / name / "checkpoints").iterdir())


def test_run_stopped_by_sigterm_and_resumed_ends_with_the_same_bits(tmp_path: Path, small_run: dict[str, Any]) -> None:
    """SIGTERM in the middle of an epoch; the metrics are those of the uninterrupted run, too."""

    class Stopper(NullCallback):
        steps = 0

        def on_step_end(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
            self.steps += 1
            if self.steps == 6:  # of 4 in an epoch
                os.kill(os.getpid(), signal.SIGTERM)

    settings = small_run | {"epochs": 3, "batch_size": 4}
    train("convnet", out=tmp_path / "calm", **settings)
    with pytest.raises(Interrupted) as stopped:
        train("convnet", out=tmp_path / "stopped", callback=Stopper(), **settings)
    assert stopped.value.exit_code == 143
    result = train("convnet", out=tmp_path / "stopped", resume=True)
    assert result.epochs == 3
    assert state(tmp_path / "stopped") == state(tmp_path / "calm")
    again = train("convnet", out=tmp_path / "stopped", resume=True)  # a finished run is not trained on
    assert again.metrics == result.metrics
    assert state(tmp_path / "stopped") == state(tmp_path / "calm")


def test_same_seed_gives_the_same_bits_and_another_seed_other_bits(tmp_path: Path, small_run: dict[str, Any]) -> None:
    for name in "ab":
        train("convnet", out=tmp_path / name, epochs=1, **small_run)
    train("convnet", out=tmp_path / "c", epochs=1, seed=1, **small_run)
    assert state(tmp_path / "a") == state(tmp_path / "b")
    assert hash_of_weights(tmp_path / "a") != hash_of_weights(tmp_path / "c")


def test_evaluating_less_often_changes_no_bit_of_the_weights(tmp_path: Path, small_run: dict[str, Any]) -> None:
    """Every second epoch and the last are evaluated; the learning curves are drawn from those."""
    every = train("convnet", out=tmp_path / "every", epochs=5, **small_run)
    second = train("convnet", out=tmp_path / "second", epochs=5, evaluate_every=2, **small_run)
    assert second.metrics == every.metrics
    assert hash_of_weights(tmp_path / "every") == hash_of_weights(tmp_path / "second")
    lines = state(tmp_path / "second")["metrics"]
    evaluated = [line["epoch"] for line in lines if "test/accuracy" in line]
    assert evaluated == [2, 4, 5]
    expected = [line for line in state(tmp_path / "every")["metrics"] if line["epoch"] in evaluated]
    assert [line for line in lines if "test/loss" in line] == expected
    assert (tmp_path / "second" / "figures" / "learning-curves.png").exists()


@pytest.fixture
def small_run(make_images: Callable[..., Path]) -> dict[str, Any]:
    """Return settings of a training that takes a moment: 20 images of 8x8 pixels, two steps an epoch."""
    images = make_images({"dark": 10, "light": 10}, size=8, mode="L")
    return {"data": str(images), "image_size": 8, "batch_size": 8}
