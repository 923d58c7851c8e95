"""Figures of pose training: learning curves, keypoint accuracy, and grids of scenes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from firstsight.plots.grid import tile
from firstsight.plots.style import MUTED, TEST, TEXT, TRAIN, WRONG, despine, new_figure, set_epoch_axis, short_labels


def pose_curves(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Plot the loss and the metrics of bottom-up pose estimation by epoch.

    Parameters
    ----------
    history : Sequence[Mapping[str, Any]]
        Metrics of each epoch, as in ``metrics.jsonl``.

    Returns
    -------
    Figure
        Two panels: loss and metrics.
    """
    fig = new_figure(9, 3.4)
    left, right = fig.subplots(1, 2)
    for key, color, label in (("train/loss", TRAIN, "training scenes"), ("test/loss", TEST, "test scenes")):
        _plot_curve(left, history, key, color, label, scale=1)
    for key, color, label in (
        ("test/ap", TEST, "average precision"),
        ("test/ar", TRAIN, "average recall"),
        ("test/pck", WRONG, "PCK@0.2"),
    ):
        _plot_curve(right, history, key, color, label, scale=100)
    left.set_yscale("log")
    left.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    left.yaxis.set_minor_formatter(lambda value, _: "")
    _finish_panels(left, right, unit="scene")
    return fig


