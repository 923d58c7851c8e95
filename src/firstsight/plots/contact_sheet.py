"""Contact sheet of a data set: one row of images per class."""

import unicodedata
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from firstsight.plots.grid import BACKGROUND, fit_image
from firstsight.plots.style import MUTED, TEXT, new_figure, short_labels

SIDE = 128
"""Maximum side of an image in pixels; smaller ones are enlarged by a whole factor."""
GAP = 8
"""Distance of images in pixels."""
MAX_LABEL = 22
MAX_ROWS = 60
FONT_SIZE = 9
NARROW, WIDE = 0.64, 1.02
"""Width of a character divided by the size of the font: of a Latin letter (mean), of a Hangul syllable."""


def contact_sheet(images: Sequence[Sequence[NDArray[np.uint8]]], labels: Sequence[str]) -> Figure:
    """Plot one row of images per class, with its label on the left; at most `MAX_ROWS` rows.

    Images of up to `SIDE` pixels have their own pixels in the figure.

    Parameters
    ----------
    images : Sequence[Sequence[NDArray[np.uint8]]]
        Images of each class, each (C, H, W) with its own size; a class may have none.
    labels : Sequence[str]
        Label of each row; it can have two lines.
    """
    rows = min(len(images), MAX_ROWS)
    names = ["\n".join(short_labels(label.split("\n"), MAX_LABEL)) for label in labels[:rows]]
    left_out = len(images) - rows
    fitted = [[fit_image(image, SIDE) for image in row] for row in images[:rows]]
    cell = GAP + max((max(image.shape[:2]) for row in fitted for image in row), default=SIDE)
    columns = max([1, *map(len, fitted)])
    fig = new_figure(1, 1)
    left = 3 * GAP + round(_text_width(names) * FONT_SIZE * fig.dpi / 72)
    height = cell * rows + GAP + (30 if left_out else 0)
    sheet = np.full((height, left + cell * columns, 3), BACKGROUND, dtype=np.uint8)
    for row, row_images in enumerate(fitted):
        for column, image in enumerate(row_images):
            h, w = image.shape[:2]
            y = GAP + row * cell + (cell - GAP - h) // 2
            x = left + column * cell + (cell - GAP - w) // 2
            sheet[y : y + h, x : x + w] = image
    fig.set_size_inches(sheet.shape[1] / fig.dpi, height / fig.dpi)
    fig.set_layout_engine("none")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.axis("off")
    ax.imshow(sheet, interpolation="none", aspect="auto", extent=(0, sheet.shape[1], height, 0))
    for row, name in enumerate(names):
        y = GAP / 2 + (row + 0.5) * cell
        ax.text(GAP, y, name, fontsize=FONT_SIZE, color=TEXT, ha="left", va="center")
    if left_out:
        more = f"and {left_out:,} more classes"
        ax.text(GAP, height - GAP, more, fontsize=FONT_SIZE, color=MUTED, ha="left", va="bottom")
    return fig


def _text_width(labels: Sequence[str]) -> float:
    """Return the width of the longest line, divided by the size of the font."""
    lines = [line for label in labels for line in label.split("\n")]
    return max(
        (sum(WIDE if unicodedata.east_asian_width(char) in "WF" else NARROW for char in line) for line in lines),
        default=0.0,
    )
