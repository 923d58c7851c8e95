"""Figures of a training run: learning curves, confusion matrix, galleries of images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from firstsight.plots.style import (
    MUTED,
    TEST,
    TEXT,
    TRAIN,
    VALIDATION,
    WRONG,
    despine,
    new_figure,
    set_epoch_axis,
    short_labels,
)
from firstsight.text import shorten

FEW_TEST_IMAGES = 100
"""Number of test images below which one image changes the error by more than 1 %."""
MAX_CAPTION = 22
"""Maximum number of characters in a line below an image; a longer one would overlap with its neighbors."""


def curves(history: Sequence[Mapping[str, Any]], *, num_test: int | None = None) -> Figure:
    """Plot loss and error by epoch, on training batches, on the test set, and on validation images if there are any.

    The axes are logarithmic. That of the error is linear if an error is 0, or if there are few test images: then one
    image more or less is a large step.

    Parameters
    ----------
    history : Sequence[Mapping[str, Any]]
        Metrics of each epoch, as in ``metrics.jsonl``.
    num_test : int | None
        Number of test images; None if it is not known.

    Returns
    -------
    Figure
        Two panels: loss and error.
    """
    fig = new_figure(9, 3.4)
    panels = [("loss", "Loss (nats)", 1.0), ("error", "Error (%)", 100.0)]
    for ax, (name, title, scale) in zip(fig.subplots(1, 2), panels, strict=True):
        ends = []
        validation = [row for row in history if "val/loss" in row]
        if validation:
            values = [_metric(row, "val", name) * scale for row in validation]
            epochs = [row["epoch"] for row in validation]
            ax.plot(epochs, values, color=VALIDATION, lw=1.4, ls="--", label="validation images")
            if name == "loss":
                best = min(range(len(values)), key=values.__getitem__)
                lowest = f"lowest, at epoch {epochs[best]}"
                ax.plot(epochs[best], values[best], color=VALIDATION, ls="", marker="o", ms=6, label=lowest)
        for part, color, label in (("train", TRAIN, "training batches"), ("test", TEST, "test set")):
            rows = [row for row in history if f"{part}/loss" in row]
            epochs = [row["epoch"] for row in rows]
            values = [_metric(row, part, name) * scale for row in rows]
            ax.plot(epochs, values, color=color, lw=1.8, label=label, marker="o" if len(rows) < 12 else "", ms=3)
            ends.append((values[-1], color))
        for rank, (value, color) in enumerate(sorted(ends)):  # the lower label is below its curve, the other above
            ax.annotate(
                f"{value:.3g}",
                (epochs[-1], value),
                xytext=(5, 3 if rank else -3),
                textcoords="offset points",
                color=color,
                va="bottom" if rank else "top",
                fontsize=9,
            )
        errors = np.concatenate([line.get_ydata() for line in ax.lines]) if name == "error" else np.ones(1)
        if errors.min() == 0 or (name == "error" and num_test is not None and num_test < FEW_TEST_IMAGES):
            ax.set_ylim(-0.06 * max(errors.max(), 1), 1.08 * max(errors.max(), 1))
        else:
            _log_scale(ax, floor=1e-3 * scale)
        ax.set_title(title, loc="left", fontsize=11, color=TEXT)
        set_epoch_axis(ax)
        despine(ax)
    fig.axes[0].legend(frameon=False, labelcolor=MUTED)
    return fig


def _metric(row: Mapping[str, Any], part: str, name: str) -> float:
    value: float = 1 - row[f"{part}/accuracy"] if name == "error" else row[f"{part}/{name}"]
    return value


def _log_scale(ax: Any, *, floor: float) -> None:
    """Set a logarithmic scale that is linear below ``floor``, so that zero can be drawn."""
    high = ax.get_ylim()[1]
    lowest, highest = (pick(pick(line.get_ydata()) for line in ax.lines) for pick in (min, max))
    if highest < 4 * lowest:  # a logarithmic scale would have almost no tick labels
        return
    if min(line.get_ydata().min() for line in ax.lines) < floor:
        ax.set_yscale("symlog", linthresh=floor)
        ax.set_ylim(-0.3 * floor, 1.3 * max(high, floor))
    else:
        ax.set_yscale("log")
        ax.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if _leading_digit(value) in (2, 5) else "")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _leading_digit(value: float) -> int:
    return round(value / 10 ** np.floor(np.log10(value))) if value > 0 else 0


def confusion(matrix: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """Plot a confusion matrix; the shade of a cell is its fraction of the row, the number is the count.

    Parameters
    ----------
    matrix : NDArray[np.int64]
        Counts of shape (classes, classes): rows are true classes, columns are predictions.
    classes : Sequence[str]
        Names of the classes.

    Returns
    -------
    Figure
        The confusion matrix.
    """
    n = len(classes)
    side = min(max(3.6, 0.4 * n + 1.2), 14)
    fig = new_figure(side * 1.1, side)
    ax = fig.subplots()
    fractions = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    ax.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    if n <= 30:
        for row, column in np.ndindex(n, n):
            if matrix[row, column]:
                color = "white" if fractions[row, column] > 0.5 else (WRONG if row != column else TEXT)
                ax.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=8.5, color=color)
        names = short_labels(classes)
        is_short = max(map(len, names)) <= 2
        ax.set_xticks(range(n), names, rotation=0 if is_short else 45, ha="center" if is_short else "right")
        ax.set_yticks(range(n), names)
    ax.set_xlabel("predicted", color=MUTED)
    ax.set_ylabel("true", color=MUTED)
    ax.tick_params(colors=MUTED, length=0, labelsize=9)
    ax.spines[:].set_visible(False)
    return fig


def gallery(
    images: NDArray[np.uint8], captions: Sequence[str], *, colors: Sequence[str] | None = None, columns: int = 8
) -> Figure:
    """Plot images in rows, each with a caption below it.

    Parameters
    ----------
    images : NDArray[np.uint8]
        Images of shape (N, C, H, W), uint8.
    captions : Sequence[str]
        Caption of each image; it can have several lines.
    colors : Sequence[str] | None
        Color of each caption.
    columns : int
        Maximum number of images in a row.

    Returns
    -------
    Figure
        All images in one figure.
    """
    columns = min(columns, max(len(images), 4))
    rows = max(-(-len(images) // columns), 1)
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    width = 1.15  # of a cell, in inches
    height = 1.0 + 0.2 * lines
    fig = new_figure(width * columns, height * rows)
    fig.set_layout_engine("none")
    ax = fig.add_axes((0, 0, 1, 1))  # a single Axes: one per image would take most of the time of a report
    ax.axis("off")
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(index, columns)
        h, w = np.array(image.shape[1:]) / max(image.shape[1:])
        x = (column + 0.5) * width
        top = row * height + 0.06
        ax.imshow(
            image[0] if len(image) == 1 else image.transpose(1, 2, 0),
            cmap="gray",
            vmin=0,
            vmax=255,
            interpolation="nearest",
            extent=(x - w / 2, x + w / 2, top + h, top),
            aspect="auto",
        )
        color = colors[index] if colors else TEXT
        lines_of_caption = [shorten(line, MAX_CAPTION) for line in caption.split("\n")]
        ax.text(x, top + h + 0.05, "\n".join(lines_of_caption), fontsize=7.5, color=color, ha="center", va="top")
    ax.set_xlim(0, width * columns)
    ax.set_ylim(height * rows, 0)
    return fig
