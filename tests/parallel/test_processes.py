"""Two processes compute what one computes, and a job survives the death of one of its processes."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from firstsight import generate, train
from helpers.modules import run_module


def run_jobs(folder: Path, *jobs: dict[str, Any]) -> list[dict[str, Any]]:
    """Run trainings in groups of processes, one after the other (see `helpers.process_group`)."""
    done = run_module("helpers.process_group", "trainings", folder, stdin=json.dumps(jobs))
    assert done.returncode == 0, done.stderr
    summary: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return summary


def test_gradients_of_two_processes_are_those_of_one(tmp_path: Path) -> None:
    """The shards of a batch have equal sizes (batches of 64) or differ by one sample (batches of 37)."""
    done = run_module("helpers.process_group", "gradients", tmp_path, "lenet-digits", 64, 37)
    assert done.returncode == 0, done.stderr
    for batch_size in (64, 37):
        one, two = (load_file(tmp_path / f"{world}-{batch_size}.safetensors") for world in (1, 2))
        assert set(one) == set(two)
        assert len([name for name in one if name.endswith("weight")]) == 25
        for name, value in one.items():
            if name.endswith("ids"):
                assert torch.equal(value, two[name])
            else:
                torch.testing.assert_close(two[name], value, rtol=1e-10, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}")


def assert_close(a: Path, b: Path) -> None:
    """Weights of two runs in float64 differ by the order of sums, nothing else."""
    one, two = (load_file(run / "model.safetensors") for run in (a, b))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
def test_run_moves_between_one_and_two_processes(tmp_path: Path) -> None:
    """Stopped at one and resumed at two, and the reverse: the same order of samples, so the same weights.

    What one process refuses ends all; a signal to one process stops all.
    """

    def job(world: int, out: str, **more: Any) -> dict[str, Any]:
        settings = {"precision": "float64", "epochs": 2, "out": out, "resume": more.pop("resume", False)}
        return {"world": world, "recipe": "lenet", "settings": settings} | more

    one, two, stopped_two, resumed_one, stopped_one, resumed_two, again = run_jobs(
        tmp_path,
        job(1, "one"),
        job(2, "two"),
        job(2, "2to1", stop_after=30),
        job(1, "2to1", resume=True),
        job(1, "1to2", stop_after=30),
        job(2, "1to2", resume=True),
        {"world": 2, "command": ["train", "lenet", "--out", "two"]},
    )
    for done in (one, two, resumed_one, resumed_two):
        assert not any(done["codes"]), done["stderr"]
        assert json.loads(done["stdout"])["epochs"] == 2
    assert json.loads((tmp_path / "two" / "config.json").read_text())["processes"] == 2
    for done in (stopped_two, stopped_one):
        assert set(done["codes"]) == {143} and "the state is saved" in done["stderr"]
    for out in ("two", "2to1", "1to2"):
        assert_close(tmp_path / "one", tmp_path / out)
    assert again["codes"] == [2, 2] and "already holds a run" in again["stderr"]
    assert again["stderr"].count("firstsight:") == 1  # one process says it


@pytest.mark.slow
def test_early_stopping_of_two_processes_is_that_of_one(tmp_path: Path) -> None:
    """All processes measure the same validation loss, so they stop together, and keep the same weights."""
    settings = {"precision": "float64", "epochs": 30, "patience": 2, "lr": 0.01}
    one, two = run_jobs(
        tmp_path,
        *({"world": world, "recipe": "lenet", "settings": settings | {"out": str(world)}} for world in (1, 2)),
    )
    assert not any(one["codes"] + two["codes"]), two["stderr"]
    epochs = json.loads(one["stdout"])["epochs"]
    assert json.loads(two["stdout"])["epochs"] == epochs < 30
    assert_close(tmp_path / "1", tmp_path / "2")


@pytest.mark.slow
def test_generator_trained_by_two_processes_is_resumed_and_used_by_one(tmp_path: Path) -> None:
    """The two agree on a precision, which the one process keeps; the checkpoint is whole."""
    settings = {"d_width": 4, "image_size": 8, "precision": "auto", "epochs": 2, "out": "run"}
    job = {"recipe": "infogan-digits", "settings": settings}
    done, again = run_jobs(tmp_path, {"world": 2, **job}, {"world": 1, **job, "settings": settings | {"resume": True}})
    assert done["codes"] == [0, 0], done["stderr"]
    assert again["codes"] == [0], again["stderr"]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["processes"] == 2 and config["settings"]["precision"] in ("bfloat16", "float32")
    assert json.loads(again["stdout"])["metrics"] == json.loads(done["stdout"])["metrics"]
    assert generate(tmp_path / "run", 4).images.shape == (4, 1, 8, 8)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize(("rank", "has_out"), [(1, True), (0, False)])
def test_torchrun_restarts_a_killed_worker_and_the_run_finishes(tmp_path: Path, rank: int, has_out: bool) -> None:
    """--max-restarts without --resume: the restarted processes continue from the last checkpoint by themselves.

    With --out and a rendezvous over c10d, and without --out and with a fixed address. The result is printed once.
    """
    out = tmp_path / "run" if has_out else tmp_path / "runs" / "lenet-digits" / "1"
    rendezvous = (
        ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"] if has_out else ["--master-port", free_port()]
    )
    arguments = ["train", "lenet", "--precision", "float64", "--epochs", "2", "--checkpoint-seconds", "0", "--json"]
    job = run_module(
        "torch.distributed.run",
        "--nproc_per_node",
        "2",
        *rendezvous,
        "--max-restarts",
        "1",
        "-m",
        "helpers.kill_rank",
        rank,
        *arguments,
        *(["--out", out] if has_out else []),
        cwd=tmp_path,
    )
    assert job.returncode == 0, job.stderr
    assert json.loads(job.stdout)["epochs"] == 2
    assert "continues after step" in job.stderr
    assert json.loads((out / "config.json").read_text())["processes"] == 2
    epochs = [json.loads(line)["epoch"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [1, 2]
    train("lenet", precision="float64", epochs=2, out=tmp_path / "one")
    assert_close(tmp_path / "one", out)
