"""Contact sheet of a data set: one row of images per class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from firstsight.plots.style import MUTED, TEXT, new_figure, short_labels

CELL = 0.9
"""Width and height of an image with its margin, in inches."""
LABEL_WIDTH = 2.0
MAX_ROWS = 60


def contact_sheet(images: Sequence[NDArray[np.uint8]], labels: Sequence[str]) -> Figure:
    """Plot one row of images per class, with its label on the left; at most `MAX_ROWS` rows.

    Parameters
    ----------
    images : Sequence[NDArray[np.uint8]]
        For each class (N, C, H, W) uint8; N may differ, and be 0.
    labels : Sequence[str]
        Label of each row; it can have two lines.
    """
    rows = min(len(images), MAX_ROWS)
    columns = max(1, *(len(row) for row in images[:rows]))
    width, height = LABEL_WIDTH + CELL * columns, CELL * rows
    left_out = len(images) - rows
    fig = new_figure(width, height + (0.3 if left_out else 0.0))
    fig.set_layout_engine("none")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.axis("off")
    for row, (row_images, label) in enumerate(zip(images[:rows], labels, strict=False)):
        lines = label.split("\n")
        y = (row + 0.5) * CELL
        ax.text(0.12, y, "\n".join(short_labels(lines, 22)), fontsize=9, color=TEXT, ha="left", va="center")
        for column, image in enumerate(row_images):
            h, w = 0.94 * CELL * np.array(image.shape[1:]) / max(image.shape[1:])
            x = LABEL_WIDTH + (column + 0.5) * CELL
            ax.imshow(
                image[0] if len(image) == 1 else image.transpose(1, 2, 0),
                cmap="gray",
                vmin=0,
                vmax=255,
                extent=(x - w / 2, x + w / 2, y + h / 2, y - h / 2),
                aspect="auto",
            )
    if left_out:
        ax.text(0.12, height + 0.1, f"and {left_out:,} more classes", fontsize=9, color=MUTED, ha="left", va="top")
    ax.set_xlim(0, width)
    ax.set_ylim(height + (0.3 if left_out else 0.0), 0)
    return fig
