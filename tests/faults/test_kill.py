"""Killed anywhere and resumed, a run ends with the same bits."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HELPERS = ROOT / "tests" / "helpers"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def state(run: Path) -> tuple[dict[str, str], list[dict[str, float]]]:
    """Hashes of the final weights and optimizer, and the metrics without their times."""
    last = max((run / "checkpoints").iterdir())
    hashes = {path.name: digest(path) for path in last.glob("*.safetensors")}
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return hashes, [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def kill_at_operations(folder: Path, start: int, step: int, *arguments: str) -> int:
    """Kill a training before every ``step``-th file operation, resume each, and compare all with the calm run.

    Returns the number of trainings that were killed.
    """
    command = [sys.executable, str(HELPERS / "kill_at.py"), str(folder), str(start), str(step), "--", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800)
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["operations"] >= 50
    for k, ended in summary["ends"].items():
        assert ended == [signal.SIGKILL, 0], k
        assert state(folder / k) == state(folder / "calm"), k
        assert digest_of_tensors(folder / k) == digest_of_tensors(folder / "calm"), k
        assert (folder / k / "report.html").exists(), k
        assert not list(folder.glob(f"{k}/**/*.tmp")), k
    return len(summary["ends"])


CLASSIFIER = ("train", "two_layer", "--epochs", "2", "--batch-size", "512")
GAN = ("train", "infogan-digits", "--epochs", "2", "--width", "4", "--image-size", "8", "--batch-size", "512")


def test_a_run_killed_before_a_file_operation_resumes_with_the_same_bits(tmp_path: Path) -> None:
    """At every 15th operation; a checkpoint is written after every step."""
    assert kill_at_operations(tmp_path, 7, 15, *CLASSIFIER) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1, 5))
def test_a_run_killed_before_every_file_operation_resumes_with_the_same_bits(tmp_path: Path, start: int) -> None:
    """A quarter of the operations each: opening, renaming and removing files, from config.json to the report."""
    assert kill_at_operations(tmp_path, start, 4, *CLASSIFIER) >= 15


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1, 5))
def test_a_gan_killed_before_a_file_operation_resumes_with_the_same_bits(tmp_path: Path, start: int) -> None:
    """Two networks, an average and two optimizers in a checkpoint: every eighth operation in all."""
    assert kill_at_operations(tmp_path, 2 * start, 32, *GAN) >= 2


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path) -> None:
    """Fifty SIGKILLs, most of the time while writing: a checkpoint is written after every step."""
    arguments = ["train", "convnet-digits", "--epochs", "30", "--checkpoint-seconds", "0", "--image-size", "16"]
    calm = [sys.executable, "-m", "firstsight", *arguments, "--out", str(tmp_path / "calm"), "--quiet"]
    subprocess.run(calm, check=True, capture_output=True, timeout=600)
    command = [sys.executable, str(HELPERS / "killer.py"), str(tmp_path / "killed"), "50", "11", "--", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["code"] == 0
    assert told["killed"] == 50
    assert told["writing"] >= 5
    assert state(tmp_path / "killed") == state(tmp_path / "calm")
    assert (tmp_path / "killed" / "report.html").exists()


@pytest.mark.slow
def test_twenty_kills_of_two_networks(tmp_path: Path) -> None:
    """G, D, the average, both optimizers, the sheets of samples: the same bits."""
    arguments = ["train", "infogan-digits", "--epochs", "4", "--checkpoint-seconds", "0", "--width", "4"]
    calm = [sys.executable, "-m", "firstsight", *arguments, "--out", str(tmp_path / "calm"), "--quiet"]
    subprocess.run(calm, check=True, capture_output=True, timeout=600)
    command = [sys.executable, str(HELPERS / "killer.py"), str(tmp_path / "killed"), "20", "5", "--", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800)
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["code"], told["killed"]) == (0, 20)
    hashes, lines = state(tmp_path / "killed")
    assert (hashes, lines) == state(tmp_path / "calm")
    models = {"generator", "discriminator", "average", "generator-optimizer", "discriminator-optimizer"}
    assert set(hashes) == {f"{name}.safetensors" for name in models}
    sheets = {run: {p.name: digest(p) for p in (tmp_path / run / "samples").iterdir()} for run in ("calm", "killed")}
    assert sheets["calm"] == sheets["killed"] and len(sheets["calm"]) == 4


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_save_and_exit(tmp_path: Path, number: int, code: int) -> None:
    arguments = [
        sys.executable,
        "-m",
        "firstsight",
        "train",
        "lenet",
        "--epochs",
        "400",
        "--json",
        "--out",
        str(tmp_path / "r"),
    ]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    deadline = time.monotonic() + 120
    while not (tmp_path / "r" / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == ""
    assert err.splitlines()[-1].startswith("firstsight: stopped at epoch ")
    assert err.rstrip().endswith("the state is saved, continue with --resume")
    assert list((tmp_path / "r" / "checkpoints").iterdir())


def test_stopped_and_resumed_is_as_if_never_stopped(tmp_path: Path) -> None:
    """SIGTERM after some steps of an epoch, then --resume: the bits and the metrics of the uninterrupted run."""
    from firstsight.errors import Interrupted
    from firstsight.recipes.train import Silent, train

    class Stopper(Silent):
        seen = 0

        def step(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
            self.seen += 1
            if self.seen == 30:
                os.kill(os.getpid(), signal.SIGTERM)

    train("lenet", out=tmp_path / "calm", epochs=3)
    with pytest.raises(Interrupted) as stopped:
        train("lenet", out=tmp_path / "stopped", epochs=3, observer=Stopper())
    assert stopped.value.exit_code == 143
    result = train("lenet", out=tmp_path / "stopped", resume=True)
    assert result.epochs == 3
    assert state(tmp_path / "stopped") == state(tmp_path / "calm")
    again = train("lenet", out=tmp_path / "stopped", resume=True)  # a finished run is not trained on
    assert again.metrics == result.metrics
    assert state(tmp_path / "stopped") == state(tmp_path / "calm")


def test_the_same_seed_gives_the_same_bits(tmp_path: Path) -> None:
    from firstsight.recipes.train import train

    for name in "ab":
        train("lenet", out=tmp_path / name, epochs=1)
    train("lenet", out=tmp_path / "c", epochs=1, seed=1)
    assert state(tmp_path / "a") == state(tmp_path / "b")
    assert state(tmp_path / "a") != state(tmp_path / "c")


def test_measuring_less_often_changes_no_bit(tmp_path: Path) -> None:
    """Every second epoch and the last are measured; the weights are the same, and the curves are drawn."""
    from firstsight.recipes.train import train

    often = train("lenet", out=tmp_path / "often", epochs=5)
    seldom = train("lenet", out=tmp_path / "seldom", epochs=5, evaluate_every=2)
    assert seldom.metrics == often.metrics
    (_, every), (_, some) = state(tmp_path / "often"), state(tmp_path / "seldom")
    assert digest_of_tensors(tmp_path / "often") == digest_of_tensors(tmp_path / "seldom")
    measured = [line["epoch"] for line in some if "test/accuracy" in line]
    assert measured == [2, 4, 5]
    assert [line for line in every if line["epoch"] in measured] == [line for line in some if "test/loss" in line]
    assert (tmp_path / "seldom" / "figures" / "learning-curves.png").exists()


def digest_of_tensors(run: Path) -> str:
    """Of the weights alone: the card in the file tells the settings."""
    from safetensors.numpy import load_file

    return hashlib.sha256(
        b"".join(array.tobytes() for array in load_file(run / "model.safetensors").values())
    ).hexdigest()
