"""The figures of two networks that train against each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from firstsight.plots.grid import GAP, tile
from firstsight.plots.style import MUTED, TEST, TEXT, TRAIN, WRONG, by_epoch, new_figure, quiet

LETTER, LINE_ABOVE, MARGIN = 0.08, 0.3, 0.1
"""Of the names beside and above a sheet the width of a letter and the height of a line, about, in inches."""


def gan_curves(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Losses, what D gives real and generated pictures, and the Frechet distance; ``lines`` as in ``metrics.jsonl``."""
    figure = new_figure(11, 3.4)
    losses, answers, distance = figure.subplots(1, 3)
    _lines(losses, lines, {"train/d_loss": ("D", TEST), "train/g_loss": ("G", WRONG)})
    losses.set_title("Loss", loc="left", fontsize=11, color=TEXT)
    _lines(answers, lines, {"train/d_real": ("D(x)", TEST), "train/d_fake": ("D(G(z))", WRONG)})
    inside = all(0 <= line[f"train/{name}"] <= 1 for line in lines for name in ("d_real", "d_fake"))
    if inside:
        answers.set_ylim(-0.03, 1.03)
        answers.axhline(0.5, color=TRAIN, lw=0.8, ls=":")
    answers.set_title("What D says, real and generated", loc="left", fontsize=11, color=TEXT)
    _lines(distance, lines, {"test/frechet": ("generated", WRONG), "test/frechet_floor": ("real", TRAIN)})
    distance.set_yscale("log")
    distance.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    distance.set_title("Frechet distance to test pictures", loc="left", fontsize=11, color=TEXT)
    return figure


def _lines(axes: Any, lines: Sequence[Mapping[str, Any]], names: Mapping[str, tuple[str, str]]) -> None:
    for name, (label, colour) in names.items():
        measured = [line for line in lines if name in line]
        epochs, values = [line["epoch"] for line in measured], [line[name] for line in measured]
        axes.plot(epochs, values, color=colour, lw=1.5, label=label, marker="o" if len(measured) == 1 else "")
    by_epoch(axes)
    axes.legend(frameon=False, labelcolor=MUTED, fontsize=9)
    quiet(axes)


def sheet(
    images: NDArray[np.uint8], columns: int, *, rows: Sequence[str] = (), heads: Sequence[str] = (), title: str = ""
) -> Figure:
    """Pictures in rows, with names for rows and columns where there are any; (N, C, H, W) uint8."""
    picture = tile(images, columns)
    count = -(-len(images) // columns)
    high, wide = (picture.shape[0] - GAP) / count, (picture.shape[1] - GAP) / columns
    scale = 9 / max(columns, 8) / wide
    beside = LETTER * max(map(len, rows)) if rows else 0.0
    above = LINE_ABOVE * (bool(heads) + bool(title))
    across, down = picture.shape[1] * scale, picture.shape[0] * scale
    whole = across + beside + 2 * MARGIN, down + above + 2 * MARGIN
    figure = new_figure(*whole)
    figure.set_layout_engine("none")  # places are known
    axes = figure.add_axes(((beside + MARGIN) / whole[0], MARGIN / whole[1], across / whole[0], down / whole[1]))
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=MUTED, labelsize=9, labeltop=True, labelbottom=False)
    axes.set_xticks([GAP + (i + 0.5) * wide for i in range(len(heads))], heads)
    axes.set_yticks([GAP + (i + 0.5) * high for i in range(len(rows))], rows)
    if title:
        axes.set_title(title, loc="left", fontsize=11, color=TEXT)
    return figure
