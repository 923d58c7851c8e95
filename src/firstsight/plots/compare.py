"""Figure that compares the learning curves of several runs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from firstsight.plots.style import MUTED, TEXT, despine, new_figure, set_epoch_axis, short_labels

COLORS = ("#0b6e99", "#d1651f", "#2a8a4a", "#a63d8f", "#7a6a00", "#1c2126")
"""Colors of the runs, which stay different for color-blind readers; further runs repeat them with other line styles."""
STYLES = ("-", "-.")
LOG_RATIO = 20
"""A panel has a logarithmic scale if its largest value is more than this multiple of its smallest."""


class Curve(NamedTuple):
    """Metric of one run by epoch.

    Parameters
    ----------
    run : int
        Position of the run, which determines the color.
    epochs : Sequence[int]
        Epochs, counted from 1.
    values : Sequence[float]
        Value at each epoch.
    is_train : bool
        Whether it is measured on training batches; such a curve is thin and dotted if its panel has others too.
    """

    run: int
    epochs: Sequence[int]
    values: Sequence[float]
    is_train: bool = False


class Panel(NamedTuple):
    """Panel of the figure.

    Parameters
    ----------
    title : str
        Name of the metric.
    curves : Sequence[Curve]
        Curves of the runs that have it.
    is_loss : bool
        Whether a logarithmic scale is allowed.
    """

    title: str
    curves: Sequence[Curve]
    is_loss: bool = False


def compare_runs(labels: Sequence[str], panels: Sequence[Panel]) -> Figure:
    """Plot the curves of several runs, one color per run.

    Parameters
    ----------
    labels : Sequence[str]
        Names of the runs.
    panels : Sequence[Panel]
        Panels, at least one, in rows of two.

    Returns
    -------
    Figure
        The panels, with one legend below them.
    """
    rows = -(-len(panels) // 2)
    fig = new_figure(9.2, 3.4 * rows + 0.25 + 0.22 * -(-len(labels) // 2))
    axes = fig.subplots(rows, min(len(panels), 2), squeeze=False).ravel()
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    for ax, panel in zip(axes, panels, strict=False):
        has_test = any(not curve.is_train for curve in panel.curves)
        for curve in panel.curves:
            is_thin = curve.is_train and has_test
            ax.plot(
                curve.epochs,
                curve.values,
                color=COLORS[curve.run % len(COLORS)],
                ls=":" if is_thin else STYLES[curve.run // len(COLORS) % len(STYLES)],
                lw=1.1 if is_thin else 1.8,
                marker="o" if len(curve.epochs) < 12 and not is_thin else "",
                ms=3,
            )
        is_mixed = has_test and any(curve.is_train for curve in panel.curves)
        ax.set_title(f"{panel.title}{' (dotted: training)' if is_mixed else ''}", loc="left", fontsize=11, color=TEXT)
        if panel.is_loss:
            _set_scale(ax, [value for curve in panel.curves for value in curve.values])
        set_epoch_axis(ax)
        despine(ax)
    handles = [
        axes[0].plot([], [], color=COLORS[i % len(COLORS)], ls=STYLES[i // len(COLORS) % len(STYLES)], lw=2.4)[0]
        for i in range(len(labels))
    ]
    fig.legend(
        handles,
        short_labels(labels, 44),
        loc="outside lower left",
        ncols=min(len(labels), 2),
        frameon=False,
        labelcolor=MUTED,
        fontsize=9,
    )
    return fig


def _set_scale(ax: Any, values: Sequence[float]) -> None:
    finite = [value for value in values if np.isfinite(value)]
    if finite and min(finite) > 0 and max(finite) > LOG_RATIO * min(finite):
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
