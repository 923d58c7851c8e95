"""Two measurable shapes of a stroke, to hold InfoGAN's continuous codes against."""

import torch
from torch import Tensor


def slant(images: Tensor) -> Tensor:
    """How far strokes lean, from image moments: the horizontal shift per pixel upwards.

    The covariance of ink in x and y over its variance in y (as in Morpho-MNIST, Castro 2019): 0 upright, positive
    leaning to the right, in pixels per pixel. Pictures without ink, or with all of it in one row, have 0.

    Parameters
    ----------
    images : (N, 1, H, W) ink, bright on dark, any scale.

    Returns
    -------
    (N,)
    """
    ink = images[:, 0].double()
    y = torch.arange(ink.shape[1], dtype=ink.dtype, device=ink.device).view(1, -1, 1)
    x = torch.arange(ink.shape[2], dtype=ink.dtype, device=ink.device).view(1, 1, -1)
    whole = ink.sum((1, 2), keepdim=True).clamp_min(1e-12)
    dy, dx = y - (ink * y).sum((1, 2), keepdim=True) / whole, x - (ink * x).sum((1, 2), keepdim=True) / whole
    high = (ink * dy.square()).sum((1, 2)) / whole.flatten()
    both = (ink * dx * dy).sum((1, 2)) / whole.flatten()
    return torch.where(high > 1e-9, -both / high.clamp_min(1e-9), 0.0)


def stroke_width(images: Tensor) -> Tensor:
    """How wide strokes are, in pixels: twice the ink over the length of its outline.

    A bar of width w and length l has ink w l and an outline of 2 l (its ends left aside). The outline of grey pictures
    is the sum of the slopes between neighbouring pixels (their total variation).

    Parameters
    ----------
    images : (N, 1, H, W) in [0, 1], bright on dark.

    Returns
    -------
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
    a, b : (N,) measures.
    groups : (N,) group numbers from 0.
    """
    first, second = (_centred(values.double(), groups) for values in (a, b))
    scale = first.norm() * second.norm()
    return float(first @ second / scale) if float(scale) > 1e-12 else 0.0


def _centred(values: Tensor, groups: Tensor) -> Tensor:
    count = torch.bincount(groups).clamp_min(1)
    means = torch.zeros(len(count), dtype=values.dtype).index_add_(0, groups, values) / count
    return values - means[groups]
