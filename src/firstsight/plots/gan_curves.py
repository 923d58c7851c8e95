"""Figures of GAN training: learning curves and grids of images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from firstsight.plots.grid import GAP, tile
from firstsight.plots.style import MUTED, TEST, TEXT, TRAIN, WRONG, despine, new_figure, set_epoch_axis

CHAR_WIDTH = 0.08
"""Approximate width of a character of a row name in inches."""
LINE_HEIGHT = 0.3
"""Height of a line of column names or of the title in inches."""
MARGIN = 0.1
"""Margin around a grid in inches."""


def gan_curves(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Plot the losses, the outputs of D for real and generated images, and the Frechet distance by epoch.

    Parameters
    ----------
    history : Sequence[Mapping[str, Any]]
        Metrics of each epoch, as in ``metrics.jsonl``.

    Returns
    -------
    Figure
        Three panels: losses, outputs of D, Frechet distance.
    """
    fig = new_figure(11, 3.4)
    losses, outputs, distance = fig.subplots(1, 3)
    _plot_curves(losses, history, {"train/d_loss": ("D", TEST), "train/g_loss": ("G", WRONG)})
    losses.set_title("Loss", loc="left", fontsize=11, color=TEXT)
    _plot_curves(outputs, history, {"train/d_real": ("D(x)", TEST), "train/d_fake": ("D(G(z))", WRONG)})
    is_probability = all(0 <= row[f"train/{name}"] <= 1 for row in history for name in ("d_real", "d_fake"))
    if is_probability:
        outputs.set_ylim(-0.03, 1.03)
        outputs.axhline(0.5, color=TRAIN, lw=0.8, ls=":")
    outputs.set_title("D's output, real and generated", loc="left", fontsize=11, color=TEXT)
    _plot_curves(distance, history, {"test/frechet": ("generated", WRONG), "test/frechet_floor": ("real", TRAIN)})
    distance.set_yscale("log")
    distance.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    distance.set_title("Frechet distance to test images", loc="left", fontsize=11, color=TEXT)
    return fig


def _plot_curves(ax: Any, history: Sequence[Mapping[str, Any]], names: Mapping[str, tuple[str, str]]) -> None:
    for name, (label, color) in names.items():
        rows = [row for row in history if name in row]
        epochs = [row["epoch"] for row in rows]
        values = [row[name] for row in rows]
        ax.plot(epochs, values, color=color, lw=1.5, label=label, marker="o" if len(rows) == 1 else "")
    set_epoch_axis(ax)
    ax.legend(frameon=False, labelcolor=MUTED, fontsize=9)
    despine(ax)


def image_grid(
    images: NDArray[np.uint8], columns: int, *, rows: Sequence[str] = (), heads: Sequence[str] = (), title: str = ""
) -> Figure:
    """Plot images in a grid, with optional names of rows and columns.

    Parameters
    ----------
    images : NDArray[np.uint8]
        Images of shape (N, C, H, W), uint8.
    columns : int
        Number of images in a row.
    rows : Sequence[str]
        Names of the rows.
    heads : Sequence[str]
        Names of the columns.
    title : str
        Title of the figure.

    Returns
    -------
    Figure
        The grid.
    """
    grid = tile(images, columns)
    num_rows = -(-len(images) // columns)
    cell_height = (grid.shape[0] - GAP) / num_rows
    cell_width = (grid.shape[1] - GAP) / columns
    scale = 9 / max(columns, 8) / cell_width  # inches per pixel
    names_width = CHAR_WIDTH * max(map(len, rows)) if rows else 0.0
    heads_height = LINE_HEIGHT * (bool(heads) + bool(title))
    grid_width = grid.shape[1] * scale
    grid_height = grid.shape[0] * scale
    width = grid_width + names_width + 2 * MARGIN
    height = grid_height + heads_height + 2 * MARGIN
    fig = new_figure(width, height)
    fig.set_layout_engine("none")  # all positions are computed here
    ax = fig.add_axes(((names_width + MARGIN) / width, MARGIN / height, grid_width / width, grid_height / height))
    ax.imshow(grid, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, colors=MUTED, labelsize=9, labeltop=True, labelbottom=False)
    ax.set_xticks([GAP + (i + 0.5) * cell_width for i in range(len(heads))], heads)
    ax.set_yticks([GAP + (i + 0.5) * cell_height for i in range(len(rows))], rows)
    if title:
        ax.set_title(title, loc="left", fontsize=11, color=TEXT)
    return fig
