"""The figures of a pose run: its curves, and scenes with people drawn over them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from firstsight.plots.grid import tile
from firstsight.plots.style import INK, SOFT, TEST, TRAIN, WRONG, new_figure, quiet


def pose_curves(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss, and what was found, by epoch; ``lines`` as in ``metrics.jsonl``."""
    figure = new_figure(9, 3.4)
    left, right = figure.subplots(1, 2)
    for key, colour, label in (("train/loss", TRAIN, "training scenes"), ("test/loss", TEST, "test scenes")):
        _line(left, lines, key, colour, label, scale=1)
    for key, colour, label in (
        ("test/ap", TEST, "average precision"), ("test/ar", TRAIN, "average recall"), ("test/pck", WRONG, "PCK@0.2"),
    ):  # fmt: skip
        _line(right, lines, key, colour, label, scale=100)
    left.set_yscale("log")
    left.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    left.yaxis.set_minor_formatter(lambda value, _: "")
    right.set_ylim(0, 100)
    for axes, title in ((left, "Loss per scene"), (right, "Found (%)")):
        axes.set_title(title, loc="left", fontsize=11, color=INK)
        axes.set_xlabel("epoch", color=SOFT)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False, labelcolor=SOFT)
        quiet(axes)
    return figure


def _line(axes: Any, lines: Sequence[Mapping[str, Any]], key: str, colour: str, label: str, *, scale: float) -> None:
    measured = [line for line in lines if key in line]
    if measured:
        epochs, values = [line["epoch"] for line in measured], [line[key] * scale for line in measured]
        axes.plot(epochs, values, color=colour, lw=1.8, label=label, marker="o" if len(measured) < 12 else "", ms=3)


def scene_sheet(images: NDArray[np.uint8], columns: int) -> Figure:
    """Pictures in rows, large enough for skeletons to be followed; (N, 3, S, S) uint8."""
    picture = tile(images, columns)
    figure = new_figure(9, 9 * picture.shape[0] / picture.shape[1])
    axes = figure.subplots()
    axes.imshow(picture)
    axes.axis("off")
    return figure
