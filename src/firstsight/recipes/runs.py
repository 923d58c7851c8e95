"""List of the runs in a folder, and comparison of several runs."""

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from firstsight.arguments import HasRun, ModelSource, check_type, expand_user, ignore, is_source, to_source
from firstsight.documents.runs import RunConfig
from firstsight.engine.rundir import ROOT, find_latest, find_runs, is_locked, read_config, read_metrics
from firstsight.errors import FirstsightError, RunError, UsageError, unknown_name
from firstsight.models.registry import MODELS
from firstsight.tasks.spec import TASKS, Metric, TaskSpec
from firstsight.text import printable
from firstsight.weights.bundled import card_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from firstsight.plots.compare import Panel

MAX_COMPARED = 12
"""Maximum number of runs in a comparison."""
State = Literal["finished", "interrupted", "running", "damaged"]


@dataclass(frozen=True, kw_only=True, repr=False)
class RunSummary:
    """Short description of a run.

    Attributes
    ----------
    path : Path
        Run directory.
    state : State
        "running" while a process trains in the directory, "finished" after the last epoch or when early stopping ended
        the training, "damaged" if the run cannot be read, otherwise "interrupted".
    recipe, model, data : str
        Names of the recipe, the network and the data; empty if the run is damaged.
    epochs : int
        Epochs that were trained.
    planned_epochs : int
        Epochs that the run was started with, or was extended to.
    metric : Metric | None
        Main metric of this kind of task.
    last, best : float | None
        Last and best value of the metric. For a finished run with early stopping, ``last`` is that of the weights that
        are kept, as `evaluate` measures it.
    best_epoch : int | None
        Epoch of the best value.
    kept_epoch : int | None
        Epoch whose weights early stopping has kept, in a finished run; otherwise None.
    seconds : float
        Time for training and evaluation, over all resumptions.
    started : float
        Time at which the run was started or extended, in seconds since 1970.
    problems : tuple[str, ...]
        One sentence for each damage.
    config : RunConfig | None
        Configuration of the run.
    history : Sequence[Mapping[str, Any]]
        Metrics of each epoch.
    """

    path: Path
    state: State
    recipe: str = ""
    model: str = ""
    data: str = ""
    epochs: int = 0
    planned_epochs: int = 0
    metric: Metric | None = None
    last: float | None = None
    best: float | None = None
    best_epoch: int | None = None
    kept_epoch: int | None = None
    seconds: float = 0.0
    started: float = 0.0
    problems: tuple[str, ...] = ()
    config: RunConfig | None = field(default=None, repr=False)
    history: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    @property
    def run_dir(self) -> Path:
        """Run directory, as `TrainResult` has it."""
        return self.path

    def __repr__(self) -> str:
        best = f", best {self.metric.label} {self.text_of(self.best)}" if self.metric and self.best is not None else ""
        epochs = f": {self.recipe}, {self.epochs} of {self.planned_epochs} epochs{best}" if self.recipe else ""
        return f"RunSummary({self.path}, {self.state}{epochs})"

    def text_of(self, value: float | None) -> str:
        """Return a value of the main metric as text; "-" for None."""
        return "-" if value is None or self.metric is None else f"{value:{self.metric.format}}"

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain data for JSON."""
        return {
            "run": str(self.path),
            "state": self.state,
            "recipe": self.recipe,
            "model": self.model,
            "data": self.data,
            "epochs": self.epochs,
            "planned_epochs": self.planned_epochs,
            "metric": self.metric.key.removeprefix("test/") if self.metric else None,
            "last": self.last,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "kept_epoch": self.kept_epoch,
            "seconds": self.seconds,
            "started": datetime.fromtimestamp(self.started).astimezone().isoformat("T", "seconds"),
            "problems": list(self.problems),
        }


def list_runs(
    folder: str | Path = ROOT,
    *,
    recipe: str = "",
    data: str = "",
    finished: bool = False,
    best_first: bool = False,
) -> list[RunSummary]:
    """Return the runs in a folder and its folders, the newest first.

    Damaged runs are in the list too, with the reason, unless a filter excludes them.

    Parameters
    ----------
    folder : str | Path
        Folder of the runs, or one run directory.
    recipe : str
        Only runs of this recipe or network: a name, a part of it, or a glob pattern.
    data : str
        Only runs on these data, in the same way.
    finished : bool
        Only finished runs.
    best_first : bool
        Sort by the best value of the main metric instead, separately for each metric; runs without a value are last.

    Raises
    ------
    UsageError
        If the folder does not exist.
    RunError
        If the folder cannot be read.

    Examples
    --------
    >>> [run.path.name for run in list_runs(best_first=True)]  # doctest: +SKIP
    ['3', '1', '2']
    """
    root = expand_user(folder)
    if not root.is_dir():
        if root == ROOT:
            return []
        raise UsageError(f"no such folder: {root}")
    summaries = [summarize(run) for run in find_runs(root)]
    chosen = [
        run
        for run in summaries
        if (_matches(recipe, run.recipe) or _matches(recipe, run.model))
        and (_matches(data, run.data) or _matches(data, Path(run.data).name))
        and (run.state == "finished" or not finished)
    ]
    chosen.sort(key=lambda run: run.started, reverse=True)
    if best_first:
        chosen.sort(key=_rank)
    return chosen


def _matches(pattern: str, name: str) -> bool:
    return pattern in name or fnmatch.fnmatchcase(name, pattern)


def _rank(run: RunSummary) -> tuple[bool, str, float]:
    if run.metric is None or run.best is None:
        return True, "", 0.0
    return False, run.metric.key, -run.best if run.metric.higher_is_better else run.best


def _read_plan(run: Path) -> tuple[RunConfig, int]:
    """Return the configuration of a run and its number of epochs, or raise RunError."""
    config = read_config(run, advice="")
    if config is None:
        raise RunError(f"{run}: holds files of a run, but no config.json")
    epochs = config.settings.get("epochs")
    if not isinstance(epochs, int) or not isinstance(config.settings.get("data"), str):
        raise RunError(f"{run / 'config.json'}: not the configuration of a run (no epochs or no data in it)")
    return config, epochs


def summarize(run: Path) -> RunSummary:
    """Return the summary of a run directory; the one of a damaged run names the problems.

    Parameters
    ----------
    run : Path
        Run directory.
    """
    try:
        config, planned = _read_plan(run)
        history, problems = read_metrics(run)
        started = (run / "config.json").stat().st_mtime
        locked = is_locked(run)
        has_result = (run / "model.safetensors").is_file()
    except FirstsightError as error:
        return RunSummary(path=run, state="damaged", problems=(str(error),))
    except OSError as error:
        return RunSummary(path=run, state="damaged", problems=(f"{run}: {error.strerror or error}",))
    last_line = history[-1] if history else {}
    epochs = int(last_line.get("epoch", 0))
    limit = config.settings.get("max_steps")
    if limit and isinstance(limit, int) and epochs:
        planned = min(planned, max(1, limit // max(1, int(last_line["step"]) // epochs)))
    metric = main_metric(_spec(config.model))
    rows = _finite(history, metric.key) if metric else []
    sign = -1 if metric and metric.higher_is_better else 1
    best_epoch, best = min(rows, key=lambda row: sign * row[1], default=(None, None))
    patience, lowest = config.settings.get("patience"), _lowest_loss(history)
    is_stopped = bool(lowest and patience) and isinstance(patience, int) and epochs - lowest >= patience
    is_finished = (epochs >= planned or is_stopped) and has_result
    kept_epoch = lowest if patience and lowest and is_finished and not locked else None
    last = rows[-1][1] if rows else None
    if kept_epoch and metric:
        last = _kept_value(run, history, metric.key, kept_epoch)
    return RunSummary(
        path=run,
        state="running" if locked else "finished" if is_finished else "interrupted",
        recipe=config.recipe,
        model=config.model,
        data=str(config.data.get("name", config.settings["data"])),
        epochs=epochs,
        planned_epochs=planned,
        metric=metric,
        last=last,
        best=best,
        best_epoch=best_epoch,
        kept_epoch=kept_epoch,
        seconds=float(last_line.get("seconds", 0.0)),
        started=started,
        problems=tuple(problems),
        config=config,
        history=history,
    )


def _lowest_loss(history: Sequence[Mapping[str, Any]]) -> int:
    """Return the epoch with the lowest validation loss, whose weights early stopping keeps; 0 without this loss."""
    epoch, lowest = 0, None
    for row in history:
        loss = row.get("val/loss")
        if loss is not None and (lowest is None or loss < lowest):  # as `Loop` compares them
            epoch, lowest = int(row["epoch"]), loss
    return epoch


def _kept_value(run: Path, history: Sequence[Mapping[str, Any]], key: str, epoch: int) -> float | None:
    """Return a metric of the weights of an epoch; if they were not tested in it, the card of the result has it."""
    values = [value for row_epoch, value in _finite(history, key) if row_epoch == epoch]
    if values:
        return values[-1]
    card = card_of(run / "model.safetensors") or {}
    value = card.get("about", {}).get("metrics", {}).get(key.removeprefix("test/"))
    return value if value is not None and math.isfinite(value) else None


def main_metric(spec: TaskSpec | None) -> Metric | None:
    """Return the metric by which runs of a kind of task are compared, with its name in ``metrics.jsonl``, or None."""
    if spec is None or not spec.results:
        return None
    key = f"test/{spec.results[0].key}"
    return next((metric for metric in spec.metrics if metric.key == key), None)


def _spec(model: str) -> TaskSpec | None:
    info = MODELS.get(model)
    return TASKS.get(info.kind) if info else None


def _finite(history: Sequence[Mapping[str, Any]], key: str) -> list[tuple[int, float]]:
    """Return (epoch, value) for each epoch that has a finite value of a metric."""
    return [(row["epoch"], row[key]) for row in history if key in row and math.isfinite(row[key])]


@dataclass(frozen=True, kw_only=True, repr=False)
class RunComparison:
    """Comparison of several runs.

    Attributes
    ----------
    runs : Sequence[RunSummary]
        The runs.
    labels : Sequence[str]
        Short name of each run.
    settings : Mapping[str, Sequence[str]]
        Settings that differ, with the value of each run.
    metrics : Mapping[str, Sequence[str]]
        Last metrics, or those of the weights that early stopping kept, and the best main metric, of each run.
    notes : Sequence[str]
        Facts that a reader of the comparison must know.
    """

    runs: Sequence[RunSummary]
    labels: Sequence[str]
    settings: Mapping[str, Sequence[str]]
    metrics: Mapping[str, Sequence[str]]
    notes: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data for JSON."""
        return {
            "runs": [run.to_dict() for run in self.runs],
            "settings": {name: list(values) for name, values in self.settings.items()},
            "metrics": {name: list(values) for name, values in self.metrics.items()},
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        return f"RunComparison({', '.join(self.labels)}; {len(self.settings)} settings differ)"

    def figure(self) -> "Figure":
        """Return the curves of the loss and of the main metric, all runs in one figure."""
        from firstsight.plots import compare_runs as plot
        from firstsight.plots import text_figure

        panels = _panels(self.runs)
        return plot(self.labels, panels) if panels else text_figure("no epoch of these runs is finished")

    def html(self) -> str:
        """Return the comparison as one HTML page with an inlined figure."""
        from firstsight.engine.report import Grid, Report
        from firstsight.plots import encode_png

        header = ["", *self.labels]
        settings = [[name, *values] for name, values in self.settings.items()]
        return Report(
            title=f"Comparison of {len(self.runs)} runs",
            subtitle=", ".join(self.labels),
            metrics=[
                (f"{label}: best {run.metric.label}" if run.metric else label, run.text_of(run.best))
                for label, run in zip(self.labels, self.runs, strict=True)
            ],
            figures=[("Learning curves", encode_png(self.figure()), "")],
            notes=self.notes,
            commands=[f"firstsight evaluate {run.path}" for run in self.runs],
            tables=[],
            grids=[
                Grid("Results", header, [[name, *values] for name, values in self.metrics.items()]),
                *([Grid("Settings that differ", header, settings)] if settings else []),
            ],
        ).html()

    def _repr_html_(self) -> str:
        rows = [(name, *values) for table in (self.metrics, self.settings) for name, values in table.items()]
        lines = ["".join(f"<td>{escape(printable(cell))}</td>" for cell in row) for row in [("", *self.labels), *rows]]
        return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def compare_runs(*runs: ModelSource | Sequence[ModelSource], notify: Callable[[str], None] = ignore) -> RunComparison:
    """Compare the settings, the metrics and the learning curves of several runs.

    Parameters
    ----------
    *runs : ModelSource | Sequence[ModelSource]
        Run directories, their names below ``runs``, "latest" for the newest run there, or results of `train` and
        `list_runs`; also as one list.
    notify : Callable[[str], None]
        Called with a line for everything unusual.

    Returns
    -------
    RunComparison
        Tables, figure and HTML page of the comparison.

    Raises
    ------
    UsageError
        If there are fewer than 2 or more than 12 runs, if a run is named twice, or if a name is unknown.
    RunError
        If a run is damaged.
    """
    names = [name for given in runs for name in _as_list(given)]
    if not 2 <= len(names) <= MAX_COMPARED:
        raise UsageError(f"a comparison needs 2 to {MAX_COMPARED} runs; got {len(names)}")
    summaries: list[RunSummary] = []
    for name in names:
        path = find_run(name, notify=notify)
        if any(path.samefile(other.path) for other in summaries):
            raise UsageError(f"{path}: is named twice; name different runs")
        summary = summarize(path)
        if summary.state == "damaged":
            raise RunError(summary.problems[0])
        summaries.append(summary)
    notes = [problem for summary in summaries for problem in summary.problems]
    notes += [
        f"{summary.path}: {summary.epochs} of {summary.planned_epochs} epochs ({summary.state})"
        for summary in summaries
        if summary.state != "finished"
    ]
    kinds = {spec.name if (spec := _spec(summary.model)) else "" for summary in summaries}
    if len(kinds) > 1:
        notes.append("the runs are of different kinds: settings that only some of them have are left out")
    return RunComparison(
        runs=summaries,
        labels=_short_paths([str(_below_root(summary.path)) for summary in summaries], 2),
        settings=_differences(summaries, common_only=len(kinds) > 1),
        metrics=_results(summaries),
        notes=notes,
    )


def _as_list(given: ModelSource | Sequence[ModelSource]) -> list[Any]:
    return list(given) if isinstance(given, Sequence) and not is_source(given) else [given]


def find_run(name: ModelSource, *, notify: Callable[[str], None] = ignore) -> Path:
    """Return the run directory that a name or a path means.

    Parameters
    ----------
    name : ModelSource
        A run directory, its name below ``runs``, "latest" for the newest run there, or the result of a training.
    notify : Callable[[str], None]
        Called with a line for everything unusual.

    Raises
    ------
    UsageError
        If there is no such run, or if several runs are in the folder.
    """
    check_type("run", name, str | Path | HasRun)
    source = to_source(name)
    latest = find_latest(source, notify=notify)
    if latest:
        return latest
    path = expand_user(source)
    candidates = [path] if path.is_absolute() else [path, ROOT / path]
    for folder in candidates:
        runs = find_runs(folder)
        if runs == [folder]:
            return folder
        if runs:
            raise UsageError(f"{folder}: holds several runs; name one of them, as in {runs[-1]}")
    known = [str(run) for run in find_runs(ROOT)]
    raise unknown_name("run", str(source), known, "see: firstsight runs")


def _below_root(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def _results(runs: Sequence[RunSummary]) -> dict[str, list[str]]:
    """Return every metric of the result of a run, the best value of the main one, epochs and time."""
    metrics: dict[str, Metric] = {}
    for run in runs:
        spec = _spec(run.model)
        metrics |= {metric.key: metric for metric in (spec.metrics if spec else ())}
    rows: dict[str, list[str]] = {}
    for key, metric in metrics.items():
        values = [_value_of_result(run, key) for run in runs]
        if any(value is not None for value in values):
            rows[metric.label] = ["-" if value is None else f"{value:{metric.format}}" for value in values]
    for label in dict.fromkeys(run.metric.label for run in runs if run.metric):
        rows[f"best {label}"] = [
            f"{run.text_of(run.best)} (epoch {run.best_epoch})"
            if run.metric and run.metric.label == label and run.best is not None
            else "-"
            for run in runs
        ]
    rows["epochs"] = [
        f"{run.epochs} of {run.planned_epochs}" + (f" (epoch {run.kept_epoch} is kept)" if run.kept_epoch else "")
        for run in runs
    ]
    rows["time"] = [duration(run.seconds) for run in runs]
    rows["state"] = [run.state for run in runs]
    return rows


def _value_of_result(run: RunSummary, key: str) -> float | None:
    """Return the last value of a metric; that of the kept weights after early stopping."""
    if run.kept_epoch:
        return _kept_value(run.path, run.history, key, run.kept_epoch)
    values = _finite(run.history, key)
    return values[-1][1] if values else None


def _differences(runs: Sequence[RunSummary], *, common_only: bool) -> dict[str, list[str]]:
    """Return the settings, facts about the data and versions that differ, with the value of each run."""
    configs = [run.config for run in runs if run.config]
    columns = [
        {"recipe": config.recipe, "model": config.model}
        | dict(config.settings)
        | {name.replace("_", " "): config.data.get(name) for name in ("train_images", "test_images")}
        | {"training data": str(config.data.get("train_sha256", ""))[:8]}
        | {"test data": str(config.data.get("test_sha256", ""))[:8]}
        | {"device": config.device, "processes": config.processes, "threads": config.threads}
        | {f"version of {name}": config.versions.get(name) for name in ("firstsight", "torch")}
        for config in configs
    ]
    rows: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for column in columns for name in column):
        if common_only and not all(name in column for column in columns):
            continue
        values = [column.get(name) for column in columns]
        if any(value != values[0] or type(value) is bool is not type(values[0]) for value in values):
            texts = ["-" if value in (None, "") else _text(value) for value in values]
            rows[name] = _short_paths(texts, 1) if name in ("data", "weights") else texts
    return rows


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short_paths(paths: Sequence[str], parts: int) -> list[str]:
    """Return the last parts of each path: at least some, and as many as make the paths different.

    >>> _short_paths(["runs/a/1", "/x/runs/b/1"], 2), _short_paths(["x/a", "y/a", "-"], 1)
    (['a/1', 'b/1'], ['x/a', 'y/a', '-'])
    """
    split = [Path(path).parts for path in paths]
    longest = max(map(len, split), default=0)
    for count in range(parts, longest):
        short = [str(Path(*item[-count:])) for item in split]
        if len(set(short)) == len(set(paths)):
            return short
    return [str(Path(path)) for path in paths]


def duration(seconds: float) -> str:
    """Return a time in the two largest units.

    >>> duration(9.64), duration(75), duration(7384)
    ('9.6 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _panels(runs: Sequence[RunSummary]) -> "list[Panel]":
    """Return the loss and the main metric of each kind of task among the runs, without empty panels."""
    from firstsight.plots.compare import Curve, Panel

    specs = {spec.name: spec for run in runs if (spec := _spec(run.model))}
    panels: dict[str, Panel] = {}
    for spec in specs.values():
        train = next((metric for metric in spec.metrics if metric.key.startswith("train/")), None)
        main = main_metric(spec)
        groups: list[tuple[str, list[str], float, bool]] = []
        if train:
            test_key = train.key.replace("train/", "test/")
            keys = [train.key, *(metric.key for metric in spec.metrics if metric.key == test_key)]
            groups.append((train.label.removeprefix("train ") if len(keys) > 1 else train.label, keys, 1.0, True))
        if main:
            title, scale = (f"{main.label} (%)", 100.0) if main.format.endswith("%") else (main.label, 1.0)
            groups.append((title, [main.key], scale, False))
        members = [(i, run) for i, run in enumerate(runs) if _spec(run.model) is spec]
        for title, keys, scale, is_loss in groups:
            curves = [
                Curve(i, [e for e, _ in rows], [scale * value for _, value in rows], key.startswith("train/"))
                for i, run in members
                for key in keys
                if (rows := _finite(run.history, key))
            ]
            if curves:
                previous = panels.get(title)
                panels[title] = Panel(title, [*(previous.curves if previous else ()), *curves], is_loss)
    return [*panels.values()]
