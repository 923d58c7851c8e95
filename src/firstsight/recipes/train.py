"""A recipe as a run: data, network, task, engine, report."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate.utils import broadcast_object_list

from firstsight.engine import checkpoint
from firstsight.engine.accelerator import computes_bfloat16, leave_at_exit, make_accelerator
from firstsight.engine.atomic_io import to_run_error
from firstsight.engine.loop import Callback, Loop, TrainOutcome
from firstsight.engine.rundir import RunDirectory, create, read_config, versions
from firstsight.engine.task import Task
from firstsight.errors import FirstsightError
from firstsight.recipes.recipe import Recipe
from firstsight.recipes.report import About, finish
from firstsight.recipes.resolve import launcher, resolve, restarted
from firstsight.tasks.builder import Builder, shown
from firstsight.tasks.settings import Settings
from firstsight.tasks.spec import task_of

BF16_EMULATED = (
    "this processor seems to have no arithmetic for bfloat16; imitated, it takes many times as long as float32;"
    " a new run with --precision auto takes it only where it is quick"
)


@dataclass(frozen=True)
class Result:
    """What a training run gave.

    Parameters
    ----------
    headline : str
        The result in a few words ("test accuracy 99.72%").
    metrics : dict[str, float]
        Of the last epoch; for a classifier accuracy in [0, 1] and loss in nats.
    samples_per_second : float
        Training images per second of training steps.
    """

    recipe: str
    run_dir: Path
    epochs: int
    headline: str
    metrics: dict[str, float]
    seconds: float
    samples_per_second: float
    parameters: int


class NullCallback:
    """An observer that does not look."""

    def note(self, line: str) -> None:
        """Nothing."""

    def warn(self, line: str) -> None:
        """Nothing."""

    def step(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        """Nothing."""

    def epoch(self, line: Mapping[str, Any], epochs: int) -> None:
        """Nothing."""


@dataclass(frozen=True)
class RunOptions:
    """Where and how a run is carried out; nothing of it changes the result's meaning.

    Parameters
    ----------
    out : Path | None
        The run directory; ``runs/<recipe>/<n>`` if None.
    device : Literal['auto', 'cpu', 'cuda', 'mps']
        "auto" (a GPU if there is one), "cpu", "cuda" or "mps".
    strict : bool
        Refuse data with unusable pictures.
    checkpoint_seconds : float
        Time between checkpoints.
    log : Literal['none', 'tensorboard']
        "none" or "tensorboard".
    """

    out: Path | None = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    strict: bool = False
    checkpoint_seconds: float = 30.0
    log: Literal["none", "tensorboard"] = "none"


def train(
    recipe: str,
    *,
    resume: bool = False,
    where: RunOptions | None = None,
    callback: Callback | None = None,
    out: str | Path | None = None,
    **changes: Any,
) -> Result:
    """Train a recipe, or a model by its default recipe.

    Parameters
    ----------
    recipe : str
        A name of `list_recipes`, or of a model.
    resume : bool
        Continue the run in ``out`` (or the latest of this recipe); a new one begins if there is none.
    where : RunOptions | None
        The device, the run directory and what else does not change the result; ``out`` is its short form.
    observer
        Is told of every step and epoch.
    **changes : Any
        Fields of `Settings`: ``data``, ``epochs``, ``batch_size``, ``lr``, ``seed``, ...

    Raises
    ------
    UsageError
        Unknown recipe or field, an impossible value, settings that differ from those of the run to continue.
    DataError, RunError, CheckpointError
        The data, the run directory or its checkpoints cannot be used.
    Interrupted
        SIGTERM or Ctrl-C; the state is saved.
    """
    where = where or RunOptions(out=Path(out) if out else None)
    resume = resume or restarted()
    chosen, settings, continued = resolve(recipe, changes, resume=resume, out=where.out)
    return TrainingRun(chosen, settings, where, callback or NullCallback()).run(resume=resume, continued=continued)


class TrainingRun:
    """One carrying-out of a recipe: what `train` does, in steps."""

    def __init__(self, recipe: Recipe, settings: Settings, where: RunOptions, callback: Callback) -> None:
        self.recipe, self.where = recipe, where
        self.accelerator = make_accelerator(settings.precision, where.device)
        half = self.accelerator.mixed_precision == "bf16"
        if settings.precision == "auto":  # the run's record says what it was, and a resumed run keeps it
            settings = replace(settings, precision="bfloat16" if half else "float32")
        self.settings = settings
        self.first = self.accelerator.is_main_process
        self.callback: Callback = callback if self.first else NullCallback()
        device = self.accelerator.device.type
        if half and device != "mps" and not computes_bfloat16(device):  # of mps nothing is known
            self.callback.warn(BF16_EMULATED)
        self.materials = self._materials()

    def _materials(self) -> Builder[Task]:
        """Return the experiment builder of the task."""
        build = task_of(self.recipe.model).resolve("build")
        builder: Builder[Task] = build(
            self.recipe.name,
            self.recipe.model,
            self.settings,
            self.accelerator,
            self.callback,
            strict=self.where.strict,
        )
        return builder

    def run(self, *, resume: bool, continued: Path | None) -> Result:
        """Load, build, train, report."""
        sets = self.materials.load()
        task = self.make_task(*sets)
        run = self._open(task, resume=resume, continued=continued)
        try:
            self._tensorboard(run)
            outcome = self._train(task, run, resume=resume)
            net = self.accelerator.unwrap_model(task.models[task.export_model])
            result = Result(
                recipe=self.recipe.name, run_dir=self.run_dir, epochs=outcome.epochs,
                headline=task.summarize_result(outcome.metrics).headline, metrics=outcome.metrics,
                seconds=outcome.seconds, samples_per_second=outcome.samples_per_second,
                parameters=sum(p.numel() for p in net.parameters()),
            )  # fmt: skip
            if run:
                try:
                    finish(task, run, outcome, self.about(result.parameters))
                except OSError as error:
                    raise to_run_error(error, run.path, "the training is saved; continue with --resume") from error
        finally:
            if run:
                run.close()
        self.accelerator.wait_for_everyone()
        leave_at_exit()
        return result

    def make_task(self, train: Any, test: Any) -> Task:
        """Networks, batches and optimizers, on the device and ready to train."""
        return self.materials.make_task(train, test)

    def _open(self, task: Task, *, resume: bool, continued: Path | None) -> RunDirectory | None:
        """Open the run directory on the first process; its refusal is everybody's."""
        answer: list[Any] = [None, None]
        run: RunDirectory | None = None
        if self.first:
            try:
                path = self.where.out or continued or create(Path("runs") / self.recipe.name)
                run = RunDirectory(path)
                if resume and read_config(path) is None:
                    self.callback.note(f"nothing to resume in {path}: a new run begins")
                config = {
                    "recipe": self.recipe.name, "model": self.recipe.model, "settings": asdict(self.settings),
                    "data": self.materials.data, "notes": list(self.materials.notes), "versions": versions(),
                    "processes": self.accelerator.num_processes, "device": str(self.accelerator.device),
                    "threads": torch.get_num_threads(), "launcher": launcher(),
                }  # fmt: skip
                run.begin(config, resume=resume)
                answer = [path, None]
            except FirstsightError as error:
                answer = [None, error]
            except OSError as error:
                answer = [None, to_run_error(error, self.where.out or Path("runs"))]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(answer)
        if answer[1] is not None:
            if run:
                run.close()
            raise answer[1]
        self.run_dir: Path = answer[0]
        data, epochs, device = self.materials.data, self.materials.epochs, self.accelerator.device.type
        sizes = f"{data['train_images']:,} images, {data['test_images']:,} to test"
        where = f"{epochs} epoch{'s' if epochs > 1 else ''} on {device}, in {self.run_dir}"
        self.callback.note(f"{self.recipe.name}: {self.recipe.model} on {data['name']} ({sizes}), {where}")
        return run

    def _train(self, task: Task, run: RunDirectory | None, *, resume: bool) -> TrainOutcome:
        loop = Loop(
            task, self.accelerator, run, self.callback, epochs=self.materials.epochs, seed=self.settings.seed,
            checkpoint_seconds=self.where.checkpoint_seconds, evaluate_every=self.settings.evaluate_every,
        )  # fmt: skip
        if resume:
            state, troubles = checkpoint.newest(self.run_dir / "checkpoints")
            for trouble in troubles:
                self.callback.warn(f"{trouble}; the checkpoint before it is used")
            if state:
                loop.restore(state)
                steps = self.materials.epochs * task.batches.steps
                done = loop.state.step >= steps
                what = (
                    "is finished, nothing is left to train"
                    if done
                    else f"goes on after step {loop.state.step} of {steps}"
                )
                self.callback.note(f"{self.run_dir} {what}")
            elif run:
                run.rewind_metrics(-1)
        return loop.train()

    def about(self, parameters: int) -> About:
        """What the report says of this run."""
        environment = {
            **versions(), "device": str(self.accelerator.device), "processes": self.accelerator.num_processes,
            "threads per process": torch.get_num_threads(),
        }  # fmt: skip
        return About(
            self.recipe.name,
            self.recipe.model,
            parameters,
            self.materials.notes,
            shown(self.settings),
            self.materials.data,
            environment,
        )

    def _tensorboard(self, run: RunDirectory | None) -> None:
        if self.where.log == "tensorboard" and run:
            from firstsight.engine.tensorboard import TensorBoard

            self.callback = TensorBoard(run.path / "tensorboard", self.callback)
