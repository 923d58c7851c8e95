"""Figure of images and of what a network gets for them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from firstsight.plots.style import MUTED, TEXT, new_figure
from firstsight.text import drawable, shorten

COLUMNS = 3
"""Pairs in a row."""
MAX_TITLE = 34


def network_inputs(
    images: Sequence[Image.Image], inputs: Sequence[NDArray[np.uint8]], titles: Sequence[str], heading: str
) -> Figure:
    """Plot images, each with the input of the network next to it.

    Parameters
    ----------
    images : Sequence[Image.Image]
        N original images.
    inputs : Sequence[NDArray[np.uint8]]
        N inputs of the network before normalization, each (C, S, S).
    titles : Sequence[str]
        N titles.
    heading : str
        Title of the figure.

    Returns
    -------
    Figure
        Pairs of an image and an input, three in a row.
    """
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    fig = new_figure(max(4.2, 3.6 * columns), 2.1 * rows + 0.5)
    fig.suptitle(heading, x=0.01, ha="left", fontsize=11, color=TEXT)
    subfigures = np.ravel(fig.subfigures(rows, columns, squeeze=False))
    for subfigure, image, pixels, title in zip(subfigures, images, inputs, titles, strict=False):
        subfigure.suptitle(shorten(drawable(title), MAX_TITLE), fontsize=9, color=MUTED)
        left, right = subfigure.subplots(1, 2)
        left.imshow(image, cmap="gray", vmin=0, vmax=255)
        right.imshow(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
        for ax in (left, right):
            ax.axis("off")
    return fig
