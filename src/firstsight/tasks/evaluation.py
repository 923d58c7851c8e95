"""The result of `firstsight.evaluate`, the same for every kind of task."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from firstsight import display
from firstsight.display import Result


class MetricRow(NamedTuple):
    """A line of the table of results: metric, formatted value, description."""

    metric: str
    value: str
    description: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Evaluation(Result):
    """Metrics of a trained model on a data set.

    Parameters
    ----------
    metrics : Mapping[str, float | None]
        Values by name; None where there is nothing to measure.
    n : int
        Number of test images.
    model : str
        Name of the network or of its weights.
    data : str
        Name of the data set.
    notes : tuple[str, ...]
        Remarks on the evaluation, such as images that were left out.
    """

    metrics: Mapping[str, float | None]
    n: int
    model: str
    data: str
    notes: tuple[str, ...] = ()

    def headline(self) -> str:
        """Return the result in one line."""
        values = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items() if value is not None)
        return f"{self.model} on {self.data}: {values} ({self.n:,} images)"

    def rows(self) -> list[MetricRow]:
        """Return a table of the metrics for people."""
        return [MetricRow(name, "-" if value is None else f"{value:.4g}", "") for name, value in self.metrics.items()]

    def details(self) -> list[str]:
        """Return lines printed below the table."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        width = max((len(row.metric) for row in self.rows()), default=0)
        table = [f"  {row.metric:<{width}}  {row.value:>8}  {row.description}".rstrip() for row in self.rows()]
        return "\n".join([self.headline(), *table, *self.details()])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        remarks = [*self.details(), *(f"note: {note}" for note in self.notes)]
        return (
            display.paragraph(self.headline())
            + display.table(self.rows(), numbers=[1])
            + "".join(map(display.paragraph, remarks))
        )
