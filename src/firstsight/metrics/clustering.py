"""How well categories found without labels fit classes that people named."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClusterMatch:
    """How categories fit classes.

    Parameters
    ----------
    one_to_one
        Share of pictures whose category is the one matched with their class, when every category is matched with at
        most one class and every class with at most one category, in the best way (Hungarian assignment).
    majority : float
        Share of pictures whose class is the most frequent of their category; never below ``hungarian_accuracy``.
    table : tuple[int, ...]
        For each category its class: the matched one, or the most frequent where there is none.
    """

    hungarian_accuracy: float
    majority: float
    table: tuple[int, ...]


def fit(categories: Tensor, labels: Tensor, *, values: int, classes: int) -> ClusterMatch:
    """Match categories with classes.

    Parameters
    ----------
    categories, labels : Tensor
        (N,) of each picture.
    values, classes : int
        How many of each there are.
    """
    from scipy.optimize import linear_sum_assignment

    counts = torch.bincount(categories * classes + labels, minlength=values * classes).view(values, classes)
    rows, columns = linear_sum_assignment(counts.numpy(), maximize=True)
    table = counts.argmax(1)
    table[torch.from_numpy(rows)] = torch.from_numpy(columns)
    matched = int(counts[rows, columns].sum())
    return ClusterMatch(matched / len(labels), int(counts.max(1).values.sum()) / len(labels), tuple(table.tolist()))


def asked(categories: Tensor, labels: Tensor, *, values: int) -> tuple[float, ...]:
    """Where a category is a class: of each, the share of its pictures that are of it; 0 where there are none.

    Parameters
    ----------
    categories, labels : Tensor
        (N,) of each picture.
    """
    right = torch.bincount(categories[categories == labels], minlength=values).double()
    return tuple((right / torch.bincount(categories, minlength=values).clamp_min(1)).tolist())


def purity(categories: Tensor, labels: Tensor, *, values: int, classes: int) -> tuple[float, ...]:
    """Of each category, the share of its pictures that are of one class; 0 where there are none. Both are (N,)."""
    counts = torch.bincount(categories * classes + labels, minlength=values * classes).view(values, classes).double()
    return tuple((counts.max(1).values / counts.sum(1).clamp_min(1)).tolist())
