"""Training of a recipe: data, network, task, loop and report."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Unpack

import torch
from accelerate.utils import broadcast_object_list
from PIL import Image

from firstsight import display
from firstsight.arguments import check_arguments, explicit_signature, to_plain, to_source
from firstsight.atomic_io import to_run_error
from firstsight.display import Result
from firstsight.documents.runs import RunConfig
from firstsight.engine import checkpoint
from firstsight.engine.accelerator import destroy_process_group_at_exit, make_accelerator, supports_bfloat16
from firstsight.engine.device import Device
from firstsight.engine.loop import Callback, Loop, TrainOutcome
from firstsight.engine.rundir import (
    ROOT,
    RunDirectory,
    create_run,
    describe_resume,
    find_latest,
    incomplete_metrics,
    package_versions,
    read_config,
)
from firstsight.engine.task import Task
from firstsight.errors import FirstsightError, UsageError
from firstsight.optim.schedule import learning_rate_factor
from firstsight.recipes.config import SavedConfig, check_recipe_name, describe_changes, load_config, run_of
from firstsight.recipes.interrupted import run_to_resume
from firstsight.recipes.progress import ProgressBar
from firstsight.recipes.recipe import Recipe
from firstsight.recipes.report import RunInfo, write_results
from firstsight.recipes.resolve import is_restart, launcher_id, resolve
from firstsight.recipes.train_settings import TrainSettings
from firstsight.tasks.builder import Builder, redact_paths
from firstsight.tasks.settings import Settings
from firstsight.tasks.spec import TASKS, task_of

BF16_EMULATED = (
    "this processor seems to lack bfloat16 arithmetic; emulated bfloat16 is many times slower than float32."
    " A new run with `precision=auto` uses bfloat16 only where it is fast"
)


@dataclass(frozen=True, repr=False)
class TrainResult(Result):
    """Result of a training run.

    Attributes
    ----------
    recipe : str
        Name of the recipe.
    run_dir : Path
        Run directory.
    epochs : int
        Epochs trained in total.
    headline : str
        The result in a few words ("test accuracy 99.72%").
    metrics : dict[str, float]
        Metrics of the weights that are kept. For a classifier: accuracy in [0, 1] and loss in nats, and the accuracy on
        training images without augmentation (``train_accuracy``).
    seconds : float
        Time for training and evaluation, over all resumptions.
    samples_per_second : float
        Training images per second of training steps.
    parameters : int
        Number of parameters of the exported network.
    diagnosis : str
        What the result means, and what to try; settings are in backticks. Empty where there is no diagnosis.
    early_stopping : str
        When the training stopped, and which weights are kept; empty without early stopping.
    kept_epoch : int | None
        Epoch whose weights are kept and measured; None for the last one.
    """

    recipe: str
    run_dir: Path
    epochs: int
    headline: str
    metrics: dict[str, float]
    seconds: float
    samples_per_second: float
    parameters: int
    diagnosis: str = ""
    early_stopping: str = ""
    kept_epoch: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data for JSON."""
        return {**asdict(self), "run_dir": str(self.run_dir)}

    @property
    def title(self) -> str:
        """The recipe, the result and the epoch whose weights are kept ("lenet-digits: test ... after epoch 30")."""
        return f"{self.recipe}: {self.headline} after epoch {self.kept_epoch or self.epochs}"

    @property
    def report(self) -> Path:
        """Path of the report."""
        return self.run_dir / "report.html"

    def __str__(self) -> str:
        return f"{self.title} ({self.seconds:.1f} s); report: {self.report}"

    def __repr__(self) -> str:
        return f"TrainResult({self})"

    @property
    def figure(self) -> Path | None:
        """Path of the learning curves, or None if the run has none."""
        figures = sorted((self.run_dir / "figures").glob("*.png"))
        return next((path for path in figures if "curves" in path.name), figures[0] if figures else None)

    def _repr_html_(self) -> str:
        labels = {metric.key: metric for spec in TASKS.values() for metric in spec.results}
        rows: list[tuple[object, object]] = [("result", self.headline)]
        for key, value in self.metrics.items():
            metric = labels.get(key)
            rows.append((metric.label if metric else key, f"{value:{metric.format if metric else '.4g'}}"))
        rows += [
            ("epochs", self.epochs),
            ("time", f"{self.seconds:.1f} s"),
            ("training images / s", f"{self.samples_per_second:,.0f}"),
            ("parameters", f"{self.parameters:,}"),
            ("report", self.report),
        ]
        figure = ""
        if self.figure is not None:
            with Image.open(self.figure) as image:
                figure = display.embed(image.convert("RGB"), alt="learning curves")
        return display.paragraph(self.recipe) + display.table(rows) + figure


