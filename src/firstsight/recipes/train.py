"""A recipe as a run: data, network, task, engine, report."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import broadcast_object_list

from firstsight.data import Augmentation, Batches, ImageSet, Preprocess, load
from firstsight.data.imageset import hold_out
from firstsight.engine import checkpoint
from firstsight.engine.files import explain
from firstsight.engine.loop import Loop, Observer, Outcome
from firstsight.engine.report import Report
from firstsight.engine.rundir import RunDirectory, create, latest, read_config, read_metrics, versions
from firstsight.errors import CheckpointError, FirstsightError, UsageError
from firstsight.nets import MODELS, create_model
from firstsight.recipes.recipe import Recipe, Settings
from firstsight.recipes.table import find_recipe, recipe_for
from firstsight.tasks.classify import Classify


@dataclass(frozen=True)
class Result:
    """What a training run gave.

    Parameters
    ----------
    metrics : of the last epoch: accuracy in [0, 1], loss in nats.
    samples_per_second : training images per second of training steps.
    """

    recipe: str
    run_dir: Path
    epochs: int
    metrics: dict[str, float]
    seconds: float
    samples_per_second: float
    parameters: int


class Silent:
    """An observer that does not look."""

    def note(self, line: str) -> None:
        """Nothing."""

    def step(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        """Nothing."""

    def epoch(self, line: Mapping[str, Any], epochs: int) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Where:
    """Where and how a run is carried out; nothing of it changes the result's meaning.

    Parameters
    ----------
    out : the run directory; ``runs/<recipe>/<n>`` if None.
    device : "auto" (a GPU if there is one), "cpu", "cuda" or "mps".
    strict : refuse data with unusable pictures.
    checkpoint_seconds : time between checkpoints.
    log : "none" or "tensorboard".
    """

    out: Path | None = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    strict: bool = False
    checkpoint_seconds: float = 30.0
    log: Literal["none", "tensorboard"] = "none"


def resolve(
    name: str, changes: Mapping[str, Any], *, resume: bool = False, out: Path | None = None
) -> tuple[Recipe, Settings, Path | None]:
    """What a request means: the recipe, its settings with the changes, and the directory of the run to continue.

    A continued run keeps the settings it was started with; changes are then held against them.

    Raises
    ------
    UsageError
        Unknown recipe, or an impossible value.
    """
    base = find_recipe(name)
    continued = out if out and read_config(out) else None
    if resume and out is None:
        continued = next((run for run in map(_latest_run, _candidates(name)) if run), None)
    saved = read_config(continued) if resume and continued else None
    if saved:
        recipe = find_recipe(saved["recipe"])
        if recipe.model != base.model:
            raise UsageError(f"{continued}: was trained as {saved['recipe']}, not as {name}")
        settings = Settings(**saved["settings"])
        _refuse_changes(continued, settings, changes)
    else:
        recipe = recipe_for(name, _data_name(str(changes["data"]))) if "data" in changes else base
        settings = replace(recipe.settings, **changes)
    check(settings)
    return recipe, settings, continued if resume else None


def _candidates(name: str) -> list[str]:
    """Recipes whose latest run a name can mean."""
    from firstsight.recipes.table import DEFAULTS, RECIPES

    first = find_recipe(name).name
    return [first, *(r.name for r in RECIPES.values() if name in DEFAULTS and r.model == name and r.name != first)]


def _latest_run(recipe: str) -> Path | None:
    return latest(Path("runs") / recipe)


def _refuse_changes(run: Path | None, saved: Settings, changes: Mapping[str, Any]) -> None:
    different = [
        f"{key} was {getattr(saved, key)}, now {value}" for key, value in changes.items() if getattr(saved, key) != value
    ]
    if different:
        raise UsageError(f"{run}: the run was started with other settings: {'; '.join(different)}")


def _data_name(where: str) -> str:
    """The published name of a data set given by path, if it is one."""
    from firstsight.data.idx import find_idx
    from firstsight.data.load import recognise

    path = Path(where).expanduser()
    if not path.is_dir():
        return where
    for _, labels in find_idx(path).values():
        try:
            source = recognise(labels)
        except (OSError, EOFError):
            return where
        if source:
            return source.name
    return where


def check(settings: Settings) -> None:
    """Refuse impossible settings in one sentence."""
    limits = (
        ("epochs", settings.epochs, 1, 100_000), ("batch_size", settings.batch_size, 1, 1_000_000),
        ("image_size", settings.image_size, 4, 4096), ("shift", settings.shift, 0, settings.image_size - 1),
        ("cutout", settings.cutout, 0, settings.image_size), ("rotate", settings.rotate, 0, 180),
        ("zoom", settings.zoom, 0, 0.9), ("warmup", settings.warmup, 0, 0.99),
        ("label_smoothing", settings.label_smoothing, 0, 0.99), ("holdout", settings.holdout, 0, 0.9),
        ("weight_decay", settings.weight_decay, 0, 100), ("seed", settings.seed, 0, 2**62),
    )  # fmt: skip
    for name, value, low, high in limits:
        if not low <= value <= high:
            raise UsageError(f"--{name.replace('_', '-')} must lie between {low} and {high}; got {value}")
    if not 0 < settings.lr <= 1000:
        raise UsageError(f"--lr must be above 0 and at most 1000; got {settings.lr}")


def train(
    recipe: str, *, resume: bool = False, out: str | Path | None = None, device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    observer: Observer | None = None, where: Where | None = None, **changes: Any,
) -> Result:  # fmt: skip
    """Train a recipe, or a model by its default recipe.

    Parameters
    ----------
    recipe : a name of `list_recipes`, or of a model.
    resume : continue the run in ``out`` (or the latest of this recipe); a new one begins if there is none.
    out : the run directory; ``runs/<recipe>/<n>`` if None.
    device : "auto" takes a GPU if there is one.
    observer : is told of every step and epoch.
    **changes : fields of `Settings`: ``data``, ``epochs``, ``batch_size``, ``lr``, ``seed``, ...

    Raises
    ------
    UsageError
        Unknown recipe or field, an impossible value, settings that differ from those of the run to continue.
    DataError, RunError, CheckpointError
        The data, the run directory or its checkpoints cannot be used.
    Interrupted
        SIGTERM or Ctrl-C; the state is saved.
    """
    unknown = set(changes) - set(Settings.__dataclass_fields__)
    if unknown:
        raise UsageError(f"unknown setting {', '.join(sorted(unknown))}; known are {', '.join(Settings.__dataclass_fields__)}")
    where = where or Where(out=Path(out) if out else None, device=device)
    resume = resume or restarted()
    chosen, settings, continued = resolve(recipe, changes, resume=resume, out=where.out)
    return Session(chosen, settings, where, observer or Silent()).run(resume=resume, continued=continued)


def restarted() -> bool:
    """Were these processes started again by torchrun after one of them died (``--max-restarts``)?"""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def make_accelerator(settings: Settings, device: str) -> Accelerator:
    """The accelerator for a device and a precision.

    Raises
    ------
    UsageError
        The device is not on this machine, or cannot do the precision.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[device]:
        raise UsageError(f"--device {device}: this machine (or this build of torch) has no {device}; use --device cpu")
    if device == "mps" and settings.precision == "float64":
        raise UsageError("--precision float64 is not possible on mps; use --device cpu")
    if settings.precision == "float16" and device != "cuda":
        raise UsageError(f"--precision float16 needs a CUDA GPU, and this run is on {device}; use bfloat16")
    mixed = {"bfloat16": "bf16", "float16": "fp16"}.get(settings.precision, "no")
    AcceleratorState._reset_state()  # one process may train several times, with different precisions
    if PartialState._shared_state and PartialState().num_processes == 1:
        PartialState._reset_state()
    return Accelerator(cpu=device == "cpu", mixed_precision=mixed)


