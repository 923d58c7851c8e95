"""The training loop with a task of a single weight: when losses are read, checkpoints saved, and memory kept."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from firstsight.data.batches import BatchShard
from firstsight.engine import checkpoint
from firstsight.engine import loop as loop_module
from firstsight.engine.loop import Loop
from firstsight.engine.rundir import RunDirectory
from firstsight.recipes.train import NullCallback


class Batches:
    """Batches of two samples."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def ids(self, epoch: int, index: int) -> NDArray[np.int64]:
        return np.arange(2) + 2 * index

    def get(self, epoch: int, index: int) -> BatchShard:
        ids = self.ids(epoch, index)
        return BatchShard(ids=ids, epoch=epoch, index=index, global_size=len(ids), world_size=1, progress=0.0)


class OneWeightTask:
    """A task whose loss is the number of the step; each step takes ``seconds`` of the clock ``now``."""

    export_model = "net"
    monitor = "loss"

    def __init__(self, steps: int, *, seconds: float = 0.0) -> None:
        self.models: dict[str, nn.Module] = {"net": nn.Linear(1, 1)}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "net": torch.optim.SGD(self.models["net"].parameters(), lr=0.1)
        }
        self.batches = Batches(steps)
        self.steps_done = 0
        self.seconds = seconds
        self.now = 0.0

    def train_step(self, batch: BatchShard) -> dict[str, Tensor]:
        self.steps_done += 1
        self.now += self.seconds
        return {"loss": torch.tensor(float(self.steps_done))}

    def prepare(self, accelerator: Any) -> None:
        pass

    def evaluate(self) -> dict[str, float]:
        return {"accuracy": 0.5}

    def epoch_artifacts(self, epoch: int) -> Mapping[str, bytes]:
        return {}

    def warnings(self, history: Any) -> list[str]:
        return []

    def figures(self, history: Any) -> list[Any]:
        return []

    def summarize_result(self, metrics: Mapping[str, float]) -> Any:
        raise NotImplementedError

    def card(self, metrics: Mapping[str, float]) -> dict[str, str]:
        return {}


def stub_accelerator(device: str = "cpu", processes: int = 1) -> Any:
    """Return the parts of an accelerator that the loop uses."""
    return SimpleNamespace(
        num_processes=processes,
        process_index=0,
        is_main_process=True,
        device=torch.device(device),
        scaler=None,
        unwrap_model=lambda model: model,
    )


class LossCallback(NullCallback):
    """Records the loss of each step, and how many steps were done when it was read."""

    def __init__(self, task: OneWeightTask) -> None:
        self.task = task
        self.read: list[tuple[float, int]] = []

    def on_step_end(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        self.read.append((loss, self.task.steps_done))


@pytest.mark.parametrize(
    ("device", "read_after"), [("cpu", [*range(1, 24)]), ("cuda", [10] * 10 + [20] * 10 + [23] * 3)]
)
def test_losses_are_read_every_step_on_a_cpu_and_every_ten_steps_on_a_gpu(device: str, read_after: list[int]) -> None:
    task = OneWeightTask(23)
    callback = LossCallback(task)
    Loop(task, stub_accelerator(device), None, callback, epochs=1, seed=0, checkpoint_seconds=60).train()
    assert callback.read == [(float(step), after) for step, after in enumerate(read_after, 1)]


def test_several_processes_agree_every_ten_steps() -> None:
    for accelerator, steps in ((stub_accelerator(processes=2), 10), (stub_accelerator(), 1)):
        loop = Loop(OneWeightTask(1), accelerator, None, NullCallback(), epochs=1, seed=0, checkpoint_seconds=60)
        assert loop.sync_steps == steps


@pytest.mark.parametrize(
    ("checkpoint_seconds", "seconds_per_step", "saved"),
    [
        (0.0, 0.0, [1, 2, 3, 4, 5, 6, 7]),  # 0 saves every step, even if the clock does not advance
        (10.0, 5.0, [2, 4, 6, 7]),  # when 10 seconds have passed, and at the end
        (11.0, 5.0, [3, 6, 7]),
        (100.0, 5.0, [7]),
    ],
)
def test_checkpoints_are_saved_after_the_given_time_and_at_the_end(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    checkpoint_seconds: float,
    seconds_per_step: float,
    saved: list[int],
) -> None:
    task = OneWeightTask(7, seconds=seconds_per_step)
    steps: list[int] = []
    monkeypatch.setattr(loop_module, "time", SimpleNamespace(monotonic=lambda: task.now))
    monkeypatch.setattr(checkpoint, "save", lambda root, step, **_: steps.append(step))
    run = RunDirectory(tmp_path / "run")
    Loop(task, stub_accelerator(), run, NullCallback(), epochs=1, seed=0, checkpoint_seconds=checkpoint_seconds).train()
    run.close()
    assert steps == saved


@pytest.mark.parametrize(("device", "calls"), [("cpu", 1), ("cuda", 0)])
def test_freed_memory_is_kept_on_a_cpu_only(monkeypatch: pytest.MonkeyPatch, device: str, calls: int) -> None:
    """The setting of the C library affects the whole process, so it is only counted here (see test_memory.py)."""
    kept: list[bool] = []
    monkeypatch.setattr(loop_module, "keep_freed_memory", lambda: kept.append(True))
    task = OneWeightTask(2)
    Loop(task, stub_accelerator(device), None, NullCallback(), epochs=1, seed=0, checkpoint_seconds=60).train()
    assert len(kept) == calls
