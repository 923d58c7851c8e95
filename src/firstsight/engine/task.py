"""What the engine trains: the one word it knows of the kinds of learning."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from firstsight.data.batches import Batch, Batches

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Metric:
    """The figure a task reports, and which way is better."""

    name: str
    direction: Literal["max", "min"] = "max"


class Task(Protocol):
    """Models, optimizers, and what one step and one evaluation of them are.

    A generative adversarial network is two models and two optimizers in one task; the engine does not care.

    Attributes
    ----------
    models, optimizers : by name. `prepare` replaces the entries by what the accelerator makes of them.
    batches : where training batches come from.
    metric : the figure to report.
    """

    models: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    batches: Batches
    metric: Metric

    def prepare(self, accelerator: Accelerator) -> None:
        """Move to the device; wrap for several processes."""

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        """One update; scalars whose mean over processes is their value for the global batch."""
        ...

    def evaluate(self) -> dict[str, float]:
        """Metrics over the whole test set (the same on every process)."""
        ...

    def figures(self) -> "Mapping[str, Figure]":
        """Pictures for the report, by title."""
        ...

    def card(self, metrics: Mapping[str, float]) -> dict[str, str]:
        """What must stand beside each model's weights to use them, as JSON, by the model's name."""
        ...