class NullCallback:
    """Callback that ignores every event."""

    def note(self, line: str) -> None:
        """Ignore the message."""

    def warn(self, line: str) -> None:
        """Ignore the warning."""

    def on_step_end(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        """Ignore the step."""

    def on_epoch_end(self, line: Mapping[str, Any], epochs: int) -> None:
        """Ignore the epoch."""


@dataclass(frozen=True)
class RunOptions:
    """Options that do not change the meaning of the result: output folder, device, logging.

    Attributes
    ----------
    out : Path | None
        Run directory; ``runs/<recipe>/<n>`` if None.
    device : Device
        Device; "auto" selects a GPU if there is one.
    strict : bool
        Refuse data with unusable images instead of leaving them out.
    checkpoint_seconds : float
        Seconds between checkpoints (0: after every step).
    log : Literal['none', 'tensorboard']
        Additional log of the metrics.
    """

    out: Path | None = None
    device: Device = "auto"
    strict: bool = False
    checkpoint_seconds: float = 30.0
    log: Literal["none", "tensorboard"] = "none"


@explicit_signature
def train(
    recipe: str = "",
    *,
    config: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    device: Device = "auto",
    strict: bool = False,
    checkpoint_seconds: float = 30.0,
    log: Literal["none", "tensorboard"] = "none",
    progress: bool = False,
    callback: Callback | None = None,
    **settings: Unpack[TrainSettings],
) -> TrainResult:
    """Train a recipe, or a network with its default recipe.

    Parameters
    ----------
    recipe : str
        Name of a recipe (see `list_recipes`) or of a network (see `list_models`); not needed with ``config``. With
        ``resume`` also a run directory, or "latest" for the newest run in ``runs``; empty for the run in ``out``, or
        for the newest interrupted run.
    config : str | Path | None
        Train with the settings of this ``config.json`` of a run, or of a run directory; ``settings`` replace some of
        them. A note says what differs from that run.
    out : str | Path | None
        Run directory; None for ``runs/<recipe>/<n>``.
    resume : bool
        Continue the run in ``out``, or the latest run of the recipe in ``runs``. If there is none, a new run starts.
        Larger ``epochs`` extend a run: the remaining epochs are trained as those of a run of this length.
    device : Device
        Where to compute: "cpu", "cuda", "mps", or "auto" for a GPU if there is one.
    strict : bool
        Refuse data with unusable images instead of leaving them out.
    checkpoint_seconds : float
        Seconds between checkpoints (0: after every step).
    log : Literal['none', 'tensorboard']
        Additional log of the metrics.
    progress : bool
        Show a progress bar and a line per epoch on stderr.
    callback : Callback | None
        Receives the events of the run, instead of ``progress``.
    **settings : Unpack[TrainSettings]
        Settings to change, such as ``data``, ``epochs``, ``batch_size``, ``lr`` and ``seed``; see `TrainSettings`. The
        others keep the value of the recipe.

    Returns
    -------
    TrainResult
        Metrics, run directory and timings.

    Raises
    ------
    UsageError
        If the recipe or a setting is unknown, if a value is impossible, or if the settings differ from those of the run
        to continue.
    DataError, RunError, CheckpointError
        If the data, the run directory or its checkpoints cannot be used.
    Interrupted
        If SIGTERM or Ctrl-C arrives; the state is saved. It is no KeyboardInterrupt, because Ctrl-C is handled at the
        end of a step: catch it with ``except firstsight.Interrupted``.
    """
    if "weights" in settings:
        settings["weights"] = to_source(settings["weights"])
    check_arguments(train, locals())
    options = RunOptions(
        out=None if out is None else Path(out),
        device=device,
        strict=strict,
        checkpoint_seconds=checkpoint_seconds,
        log=log,
    )
    changes = {name: to_plain(value) for name, value in settings.items()}
    resume = resume or is_restart()
    with ProgressBar() if progress and callback is None else nullcontext(callback or NullCallback()) as listener:
        named = None
        if resume and config is None:
            if not recipe:
                named = run_to_resume(options.out, notify=listener.note)
            elif options.out is None:
                named = run_of(recipe, notify=listener.note)
        if named:
            recipe, options = named.name, replace(options, out=named.file.parent)
        if latest := find_latest(str(changes.get("weights")), notify=listener.note):
            changes["weights"] = str(latest)  # the newest run will be another one when the run is resumed
        if not named:
            check_recipe_name(recipe)
        source = None if config is None else load_config(config, notify=listener.note)
        if not recipe and not source:
            raise UsageError("name a recipe or a network, or use `config` (see: firstsight models)")
        resolved, chosen, continued = resolve(recipe, changes, resume=resume, out=options.out, config=source)
        if continued is None and source is None:  # other runs have the settings that they began with
            chosen, messages = adapt_settings(resolved, chosen, changes)
            for message in messages:
                listener.note(message)
        return TrainingRun(resolved, chosen, options, listener).run(resume=resume, continued=continued, source=source)


def adapt_settings(recipe: Recipe, settings: Settings, given: Mapping[str, Any]) -> tuple[Settings, tuple[str, ...]]:
    """Return the settings of a new run, adapted to data that the recipe was not made for, and messages on them.

    Parameters
    ----------
    recipe : Recipe
        The recipe.
    settings : Settings
        Its settings, with those that the user gave.
    given : Mapping[str, Any]
        Settings that the user gave; they are kept.
    """
    spec = task_of(recipe.model)
    if not spec.adapt or settings.data == recipe.data:
        return settings, ()
    adapted, messages = spec.resolve("adapt")(recipe.model, settings, given)
    adapted.validate()
    return adapted, messages


class TrainingRun:
    """One run of a recipe, step by step: load the data, make the task, train, write the results.

    Parameters
    ----------
    recipe : Recipe
        The recipe.
    settings : Settings
        Settings of the task; they replace those of the recipe.
    options : RunOptions
        Device, run directory and other options that do not change the meaning of the result.
    callback : Callback
        Receives the events of the run, on the first process only.
    """

    def __init__(self, recipe: Recipe, settings: Settings, options: RunOptions, callback: Callback) -> None:
        self.recipe = recipe
        self.options = options
        self.accelerator = make_accelerator(settings.precision, options.device)
        uses_bfloat16 = self.accelerator.mixed_precision == "bf16"
        if settings.precision == "auto":  # config.json records the selected precision, and a resumed run keeps it
            settings = replace(settings, precision="bfloat16" if uses_bfloat16 else "float32")
        self.settings = settings
        self.is_main = self.accelerator.is_main_process
        self.callback: Callback = callback if self.is_main else NullCallback()
        device = self.accelerator.device.type
        if uses_bfloat16 and device != "mps" and not supports_bfloat16(device):  # mps was not measured
            self.callback.warn(BF16_EMULATED)
        self.builder = self._make_builder()
        self.was_extended = self.is_extension = False  # on the first process only

    def _make_builder(self) -> Builder[Task]:
        """Return the experiment builder of the task."""
        build = task_of(self.recipe.model).resolve("build")
        builder: Builder[Task] = build(
            self.recipe.name,
            self.recipe.model,
            self.settings,
            self.accelerator,
            self.callback,
            strict=self.options.strict,
        )
        return builder

    def run(self, *, resume: bool, continued: Path | None, source: SavedConfig | None = None) -> TrainResult:
        """Load the data, train, and write the results.

        Parameters
        ----------
        resume : bool
            Continue from the newest checkpoint if there is one.
        continued : Path | None
            Directory of the run to continue, if ``options.out`` is None.
        source : SavedConfig | None
            Configuration whose settings a new run uses, for the differences and the number of threads.
        """
        if continued or source:
            self._restore_threads(read_config(continued) if continued else source and source.config)
        train_set, test_set = self.builder.load()
        if source and not continued:
            for line in describe_changes(source, self._config()):
                self.callback.note(line)
        task = self.make_task(train_set, test_set)
        run = self._open(task, resume=resume, continued=continued)
        try:
            self._add_tensorboard(run)
            outcome = self._train(task, run, resume=resume)
            net = self.accelerator.unwrap_model(task.models[task.export_model])
            with incomplete_metrics(self.run_dir):
                summary = task.summarize_result(outcome.metrics)
            result = TrainResult(
                recipe=self.recipe.name,
                run_dir=self.run_dir,
                epochs=outcome.epochs,
                headline=summary.headline,
                metrics={**outcome.metrics, **summary.values},
                seconds=outcome.seconds,
                samples_per_second=outcome.samples_per_second,
                parameters=sum(p.numel() for p in net.parameters()),
                diagnosis=summary.diagnosis,
                early_stopping=outcome.early_stopping,
                kept_epoch=outcome.kept_epoch,
            )
            if run:
                try:
                    write_results(task, run, outcome, self.run_info(result.parameters), summary)
                except OSError as error:
                    saved = f"the training is saved; continue with: {describe_resume(run.path)}"
                    raise to_run_error(error, run.path, saved) from error
        finally:
            if run:
                run.close()
        self.accelerator.wait_for_everyone()
        destroy_process_group_at_exit()
        return result

    def _restore_threads(self, config: RunConfig | None) -> None:
        """Set torch's number of threads as at the start of a run; the bits depend on it from the first step on."""
        if config and config.threads and self.accelerator.device.type == "cpu":
            torch.set_num_threads(config.threads)

    def make_task(self, train: Any, test: Any) -> Task:
        """Return the task with networks, batches and optimizers, on the device and ready to train."""
        return self.builder.make_task(train, test)

    def _open(self, task: Task, *, resume: bool, continued: Path | None) -> RunDirectory | None:
        """Open the run directory on the first process; all processes raise its error."""
        answer: list[Any] = [None, None]  # path, error
        run: RunDirectory | None = None
        if self.is_main:
            try:
                path = self.options.out or continued or create_run(ROOT / self.recipe.name, reuse=resume)
                run = RunDirectory(path)
                if resume and read_config(path) is None:
                    self.callback.warn(f"nothing to resume in {path}: a new run begins")
                before = read_config(path)
                run.begin(self._config(), resume=resume)
                self._note_extensions(before, read_config(path))
                answer = [path, None]
            except FirstsightError as error:
                answer = [None, error]
            except OSError as error:
                answer = [None, to_run_error(error, self.options.out or ROOT)]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(answer)
        if answer[1] is not None:
            if run:
                run.close()
            raise answer[1]
        self.run_dir: Path = answer[0]
        data, epochs, device = self.builder.data, self.builder.epochs, self.accelerator.device.type
        sizes = f"{data['train_images']:,} training images, {data['test_images']:,} test images"
        duration = f"{epochs} epoch{'s' if epochs > 1 else ''} on {device}, in {self.run_dir}"
        self.callback.note(f"{self.recipe.name}: {self.recipe.model} on {data['name']} ({sizes}), {duration}")
        return run

    def _note_extensions(self, before: RunConfig | None, now: RunConfig | None) -> None:
        """Add a note to the report of a run that was extended, now or earlier."""
        if not now or not now.extended:
            return
        self.was_extended, self.is_extension = True, before is not None and before.extended != now.extended
        lengths = ", then ".join(map(str, [*now.extended, self.settings.epochs]))
        note = f"the run was extended (planned epochs: {lengths}); the epochs after an extension are those of a run"
        self.builder.notes = (*self.builder.notes, f"{note} of the new length")

    def _config(self) -> RunConfig:
        """Return the content of ``config.json``."""
        return RunConfig(
            recipe=self.recipe.name,
            model=self.recipe.model,
            settings=asdict(self.settings),
            data=self.builder.data,
            notes=list(self.builder.notes),
            versions=package_versions(),
            processes=self.accelerator.num_processes,
            device=str(self.accelerator.device),
            threads=torch.get_num_threads(),
            launcher=launcher_id(),
        )

    def _train(self, task: Task, run: RunDirectory | None, *, resume: bool) -> TrainOutcome:
        loop = Loop(
            task,
            self.accelerator,
            run,
            self.callback,
            epochs=self.builder.epochs,
            seed=self.settings.seed,
            checkpoint_seconds=self.options.checkpoint_seconds,
            evaluate_every=self.settings.evaluate_every,
            patience=getattr(self.settings, "patience", 0),
        )
        if resume:
            saved, problems = checkpoint.load_newest(self.run_dir / "checkpoints")
            for problem in problems:
                self.callback.warn(f"{problem}; the checkpoint before it is used")
            if saved:
                loop.restore(saved)
                steps = self.builder.epochs * task.batches.steps
                progress = f"continues after step {loop.state.step} of {steps}"
                if loop.is_finished:
                    reason = "early stopping ended it" if loop.is_stopped_early else "a larger `epochs` extends it"
                    progress = f"is finished, nothing is left to train ({reason})"
                self.callback.note(f"{self.run_dir} {progress}")
                if run and self.was_extended and not loop.is_finished:  # the newest checkpoint is the result
                    (run.path / "model.safetensors").unlink(missing_ok=True)
                if self.is_extension:
                    self.callback.note(self._describe_extension(loop.state.step, task.batches.steps))
            else:
                loop.rewind_metrics(-1)
        return loop.train()

    def _describe_extension(self, step: int, steps: int) -> str:
        """Return a sentence that says how the training continues after ``step``, with some steps per epoch."""
        epochs = self.builder.epochs
        schedule: Any = getattr(self.settings, "schedule", "constant")
        text = f"extended to {epochs} epochs; the rest is trained as in a run of {epochs} epochs"
        if schedule in ("linear", "cosine"):
            factor = learning_rate_factor(step / (epochs * steps), schedule, getattr(self.settings, "warmup", 0.0))
            text += f": the {schedule} schedule continues at {factor:.0%} of the maximum learning rate"
        return text

    def run_info(self, parameters: int) -> RunInfo:
        """Return the description of this run for the report.

        Parameters
        ----------
        parameters : int
            Number of parameters of the exported network.
        """
        environment = {
            **package_versions(),
            "device": str(self.accelerator.device),
            "processes": self.accelerator.num_processes,
            "threads per process": torch.get_num_threads(),
        }
        return RunInfo(
            recipe=self.recipe.name,
            model=self.recipe.model,
            parameters=parameters,
            notes=self.builder.notes,
            settings=redact_paths(self.settings),
            data=self.builder.data,
            environment=environment,
        )

    def _add_tensorboard(self, run: RunDirectory | None) -> None:
        if self.options.log == "tensorboard" and run:
            from firstsight.engine.tensorboard import TensorBoard

            self.callback = TensorBoard(run.path / "tensorboard", self.callback)
