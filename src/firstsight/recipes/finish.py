"""The end of a run: the finished model, the figures, the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firstsight.engine import checkpoint
from firstsight.engine.loop import Outcome
from firstsight.engine.report import Report
from firstsight.engine.rundir import RunDirectory, read_metrics
from firstsight.errors import CheckpointError
from firstsight.tasks.classify import Classify

CAPTIONS = {
    "Learning curves": "Training batches are augmented and measured while the network still changes,"
    " so their line may lie above the test set's.",
    "Confusion matrix": "A row is a true class, a column an answer; the shade is the share of the row.",
}


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


def finish(task: Classify, run: RunDirectory, outcome: Outcome, about: About) -> None:
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
    run.write("model.safetensors", (state.folder / "net.safetensors").read_bytes())
    pictures = []
    for title, figure in {"Learning curves": plots.curves(read_metrics(run.path)), **task.figures()}.items():
        content = plots.png(figure)
        run.write(f"figures/{title.split(',')[0].lower().replace(' ', '-')}.png", content)
        pictures.append((title, content, CAPTIONS.get(title, "")))
    run.write("report.html", make_report(run, outcome, about, pictures).html())


def make_report(
    run: RunDirectory, outcome: Outcome, about: About, pictures: Sequence[tuple[str, bytes, str]]
) -> Report:
    """The report of a classification run."""
    accuracy, tested = outcome.metrics["accuracy"], int(about.data["test_images"])
    return Report(
        title=f"{about.recipe}: {accuracy:.2%} accuracy",
        subtitle=(
            f"{about.model} on {about.data['name']}, last of {outcome.epochs} epochs, seed {about.settings['seed']}"
        ),
        figures=[
            ("test accuracy", f"{accuracy:.2%}"),
            ("wrong answers", f"{round((1 - accuracy) * tested):,} of {tested:,}"),
            ("test loss", f"{outcome.metrics['loss']:.4f}"),
            ("parameters", f"{about.parameters:,}"),
            ("time", f"{outcome.seconds:.1f} s"),
            ("training images / s", f"{outcome.samples_per_second:,.0f}"),
        ],
        pictures=pictures,
        notes=about.notes,
        commands=[f"firstsight evaluate {run.path}", f"firstsight predict {run.path} PICTURE.png"],
        tables=[
            ("Settings", about.settings),
            ("Data", {key: ", ".join(v) if isinstance(v, list) else v for key, v in about.data.items()}),
            ("Environment", about.environment),
        ],
    )
