"""Figure of the filters and feature maps of a layer."""

import numpy as np
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from firstsight.plots.style import MUTED, TEXT, new_figure

MAX_MAPS = 64
COLUMNS = 8


def features(
    image: NDArray[np.uint8],
    maps: NDArray[np.float32],
    filters: NDArray[np.float32] | None,
    title: str,
    *,
    heading: str = "input image",
) -> Figure:
    """Plot the image, the filters of a layer (if it is a convolution), and its feature maps.

    Parameters
    ----------
    image : NDArray[np.uint8]
        Input of the network before normalization, or output of a generator, of shape (C, H, W), uint8.
    maps : NDArray[np.float32]
        Feature maps of shape (channels, h, w). The first 64 are plotted, each scaled from its minimum to its maximum.
    filters : NDArray[np.float32] | None
        Filters of shape (outputs, inputs, kh, kw). Filters with three inputs are plotted in color, others by the
        weights of their first input.
    title : str
        Title of the figure.
    heading : str
        What ``image`` is.

    Returns
    -------
    Figure
        Image, filters and feature maps, one below the other.
    """
    selected = maps[:MAX_MAPS]
    rows = -(-len(selected) // COLUMNS)
    blocks = [(heading, 1.6), (_map_heading(len(maps), len(selected)), 0.95 * rows)]
    if filters is not None:
        filter_rows = -(-min(len(filters), MAX_MAPS) // COLUMNS)
        blocks.insert(1, (_filter_heading(filters), 0.95 * filter_rows))
    fig = new_figure(8.2, sum(height for _, height in blocks) + 0.35 * len(blocks) + 0.3)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12, color=TEXT)
    grid = fig.add_gridspec(len(blocks), 1, height_ratios=[height + 0.35 for _, height in blocks])
    subfigures = [fig.add_subfigure(grid[row]) for row in range(len(blocks))]
    for subfigure, (name, _) in zip(subfigures, blocks, strict=True):
        subfigure.suptitle(name, x=0.01, ha="left", fontsize=9, color=MUTED)
    ax = subfigures[0].subplots(1, 1)
    ax.imshow(image[0] if len(image) == 1 else image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
    ax.axis("off")
    ax.set_anchor("W")
    if filters is not None:
        _plot_grid(subfigures[1], [_scale_filter(kernel) for kernel in filters[:MAX_MAPS]], cmap="RdBu_r")
    _plot_grid(subfigures[-1], [_scale_map(values) for values in selected], cmap="gray")
    return fig


def _map_heading(total: int, selected: int) -> str:
    """Return the number of maps, and what their gray levels are."""
    text = "black is the smallest value, white the largest"
    if total == 1:
        return f"1 feature map; {text}"
    return f"{_count(total, selected)} feature maps; of each, {text}"


def _filter_heading(filters: NDArray[np.float32]) -> str:
    count, inputs, height, width = filters.shape
    text = f"{_count(count, min(count, MAX_MAPS))} filters of {height}x{width}"
    if inputs == 3:
        return f"{text}, in color"
    source = "one input" if inputs == 1 else f"the first of {inputs} inputs"
    return f"{text}, {source}; blue is negative, red is positive"


def _count(total: int, selected: int) -> str:
    return str(total) if selected == total else f"the first {selected} of {total}"


def _scale_filter(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale a filter of three inputs to [0, 1] with zero at 0.5, or else its first input to [-1, 1]."""
    vmax = float(np.abs(kernel if len(kernel) == 3 else kernel[0]).max()) or 1.0
    if len(kernel) == 3:
        rgb: NDArray[np.float32] = ((kernel.transpose(1, 2, 0) / vmax + 1) / 2).astype(np.float32)
        return rgb
    scaled: NDArray[np.float32] = kernel[0] / vmax
    return scaled


def _scale_map(values: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) * 2 - 1 if high > low else np.zeros_like(values)


def _plot_grid(subfigure: SubFigure, images: list[NDArray[np.float32]], *, cmap: str) -> None:
    rows = -(-len(images) // COLUMNS)
    axes = subfigure.subplots(rows, COLUMNS, squeeze=False)
    for index, ax in enumerate(axes.flat):
        ax.axis("off")
        if index < len(images):
            ax.imshow(images[index], cmap=cmap, vmin=-1, vmax=1, interpolation="nearest")
