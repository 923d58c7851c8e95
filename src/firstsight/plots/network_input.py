"""Figure of images and of what a network gets for them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from firstsight.plots.grid import fit_image
from firstsight.plots.style import MUTED, TEXT, new_figure
from firstsight.text import drawable, shorten

COLUMNS = 3
"""Pairs in a row."""
SIDE = 256
"""Side of a panel in pixels; smaller images are enlarged by a whole factor."""
GAP, PAIR_GAP = 12, 36
HEADING, TITLE, CAPTION = 48, 30, 26
"""Heights of the lines of text in pixels."""
MAX_TITLE = 52


def network_inputs(
    images: Sequence[NDArray[np.uint8]],
    inputs: Sequence[NDArray[np.uint8]],
    titles: Sequence[str],
    heading: str,
    *,
    sizes: Sequence[tuple[int, int]],
) -> Figure:
    """Plot images, each with the input of the network next to it; every pixel of the input is a sharp square.

    Parameters
    ----------
    images : Sequence[NDArray[np.uint8]]
        N original images, each (C, H, W); they can be reduced already.
    inputs : Sequence[NDArray[np.uint8]]
        N inputs of the network before normalization, each (C, S, S).
    titles : Sequence[str]
        N titles.
    heading : str
        Title of the figure.
    sizes : Sequence[tuple[int, int]]
        N sizes of the original images: (width, height).

    Returns
    -------
    Figure
        Pairs of an image and an input, three in a row.
    """
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    pair = 2 * SIDE + GAP
    width = columns * (pair + PAIR_GAP)
    block = TITLE + SIDE + CAPTION + GAP
    height = HEADING + rows * block
    fig = new_figure(1, 1)
    fig.set_size_inches(width / fig.dpi, height / fig.dpi)
    fig.set_layout_engine("none")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.axis("off")
    ax.text(GAP, HEADING / 2, shorten(drawable(heading), columns * MAX_TITLE), fontsize=10, color=TEXT, va="center")
    for i, (image, pixels, title, size) in enumerate(zip(images, inputs, titles, sizes, strict=True)):
        left, top = PAIR_GAP // 2 + i % columns * (pair + PAIR_GAP), HEADING + i // columns * block
        ax.text(left, top + TITLE / 2, shorten(drawable(title), MAX_TITLE), fontsize=9, color=MUTED, va="center")
        captions = (f"image, {size[0]}x{size[1]}", f"input, {pixels.shape[2]}x{pixels.shape[1]}")
        for x, array, caption in zip((left, left + SIDE + GAP), (image, pixels), captions, strict=True):
            fitted = fit_image(array, SIDE)
            h, w = fitted.shape[:2]
            y = top + TITLE
            ax.imshow(fitted, interpolation="nearest", aspect="auto", extent=(x, x + w, y + h, y))
            ax.text(x, y + h + CAPTION / 2, caption, fontsize=8, color=MUTED, va="center")
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    return fig
