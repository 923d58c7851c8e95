"""Figure of a filtered image, with the arithmetic of one output pixel."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from firstsight.plots.style import LINE, MUTED, TEXT, WRONG, new_figure

if TYPE_CHECKING:
    from firstsight.ops.filtering import FilterResult

MIN_FONT_SIZE = 4.5
MIN_IMAGE_SUM = 0.5
"""Kernels with a larger sum (blur, sharpen) produce an image; all others produce differences around zero."""


def filtering(result: "FilterResult", title: str) -> Figure:
    """Plot a filtered image and the arithmetic of one output pixel.

    Parameters
    ----------
    result : FilterResult
        The filtered image.
    title : str
        Title of the figure.

    Returns
    -------
    Figure
        Input, kernel and output in the upper row; patch, kernel and their products in the lower row.
    """
    fig = new_figure(9.6, 7.2)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12, color=TEXT)
    grid = fig.add_gridspec(2, 1, height_ratios=[1.25, 1])
    upper = fig.add_subfigure(grid[0])
    lower = fig.add_subfigure(grid[1])
    left, middle, right = upper.subplots(1, 3, width_ratios=[1.3, 0.8, 1.3])
    _show_image(left, result.image, f"input, {_size(result.image)}", low=0, high=255)
    _show_matrix(middle, result.kernel, "kernel", points=150)
    vmax = float(np.abs(result.output).max()) or 1.0
    is_image = result.kernel.sum() > MIN_IMAGE_SUM or result.output.min() >= 0
    low, high = (0.0, 255.0) if is_image else (-vmax, vmax)
    note = "clipped to 0..255" if is_image else "gray is zero"
    _show_image(right, result.output, f"output, {_size(result.output)}; {note}", low=low, high=high)
    (y, x), (top, left_edge) = result.at, result.corner
    height, width = result.span
    left.add_patch(Rectangle((left_edge - 0.5, top - 0.5), width, height, fill=False, ec=WRONG, lw=1.6))
    right.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, ec=WRONG, lw=1.6))
    for ax, center in ((left, (left_edge + width / 2, top + height / 2)), (right, (x, y))):
        ax.plot(*center, "o", ms=16, mfc="none", mec=WRONG, mew=1.4)
    first, second, third = lower.subplots(1, 3)
    channel = f" ({result.channel})" if result.channel else ""
    _show_matrix(first, result.patch, f"patch of output pixel x={x}, y={y}{channel}", cmap="gray", low=0, high=255)
    _show_matrix(second, result.kernel, "times kernel")
    _show_matrix(third, result.products, f"products; their sum is {_format_number(result.total)}")
    return fig


def _size(values: NDArray[Any]) -> str:
    return f"{values.shape[2]}x{values.shape[1]}"


def _show_image(ax: Any, values: NDArray[Any], title: str, *, low: float, high: float) -> None:
    scaled = (np.clip(values, low, high) - low) / (high - low)
    ax.imshow(scaled[0] if len(scaled) == 1 else scaled.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
    ax.set_title(title, loc="left", fontsize=9.5, color=MUTED)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_color(LINE)


def _show_matrix(
    ax: Any,
    values: NDArray[Any],
    title: str,
    *,
    cmap: str = "RdBu_r",
    low: float | None = None,
    high: float = 1.0,
    points: float = 205,
) -> None:
    """Plot a matrix that is ``points`` wide; its numbers are omitted if they would be too small to read."""
    rows, columns = values.shape
    if low is None:
        vmax = 1.6 * float(np.abs(values).max()) or 1.0
        low, high = -vmax, vmax
    ax.imshow(values, cmap=cmap, vmin=low, vmax=high)
    ax.set_title(title, loc="left", fontsize=9.5, color=MUTED)
    ax.set_xticks(np.arange(columns + 1) - 0.5, [])
    ax.set_yticks(np.arange(rows + 1) - 0.5, [])
    ax.grid(color="white", lw=1)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    max_chars = max(len(_format_number(value)) for value in values.flat)
    font_size = min(12.0, points / max(rows, columns) / (0.75 * max(max_chars, 2)))
    if font_size < MIN_FONT_SIZE:
        return
    for (row, column), value in np.ndenumerate(values):
        is_dark = cmap == "gray" and value < (low + high) / 2
        text = _format_number(value)
        color = "white" if is_dark else TEXT
        ax.text(column, row, text, ha="center", va="center", fontsize=font_size, color=color)


def _format_number(value: float) -> str:
    """Format integers without decimals, and other numbers shortly, without a leading zero: 1/9 as .11."""
    if abs(value - round(value)) < 1e-9:
        return str(round(value))
    text = f"{value:.2g}" if abs(value) < 1 else f"{value:.1f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and "e" not in text else text
