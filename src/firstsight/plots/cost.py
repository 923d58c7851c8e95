"""Where a network's parameters are, and where its work is done."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from firstsight.plots.style import LINE, MUTED, TEXT, new_figure, quiet

if TYPE_CHECKING:
    from firstsight.profiling import Layer, Summary

COLOURS = {"convolution": "#0b6e99", "linear": "#d9822b", "other": "#8a99a8"}
MOST_BARS = 28


def cost(summary: "Summary", title: str) -> Figure:
    """Two bars for every layer that holds or computes anything: its share of the parameters and of the MACs.

    A network of more layers than fit is summed up by its blocks.
    """
    bars = _bars(summary.layers)
    figure = new_figure(9, 1.5 + 0.24 * len(bars))
    left, right = figure.subplots(1, 2, sharey=True)
    names = [name for name, _, _, _ in bars]
    colours = [COLOURS[group] for _, group, _, _ in bars]
    total = sum(layer.parameters for layer in summary.layers)
    panels = (
        (left, "parameters", [bar[2] for bar in bars], total),
        (right, "multiply-accumulates", [bar[3] for bar in bars], summary.macs),
    )
    for column, (axes, what, values, whole) in enumerate(panels):
        shares = [100 * value / max(whole, 1) for value in values]
        axes.barh(range(len(bars)), shares, color=colours, height=0.72)
        for row, share in enumerate(shares):
            axes.annotate(
                f"{share:.1f}", (share, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8,
                color=MUTED,
            )  # fmt: skip
        axes.set_xlim(0, max(1.15 * max(shares), 1))
        axes.set_title(f"{short(whole)} {what}", loc="left", fontsize=11, color=TEXT)
        axes.set_xlabel("% of all", color=MUTED)
        quiet(axes)
        axes.grid(visible=False, axis="y")
        axes.grid(axis="x", color=LINE, lw=0.6)
        axes.set_axisbelow(True)
        if column == 0:
            axes.set_yticks(range(len(bars)), names)
            axes.invert_yaxis()
    shown = [group for group in COLOURS if group in {bar[1] for bar in bars}]
    shares_of = summary.shares()
    labels = [f"{group}: {shares_of[group][0]:.1%} of the parameters, {shares_of[group][1]:.1%} of the MACs"
              for group in shown]  # fmt: skip
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=TEXT)
    figure.legend(
        [Patch(color=COLOURS[group]) for group in shown], labels, loc="outside lower center", frameon=False,
        labelcolor=MUTED, fontsize=9, ncols=1,
    )  # fmt: skip
    return figure


def short(number: float) -> str:
    """3.7 G, 61.1 M, 416.5 k."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.0f}"


def _bars(layers: Sequence["Layer"]) -> list[tuple[str, str, int, int]]:
    """(name, group, parameters, MACs) of each layer, or of blocks: the deepest level of names that fits."""
    heavy = [layer for layer in layers if layer.parameters or layer.macs]
    depth = max((layer.name.count(".") + 1 for layer in heavy), default=1)
    while True:
        merged: dict[str, list[Layer]] = {}
        for layer in heavy:
            merged.setdefault(".".join(layer.name.split(".")[:depth]), []).append(layer)
        if len(merged) <= MOST_BARS or depth == 1:
            break
        depth -= 1
    return [
        (
            name,
            max(members, key=lambda layer: (layer.macs, layer.parameters)).group,
            sum(layer.parameters for layer in members),
            sum(layer.macs for layer in members),
        )
        for name, members in merged.items()
    ]
