"""A kernel on a picture, and the arithmetic of one pixel."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from firstsight.plots.style import LINE, MUTED, TEXT, WRONG, new_figure

if TYPE_CHECKING:
    from firstsight.ops.filtering import Filtered

LEAST_FONT = 4.5
PICTURE = 0.5
"""A kernel with a larger sum answers a picture with a picture (a blur, sharpening); the others, with differences."""


def filtering(result: "Filtered", title: str) -> Figure:
    """Above: picture, kernel, output. Below: patch times kernel, the products, their sum."""
    figure = new_figure(9.6, 7.2)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=TEXT)
    places = figure.add_gridspec(2, 1, height_ratios=[1.25, 1])
    above, below = figure.add_subfigure(places[0]), figure.add_subfigure(places[1])
    left, middle, right = above.subplots(1, 3, width_ratios=[1.3, 0.8, 1.3])
    _picture(left, result.image, f"input, {_size(result.image)}", low=0, high=255)
    _matrix(middle, result.kernel, "kernel", points=150)
    reach = float(np.abs(result.output).max()) or 1.0
    picture = result.kernel.sum() > PICTURE or result.output.min() >= 0
    low, high = (0.0, 255.0) if picture else (-reach, reach)
    note = "cut to 0 .. 255" if picture else "grey is zero"
    _picture(right, result.output, f"output, {_size(result.output)}; {note}", low=low, high=high)
    (y, x), (top, left_edge) = result.at, result.corner
    height, width = result.span
    left.add_patch(Rectangle((left_edge - 0.5, top - 0.5), width, height, fill=False, ec=WRONG, lw=1.6))
    right.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, ec=WRONG, lw=1.6))
    for axes, place in ((left, (left_edge + width / 2, top + height / 2)), (right, (x, y))):
        axes.plot(*place, "o", ms=16, mfc="none", mec=WRONG, mew=1.4)
    first, second, third = below.subplots(1, 3)
    channel = f" ({result.channel})" if result.channel else ""
    _matrix(first, result.patch, f"patch of output pixel x={x}, y={y}{channel}", cmap="gray", low=0, high=255)
    _matrix(second, result.kernel, "times kernel")
    _matrix(third, result.products, f"products; their sum is {_number(result.total)}")
    return figure


def _size(values: NDArray[Any]) -> str:
    return f"{values.shape[2]}x{values.shape[1]}"


def _picture(axes: Any, values: NDArray[Any], title: str, *, low: float, high: float) -> None:
    shown = (np.clip(values, low, high) - low) / (high - low)
    axes.imshow(shown[0] if len(shown) == 1 else shown.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
    axes.set_title(title, loc="left", fontsize=9.5, color=MUTED)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(LINE)


def _matrix(
    axes: Any, values: NDArray[Any], title: str, *, cmap: str = "RdBu_r", low: float | None = None, high: float = 1.0,
    points: float = 205,
) -> None:  # fmt: skip
    """A matrix with its numbers, ``points`` wide; without them where they would be too small to read."""
    rows, columns = values.shape
    if low is None:
        reach = 1.6 * float(np.abs(values).max()) or 1.0
        low, high = -reach, reach
    axes.imshow(values, cmap=cmap, vmin=low, vmax=high)
    axes.set_title(title, loc="left", fontsize=9.5, color=MUTED)
    axes.set_xticks(np.arange(columns + 1) - 0.5, [])
    axes.set_yticks(np.arange(rows + 1) - 0.5, [])
    axes.grid(color="white", lw=1)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    widest = max(len(_number(value)) for value in values.flat)
    font = min(12.0, points / max(rows, columns) / (0.75 * max(widest, 2)))
    if font < LEAST_FONT:
        return
    for (row, column), value in np.ndenumerate(values):
        dark = cmap == "gray" and value < (low + high) / 2
        text = _number(value)
        axes.text(column, row, text, ha="center", va="center", fontsize=font, color="white" if dark else TEXT)


def _number(value: float) -> str:
    """Whole numbers as such; others short, without the zero before the point: 1/9 as .11."""
    if abs(value - round(value)) < 1e-9:
        return str(round(value))
    text = f"{value:.2g}" if abs(value) < 1 else f"{value:.1f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and "e" not in text else text
