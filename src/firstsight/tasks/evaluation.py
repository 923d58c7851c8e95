"""The result of `firstsight.evaluate`, the same for every kind of task."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, NamedTuple


class MetricRow(NamedTuple):
    """A line of the table of results: metric, formatted value, description."""

    metric: str
    value: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Evaluation:
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

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{escape(row.metric)}</td><td style='text-align:right'>{escape(row.value)}</td>"
            f"<td style='text-align:left'>{escape(row.description)}</td></tr>"
            for row in self.rows()
        )
        below = "".join(f"<p>{escape(line)}</p>" for line in self.details())
        return f"<p>{escape(self.headline())}</p><table>{cells}</table>{below}"
