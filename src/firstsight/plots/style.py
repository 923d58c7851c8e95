"""Colors and axis styles shared by all figures."""

from collections.abc import Iterable
from typing import Any

from matplotlib.figure import Figure

from firstsight.plots.text import TextFigure
from firstsight.text import printable, shorten

TEXT, MUTED, LINE = "#1c2126", "#65707b", "#d9dee3"
TRAIN, TEST, VALIDATION, WRONG = "#8a99a8", "#0b6e99", "#b26a00", "#b3261e"
MAX_LABEL = 24
"""Maximum number of characters of a name next to a plot; matplotlib leaves no space for the plot otherwise."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure of this size in inches, whose text is drawn unchanged."""
    return TextFigure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")


def despine(ax: Any) -> None:
    """Hide the top and right spines, mute the others, and add a light horizontal grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(LINE)
    ax.tick_params(colors=MUTED, which="both", labelsize=9)
    ax.grid(axis="y", color=LINE, lw=0.6)


def set_epoch_axis(ax: Any) -> None:
    """Label the horizontal axis "epoch" and put its ticks at integers, even for a single epoch."""
    ax.set_xlabel("epoch", color=MUTED)
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def short_labels(names: Iterable[str], length: int = MAX_LABEL) -> list[str]:
    """Return names for labels next to a plot: one line each, without the middle of long ones."""
    return [shorten(printable(name), length) for name in names]


def text_figure(text: str) -> Figure:
    """Return a figure with a message instead of a plot."""
    fig = new_figure(9, 1.2)
    fig.text(0.5, 0.5, text, ha="center", va="center", color=MUTED, fontsize=12)
    return fig