class Session:
    """One carrying-out of a recipe: what `train` does, in steps."""

    def __init__(self, recipe: Recipe, settings: Settings, where: Where, observer: Observer) -> None:
        self.recipe, self.settings, self.where = recipe, settings, where
        self.accelerator = make_accelerator(settings, where.device)
        self.first = self.accelerator.is_main_process
        self.observer: Observer = observer if self.first else Silent()

    def run(self, *, resume: bool, continued: Path | None) -> Result:
        """Load, build, train, report."""
        sets = self._load()
        task = self._task(*sets)
        run = self._open(task, resume=resume, continued=continued)
        try:
            self._tensorboard(run)
            outcome = self._train(task, run, resume=resume)
            net = self.accelerator.unwrap_model(task.models["net"])
            result = Result(
                recipe=self.recipe.name, run_dir=self.run_dir, epochs=outcome.epochs, metrics=outcome.metrics,
                seconds=outcome.seconds, samples_per_second=outcome.samples_per_second,
                parameters=sum(p.numel() for p in net.parameters()),
            )  # fmt: skip
            if run:
                try:
                    self._finish(task, run, outcome, result)
                except OSError as error:
                    raise explain(error, run.path, "the training is saved; continue with --resume") from error
        finally:
            if run:
                run.close()
        self.accelerator.wait_for_everyone()
        return result

    def _load(self) -> tuple[ImageSet, ImageSet]:
        """Training and test set; the first process goes first, so that a download happens once."""
        settings = self.settings
        with self.accelerator.main_process_first():
            train = load(settings.data, "train", size=settings.image_size, strict=self.where.strict, notify=self.observer.note)
            test = load(
                settings.data, "test", size=settings.image_size, channels=train.channels, strict=self.where.strict,
                notify=self.observer.note,
            )  # fmt: skip
        if settings.holdout:
            kept, held = hold_out([str(i) for i in range(len(train))], train.labels.numpy(), settings.holdout)
            note = f"measured on {len(held):,} training images held out (--holdout {settings.holdout:g}), not on the test set"
            train, test = train.select(kept), train.select(held, split="holdout", note=note)
        self.notes = tuple(dict.fromkeys((*train.notes, *test.notes, *_about_skipped(train), *_about_skipped(test))))
        for note in self.notes:
            self.observer.note(f"{train.name}: {note}")
        return train, test

    def _task(self, train: ImageSet, test: ImageSet) -> Classify:
        settings, entry = self.settings, MODELS[self.recipe.model]
        torch.manual_seed(settings.seed)
        net = create_model(
            entry.name, num_classes=len(train.classes), in_channels=train.channels, image_size=settings.image_size
        )
        mean, std = train.mean_std()
        resize, pad = Preprocess.fit(min(train.size), settings.image_size)
        preprocess = Preprocess(channels=train.channels, resize=resize, pad=pad, mean=mean, std=std)
        batches = Batches(
            train, preprocess, batch_size=settings.batch_size, epochs=settings.epochs, seed=settings.seed,
            augmentation=Augmentation(
                shift=settings.shift, flip=settings.flip, rotate=settings.rotate, zoom=settings.zoom, cutout=settings.cutout
            ),
            rank=self.accelerator.process_index, world=self.accelerator.num_processes, device=self.accelerator.device,
            dtype=torch.float64 if settings.precision == "float64" else torch.float32,
        )  # fmt: skip
        self.data = {
            "name": train.name, "train_images": len(train), "test_images": len(test), "classes": list(train.classes),
            "train_sha256": train.fingerprint(), "test_sha256": test.fingerprint(),
        }  # fmt: skip
        task = Classify(
            net, batches, test, model=entry.name, optimizer=settings.optimizer, lr=settings.lr,
            weight_decay=settings.weight_decay, label_smoothing=settings.label_smoothing, schedule=settings.schedule,
            warmup=settings.warmup, about={"recipe": self.recipe.name, "data": train.name, "settings": _shown(settings)},
        )  # fmt: skip
        task.prepare(self.accelerator)
        return task

    def _open(self, task: Classify, *, resume: bool, continued: Path | None) -> RunDirectory | None:
        """Open the run directory on the first process; its refusal is everybody's."""
        answer: list[Any] = [None, None]
        run: RunDirectory | None = None
        if self.first:
            try:
                path = self.where.out or continued or create(Path("runs") / self.recipe.name)
                run = RunDirectory(path)
                if resume and read_config(path) is None:
                    self.observer.note(f"nothing to resume in {path}: a new run begins")
                config = {
                    "recipe": self.recipe.name, "model": self.recipe.model, "settings": asdict(self.settings),
                    "data": self.data, "notes": list(self.notes), "versions": versions(),
                    "processes": self.accelerator.num_processes, "device": str(self.accelerator.device),
                    "threads": torch.get_num_threads(),
                }  # fmt: skip
                run.begin(config, resume=resume)
                answer = [path, None]
            except FirstsightError as error:
                answer = [None, error]
            except OSError as error:
                answer = [None, explain(error, self.where.out or Path("runs"))]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(answer)
        if answer[1] is not None:
            if run:
                run.close()
            raise answer[1]
        self.run_dir: Path = answer[0]
        return run

    def _train(self, task: Classify, run: RunDirectory | None, *, resume: bool) -> Outcome:
        loop = Loop(
            task, self.accelerator, run, self.observer, epochs=self.settings.epochs, seed=self.settings.seed,
            checkpoint_seconds=self.where.checkpoint_seconds,
        )  # fmt: skip
        if resume:
            state, troubles = checkpoint.newest(self.run_dir / "checkpoints")
            for trouble in troubles:
                self.observer.note(f"{trouble}; the checkpoint before it is used")
            if state:
                loop.restore(state)
                self.observer.note(f"continuing {self.run_dir} after step {loop.state.step}")
            elif run:
                run.rewind_metrics(-1)
        return loop.train()

    def _tensorboard(self, run: RunDirectory | None) -> None:
        if self.where.log == "tensorboard" and run:
            from firstsight.engine.tensorboard import TensorBoard

            self.observer = TensorBoard(run.path / "tensorboard", self.observer)

    def _finish(self, task: Classify, run: RunDirectory, outcome: Outcome, result: Result) -> None:
        """The finished model beside the checkpoints, the figures, the report."""
        from firstsight import plots

        state, _ = checkpoint.newest(run.checkpoints)
        if state is None:
            raise CheckpointError(f"{run.path}: the last checkpoint is gone")
        run.write("model.safetensors", (state.folder / "net.safetensors").read_bytes())
        figures = {"Learning curves": plots.curves(read_metrics(run.path)), **task.figures()}
        pictures = []
        for title, figure in figures.items():
            content = plots.png(figure)
            run.write(f"figures/{title.split(',')[0].lower().replace(' ', '-')}.png", content)
            pictures.append((title, content, CAPTIONS.get(title, "")))
        run.write("report.html", self._report(outcome, result, pictures).html())

    def _report(self, outcome: Outcome, result: Result, pictures: list[tuple[str, bytes, str]]) -> Report:
        data = self.data
        wrong = round((1 - outcome.metrics["accuracy"]) * int(str(data["test_images"])))
        return Report(
            title=f"{self.recipe.name}: {outcome.metrics['accuracy']:.2%} accuracy",
            subtitle=f"{self.recipe.model} on {data['name']}, last of {outcome.epochs} epochs, seed {self.settings.seed}",
            figures=[
                ("test accuracy", f"{outcome.metrics['accuracy']:.2%}"),
                ("wrong answers", f"{wrong:,} of {data['test_images']:,}"),
                ("test loss", f"{outcome.metrics['loss']:.4f}"),
                ("parameters", f"{result.parameters:,}"),
                ("time", f"{outcome.seconds:.1f} s"),
                ("training images / s", f"{outcome.samples_per_second:,.0f}"),
            ],
            pictures=pictures,
            notes=self.notes,
            commands=[f"firstsight evaluate {self.run_dir}", f"firstsight predict {self.run_dir} PICTURE.png"],
            tables=[
                ("Settings", _shown(self.settings)),
                ("Data", {k: ", ".join(v) if isinstance(v, list) else v for k, v in data.items()}),
                ("Environment", {**versions(), "device": str(self.accelerator.device), "processes": self.accelerator.num_processes,
                                 "threads per process": torch.get_num_threads()}),
            ],
        )  # fmt: skip


CAPTIONS = {
    "Learning curves": "Training batches are augmented and measured while the network changes, so their line may lie above the test set's.",
    "Confusion matrix": "A row is a true class, a column an answer; the shade is the share of the row.",
}


def _shown(settings: Settings) -> dict[str, Any]:
    """Settings as they may stand in a file that is passed on: a path to data is reduced to its last part."""
    content = asdict(settings)
    content["data"] = Path(content["data"]).name
    return content


def _about_skipped(images: ImageSet) -> list[str]:
    if not images.skipped:
        return []
    named = "; ".join(f"{item.path}: {item.reason}" for item in images.skipped[:3])
    more = f"; and {len(images.skipped) - 3} more" if len(images.skipped) > 3 else ""
    return [f"{len(images.skipped)} {images.split} pictures were left out as unusable ({named}{more})"]

