"""What the engine trains: the one word it knows of the kinds of learning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
"""The metrics of every finished epoch, as in ``metrics.jsonl``."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure of the report."""

    title: str
    figure: "Figure"
    caption: str = ""


@dataclass(frozen=True)
class ResultSummary:
    """What a run has come to, in words.

    Parameters
    ----------
    headline : str
        The result in a few words.
    figures : Sequence[tuple[str, str]]
        What is shown large in the report: (name, value).
    commands : Sequence[str]
        What to do with the result; ``{run}`` stands for the run directory.
    """

    headline: str
    figures: Sequence[tuple[str, str]]
    commands: Sequence[str]


class DatasetInfo(Protocol):
    """Where training batches come from, as pure functions of epoch and place: `Batches`, `Scenes`."""

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        ...

    def ids(self, epoch: int, index: int) -> NDArray[np.int64]:
        """Sample numbers of one global batch, over all processes."""
        ...

    def get(self, epoch: int, index: int) -> BatchShard:
        """The share of this process in one batch; of the kind that the task's `train_step` takes."""
        ...


class Task(Protocol):
    """Models, optimizers, and what one step and one evaluation of them are.

    A generative adversarial network is two models and two optimizers in one task; the engine does not care.

    Attributes
    ----------
    models, optimizers
        By name. `prepare` replaces the entries by what the accelerator makes of them.
    batches
        Where training batches come from.
    product
        The model that a run is made for; the others only help to train it.
    watched
        The scalar of `train_step` that is shown while it trains.
    """

    models: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    export_model: str
    monitor: str

    @property
    def batches(self) -> DatasetInfo:
        """See above."""
        ...

    def prepare(self, accelerator: Accelerator) -> None:
        """Move to the device; wrap for several processes."""

    def train_step(self, batch: Any) -> dict[str, Tensor]:
        """One update; scalars whose mean over processes is their value for the global batch."""
        ...

    def evaluate(self) -> dict[str, float]:
        """Metrics over the whole test set (the same on every process)."""
        ...

    def epoch_artifacts(self, epoch: int) -> Mapping[str, bytes]:
        """Files to keep of an epoch (from 1) that has just ended, by their path in the run directory."""
        ...

    def warnings(self, lines: History) -> list[str]:
        """What is wrong with the training by now, a sentence each."""
        ...

    def figures(self, lines: History) -> list[ReportFigure]:
        """Pictures for the report."""
        ...

    def summarize_result(self, metrics: Mapping[str, float]) -> ResultSummary:
        """What the last evaluation says."""
        ...

    def card(self, metrics: Mapping[str, float]) -> dict[str, str]:
        """What must stand beside the product's weights to use them, as JSON, by the model's name."""
        ...
