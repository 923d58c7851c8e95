"""The figures of a training run: curves, confusion matrix, galleries."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from firstsight.plots.style import MUTED, TEST, TEXT, TRAIN, WRONG, by_epoch, new_figure, quiet


def curves(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss and accuracy by epoch, on training batches and on the test set; ``lines`` as in ``metrics.jsonl``."""
    figure = new_figure(9, 3.4)
    panels = [("loss", "Loss (nats)", 1.0), ("error", "Error (%)", 100.0)]
    for axes, (name, title, scale) in zip(figure.subplots(1, 2), panels, strict=True):
        ends = []
        for part, colour, label in (("train", TRAIN, "training batches"), ("test", TEST, "test set")):
            measured = [line for line in lines if f"{part}/loss" in line]
            epochs = [line["epoch"] for line in measured]
            values = [_value(line, part, name) * scale for line in measured]
            axes.plot(epochs, values, color=colour, lw=1.8, label=label, marker="o" if len(measured) < 12 else "", ms=3)
            ends.append((values[-1], colour))
        for rank, (value, colour) in enumerate(sorted(ends)):  # the lower label hangs below its line, the other stands
            axes.annotate(
                f"{value:.3g}", (epochs[-1], value), xytext=(5, 3 if rank else -3), textcoords="offset points",
                color=colour, va="bottom" if rank else "top", fontsize=9,
            )  # fmt: skip
        _log_scale(axes, floor=1e-3 * scale)
        axes.set_title(title, loc="left", fontsize=11, color=TEXT)
        by_epoch(axes)
        quiet(axes)
    figure.axes[0].legend(frameon=False, labelcolor=MUTED)
    return figure


def _value(line: Mapping[str, Any], part: str, name: str) -> float:
    value: float = 1 - line[f"{part}/accuracy"] if name == "error" else line[f"{part}/{name}"]
    return value


def _log_scale(axes: Any, *, floor: float) -> None:
    """A logarithmic axis that becomes linear below ``floor``, so that a perfect zero has a place."""
    high = axes.get_ylim()[1]
    lowest, highest = (pick(pick(line.get_ydata()) for line in axes.lines) for pick in (min, max))
    if highest < 4 * lowest:  # a short run: a logarithmic axis would have hardly a number on it
        return
    if min(line.get_ydata().min() for line in axes.lines) < floor:
        axes.set_yscale("symlog", linthresh=floor)
        axes.set_ylim(-0.3 * floor, max(high, floor))
    else:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if _leading(value) in (2, 5) else "")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _leading(value: float) -> int:
    return round(value / 10 ** np.floor(np.log10(value))) if value > 0 else 0


def confusion(matrix: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """Rows the true class, columns the answer; cell shade is the share of the row, numbers are counts.

    ``matrix`` is (classes, classes).
    """
    n = len(classes)
    side = min(max(3.6, 0.4 * n + 1.2), 14)
    figure = new_figure(side * 1.1, side)
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if n <= 30:
        for row, column in np.ndindex(n, n):
            if matrix[row, column]:
                colour = "white" if shares[row, column] > 0.5 else (WRONG if row != column else TEXT)
                axes.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=8.5, color=colour)
        straight = max(map(len, classes)) <= 2
        axes.set_xticks(range(n), classes, rotation=0 if straight else 45, ha="center" if straight else "right")
        axes.set_yticks(range(n), classes)
    axes.set_xlabel("answered", color=MUTED)
    axes.set_ylabel("true", color=MUTED)
    axes.tick_params(colors=MUTED, length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    return figure


def gallery(
    images: NDArray[np.uint8], captions: Sequence[str], *, colours: Sequence[str] | None = None, columns: int = 8
) -> Figure:
    """Pictures in rows with a caption below each; (N, C, H, W) uint8."""
    columns = min(columns, max(len(images), 4))
    rows = max(-(-len(images) // columns), 1)
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    width, height = 1.15, 1.0 + 0.2 * lines  # of a cell, in inches
    figure = new_figure(width * columns, height * rows)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))  # one for all: an axes per image takes most of the time of a report
    axes.axis("off")
    for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(place, columns)
        high, wide = np.array(image.shape[1:]) / max(image.shape[1:])
        x, top = (column + 0.5) * width, row * height + 0.06
        axes.imshow(
            image[0] if len(image) == 1 else image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255,
            interpolation="nearest", extent=(x - wide / 2, x + wide / 2, top + high, top), aspect="auto",
        )  # fmt: skip
        colour = colours[place] if colours else TEXT
        axes.text(x, top + high + 0.05, caption, fontsize=7.5, color=colour, ha="center", va="top")
    axes.set_xlim(0, width * columns)
    axes.set_ylim(height * rows, 0)
    return figure
