"""The figures of a pose run: its curves, and scenes with people drawn over them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from firstsight.plots.grid import tile
from firstsight.plots.style import MUTED, TEST, TEXT, TRAIN, WRONG, by_epoch, new_figure, quiet


def pose_curves(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss, and what was found, by epoch; ``lines`` as in ``metrics.jsonl``."""
    figure = new_figure(9, 3.4)
    left, right = figure.subplots(1, 2)
    for key, colour, label in (("train/loss", TRAIN, "training scenes"), ("test/loss", TEST, "test scenes")):
        _line(left, lines, key, colour, label, scale=1)
    for key, colour, label in (
        ("test/ap", TEST, "average precision"), ("test/ar", TRAIN, "average recall"), ("test/pck", WRONG, "PCK@0.2"),
    ):  # fmt: skip
        _line(right, lines, key, colour, label, scale=100)
    left.set_yscale("log")
    left.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    left.yaxis.set_minor_formatter(lambda value, _: "")
    _by_epoch(left, right, unit="scene")
    return figure


def top_down_curves(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss, and what was found of one person at a time, by epoch; ``lines`` as in ``metrics.jsonl``."""
    figure = new_figure(9, 3.4)
    left, right = figure.subplots(1, 2)
    for key, colour, label in (("train/loss", TRAIN, "training people"), ("test/loss", TEST, "test people")):
        _line(left, lines, key, colour, label, scale=1)
    for key, colour, label in (
        ("test/pck", WRONG, "PCK@0.2 of the torso"), ("test/pck_box", TRAIN, "PCK@0.1 of the box"),
        ("test/ap", TEST, "average precision"),
    ):  # fmt: skip
        _line(right, lines, key, colour, label, scale=100)
    _by_epoch(left, right, unit="person")
    return figure


def pck_by_joint(shares: NDArray[np.float64], per_joint: NDArray[np.float64], joints: Sequence[str]) -> Figure:
    """How many joints are correct at every share of the torso: a curve for each joint, left and right together.

    Parameters
    ----------
    shares : NDArray[np.float64]
        (T,). per_joint : (T, K) in [0, 1], nan where a joint is never labelled.
    """
    figure = new_figure(9, 3.8)
    axes = figure.subplots()
    kinds: dict[str, list[int]] = {}
    for number, joint in enumerate(joints):
        kinds.setdefault(joint.removeprefix("left_").removeprefix("right_").replace("_", " "), []).append(number)
    ends = []
    for order, (kind, numbers) in enumerate(kinds.items()):
        colour = f"C{order % 10}"  # of matplotlib's ten
        known = [number for number in numbers if np.isfinite(per_joint[:, number]).all()]
        if known:
            curve = 100 * per_joint[:, known].mean(1)
            axes.plot(shares, curve, color=colour, lw=1.6)
            ends.append((float(curve[-1]), kind, colour))
    top = 105 + 5.5
    for height, kind, colour in sorted(ends, reverse=True):  # names beside the ends, none over another
        top = min(top - 5.5, height)
        axes.annotate(
            kind, (shares[-1], top), (6, 0), textcoords="offset points", va="center", fontsize=9, color=colour
        )
    axes.axvline(0.2, color=MUTED, lw=0.8, ls=":")
    axes.set_ylim(0, 105)
    axes.set_xlim(0, shares[-1])
    axes.set_title("Correct joints (%) by distance, as a share of the torso", loc="left", fontsize=11, color=TEXT)
    axes.set_xlabel("distance / torso", color=MUTED)
    quiet(axes)
    return figure


def _by_epoch(left: Any, right: Any, *, unit: str) -> None:
    """Names and borders of the two panels."""
    right.set_ylim(0, 100)
    for axes, title in ((left, f"Loss per {unit}"), (right, "Found (%)")):
        axes.set_title(title, loc="left", fontsize=11, color=TEXT)
        by_epoch(axes)
        axes.legend(frameon=False, labelcolor=MUTED)
        quiet(axes)


def _line(axes: Any, lines: Sequence[Mapping[str, Any]], key: str, colour: str, label: str, *, scale: float) -> None:
    measured = [line for line in lines if key in line]
    if measured:
        epochs, values = [line["epoch"] for line in measured], [line[key] * scale for line in measured]
        axes.plot(epochs, values, color=colour, lw=1.8, label=label, marker="o" if len(measured) < 12 else "", ms=3)


def scene_sheet(images: NDArray[np.uint8], columns: int) -> Figure:
    """Pictures in rows, large enough for skeletons to be followed; (N, 3, S, S) uint8."""
    picture = tile(images, columns)
    figure = new_figure(9, 9 * picture.shape[0] / picture.shape[1])
    axes = figure.subplots()
    axes.imshow(picture)
    axes.axis("off")
    return figure


def sides_and_sizes(swapped: Mapping[str, float], sides: NDArray[np.float64], errors: NDArray[np.float64]) -> Figure:
    """How often left and right are exchanged, for each pair of joints; and errors of small and of large people.

    Parameters
    ----------
    swapped : Mapping[str, float]
        Shares in [0, 1], nan where nothing is known.
    sides : NDArray[np.float64]
        (P,) larger sides of people's boxes, in pixels. errors : (P,) mean distances as shares of these, or nan.
    """
    figure = new_figure(9, 3.4)
    left, right = figure.subplots(1, 2)
    known = {name.replace("_", " "): 100 * share for name, share in swapped.items() if np.isfinite(share)}
    bars = left.barh(list(known), list(known.values()), color=WRONG, height=0.6)
    left.bar_label(bars, fmt="%.1f", padding=4, fontsize=9, color=MUTED)
    left.set_xlim(0, 1.25 * max([*known.values(), 4.0]))
    left.set_axisbelow(True)
    left.set_title("Left and right exchanged (%)", loc="left", fontsize=11, color=TEXT)
    there = np.isfinite(errors)
    right.scatter(sides[there], 100 * errors[there], s=12, color=TRAIN, alpha=0.5, lw=0)
    order = np.argsort(sides[there], kind="stable")
    parts = np.array_split(order, min(6, max(1, len(order) // 10)))
    if len(order):
        middles = [(np.median(sides[there][part]), np.median(100 * errors[there][part])) for part in parts]
        right.plot(*zip(*middles, strict=True), color=WRONG, marker="o", ms=4, lw=1.6, label="median of a part")
        right.set_xlim(0, 1.05 * float(np.quantile(sides[there], 0.99)))
        right.set_ylim(0, float(np.quantile(100 * errors[there], 0.98)) + 1)
        right.legend(frameon=False, labelcolor=MUTED)
    right.set_title("Mean error by person (% of the box)", loc="left", fontsize=11, color=TEXT)
    right.set_xlabel("larger side of the box, pixels", color=MUTED)
    for axes in (left, right):
        quiet(axes)
    return figure


def side_by_side(pictures: Sequence[Image.Image], captions: Sequence[str]) -> Figure:
    """Pictures of one size beside each other, or where they are wide one below the other, each under its caption."""
    width, height = pictures[0].size
    wide = width > 1.6 * height
    rows, columns = (len(pictures), 1) if wide else (1, len(pictures))
    figure = new_figure(10, min(30.0, rows * (10 / columns * height / width + 0.5)))
    for axes, picture, caption in zip(figure.subplots(rows, columns).flat, pictures, captions, strict=True):
        axes.imshow(picture)
        axes.set_anchor("S")  # what room is left over is above, where the captions are
        axes.set_title(caption, loc="left", fontsize=11, color=TEXT)
        axes.axis("off")
    return figure
