"""Training loop of all tasks: steps, evaluation, metrics and checkpoints.

A resumed run ends with the same bits as an uninterrupted one. With several processes, all agree on when to stop and to
save. A signal stops the loop after the running step.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from firstsight.atomic_io import to_run_error
from firstsight.data.rng import random_bits
from firstsight.documents.runs import RunProgress, TrainState, null_to_nan
from firstsight.engine import checkpoint
from firstsight.engine.memory import keep_freed_memory
from firstsight.engine.rundir import RunDirectory, describe_resume, incomplete_metrics, package_versions, read_metrics
from firstsight.engine.signals import StopRequest
from firstsight.engine.task import EarlyStoppingTask, Task
from firstsight.errors import Interrupted, RunError

SYNC_STEPS = 10
"""Steps between synchronizations (reading losses, exchanging stop requests) with several processes or on a GPU.

One process on a CPU synchronizes at every step.
"""


class Callback(Protocol):
    """Receiver of the events of a run, such as a progress bar or a logger."""

    def note(self, line: str) -> None:
        """Handle a message about the progress."""

    def warn(self, line: str) -> None:
        """Handle a warning that qualifies the results."""

    def on_step_end(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        """Handle the end of a step.

        Parameters
        ----------
        epoch, epochs : int
            Epoch, counted from 1, and number of epochs.
        index, steps : int
            Step in the epoch, counted from 1, and steps per epoch.
        loss : float
            Value of the task's monitored scalar.
        """

    def on_epoch_end(self, line: Mapping[str, Any], epochs: int) -> None:
        """Handle the end of an epoch, after its evaluation.

        Parameters
        ----------
        line : Mapping[str, Any]
            Metrics of the epoch, as in ``metrics.jsonl``.
        epochs : int
            Number of epochs.
        """


@dataclass(frozen=True)
class TrainOutcome:
    """Outcome of a finished run.

    Attributes
    ----------
    epochs : int
        Epochs trained in total.
    metrics : dict[str, float]
        Metrics of the last evaluation.
    seconds : float
        Time for training and evaluation, over all resumptions.
    samples_per_second : float
        Training samples per second of training steps, over all processes.
    early_stopping : str
        When the training stopped, and which weights are kept; empty without early stopping.
    kept_epoch : int
        Epoch whose weights are kept; the last one without early stopping.
    """

    epochs: int
    metrics: dict[str, float]
    seconds: float
    samples_per_second: float
    early_stopping: str
    kept_epoch: int


class Loop:
    """Training loop of a task in a run directory.

    On a CPU the bits of the result also depend on torch's number of threads. A checkpoint saves it, and `restore` sets
    it.

    Parameters
    ----------
    task : Task
        The task, prepared with the accelerator.
    accelerator : Accelerator
        The accelerator.
    run : RunDirectory | None
        Open run directory on the first process; None on the others.
    callback : Callback
        Receives the events of the run.
    epochs : int
        Number of epochs.
    seed : int
        Seed of the random generators in the training steps.
    checkpoint_seconds : float
        Seconds between checkpoints; the end of the run is always saved. 0 saves every step.
    evaluate_every : int
        Epochs between evaluations; the last epoch is always evaluated.
    patience : int
        Stop after this many epochs without a lower validation loss, and keep the weights of the best epoch. The task
        is an `EarlyStoppingTask`. 0 trains all epochs and keeps the last weights.
    """

    def __init__(
        self,
        task: Task,
        accelerator: Accelerator,
        run: RunDirectory | None,
        callback: Callback,
        *,
        epochs: int,
        seed: int,
        checkpoint_seconds: float,
        evaluate_every: int = 1,
        patience: int = 0,
    ) -> None:
        self.task = task
        self.accelerator = accelerator
        self.run = run
        self.callback = callback
        self.epochs = epochs
        self.seed = seed
        self.checkpoint_seconds = checkpoint_seconds
        self.evaluate_every = evaluate_every
        self.patience = patience
        self.state = TrainState()
        self.metrics: dict[str, float] = {}
        is_single_cpu = accelerator.num_processes == 1 and accelerator.device.type == "cpu"
        self.sync_steps = 1 if is_single_cpu else SYNC_STEPS
        self._history: list[Mapping[str, Any]] = []  # on the first process only
        self._shown_warnings: set[str] = set()
        self._pending: list[tuple[int, int, int, dict[str, Tensor]]] = []  # epoch, index, batch size, scalars
        self._saved_step = -1
        self._saved_at = self._started_at = time.monotonic()
        self._stop = StopRequest()

    def restore(self, saved: checkpoint.Checkpoint) -> None:
        """Restore the models, the optimizers and the state of the loop from a checkpoint."""
        models = {name: self.accelerator.unwrap_model(model) for name, model in self.task.models.items()}
        checkpoint.restore(saved, models=models, optimizers=self.task.optimizers)
        self.state = saved.progress.loop
        self.metrics = null_to_nan(saved.progress.metrics)
        self._saved_step = self.state.step
        scaler = saved.progress.scaler
        if scaler and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(scaler)
        if self.accelerator.device.type == "cpu":
            torch.set_num_threads(saved.progress.threads)
        if self.run:
            checkpoint.remove_others(self.run.checkpoints, self.state.step)
            self.rewind_metrics(self.state.step)

    def rewind_metrics(self, step: int) -> None:
        """Remove the metrics after an optimizer step, and warn of lines that are damaged."""
        if not self.run:
            return
        try:
            problems = self.run.rewind_metrics(step)
        except OSError as error:
            raise to_run_error(error, self.run.path, self._saved_text()) from error
        for problem in problems:
            self.callback.warn(f"{problem}; the line is left out")
        self._history = [*read_metrics(self.run.path).lines]
        self._shown_warnings = set(self._warnings())

    def train(self) -> TrainOutcome:
        """Train until the last epoch.

        Raises
        ------
        RunError
            If a loss or a weight is not finite, or the run directory cannot be written. The last good checkpoint is
            kept.
        Interrupted
            If a signal arrives; the state is saved.
        """
        if self.accelerator.device.type == "cpu":
            keep_freed_memory()
        steps = self.task.batches.steps
        self._started_at = time.monotonic() - self.state.seconds
        self._saved_at = time.monotonic()
        with StopRequest() as self._stop:
            while not self.is_finished:
                epoch = self.state.step // steps
                self.train_epoch(epoch)
                self._finish_epoch(epoch)
                if self.patience and self.is_finished:
                    self._restore_best()
                self._sync(epoch, steps - 1, final=self.is_finished)
        speed = self.state.samples / self.state.train_seconds if self.state.train_seconds else 0.0
        epochs = self.state.step // steps
        return TrainOutcome(
            epochs=epochs,
            metrics=self.metrics,
            seconds=self.state.seconds,
            samples_per_second=speed,
            early_stopping=self._describe_early_stopping(),
            kept_epoch=self.state.best_epoch if self.patience else epochs,
        )

    @property
    def is_finished(self) -> bool:
        """True at the end of the last epoch, and when early stopping has ended the training."""
        return self.state.step // self.task.batches.steps >= self.epochs or self.is_stopped_early

    @property
    def is_stopped_early(self) -> bool:
        """True if the validation loss was not lower for `patience` epochs; more epochs change nothing then."""
        epochs = self.state.step // self.task.batches.steps
        return bool(self.patience) and epochs - self.state.best_epoch >= self.patience

    def _validate(self, epoch: int) -> dict[str, float]:
        """Evaluate on the validation images, and keep the weights if their loss is the lowest so far."""
        task = cast(EarlyStoppingTask, self.task)
        metrics = task.validate()
        if self.state.best_loss is None or metrics["loss"] < self.state.best_loss:
            self.state.best_epoch, self.state.best_loss = epoch + 1, metrics["loss"]
            task.keep_weights()
        return {f"val/{name}": value for name, value in metrics.items()}

    def _restore_best(self) -> None:
        """Replace the weights by those of the best epoch, and evaluate them."""
        cast(EarlyStoppingTask, self.task).restore_weights()
        self.metrics = self.task.evaluate()

    def _describe_early_stopping(self) -> str:
        """Return when the training stopped, and which weights are kept; an empty string without early stopping."""
        if not self.patience:
            return ""
        epochs, state = self.state.step // self.task.batches.steps, self.state
        kept = f"the weights of epoch {state.best_epoch} are kept (validation loss {state.best_loss:.4f})"
        if epochs < self.epochs:
            reason = f"the validation loss was not lower for {epochs - state.best_epoch} epochs"
            return f"stopped after epoch {epochs} of {self.epochs}, because {reason}; {kept}"
        return f"trained all {epochs} epochs; {kept}"

    def train_epoch(self, epoch: int) -> None:
        """Run the remaining steps of an epoch, without its evaluation."""
        steps = self.task.batches.steps
        for index in range(self.state.step % steps, steps):
            self._step(epoch, index)
            if index == steps - 1:
                self._read_losses()  # the checkpoint at the end of an epoch is saved after its evaluation
            elif self.state.step % self.sync_steps == 0:
                self._sync(epoch, index)

    def _step(self, epoch: int, index: int) -> None:
        """Train on one batch.

        The global random generators are seeded from (seed, step, rank), so checkpoints need not store their state.
        """
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
        """Synchronize the processes: read the pending losses, save if it is due, and stop if a signal arrived."""
        self.state.seconds = time.monotonic() - self._started_at
        is_due = time.monotonic() - self._saved_at >= self.checkpoint_seconds
        signal_number, should_save = self._agree(self._stop.signal_number, is_due or final)
        self._read_losses()
        if signal_number or should_save:
            self._save()
        if signal_number:
            position = f"epoch {epoch + 1}, step {index + 1} of {self.task.batches.steps}"
            advice = describe_resume(self.run.path) if self.run else "`resume=True`"
            message = f"stopped at {position}; the state is saved, continue with: {advice}"
            raise Interrupted(message, signal_number)

    def _agree(self, signal_number: int, is_due: bool) -> tuple[int, bool]:
        """Return the highest signal that any process received, and whether the first process wants to save."""
        if self.accelerator.num_processes == 1:
            return signal_number, is_due
        local = torch.tensor([signal_number, is_due and self.accelerator.is_main_process], dtype=torch.float32)
        gathered = self.accelerator.gather(local.to(self.accelerator.device)[None])
        highest = gathered.max(0).values
        return int(highest[0]), bool(highest[1])

    def _read_losses(self) -> None:
        """Add the pending scalars to the sums of the epoch; raise if a value is not finite."""
        if not self._pending:
            return
        started = time.monotonic()
        names = sorted(self._pending[0][3])
        table = torch.stack([torch.stack([scalars[name] for name in names]).double() for *_, scalars in self._pending])
        if self.accelerator.num_processes > 1:
            table = self.accelerator.reduce(table, reduction="mean")
        sums = self.state.sums or dict.fromkeys(names, 0.0)
        for (epoch, index, size, _), row in zip(self._pending, table.tolist(), strict=True):
            if not all(math.isfinite(value) for value in row):
                self._raise_not_finite(epoch, index, dict(zip(names, row, strict=True)))
            for name, value in zip(names, row, strict=True):
                sums[name] += value * size
            self.state.counted += size
            loss = row[names.index(self.task.monitor)]
            self.callback.on_step_end(epoch + 1, self.epochs, index + 1, self.task.batches.steps, loss)
        self.state.sums = sums
        self._pending.clear()
        self.state.train_seconds += time.monotonic() - started  # reading waits for the GPU to finish the steps

    def _raise_not_finite(self, epoch: int, index: int, scalars: Mapping[str, float]) -> None:
        ids = self.task.batches.ids(epoch, index)
        values = ", ".join(f"{name} {value}" for name, value in scalars.items() if not math.isfinite(value))
        raise RunError(
            f"{values} at epoch {epoch + 1}, batch {index + 1} of {self.task.batches.steps}"
            f" (samples {', '.join(map(str, ids[:8]))}{', ...' if len(ids) > 8 else ''}); {self._saved_text()}."
            " A smaller `lr` usually helps"
        )

    def _finish_epoch(self, epoch: int) -> None:
        """Evaluate, write the metrics line, and reset the sums."""
        sums, counted = self.state.sums or {}, max(self.state.counted, 1)
        train_metrics = {f"train/{name}": value / counted for name, value in sums.items()}
        test_metrics: dict[str, float] = {}
        val_metrics = self._validate(epoch) if self.patience else {}
        if (epoch + 1) % self.evaluate_every == 0 or self.is_finished:
            self.metrics = self.task.evaluate()
            test_metrics = {f"test/{name}": value for name, value in self.metrics.items()}
        self.state.seconds = time.monotonic() - self._started_at
        self.state.sums, self.state.counted = None, 0
        position = {"epoch": epoch + 1, "step": self.state.step}
        metrics = {**train_metrics, **val_metrics, **test_metrics}
        line = {**position, **metrics, "seconds": round(self.state.seconds, 3)}
        if self.run:
            try:
                for name, content in self.task.epoch_artifacts(epoch + 1).items():
                    self.run.write(name, content)
                self.run.append_metrics(line)
            except OSError as error:
                raise to_run_error(error, self.run.path, self._saved_text()) from error
        self.callback.on_epoch_end(line, self.epochs)
        if self.accelerator.is_main_process:
            self._history.append(line)
            self._show_new_warnings()

    def _show_new_warnings(self) -> None:
        for sentence in self._warnings():
            if sentence not in self._shown_warnings:
                self._shown_warnings.add(sentence)
                self.callback.warn(sentence)

    def _warnings(self) -> list[str]:
        with incomplete_metrics(self.run.path if self.run else None):
            return self.task.warnings(self._history)

    def _saved_text(self) -> str:
        if self._saved_step < 0:
            return "no checkpoint was saved yet"
        return f"the checkpoint of step {self._saved_step} is kept"

    def _save(self) -> None:
        """Write a checkpoint on the first process; raise if a weight is not finite."""
        if self._saved_step == self.state.step:
            return
        models = {name: self.accelerator.unwrap_model(model) for name, model in self.task.models.items()}
        for name, model in models.items():
            for key, tensor in model.state_dict().items():
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    problem = f"{name}.{key} is not finite after step {self.state.step}"
                    raise RunError(f"{problem}; {self._saved_text()}. A smaller `lr` usually helps")
        if self.run:
            scaler = self.accelerator.scaler
            progress = RunProgress(
                loop=self.state,
                metrics={**self.metrics},
                threads=torch.get_num_threads(),
                scaler=scaler.state_dict() if scaler is not None else None,
            )
            try:
                checkpoint.save(
                    self.run.checkpoints,
                    self.state.step,
                    models=models,
                    optimizers=self.task.optimizers,
                    progress=progress,
                    cards=self.task.card(self.metrics),
                    versions=package_versions(),
                )
            except OSError as error:
                raise to_run_error(error, self.run.checkpoints, self._saved_text()) from error
        self._saved_step, self._saved_at = self.state.step, time.monotonic()


def seed_everything(seed: int) -> None:
    """Seed torch's generators on all devices; faster than `torch.manual_seed` on a machine without a GPU."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
