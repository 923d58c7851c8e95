"""What all figures share: colours, quiet axes, and how a figure becomes a file."""

import io
from typing import Any

from matplotlib.figure import Figure

TEXT, MUTED, LINE = "#1c2126", "#65707b", "#d9dee3"
TRAIN, TEST, WRONG = "#8a99a8", "#0b6e99", "#b3261e"


def new_figure(width: float, height: float) -> Figure:
    """A white figure of this many inches."""
    return Figure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")


def png(figure: Figure) -> bytes:
    """The figure as a PNG file's bytes."""
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def quiet(axes: Any) -> None:
    """Axes that do not shout: no box, a soft grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=MUTED, which="both", labelsize=9)
    axes.grid(axis="y", color=LINE, lw=0.6)


def by_epoch(axes: Any) -> None:
    """Name the horizontal axis; only whole epochs stand on it, a single one too."""
    axes.set_xlabel("epoch", color=MUTED)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def message(text: str) -> Figure:
    """A figure that says why there is nothing to show."""
    figure = new_figure(9, 1.2)
    figure.text(0.5, 0.5, text, ha="center", va="center", color=MUTED, fontsize=12)
    return figure
