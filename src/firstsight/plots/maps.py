"""What a layer has learned and what it answers: filters and feature maps."""

import numpy as np
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from firstsight.plots.style import MUTED, TEXT, new_figure

MOST = 64
COLUMNS = 8


def features(
    image: NDArray[np.uint8], maps: NDArray[np.float32], filters: NDArray[np.float32] | None, title: str
) -> Figure:
    """The picture, the filters of the layer (if it is a convolution), and its feature maps.

    Parameters
    ----------
    image : NDArray[np.uint8]
        (C, H, W) as the network is shown it.
    maps : NDArray[np.float32]
        (channels, h, w); the first 64 are drawn, each on its own scale from its least to its greatest value.
    filters : NDArray[np.float32] | None
        (outputs, inputs, kh, kw); those with three inputs are drawn in colour, others by their first input.
    """
    shown = maps[:MOST]
    rows = -(-len(shown) // COLUMNS)
    blocks = [("the picture", 1.6), (f"{_first(len(maps), len(shown))} feature maps", 0.95 * rows)]
    if filters is not None:
        filter_rows = -(-min(len(filters), MOST) // COLUMNS)
        blocks.insert(1, (_about(filters), 0.95 * filter_rows))
    figure = new_figure(8.2, sum(height for _, height in blocks) + 0.35 * len(blocks) + 0.3)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=TEXT)
    places = figure.add_gridspec(len(blocks), 1, height_ratios=[height + 0.35 for _, height in blocks])
    parts = [figure.add_subfigure(places[row]) for row in range(len(blocks))]
    for part, (heading, _) in zip(parts, blocks, strict=True):
        part.suptitle(heading, x=0.01, ha="left", fontsize=9, color=MUTED)
    axes = parts[0].subplots(1, 1)
    axes.imshow(image[0] if len(image) == 1 else image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
    axes.axis("off")
    axes.set_anchor("W")
    if filters is not None:
        _grid(parts[1], [_filter(kernel) for kernel in filters[:MOST]], cmap="RdBu_r")
    _grid(parts[-1], [_stretched(values) for values in shown], cmap="gray")
    return figure


def _about(filters: NDArray[np.float32]) -> str:
    count, inputs, height, width = filters.shape
    many = f"{_first(count, min(count, MOST))} filters of {height}x{width}"
    colour = "in colour" if inputs == 3 else ("one input" if inputs == 1 else f"the first of {inputs} inputs")
    return f"{many}, {colour}" + ("" if inputs == 3 else "; blue below zero, red above")


def _first(count: int, shown: int) -> str:
    return str(count) if shown == count else f"the first {shown} of {count}"


def _filter(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """In colour: 0.5 is zero. Otherwise the first input's weights in -1 .. 1, so that white is zero."""
    reach = float(np.abs(kernel if len(kernel) == 3 else kernel[0]).max()) or 1.0
    if len(kernel) == 3:
        coloured: NDArray[np.float32] = ((kernel.transpose(1, 2, 0) / reach + 1) / 2).astype(np.float32)
        return coloured
    scaled: NDArray[np.float32] = kernel[0] / reach
    return scaled


def _stretched(values: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) * 2 - 1 if high > low else np.zeros_like(values)


def _grid(part: SubFigure, pictures: list[NDArray[np.float32]], *, cmap: str) -> None:
    rows = -(-len(pictures) // COLUMNS)
    grid = part.subplots(rows, COLUMNS, squeeze=False)
    for place, axes in enumerate(grid.flat):
        axes.axis("off")
        if place < len(pictures):
            axes.imshow(pictures[place], cmap=cmap, vmin=-1, vmax=1, interpolation="nearest")
