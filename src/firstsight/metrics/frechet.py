"""How near generated pictures are to real ones, measured on features of a fixed network.

All take features, one row a picture. None means anything by itself: give the same figure for real pictures against
other real pictures beside it, and the number of pictures; never compare figures of different numbers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 1024


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """The squared Frechet distance between normal distributions fitted to two sets of features (Heusel 2017).

    ``|m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2))``, with means m and covariances S; the last trace is the sum
    of the roots of the eigenvalues of S1^(1/2) S2 S1^(1/2), which is symmetric.

    Parameters
    ----------
    real, fake : Tensor
        (N, d) and (M, d), N and M above 1.

    Returns
    -------
    float
        0 or more, in squared units of the features.
    """
    one, two = real.double(), fake.double()
    first, second = torch.cov(one.T).reshape(one.shape[1], -1), torch.cov(two.T).reshape(two.shape[1], -1)
    values, vectors = torch.linalg.eigh(first)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ second @ root).clamp_min(0).sqrt().sum()
    apart = (one.mean(0) - two.mean(0)).square().sum()
    return max(0.0, float(apart + first.trace() + second.trace() - 2 * shared))


@dataclass(frozen=True)
class Overlap:
    """How two sets of pictures lie in each other; each figure is a share, only density may exceed one.

    Parameters
    ----------
    precision : float
        Generated pictures that lie within reach of a real one: are they good? (Kynkaanniemi 2019).
    recall : float
        Real pictures that lie within reach of a generated one: is everything made? (Kynkaanniemi 2019).
    density : float
        Real neighbourhoods around a generated picture, over k; less moved by outliers (Naeem 2020).
    coverage : float
        Real pictures with a generated one in their neighbourhood (Naeem 2020).
    """

    precision: float
    recall: float
    density: float
    coverage: float


def overlap(real: Tensor, fake: Tensor, *, k: int = 5) -> Overlap:
    """Precision, recall, density and coverage by nearest neighbours.

    A picture's neighbourhood is the ball around it that reaches its ``k``-th nearest neighbour of its own set.

    Parameters
    ----------
    real, fake : Tensor
        (N, d) and (M, d) with N and M above ``k``.
    """
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"overlap needs more than {k} pictures on each side; got {len(real)} and {len(fake)}")
    one, two = real.double(), fake.double()
    reach_real, reach_fake = _reach(one, k), _reach(two, k)
    inside_real = torch.zeros(len(two), dtype=torch.long)  # in how many real neighbourhoods each generated one lies
    recalled, covered = [], []
    for rows, reach in zip(one.split(CHUNK), reach_real.split(CHUNK), strict=True):
        apart = torch.cdist(rows, two)
        within = apart <= reach[:, None]
        inside_real += within.sum(0)
        covered.append(within.any(1))
        recalled.append((apart <= reach_fake).any(1))
    return Overlap(
        precision=float((inside_real > 0).double().mean()),
        recall=float(torch.cat(recalled).double().mean()),
        density=float(inside_real.double().mean() / k),
        coverage=float(torch.cat(covered).double().mean()),
    )


def _reach(features: Tensor, k: int) -> Tensor:
    """Distance of each row to its ``k``-th nearest other row."""
    return torch.cat([torch.cdist(rows, features).kthvalue(k + 1, dim=1).values for rows in features.split(CHUNK)])


def nearest(images: Tensor, among: Tensor, *, k: int = 1) -> Tensor:
    """Which rows of ``among`` lie nearest to each of ``images``, by Euclidean distance.

    Parameters
    ----------
    images, among : Tensor
        (N, ...) and (M, ...), compared as flat vectors.

    Returns
    -------
    Tensor
        (N, k) row numbers, the nearest first.
    """
    others = among.flatten(1).float()
    found = [torch.cdist(rows, others).topk(k, largest=False).indices for rows in images.flatten(1).float().split(256)]
    return torch.cat(found)


def modes(labels: Tensor, classes: int, *, share: float = 0.01) -> int:
    """How many classes have at least that share of the pictures.

    Parameters
    ----------
    labels : Tensor
        (N,) what a classifier takes each generated picture for.
    """
    counts = torch.bincount(labels, minlength=classes)
    return int((counts >= share * len(labels)).sum())


def divergence(labels: Tensor, real: Tensor, classes: int) -> float:
    """Kullback-Leibler divergence of the generated classes' histogram from the real one, in nats: sum g log(g / r).

    Infinite where a class is generated that is not among the real ones. ``labels`` and ``real`` are (N,) and (M,).
    """
    made, true = (torch.bincount(values, minlength=classes).double() / len(values) for values in (labels, real))
    return float(torch.special.xlogy(made, made / true).nan_to_num(0.0, posinf=float("inf")).sum())
