"""The end of a run: the finished model, the figures, the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firstsight.engine import checkpoint
from firstsight.engine.loop import TrainOutcome
from firstsight.engine.report import Report
from firstsight.engine.rundir import RunDirectory, read_metrics
from firstsight.engine.task import Task
from firstsight.errors import CheckpointError


@dataclass(frozen=True)
class About:
    """What a report says of a run besides its numbers; ``settings``, ``data`` and ``environment`` are its tables."""

    recipe: str
    model: str
    parameters: int
    notes: Sequence[str]
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    environment: Mapping[str, Any]


def finish(task: Task, run: RunDirectory, outcome: TrainOutcome, about: About) -> None:
    """Write ``model.safetensors``, ``figures/*.png`` and ``report.html``.

    Raises
    ------
    CheckpointError
        The last checkpoint is gone or damaged.
    OSError
        As from the system.
    """
    from firstsight import plots

    state, _ = checkpoint.newest(run.checkpoints)
    if state is None:
        raise CheckpointError(f"{run.path}: the last checkpoint is gone")
    run.write("model.safetensors", (state.folder / f"{task.export_model}.safetensors").read_bytes())
    lines = read_metrics(run.path)
    pictures = []
    for picture in task.figures(lines):
        content = plots.png(picture.figure)
        run.write(f"figures/{picture.title.split(',')[0].lower().replace(' ', '-')}.png", content)
        pictures.append((picture.title, content, picture.caption))
    if sheets := sorted((run.path / "samples").glob("*.png")):
        film = plots.gif([sheet.read_bytes() for sheet in sheets])
        run.write("figures/training.gif", film)
        pictures.append(("The training", film, "The same latent vectors, from the first epoch to the last."))
    summarize_result = task.summarize_result(outcome.metrics)
    report = Report(
        title=f"{about.recipe}: {summarize_result.headline}",
        subtitle=(
            f"{about.model} on {about.data['name']}, after epoch {outcome.epochs}, seed {about.settings['seed']}"
        ),
        figures=[
            *summarize_result.figures,
            ("parameters", f"{about.parameters:,}"),
            ("time", f"{outcome.seconds:.1f} s"),
            ("training images / s", f"{outcome.samples_per_second:,.0f}"),
        ],
        pictures=pictures,
        notes=[*about.notes, *task.warnings(lines)],
        commands=[command.format(run=run.path) for command in summarize_result.commands],
        tables=[
            ("Settings", about.settings),
            ("Data", {key: ", ".join(v) if isinstance(v, list) else v for key, v in about.data.items()}),
            ("Environment", about.environment),
        ],
    )
    run.write("report.html", report.html())
