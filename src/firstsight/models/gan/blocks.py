"""Measurable shapes of a digit, to hold InfoGAN's continuous codes against."""

import torch
from torch import Tensor

FLAT = 1e-9
"""A variance of ink below this is none."""


def slant(images: Tensor) -> Tensor:
    """How far strokes lean, from image moments: the horizontal shift per pixel upwards.

    The covariance of ink in x and y over its variance in y (as in Morpho-MNIST, Castro 2019): 0 upright, positive
    leaning to the right, in pixels per pixel. Pictures without ink, or with all of it in one row, have 0.

    Parameters
    ----------
    images : Tensor
        (N, 1, H, W) ink, bright on dark, any scale.

    Returns
    -------
    Tensor
        (N,)
    """
    _, down, both = _moments(images)
    return torch.where(down > FLAT, -both / down.clamp_min(FLAT), 0.0)


def width(images: Tensor) -> Tensor:
    """How wide a digit is once it is set upright: the standard deviation of its ink across, in pixels.

    Setting it upright takes off what of the variance in x follows from that in y: the slant's square times it. A filled
    box of n columns has ((n^2 - 1) / 12)^(1/2).

    Parameters
    ----------
    images : Tensor
        As in `slant`.

    Returns
    -------
    Tensor
        (N,); 0 without ink.
    """
    across, down, both = _moments(images)
    leaning = torch.where(down > FLAT, both.square() / down.clamp_min(FLAT), 0.0)
    return (across - leaning).clamp_min(0).sqrt()


def _moments(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Variance of ink in x and in y, and their covariance; y downwards; each (N,)."""
    ink = images[:, 0].double()
    y = torch.arange(ink.shape[1], dtype=ink.dtype, device=ink.device).view(1, -1, 1)
    x = torch.arange(ink.shape[2], dtype=ink.dtype, device=ink.device).view(1, 1, -1)
    whole = ink.sum((1, 2), keepdim=True).clamp_min(1e-12)
    dy, dx = y - (ink * y).sum((1, 2), keepdim=True) / whole, x - (ink * x).sum((1, 2), keepdim=True) / whole
    across, down, both = (
        (ink * export_model).sum((1, 2)) / whole.flatten() for export_model in (dx * dx, dy * dy, dx * dy)
    )
    return across, down, both


def stroke_width(images: Tensor) -> Tensor:
    """How wide strokes are, in pixels: twice the ink over the length of its outline.

    A bar of width w and length l has ink w l and an outline of 2 l (its ends left aside). The outline of grey pictures
    is the sum of the slopes between neighbouring pixels (their total variation).

    Parameters
    ----------
    images : Tensor
        (N, 1, H, W) in [0, 1], bright on dark.

    Returns
    -------
    Tensor
        (N,); 0 without ink.
    """
    ink = torch.nn.functional.pad(images[:, 0].double(), (1, 1, 1, 1))
    down, across = ink[:, 1:, :-1] - ink[:, :-1, :-1], ink[:, :-1, 1:] - ink[:, :-1, :-1]
    outline = torch.sqrt(down.square() + across.square()).sum((1, 2))
    return torch.where(outline > 1e-9, 2 * ink.sum((1, 2)) / outline.clamp_min(1e-9), 0.0)


def correlation(a: Tensor, b: Tensor, groups: Tensor) -> float:
    """Pearson's correlation of two measures within groups: each group's means are taken off first.

    Parameters
    ----------
    a, b : Tensor
        (N,) measures.
    groups : Tensor
        (N,) group numbers from 0.
    """
    first, second = (_centred(values.double(), groups) for values in (a, b))
    scale = first.norm() * second.norm()
    return float(first @ second / scale) if float(scale) > 1e-12 else 0.0


def best_correlation(values: Tensor, b: Tensor, groups: Tensor) -> float:
    """The correlation of a measure with the best mixture of several others (multiple correlation), within groups.

    Nothing tells InfoGAN to give each of its codes one meaning: codes that are turned, half one thing and half another,
    can be read as well. Then each correlates weakly with a shape, and a mixture of them strongly.

    Parameters
    ----------
    values : Tensor
        (N, k) measures; b, groups : as in `correlation`.

    Returns
    -------
    float
        In [0, 1].
    """
    each = torch.stack([_centred(column.double(), groups) for column in values.T], dim=1)
    wanted = _centred(b.double(), groups)
    scale = wanted.norm()
    return float((each @ torch.linalg.lstsq(each, wanted[:, None]).solution).norm() / scale) if scale > 1e-12 else 0.0


def _centred(values: Tensor, groups: Tensor) -> Tensor:
    count = torch.bincount(groups).clamp_min(1)
    means = torch.zeros(len(count), dtype=values.dtype).index_add_(0, groups, values) / count
    return values - means[groups]
