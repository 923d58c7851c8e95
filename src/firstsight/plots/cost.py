"""Bar chart of the parameters and multiply-accumulates of each layer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from firstsight.plots.style import LINE, MUTED, TEXT, despine, new_figure, short_labels

if TYPE_CHECKING:
    from firstsight.profiling import Layer, Summary

COLORS = {"convolution": "#0b6e99", "linear": "#d9822b", "other": "#8a99a8"}
MAX_BARS = 28
MAX_NAME = 40
"""Maximum number of characters of the name of a layer."""


def cost(summary: "Summary", title: str) -> Figure:
    """Plot the share of parameters and of MACs of each layer that has any.

    If a network has more layers than fit, layers are grouped into blocks.

    Parameters
    ----------
    summary : Summary
        Cost table of the network.
    title : str
        Title of the figure.

    Returns
    -------
    Figure
        Two panels: parameters and multiply-accumulates.
    """
    bars = _group_layers(summary.layers)
    fig = new_figure(9, 1.5 + 0.24 * len(bars))
    left, right = fig.subplots(1, 2, sharey=True)
    names = [name for name, _, _, _ in bars]
    colors = [COLORS[group] for _, group, _, _ in bars]
    total_parameters = sum(layer.parameters for layer in summary.layers)
    panels = (
        (left, "parameters", [bar[2] for bar in bars], total_parameters),
        (right, "multiply-accumulates", [bar[3] for bar in bars], summary.macs),
    )
    for column, (ax, quantity, values, total) in enumerate(panels):
        percentages = [100 * value / max(total, 1) for value in values]
        ax.barh(range(len(bars)), percentages, color=colors, height=0.72)
        for row, percentage in enumerate(percentages):
            ax.annotate(
                f"{percentage:.1f}",
                (percentage, row),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=MUTED,
            )
        ax.set_xlim(0, max(1.15 * max(percentages), 1))
        ax.set_title(f"{format_number(total)} {quantity}", loc="left", fontsize=11, color=TEXT)
        ax.set_xlabel("% of total", color=MUTED)
        despine(ax)
        ax.grid(visible=False, axis="y")
        ax.grid(axis="x", color=LINE, lw=0.6)
        ax.set_axisbelow(True)
        if column == 0:
            ax.set_yticks(range(len(bars)), short_labels(names, MAX_NAME))
            ax.invert_yaxis()
    fig.suptitle(title, x=0.01, ha="left", fontsize=12, color=TEXT)
    _add_legend(fig, summary, groups=[group for group in COLORS if group in {bar[1] for bar in bars}])
    return fig


def _add_legend(fig: Figure, summary: "Summary", *, groups: Sequence[str]) -> None:
    shares = summary.shares()
    labels = [
        f"{group}: {shares[group][0]:.1%} of the parameters, {shares[group][1]:.1%} of the MACs" for group in groups
    ]
    fig.legend(
        [Patch(color=COLORS[group]) for group in groups],
        labels,
        loc="outside lower center",
        frameon=False,
        labelcolor=MUTED,
        fontsize=9,
        ncols=1,
    )


def format_number(number: float) -> str:
    """Format a number with three significant digits and a unit prefix.

    Examples
    --------
    >>> format_number(3.7e9), format_number(416_520), format_number(12)
    ('3.7 G', '417 k', '12')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.0f}"


def _group_layers(layers: Sequence["Layer"]) -> list[tuple[str, str, int, int]]:
    """Return (name, group, parameters, MACs) of each bar, at the deepest level of module names that fits."""
    relevant = [layer for layer in layers if layer.parameters or layer.macs]
    depth = max((layer.name.count(".") + 1 for layer in relevant), default=1)
    while True:
        blocks: dict[str, list[Layer]] = {}
        for layer in relevant:
            blocks.setdefault(".".join(layer.name.split(".")[:depth]), []).append(layer)
        if len(blocks) <= MAX_BARS or depth == 1:
            break
        depth -= 1
    return [
        (
            name,
            max(members, key=lambda layer: (layer.macs, layer.parameters)).group,
            sum(layer.parameters for layer in members),
            sum(layer.macs for layer in members),
        )
        for name, members in blocks.items()
    ]
