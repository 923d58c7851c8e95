"""What a generator can be asked to show: samples, sweeps of its codes, the training images nearest to its pictures."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from firstsight.engine.task import History, ReportFigure
from firstsight.metrics.frechet import nearest
from firstsight.models.gan.latent import Latent

if TYPE_CHECKING:
    from firstsight.tasks.gan.train import GANTask

COLUMNS = 8
ROWS = 16
"""At most so many categories are shown."""


def sweep(latent: Latent, z: Tensor, *, continuous: int | None, low: float = -1.0, high: float = 1.0) -> Tensor:
    """Latent vectors of a sheet: a row for each category, across it a continuous code from ``low`` to ``high``.

    Parameters
    ----------
    z : Tensor
        (N, length) vectors, at least `COLUMNS`. The noise and the other codes of the first stay the same in the whole
        sheet; without a continuous code, each column has those of its own, and without categories each row.

    Returns
    -------
    Tensor
        (rows * `COLUMNS`, length)
    """
    rows = min(latent.categories[0], ROWS) if latent.categories else COLUMNS
    if continuous is None:
        whole = z[:COLUMNS].repeat(rows, 1)
    else:
        whole = (z[:1].repeat(rows, 1) if latent.categories else z[:rows]).repeat_interleave(COLUMNS, 0)
        whole = latent.with_continuous(whole, continuous, torch.linspace(low, high, COLUMNS).repeat(rows))
    if latent.categories:
        whole = latent.with_category(whole, 0, torch.arange(rows).repeat_interleave(COLUMNS))
    return whole


def shown(latent: Latent, z: Tensor) -> Tensor:
    """The (M, latent) vectors of a run's sheets of samples: a sweep where there are codes, else the first of ``z``.

    ``z`` is (N, latent).
    """
    if latent.categories or latent.continuous:
        return sweep(latent, z, continuous=0 if latent.continuous else None)
    return z[: COLUMNS * COLUMNS]


def sheet(images: Tensor) -> bytes:
    """Pictures in rows of `COLUMNS`, as a PNG file; (N, C, S, S) uint8."""
    from firstsight import plots

    return plots.tile_png(images.numpy(), COLUMNS)


def figures(task: "GANTask", lines: History) -> list[ReportFigure]:
    """The report's pictures of an adversarial run."""
    from firstsight import plots

    latent, z = task.latent, task.fixed
    drawn = [
        ReportFigure(
            "Learning curves", plots.gan_curves(lines),
            "Means of every epoch. In this game no loss tells the quality of the pictures: read the distance.",
        ),
        ReportFigure(
            "Samples", plots.sheet(task.generate(z[: COLUMNS * COLUMNS]).numpy(), COLUMNS),
            "By the average of the generator's weights, from random vectors; not chosen.",
        ),
    ]  # fmt: skip
    if latent.categories or latent.continuous:
        told = task.rules.conditional
        kind, kinds = ("class", "The classes") if told else ("category", "The categories")
        count = min(latent.categories[0], ROWS) if latent.categories else 0
        names = [task.test.classes[i] if told else f"c1 = {i}" for i in range(count)]
        for code in range(latent.continuous) if latent.continuous else [None]:
            heads = [] if code is None else [f"{v:+.2f}" for v in torch.linspace(-1, 1, COLUMNS)]
            title = kinds if code is None else f"Continuous code c{len(latent.categories) + code + 1}"
            pictures = task.generate(sweep(latent, z, continuous=code)).numpy()
            text = f"A row has the same {kind}, a column the same noise."
            if code is not None:
                text = "A row has the same category; across, one continuous code goes from -1 to 1, all else stays."
            drawn.append(ReportFigure(title, plots.sheet(pictures, COLUMNS, rows=names, heads=heads), text))
    made = task.generate(z[:COLUMNS])
    among = task.batches.images.cpu()
    places = nearest(made, among, k=min(3, len(among)))
    rows = [made, *(among[column] for column in places.T)]
    names = ["generated", *(f"nearest {rank}" for rank in range(1, len(rows)))]
    near = plots.sheet(torch.cat(rows).numpy(), COLUMNS, rows=names)
    drawn.append(
        ReportFigure(
            "Nearest training images", near,
            "Below each generated picture the training images nearest to it, pixel by pixel: copies would show here.",
        )
    )  # fmt: skip
    return drawn
