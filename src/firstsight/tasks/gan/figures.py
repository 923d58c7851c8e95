"""Figures of a GAN's training report: curves, samples, traversals of the codes, nearest training images."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from firstsight.engine.task import History, ReportFigure
from firstsight.metrics.frechet import nearest_neighbors
from firstsight.models.gan.latent import Latent

COLUMNS = 8
MAX_ROWS = 16
"""Maximum number of categories in a figure."""
NEIGHBORS = 3


def traversal(latent: Latent, z: Tensor, *, continuous: int | None, low: float = -1.0, high: float = 1.0) -> Tensor:
    """Return latent vectors of a grid with a row per category, and a continuous code traversed across the columns.

    With categories, noise and other codes are the same in the whole grid; without categories, in each row. If no
    continuous code is traversed, they are the same in each column.

    Parameters
    ----------
    latent : Latent
        Latent space.
    z : Tensor
        (N, latent.length) random latent vectors, N at least `COLUMNS`.
    continuous : int | None
        Index of the continuous code; None for none.
    low : float
        Value of the continuous code in the first column.
    high : float
        Value of the continuous code in the last column.

    Returns
    -------
    Tensor
        (rows * COLUMNS, latent.length) latent vectors.
    """
    rows = min(latent.categories[0], MAX_ROWS) if latent.categories else COLUMNS
    if continuous is None:
        grid = z[:COLUMNS].repeat(rows, 1)
    else:
        starts = z[:1].repeat(rows, 1) if latent.categories else z[:rows]
        grid = starts.repeat_interleave(COLUMNS, 0)
        grid = latent.with_continuous(grid, continuous, torch.linspace(low, high, COLUMNS).repeat(rows))
    if latent.categories:
        grid = latent.with_category(grid, 0, torch.arange(rows).repeat_interleave(COLUMNS))
    return grid


def sample_latents(latent: Latent, z: Tensor) -> Tensor:
    """Return the latent vectors (M, length) of the samples after an epoch: a traversal if there are codes.

    Parameters
    ----------
    latent : Latent
        Latent space.
    z : Tensor
        (N, latent.length) random latent vectors.
    """
    if latent.categories or latent.continuous:
        return traversal(latent, z, continuous=0 if latent.continuous else None)
    return z[: COLUMNS * COLUMNS]


def grid_png(images: Tensor) -> bytes:
    """Return a PNG file of a grid of images (N, C, S, S) uint8 with `COLUMNS` columns."""
    from firstsight import plots

    return plots.tile_png(images.numpy(), COLUMNS)


def report_figures(
    history: History,
    generate: Callable[[Tensor], Tensor],
    *,
    latent: Latent,
    z: Tensor,
    classes: Sequence[str],
    train_images: Tensor,
) -> list[ReportFigure]:
    """Return the figures of a report.

    Parameters
    ----------
    history : History
        Metrics of all epochs.
    generate : Callable[[Tensor], Tensor]
        Generator: (N, latent.length) latent vectors to (N, C, S, S) uint8 images.
    latent : Latent
        Latent space.
    z : Tensor
        (N, latent.length) random latent vectors, N at least ``COLUMNS**2``.
    classes : Sequence[str]
        Names of the classes if the generator is class-conditional, else empty.
    train_images : Tensor
        (M, C, S, S) uint8.
    """
    from firstsight import plots

    curves = ReportFigure(
        "Learning curves",
        plots.gan_curves(history),
        "Means of every epoch. The losses do not measure image quality; see the Frechet distance.",
    )
    samples = ReportFigure(
        "Samples",
        plots.image_grid(generate(z[: COLUMNS * COLUMNS]).numpy(), COLUMNS),
        "Images of the averaged generator from random latent vectors, not selected.",
    )
    traversals = _traversal_figures(generate, latent, z, classes)
    return [curves, samples, *traversals, _nearest_figure(generate(z[:COLUMNS]), train_images)]


def _traversal_figures(
    generate: Callable[[Tensor], Tensor], latent: Latent, z: Tensor, classes: Sequence[str]
) -> list[ReportFigure]:
    """Return a figure for each continuous code, or one of the categories; none without codes."""
    from firstsight import plots

    num_rows = min(latent.categories[0], MAX_ROWS) if latent.categories else 0
    row_names = list(classes[:num_rows]) if classes else [f"c1 = {i}" for i in range(num_rows)]
    figures = []
    for code in range(latent.continuous):
        images = generate(traversal(latent, z, continuous=code)).numpy()
        heads = [f"{value:+.2f}" for value in torch.linspace(-1, 1, COLUMNS)]
        figures.append(
            ReportFigure(
                f"Continuous code c{len(latent.categories) + code + 1}",
                plots.image_grid(images, COLUMNS, rows=row_names, heads=heads),
                "Rows: categories. Columns: one continuous code from -1 to 1. All other inputs are constant.",
            )
        )
    if latent.categories and not latent.continuous:
        images = generate(traversal(latent, z, continuous=None)).numpy()
        title, rows = ("The classes", "classes") if classes else ("The categories", "categories")
        grid = plots.image_grid(images, COLUMNS, rows=row_names)
        figures.append(ReportFigure(title, grid, f"Rows: {rows}. Columns: the same noise."))
    return figures


def _nearest_figure(images: Tensor, train_images: Tensor) -> ReportFigure:
    """Return the figure of generated images (N, C, S, S) with their nearest training images (M, C, S, S)."""
    from firstsight import plots

    indices = nearest_neighbors(images, train_images, k=min(NEIGHBORS, len(train_images)))
    rows = [images, *(train_images[column] for column in indices.T)]
    names = ["generated", *(f"nearest {rank}" for rank in range(1, len(rows)))]
    return ReportFigure(
        "Nearest training images",
        plots.image_grid(torch.cat(rows).numpy(), COLUMNS, rows=names),
        "Below each generated image: the training images with the smallest pixel distance, to detect memorization.",
    )
