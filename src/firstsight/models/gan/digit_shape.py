"""Shape measures of digits (slant, width, stroke width), to correlate InfoGAN's continuous codes with."""

import torch
from torch import Tensor

MIN_VARIANCE = 1e-9
"""Smaller variances of ink count as zero."""


def slant(images: Tensor) -> Tensor:
    """Return the slant of each digit, from image moments (as in Morpho-MNIST, Castro 2019).

    The slant is the covariance of the ink in x and y over its variance in y: the horizontal shift per pixel upward.
    It is 0 for an upright digit and positive for one that leans to the right. Images without ink, or with all ink in
    one row, have a slant of 0.

    Parameters
    ----------
    images : Tensor
        Ink (N, 1, H, W), bright on dark, in any scale.

    Returns
    -------
    Tensor
        Slants (N,), in pixels per pixel.
    """
    _, var_y, cov = _ink_moments(images)
    return torch.where(var_y > MIN_VARIANCE, -cov / var_y.clamp_min(MIN_VARIANCE), 0.0)


def width(images: Tensor) -> Tensor:
    """Return the width of each digit after deslanting: the standard deviation of its ink in x.

    Deslanting subtracts from the variance in x the part that follows from y: the squared slant times the variance in
    y. A filled box of n columns has a width of ((n^2 - 1) / 12)^(1/2).

    Parameters
    ----------
    images : Tensor
        Ink (N, 1, H, W), as in `slant`.

    Returns
    -------
    Tensor
        Widths (N,) in pixels; 0 without ink.
    """
    var_x, var_y, cov = _ink_moments(images)
    slant_variance = torch.where(var_y > MIN_VARIANCE, cov.square() / var_y.clamp_min(MIN_VARIANCE), 0.0)
    return (var_x - slant_variance).clamp_min(0).sqrt()


def _ink_moments(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the variance of ink in x, its variance in y, and their covariance, each (N,); y points downward."""
    ink = images[:, 0].double()
    y = torch.arange(ink.shape[1], dtype=ink.dtype, device=ink.device).view(1, -1, 1)
    x = torch.arange(ink.shape[2], dtype=ink.dtype, device=ink.device).view(1, 1, -1)
    total = ink.sum((1, 2), keepdim=True).clamp_min(1e-12)
    dy = y - (ink * y).sum((1, 2), keepdim=True) / total
    dx = x - (ink * x).sum((1, 2), keepdim=True) / total
    var_x, var_y, cov = ((ink * product).sum((1, 2)) / total.flatten() for product in (dx * dx, dy * dy, dx * dy))
    return var_x, var_y, cov


def stroke_width(images: Tensor) -> Tensor:
    """Return the mean stroke width of each digit: twice its ink over the length of its outline.

    A bar of width w and length l has ink w l and an outline of 2 l, without its ends. The outline of a grayscale image
    is its total variation, the sum of the gradient norms.

    Parameters
    ----------
    images : Tensor
        Ink (N, 1, H, W) in [0, 1], bright on dark.

    Returns
    -------
    Tensor
        Stroke widths (N,) in pixels; 0 without ink.
    """
    ink = torch.nn.functional.pad(images[:, 0].double(), (1, 1, 1, 1))
    dy = ink[:, 1:, :-1] - ink[:, :-1, :-1]
    dx = ink[:, :-1, 1:] - ink[:, :-1, :-1]
    outline = torch.sqrt(dy.square() + dx.square()).sum((1, 2))
    return torch.where(outline > 1e-9, 2 * ink.sum((1, 2)) / outline.clamp_min(1e-9), 0.0)


def correlation(a: Tensor, b: Tensor, groups: Tensor) -> float:
    """Compute Pearson's correlation of two measures within groups: group means are subtracted first.

    Parameters
    ----------
    a : Tensor
        First measure (N,).
    b : Tensor
        Second measure (N,).
    groups : Tensor
        Group indices (N,), counted from 0.

    Returns
    -------
    float
        Correlation in [-1, 1]; 0 if a measure is constant within all groups.
    """
    centered_a = _subtract_group_means(a.double(), groups)
    centered_b = _subtract_group_means(b.double(), groups)
    scale = centered_a.norm() * centered_b.norm()
    return float(centered_a @ centered_b / scale) if float(scale) > 1e-12 else 0.0


def best_correlation(values: Tensor, b: Tensor, groups: Tensor) -> float:
    """Compute the multiple correlation: that of a measure with the best linear combination of several others.

    InfoGAN's loss does not require that each code has one meaning. Two codes can be rotated, each half slant and half
    width, and are just as predictable. Each then correlates weakly with a shape measure, but a linear combination of
    them correlates strongly.

    Parameters
    ----------
    values : Tensor
        Measures (N, k) to combine.
    b : Tensor
        Measure (N,) to explain.
    groups : Tensor
        Group indices (N,), counted from 0; correlations are taken within groups.

    Returns
    -------
    float
        Correlation in [0, 1]; 0 if ``b`` is constant within all groups, or k is 0.
    """
    if not values.shape[1]:
        return 0.0
    predictors = torch.stack([_subtract_group_means(column.double(), groups) for column in values.T], dim=1)
    target = _subtract_group_means(b.double(), groups)
    scale = target.norm()
    if float(scale) > 1e-12:
        coefficients = torch.linalg.lstsq(predictors, target[:, None]).solution
        return float((predictors @ coefficients).norm() / scale)
    return 0.0


def _subtract_group_means(values: Tensor, groups: Tensor) -> Tensor:
    """Return values (N,) minus the mean of their group."""
    count = torch.bincount(groups).clamp_min(1)
    means = torch.zeros(len(count), dtype=values.dtype).index_add_(0, groups, values) / count
    return values - means[groups]
