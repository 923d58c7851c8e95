"""The one training loop: steps, checkpoints, metrics; exact on resume, agreed between processes, stopped gently."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from firstsight.data.rng import random_bits
from firstsight.engine import checkpoint
from firstsight.engine.atomic_io import to_run_error
from firstsight.engine.memory import keep_freed_memory
from firstsight.engine.rundir import RunDirectory, read_metrics, versions
from firstsight.engine.signals import StopRequest
from firstsight.engine.task import Task
from firstsight.errors import Interrupted, RunError

SYNC_STEPS = 10
"""With several processes or on a GPU, losses are read and wishes exchanged every so many steps; else at every step."""


class Callback(Protocol):
    """Who wants to know how the run goes: a progress bar, a log, nobody."""

    def note(self, line: str) -> None:
        """How it goes."""

    def warn(self, line: str) -> None:
        """What a reader of the results must know."""

    def step(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        """A step was done (both counted from 1)."""

    def epoch(self, line: Mapping[str, Any], epochs: int) -> None:
        """An epoch was finished and evaluated."""


@dataclass
class TrainState:
    """Where the loop stands; all of it goes into the checkpoint.

    Parameters
    ----------
    step : int
        Updates done since the start of the run.
    samples : int
        Training samples consumed, over all processes.
    sums : dict[str, float] | None
        Of each scalar of the running epoch, weighted by the samples of its batch.
    counted : int
        Samples in ``sums``.
    train_seconds, seconds : float
        Time in training steps, and in all.
    """

    step: int = 0
    samples: int = 0
    sums: dict[str, float] | None = None
    counted: int = 0
    train_seconds: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class TrainOutcome:
    """How a run ended.

    Parameters
    ----------
    epochs : int
        Epochs trained in all.
    metrics : dict[str, float]
        Of the last evaluation.
    seconds : float
        Of training and evaluating, over all resumptions.
    samples_per_second : float
        Training samples per second of training steps, over all processes.
    """

    epochs: int
    metrics: dict[str, float]
    seconds: float
    samples_per_second: float


class Loop:
    """Train a task for so many epochs in a run directory.

    Parameters
    ----------
    run : RunDirectory | None
        The open run directory; None on all processes but the first.
    evaluate_every : int
        The task is evaluated after every so many epochs, and after the last.
    checkpoint_seconds : float
        Time between checkpoints; one is also written at the end of the run. 0 writes one every step.
    threads
        Of torch on a CPU, part of what the bits depend on; kept in the checkpoint and set again on resume.
    """

    def __init__(
        self, task: Task, accelerator: Accelerator, run: RunDirectory | None, callback: Callback, *,
        epochs: int, seed: int, checkpoint_seconds: float, evaluate_every: int = 1,
    ) -> None:  # fmt: skip
        self.evaluate_every = evaluate_every
        self.task, self.accelerator, self.run, self.callback = task, accelerator, run, callback
        self.epochs, self.seed, self.checkpoint_seconds = epochs, seed, checkpoint_seconds
        self.state = TrainState()
        self.metrics: dict[str, float] = {}
        alone = accelerator.num_processes == 1 and accelerator.device.type == "cpu"
        self.sync_steps = 1 if alone else SYNC_STEPS
        self._lines: list[Mapping[str, Any]] = []  # of every finished epoch; on the first process only
        self._warned: set[str] = set()
        self._pending: list[tuple[int, int, int, dict[str, Tensor]]] = []
        self._saved_step = -1
        self._saved_at = self._began = time.monotonic()
        self._stop = StopRequest()

    def restore(self, state: checkpoint.State) -> None:
        """Continue from a checkpoint."""
        models = {name: self.accelerator.unwrap_model(model) for name, model in self.task.models.items()}
        checkpoint.restore(state, models=models, optimizers=self.task.optimizers)
        self.state = TrainState(**state.progress["loop"])
        self.metrics = state.progress["metrics"]
        self._saved_step = self.state.step
        scaler = state.progress.get("scaler")
        if scaler and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(scaler)
        if self.accelerator.device.type == "cpu":
            torch.set_num_threads(state.progress["threads"])
        if self.run:
            self.run.rewind_metrics(self.state.step)
            self._lines = [*read_metrics(self.run.path)]
            self._warned = set(self.task.warnings(self._lines))  # what was said already

    def train(self) -> TrainOutcome:
        """Run to the end.

        Raises
        ------
        RunError
            A loss or a weight is not finite, or the disk cannot be written; the last good checkpoint stands.
        Interrupted
            A signal arrived; the state is saved.
        """
        if self.accelerator.device.type == "cpu":
            keep_freed_memory()
        steps = self.task.batches.steps
        self._began = time.monotonic() - self.state.seconds
        self._saved_at = time.monotonic()
        with StopRequest() as self._stop:
            for epoch in range(self.state.step // steps, self.epochs):
                self.train_epoch(epoch)
                self._finish_epoch(epoch)
                self._sync(epoch, steps - 1, final=epoch == self.epochs - 1)
        speed = self.state.samples / self.state.train_seconds if self.state.train_seconds else 0.0
        return TrainOutcome(self.epochs, self.metrics, self.state.seconds, speed)

    def train_epoch(self, epoch: int) -> None:
        """The steps of an epoch that are still to do; its evaluation is not part of it."""
        steps = self.task.batches.steps
        for index in range(self.state.step % steps, steps):
            self._step(epoch, index)
            if index == steps - 1:
                self._read_losses()  # no checkpoint here: one holds an epoch's evaluation or nothing of its end
            elif self.state.step % self.sync_steps == 0:
                self._sync(epoch, index)

    def _step(self, epoch: int, index: int) -> None:
        """One update. The ambient generators are seeded from (seed, step, rank): nothing of them needs storing."""
        started = time.monotonic()
        rank = self.accelerator.process_index
        bits = random_bits(np.array([self.state.step]), seed=self.seed, epoch=rank, stream=97)
        seed_everything(int(bits[0] >> 1))
        batch = self.task.batches.get(epoch, index)
        scalars = self.task.train_step(batch)
        self._pending.append((epoch, index, batch.global_size, scalars))
        self.state.step += 1
        self.state.samples += batch.global_size
        self.state.train_seconds += time.monotonic() - started

    def _sync(self, epoch: int, index: int, *, final: bool = False) -> None:
        """Read the losses since the last time, agree between processes, save if it is time, stop if asked."""
        self.state.seconds = time.monotonic() - self._began
        due = time.monotonic() - self._saved_at >= self.checkpoint_seconds
        signal_number, save = self._agree(self._stop.number, due or final)
        self._read_losses()
        if signal_number or save:
            self._save()
        if signal_number:
            where = f"epoch {epoch + 1}, step {index + 1} of {self.task.batches.steps}"
            raise Interrupted(f"stopped at {where}; the state is saved, continue with --resume", signal_number)

    def _agree(self, signal_number: int, due: bool) -> tuple[int, bool]:
        """The highest signal that any process received, and whether the first process wants a checkpoint."""
        if self.accelerator.num_processes == 1:
            return signal_number, due
        mine = torch.tensor([signal_number, int(due) if self.accelerator.is_main_process else 0], dtype=torch.float32)
        every = self.accelerator.gather(mine.to(self.accelerator.device)[None])
        highest = every.max(0).values
        return int(highest[0]), bool(highest[1])

    def _read_losses(self) -> None:
        """Add the pending scalars to the epoch's sums; a value that is not finite ends the run."""
        if not self._pending:
            return
        started = time.monotonic()
        names = sorted(self._pending[0][3])
        table = torch.stack([torch.stack([scalars[name] for name in names]).double() for *_, scalars in self._pending])
        if self.accelerator.num_processes > 1:
            table = self.accelerator.reduce(table, reduction="mean")
        sums = self.state.sums or dict.fromkeys(names, 0.0)
        loss = 0.0
        for (epoch, index, size, _), row in zip(self._pending, table.tolist(), strict=True):
            if not all(math.isfinite(value) for value in row):
                self._refuse(epoch, index, dict(zip(names, row, strict=True)))
            for name, value in zip(names, row, strict=True):
                sums[name] += value * size
            self.state.counted += size
            loss = row[names.index(self.task.monitor)]
            self.callback.step(epoch + 1, self.epochs, index + 1, self.task.batches.steps, loss)
        self.state.sums = sums
        self._pending.clear()
        self.state.train_seconds += time.monotonic() - started  # on a GPU the steps' work ends here

    def _refuse(self, epoch: int, index: int, row: Mapping[str, float]) -> None:
        ids = self.task.batches.ids(epoch, index)
        values = ", ".join(f"{name} {value}" for name, value in row.items() if not math.isfinite(value))
        kept = (
            f"the checkpoint of step {self._saved_step} is kept"
            if self._saved_step >= 0
            else "no checkpoint was due yet"
        )
        raise RunError(
            f"{values} at epoch {epoch + 1}, batch {index + 1} of {self.task.batches.steps}"
            f" (samples {', '.join(map(str, ids[:8]))}{', ...' if len(ids) > 8 else ''}); {kept}."
            " A smaller --lr usually helps"
        )

    def _finish_epoch(self, epoch: int) -> None:
        """Evaluate, write the metrics line, begin new sums."""
        sums, counted = self.state.sums or {}, max(self.state.counted, 1)
        training = {f"train/{name}": value / counted for name, value in sums.items()}
        if (epoch + 1) % self.evaluate_every == 0 or epoch + 1 == self.epochs:
            self.metrics = self.task.evaluate()
            measured = {f"test/{name}": value for name, value in self.metrics.items()}
        else:
            measured = {}
        self.state.seconds = time.monotonic() - self._began
        self.state.sums, self.state.counted = None, 0
        line = {
            "epoch": epoch + 1,
            "step": self.state.step,
            **training,
            **measured,
            "seconds": round(self.state.seconds, 3),
        }
        if self.run:
            try:
                for name, content in self.task.epoch_artifacts(epoch + 1).items():
                    self.run.write(name, content)
                self.run.append_metrics(line)
            except OSError as error:
                raise to_run_error(error, self.run.path, self._safe()) from error
        self.callback.epoch(line, self.epochs)
        if self.accelerator.is_main_process:
            self._lines.append(line)
            for sentence in self.task.warnings(self._lines):
                if sentence not in self._warned:
                    self._warned.add(sentence)
                    self.callback.warn(sentence)

    def _safe(self) -> str:
        return (
            f"the checkpoint of step {self._saved_step} is safe" if self._saved_step >= 0 else "nothing was saved yet"
        )

    def _save(self) -> None:
        """Write a checkpoint on the first process, unless a weight is not finite."""
        if self._saved_step == self.state.step:
            return
        models = {name: self.accelerator.unwrap_model(model) for name, model in self.task.models.items()}
        for name, model in models.items():
            for key, tensor in model.state_dict().items():
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    place = f"{name}.{key} is not finite after step {self.state.step}"
                    raise RunError(f"{place}; {self._safe()}. A smaller --lr usually helps")
        if self.run:
            scaler = self.accelerator.scaler
            try:
                checkpoint.save(
                    self.run.checkpoints, self.state.step, models=models, optimizers=self.task.optimizers,
                    progress={
                        "loop": vars(self.state), "metrics": self.metrics, "threads": torch.get_num_threads(),
                        "scaler": scaler.state_dict() if scaler is not None else None,
                    },
                    cards=self.task.card(self.metrics), versions=versions(),
                )  # fmt: skip
            except OSError as error:
                raise to_run_error(error, self.run.checkpoints, self._safe()) from error
        self._saved_step, self._saved_at = self.state.step, time.monotonic()


def seed_everything(seed: int) -> None:
    """Seed torch's generators as `torch.manual_seed` does, without its search for a GPU that is not there."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
