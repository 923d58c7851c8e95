"""Interface between the engine and the kinds of tasks: `Task`, its batches, and its results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from firstsight.data.batches import BatchShard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

History = Sequence[Mapping[str, Any]]
"""Metrics of all finished epochs, as in ``metrics.jsonl``."""


@dataclass(frozen=True)
class ReportFigure:
    """Figure of the report.

    Attributes
    ----------
    title : str
        Heading; the part before a comma is also the file name.
    figure : Figure
        The matplotlib figure.
    caption : str
        Text below the figure.
    """

    title: str
    figure: "Figure"
    caption: str = ""


@dataclass(frozen=True)
class ResultSummary:
    """Result of a run as text.

    Attributes
    ----------
    headline : str
        The result in a few words ("test accuracy 99.72%"). The title of the report is without text in parentheses.
    metrics : Sequence[tuple[str, str]]
        (name, value) pairs for the top of the report.
    commands : Sequence[str]
        Command lines that use the result; ``{run}`` is replaced by the run directory.
    diagnosis : str
        What the result means, and what to try; settings are in backticks.
    values : Mapping[str, float]
        Further metrics of the result, by name.
    """

    headline: str
    metrics: Sequence[tuple[str, str]]
    commands: Sequence[str]
    diagnosis: str = ""
    values: Mapping[str, float] = field(default_factory=dict)


class EarlyStoppingTask(Protocol):
    """Further methods of a task that can be stopped early."""

    def validate(self) -> dict[str, float]:
        """Return metrics on validation images, among them "loss", equal on all processes."""
        ...

    def keep_weights(self) -> None:
        """Keep the current weights, in a model of ``Task.models`` that checkpoints save."""

    def restore_weights(self) -> None:
        """Replace the current weights by those that were kept."""


class TrainingBatches(Protocol):
    """Source of training batches; each batch depends only on its epoch and index (`Batches`, `Scenes`, `Crops`)."""

    @property
    def steps(self) -> int:
        """Number of batches per epoch."""
        ...

    def ids(self, epoch: int, index: int) -> NDArray[np.int64]:
        """Return the sample indices of a global batch, over all processes."""
        ...

    def get(self, epoch: int, index: int) -> BatchShard:
        """Return this process's shard of a batch, of the type that the task's `train_step` takes."""
        ...


class Task(Protocol):
    """Models and optimizers with one training step and one evaluation.

    A GAN is one task with two models and two optimizers.

    Attributes
    ----------
    models : dict[str, nn.Module]
        Models by name. `prepare` replaces them by those that the accelerator returns.
    optimizers : dict[str, Optimizer]
        Optimizers by name; also replaced by `prepare`.
    export_model : str
        Name of the model that the run exports. The other models only help to train it.
    monitor : str
        Name of the scalar of `train_step` that the progress bar shows.
    """

    models: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    export_model: str
    monitor: str

    @property
    def batches(self) -> TrainingBatches:
        """Source of the training batches."""
        ...

    def prepare(self, accelerator: Accelerator) -> None:
        """Move the models to the device, and wrap them if there are several processes."""

    def train_step(self, batch: Any) -> dict[str, Tensor]:
        """Train on one batch and return scalars; their mean over processes is the value for the global batch."""
        ...

    def evaluate(self) -> dict[str, float]:
        """Return the metrics on the whole test set, equal on all processes."""
        ...

    def epoch_artifacts(self, epoch: int) -> Mapping[str, bytes]:
        """Return the files to keep of a finished epoch (counted from 1), by path below the run directory."""
        ...

    def warnings(self, history: History) -> list[str]:
        """Return one sentence for each problem of the training so far."""
        ...

    def figures(self, history: History) -> list[ReportFigure]:
        """Return the figures of the report."""
        ...

    def summarize_result(self, metrics: Mapping[str, float]) -> ResultSummary:
        """Summarize the metrics of the last evaluation."""
        ...

    def card(self, metrics: Mapping[str, float]) -> dict[str, str]:
        """Return the cards of the exported weights, by model name, as JSON text."""
        ...
