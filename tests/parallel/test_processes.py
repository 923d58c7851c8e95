"""Two processes compute what one computes, and survive what happens to processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "tests" / "helpers" / "distributed_worker.py"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
TRAIN = ["-m", "firstsight", "train", "lenet", "--precision", "float64", "--epochs", "3", "--quiet"]


def torchrun(*arguments: object, more: tuple[str, ...] = (), check: bool = True) -> subprocess.CompletedProcess[str]:
    """A job of two processes, on a free port."""
    command = [*TORCHRUN, "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", *more, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    job = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert job.returncode == 0 or not check, job.stderr
    return job


def alone(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=True, env=environment
    )


@pytest.mark.parametrize("batch_size", [64, 37])  # halves, and shares that differ by one sample
def test_gradients_of_two_are_those_of_one(tmp_path: Path, batch_size: int) -> None:
    alone(WORKER, tmp_path / "one", "lenet-digits", batch_size)
    torchrun(WORKER, tmp_path / "two", "lenet-digits", batch_size)
    one, two = load_file(tmp_path / "one"), load_file(tmp_path / "two")
    assert set(one) == set(two)
    assert len([name for name in one if name.endswith("weight")]) == 25
    for name, value in one.items():
        if name.endswith("ids"):
            assert torch.equal(value, two[name])
        else:
            torch.testing.assert_close(two[name], value, rtol=1e-10, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}")


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def assert_close(a: Path, b: Path) -> None:
    """Weights after 69 updates in float64: sums in another order, nothing else."""
    for name, value in weights(a).items():
        torch.testing.assert_close(weights(b)[name], value, rtol=1e-6, atol=1e-7)


def stop_after(step: int) -> str:
    """A program that trains as the command line does, and is stopped by SIGTERM after so many steps."""
    return (
        "import os, signal, sys\n"
        "from firstsight.cli import main\n"
        "from firstsight.cli.console import Watcher\n"
        "seen = [0]\n"
        "def step(self, *_):\n"
        "    seen[0] += 1\n"
        f"    if seen[0] == {step}: os.kill(os.getpid(), signal.SIGTERM)\n"
        "Watcher.step = step\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )


@pytest.mark.slow
def test_a_run_moves_between_one_and_two_processes(tmp_path: Path) -> None:
    """Saved at one and resumed at two, and the reverse: the same order of samples, so the same weights."""
    alone(*TRAIN, "--out", tmp_path / "one")
    torchrun(*TRAIN, "--out", tmp_path / "two")
    assert_close(tmp_path / "one", tmp_path / "two")
    program = tmp_path / "stop.py"
    program.write_text(stop_after(30))
    arguments = TRAIN[2:]
    stopped = torchrun(program, *arguments, "--out", tmp_path / "2to1", check=False)
    assert stopped.returncode != 0
    assert "the state is saved" in stopped.stderr
    alone(*TRAIN, "--out", tmp_path / "2to1", "--resume")
    assert_close(tmp_path / "one", tmp_path / "2to1")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    first = subprocess.run(
        [sys.executable, program, *arguments, "--out", tmp_path / "1to2"],
        capture_output=True, text=True, timeout=300, check=False, env=environment,
    )  # fmt: skip
    assert first.returncode == 143
    torchrun(*TRAIN, "--out", tmp_path / "1to2", "--resume")
    assert_close(tmp_path / "one", tmp_path / "1to2")


@pytest.mark.slow
def test_a_generator_trained_by_two_is_taken_over_by_one(tmp_path: Path) -> None:
    """Its checkpoint is whole, its result printed once; the two agree on an arithmetic, which the one keeps."""
    arguments = ["-m", "firstsight", "train", "infogan-digits", "--width", "4", "--precision", "auto", "--json"]
    arguments += ["--out", str(tmp_path / "r")]
    done = torchrun(*arguments, "--epochs", "2")
    assert json.loads(done.stdout)["epochs"] == 2
    assert json.loads((tmp_path / "r" / "config.json").read_text())["processes"] == 2
    made = alone("-m", "firstsight", "generate", tmp_path / "r", "--n", "4", "--out", tmp_path / "g.png")
    assert "4 pictures of 16x16 by infogan" in made.stdout
    again = alone(*arguments, "--resume")
    assert json.loads(again.stdout)["metrics"] == json.loads(done.stdout)["metrics"]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False])
def test_a_killed_worker_is_started_again_and_the_run_finishes(tmp_path: Path, named: bool) -> None:
    """--max-restarts without --resume: the restarted processes continue from the last checkpoint by themselves."""
    out = tmp_path / "run" if named else tmp_path / "runs" / "lenet-digits" / "1"
    where = ["--out", str(out)] if named else []
    loud = [argument for argument in TRAIN if argument != "--quiet"]
    arguments = [*loud, "--epochs", "40", "--checkpoint-seconds", "0.5", "--json", *where]
    rendezvous = (
        ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"] if named else ["--master-port", free_port()]
    )
    command = [*TORCHRUN, *rendezvous, "--max-restarts", "1", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    job = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
    )
    deadline = time.monotonic() + 120
    while not list((out / "checkpoints").glob("0*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    workers = [c for c in children if "firstsight" in Path(f"/proc/{c}/cmdline").read_text()]
    assert len(workers) == 2
    os.kill(int(workers[1]), signal.SIGKILL)
    try:
        printed, complaints = job.communicate(timeout=150)
    finally:
        job.kill()
    assert job.returncode == 0, complaints
    result = json.loads(printed)
    assert result["epochs"] == 40
    assert "goes on after step" in complaints
    steps = [json.loads(line)["epoch"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 41))
    assert result["metrics"]["accuracy"] > 0.95


@pytest.mark.slow
def test_results_are_printed_once_and_errors_end_all(tmp_path: Path) -> None:
    done = torchrun(*TRAIN, "--epochs", "1", "--json", "--out", tmp_path / "r")
    assert json.loads(done.stdout)["epochs"] == 1
    config = json.loads((tmp_path / "r" / "config.json").read_text())
    assert config["processes"] == 2
    again = torchrun(*TRAIN, "--epochs", "1", "--out", tmp_path / "r", check=False)
    assert again.returncode != 0
    assert "already holds a run" in again.stderr
