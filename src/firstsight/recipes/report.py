"""Results of a finished run: the exported model, the figures and the HTML report."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firstsight.engine import checkpoint
from firstsight.engine.loop import TrainOutcome
from firstsight.engine.report import Report
from firstsight.engine.rundir import RunDirectory, incomplete_metrics, read_metrics
from firstsight.engine.task import ReportFigure, ResultSummary, Task
from firstsight.errors import CheckpointError


@dataclass(frozen=True)
class RunInfo:
    """Description of a run for its report.

    Attributes
    ----------
    recipe : str
        Name of the recipe.
    model : str
        Name of the network.
    parameters : int
        Number of parameters of the exported network.
    notes : Sequence[str]
        Sentences that qualify the numbers.
    settings, data, environment : Mapping[str, Any]
        Tables of the report.
    """

    recipe: str
    model: str
    parameters: int
    notes: Sequence[str]
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    environment: Mapping[str, Any]


def write_results(task: Task, run: RunDirectory, outcome: TrainOutcome, info: RunInfo, summary: ResultSummary) -> None:
    """Write ``model.safetensors``, ``figures/*.png`` and ``report.html`` of a finished run.

    Parameters
    ----------
    task : Task
        The trained task.
    run : RunDirectory
        Run directory to write to.
    outcome : TrainOutcome
        Outcome of the training loop.
    info : RunInfo
        Description of the run.
    summary : ResultSummary
        The result as text.

    Raises
    ------
    CheckpointError
        If the last checkpoint is missing or damaged.
    OSError
        If the system cannot write a file.
    """
    newest, _ = checkpoint.load_newest(run.checkpoints)
    if newest is None:
        raise CheckpointError(f"{run.path}: the last checkpoint is missing")
    run.write("model.safetensors", (newest.folder / f"{task.export_model}.safetensors").read_bytes())
    history = read_metrics(run.path).lines
    with incomplete_metrics(run.path):
        figures = task.figures(history)
        warnings = task.warnings(history)
    headline = re.sub(r" \([^()]*\)", "", summary.headline)
    details = f"{summary.headline[0].upper()}{summary.headline[1:]}" if headline != summary.headline else ""
    notes = [details, summary.diagnosis, outcome.early_stopping, *info.notes, *warnings]
    report = Report(
        title=f"{info.recipe}: {headline}",
        subtitle=f"{info.model} on {info.data['name']}, after epoch {outcome.kept_epoch}, seed {info.settings['seed']}",
        metrics=[
            *summary.metrics,
            ("parameters", f"{info.parameters:,}"),
            ("time", f"{outcome.seconds:.1f} s"),
            ("training images / s", f"{outcome.samples_per_second:,.0f}"),
        ],
        figures=_write_figures(figures, run),
        notes=[note for note in notes if note],
        commands=[command.format(run=run.path) for command in summary.commands],
        tables=[
            ("Settings", info.settings),
            ("Data", {key: ", ".join(v) if isinstance(v, list) else v for key, v in info.data.items()}),
            ("Environment", info.environment),
        ],
    )
    run.write("report.html", report.html())


def _write_figures(report_figures: Sequence[ReportFigure], run: RunDirectory) -> list[tuple[str, bytes, str]]:
    """Write the figures as files, and return (title, content, caption) of each."""
    from firstsight import plots

    figures = []
    for figure in report_figures:
        content = plots.encode_png(figure.figure)
        name = figure.title.split(",")[0].lower().replace(" ", "-")
        run.write(f"figures/{name}.png", content)
        figures.append((figure.title, content, figure.caption))
    if samples := sorted((run.path / "samples").glob("*.png")):
        animation = plots.encode_gif([path.read_bytes() for path in samples])
        run.write("figures/training.gif", animation)
        figures.append(
            (
                "Samples during training",
                animation,
                "Images from fixed latent vectors, from the first epoch to the last.",
            )
        )
    return figures