def top_down_curves(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Plot the loss and the metrics of top-down pose estimation by epoch.

    Parameters
    ----------
    history : Sequence[Mapping[str, Any]]
        Metrics of each epoch, as in ``metrics.jsonl``.

    Returns
    -------
    Figure
        Two panels: loss and metrics.
    """
    fig = new_figure(9, 3.4)
    left, right = fig.subplots(1, 2)
    for key, color, label in (("train/loss", TRAIN, "training people"), ("test/loss", TEST, "test people")):
        _plot_curve(left, history, key, color, label, scale=1)
    for key, color, label in (
        ("test/pck", WRONG, "PCK@0.2 of the torso"),
        ("test/pck_box", TRAIN, "PCK@0.1 of the box"),
        ("test/ap", TEST, "average precision"),
    ):
        _plot_curve(right, history, key, color, label, scale=100)
    _finish_panels(left, right, unit="person")
    return fig


def pck_by_joint(thresholds: NDArray[np.float64], per_joint: NDArray[np.float64], joints: Sequence[str]) -> Figure:
    """Plot the percentage of correct keypoints (PCK) by threshold, with one curve for each left and right pair.

    Parameters
    ----------
    thresholds : NDArray[np.float64]
        Thresholds of shape (T,), as fractions of the torso.
    per_joint : NDArray[np.float64]
        PCK of shape (T, K) in [0, 1]; nan for joints that are never labeled.
    joints : Sequence[str]
        Names of the K joints.

    Returns
    -------
    Figure
        One panel.
    """
    fig = new_figure(9, 3.8)
    ax = fig.subplots()
    kinds: dict[str, list[int]] = {}
    for index, joint in enumerate(joints):
        kinds.setdefault(joint.removeprefix("left_").removeprefix("right_").replace("_", " "), []).append(index)
    ends = []
    for order, (kind, indices) in enumerate(kinds.items()):
        color = f"C{order % 10}"  # matplotlib has ten default colors
        labeled = [index for index in indices if np.isfinite(per_joint[:, index]).all()]
        if labeled:
            curve = 100 * per_joint[:, labeled].mean(1)
            ax.plot(thresholds, curve, color=color, lw=1.6)
            ends.append((float(curve[-1]), short_labels([kind])[0], color))
    spacing = 5.5
    y = 105 + spacing
    for end, kind, color in sorted(ends, reverse=True):  # names next to the ends of the curves, without overlap
        y = min(y - spacing, end)
        ax.annotate(kind, (thresholds[-1], y), (6, 0), textcoords="offset points", va="center", fontsize=9, color=color)
    ax.axvline(0.2, color=MUTED, lw=0.8, ls=":")
    ax.set_ylim(0, 105)
    ax.set_xlim(0, thresholds[-1])
    ax.set_title("Correct keypoints (%) by distance threshold", loc="left", fontsize=11, color=TEXT)
    ax.set_xlabel("distance / torso", color=MUTED)
    despine(ax)
    return fig


def _finish_panels(left: Any, right: Any, *, unit: str) -> None:
    """Add titles, legends and axis styles to the panels of loss and metrics."""
    right.set_ylim(0, 100)
    for ax, title in ((left, f"Loss per {unit}"), (right, "Metrics (%)")):
        ax.set_title(title, loc="left", fontsize=11, color=TEXT)
        set_epoch_axis(ax)
        ax.legend(frameon=False, labelcolor=MUTED)
        despine(ax)


def _plot_curve(
    ax: Any, history: Sequence[Mapping[str, Any]], key: str, color: str, label: str, *, scale: float
) -> None:
    rows = [row for row in history if key in row]
    if rows:
        epochs = [row["epoch"] for row in rows]
        values = [row[key] * scale for row in rows]
        ax.plot(epochs, values, color=color, lw=1.8, label=label, marker="o" if len(rows) < 12 else "", ms=3)


def scene_grid(images: NDArray[np.uint8], columns: int) -> Figure:
    """Plot images in a grid that is large enough to see the skeletons.

    Parameters
    ----------
    images : NDArray[np.uint8]
        Images of shape (N, 3, S, S), uint8.
    columns : int
        Number of images in a row.

    Returns
    -------
    Figure
        The grid.
    """
    grid = tile(images, columns)
    fig = new_figure(9, 9 * grid.shape[0] / grid.shape[1])
    ax = fig.subplots()
    ax.imshow(grid)
    ax.axis("off")
    return fig


def swaps_and_errors(
    swap_rates: Mapping[str, float], box_sides: NDArray[np.float64], errors: NDArray[np.float64]
) -> Figure:
    """Plot how often left and right are swapped, and the error of each person by size.

    Parameters
    ----------
    swap_rates : Mapping[str, float]
        Fraction of swaps in [0, 1] for each pair of joints; nan if unknown.
    box_sides : NDArray[np.float64]
        Larger side of each person's box in pixels, of shape (P,).
    errors : NDArray[np.float64]
        Mean keypoint distance of each person as a fraction of that side, of shape (P,); nan if unknown.

    Returns
    -------
    Figure
        Two panels: swaps and errors.
    """
    fig = new_figure(9, 3.4)
    left, right = fig.subplots(1, 2)
    known = {name.replace("_", " "): 100 * rate for name, rate in swap_rates.items() if np.isfinite(rate)}
    bars = left.barh(range(len(known)), list(known.values()), color=WRONG, height=0.6)
    left.set_yticks(range(len(known)), short_labels(known))
    left.bar_label(bars, fmt="%.1f", padding=4, fontsize=9, color=MUTED)
    left.set_xlim(0, 1.25 * max([*known.values(), 4.0]))
    left.set_axisbelow(True)
    left.set_title("Left and right swapped (%)", loc="left", fontsize=11, color=TEXT)
    is_known = np.isfinite(errors)
    sides = box_sides[is_known]
    percentages = 100 * errors[is_known]
    right.scatter(sides, percentages, s=12, color=TRAIN, alpha=0.5, lw=0)
    order = np.argsort(sides, kind="stable")
    if len(order):
        bins = np.array_split(order, min(6, max(1, len(order) // 10)))
        medians = [(np.median(sides[indices]), np.median(percentages[indices])) for indices in bins]
        right.plot(*zip(*medians, strict=True), color=WRONG, marker="o", ms=4, lw=1.6, label="median of a bin")
        right.set_xlim(0, 1.05 * float(np.quantile(sides, 0.99)))
        right.set_ylim(0, float(np.quantile(percentages, 0.98)) + 1)
        right.legend(frameon=False, labelcolor=MUTED)
    right.set_title("Mean error by person (% of the box)", loc="left", fontsize=11, color=TEXT)
    right.set_xlabel("larger side of the box, pixels", color=MUTED)
    for ax in (left, right):
        despine(ax)
    return fig


def side_by_side(images: Sequence[Image.Image], captions: Sequence[str]) -> Figure:
    """Plot images of equal size next to each other, or, if they are wide, one below the other.

    Parameters
    ----------
    images : Sequence[Image.Image]
        At least two images.
    captions : Sequence[str]
        Caption above each image.

    Returns
    -------
    Figure
        All images in one figure.
    """
    width, height = images[0].size
    is_wide = width > 1.6 * height
    rows, columns = (len(images), 1) if is_wide else (1, len(images))
    fig = new_figure(10, min(30.0, rows * (10 / columns * height / width + 0.5)))
    for ax, image, caption in zip(fig.subplots(rows, columns).flat, images, captions, strict=True):
        ax.imshow(image)
        ax.set_anchor("S")  # any remaining space is above, next to the captions
        ax.set_title(caption, loc="left", fontsize=11, color=TEXT)
        ax.axis("off")
    return fig
