"""Agreement between clusters that are learned without labels, such as InfoGAN's categories, and labeled classes."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClusterMatch:
    """Assignment of clusters to classes, and its accuracy.

    Attributes
    ----------
    hungarian_accuracy : float
        Fraction of images whose cluster is assigned to their class. Each cluster is assigned to at most one class and
        each class to at most one cluster, such that this fraction is largest (Hungarian algorithm).
    purity : float
        Fraction of images whose class is the most frequent class of their cluster; at least ``hungarian_accuracy``.
    table : tuple[int, ...]
        Class of each cluster: the assigned class, or the most frequent class of a cluster without assignment.
    """

    hungarian_accuracy: float
    purity: float
    table: tuple[int, ...]


def match_clusters(clusters: Tensor, labels: Tensor, *, num_clusters: int, num_classes: int) -> ClusterMatch:
    """Match clusters with classes.

    Parameters
    ----------
    clusters : Tensor
        (N,) cluster of each image.
    labels : Tensor
        (N,) class of each image.
    num_clusters : int
        Number of clusters.
    num_classes : int
        Number of classes.

    Returns
    -------
    ClusterMatch
        The assignment and its accuracy.

    Raises
    ------
    ValueError
        If there are no images, or a cluster or class is out of range.
    """
    from scipy.optimize import linear_sum_assignment

    if not len(labels):
        raise ValueError("`labels` must have at least one image, got none")
    counts = _contingency_table(clusters, labels, num_clusters, num_classes)
    rows, columns = linear_sum_assignment(counts.numpy(), maximize=True)
    table = counts.argmax(1)
    table[torch.from_numpy(rows)] = torch.from_numpy(columns)
    return ClusterMatch(
        hungarian_accuracy=int(counts[rows, columns].sum()) / len(labels),
        purity=int(counts.max(1).values.sum()) / len(labels),
        table=tuple(table.tolist()),
    )


def class_accuracy(requested: Tensor, labels: Tensor, *, num_classes: int) -> tuple[float, ...]:
    """Compute, for each requested class, the fraction of its images that show this class.

    Parameters
    ----------
    requested : Tensor
        (N,) class that each image was generated for, by a class-conditional generator.
    labels : Tensor
        (N,) class of each image according to a classifier.
    num_classes : int
        Number of classes.

    Returns
    -------
    tuple[float, ...]
        Fraction of each class, in [0, 1]; 0 for a class without images.

    Raises
    ------
    ValueError
        If the numbers of images differ, or a class is out of range.
    """
    _check_pairs(requested=(requested, num_classes), labels=(labels, num_classes))
    correct = torch.bincount(requested[requested == labels], minlength=num_classes).double()
    return tuple((correct / torch.bincount(requested, minlength=num_classes).clamp_min(1)).tolist())


def cluster_purity(clusters: Tensor, labels: Tensor, *, num_clusters: int, num_classes: int) -> tuple[float, ...]:
    """Compute, for each cluster, the fraction of its images that belong to the cluster's most frequent class.

    Parameters
    ----------
    clusters : Tensor
        (N,) cluster of each image.
    labels : Tensor
        (N,) class of each image.
    num_clusters : int
        Number of clusters.
    num_classes : int
        Number of classes.

    Returns
    -------
    tuple[float, ...]
        Purity of each cluster, in [0, 1]; 0 for a cluster without images.

    Raises
    ------
    ValueError
        If the numbers of images differ, or a cluster or class is out of range.
    """
    counts = _contingency_table(clusters, labels, num_clusters, num_classes).double()
    return tuple((counts.max(1).values / counts.sum(1).clamp_min(1)).tolist())


def check_labels(name: str, labels: Tensor, num_classes: int) -> None:
    """Raise ValueError unless labels have shape (N,) and values from 0 to ``num_classes - 1``.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    labels : Tensor
        Class of each image.
    num_classes : int
        Number of classes.

    Examples
    --------
    >>> check_labels("labels", torch.tensor([0, 3]), 3)
    Traceback (most recent call last):
    ValueError: `labels` must be between 0 and 2, got 0 to 3
    """
    if labels.ndim != 1:
        raise ValueError(f"`{name}` must have shape (N,), got {tuple(labels.shape)}")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(
            f"`{name}` must be between 0 and {num_classes - 1}, got {int(labels.min())} to {int(labels.max())}"
        )


def _check_pairs(**labels: tuple[Tensor, int]) -> None:
    """Raise ValueError unless two sets of labels, with their numbers of classes, are in range and of equal length."""
    for name, (values, num_classes) in labels.items():
        check_labels(name, values, num_classes)
    (one, (first, _)), (two, (second, _)) = labels.items()
    if len(first) != len(second):
        raise ValueError(f"`{one}` and `{two}` must have equal lengths, got {len(first)} and {len(second)}")


def _contingency_table(clusters: Tensor, labels: Tensor, num_clusters: int, num_classes: int) -> Tensor:
    """Return the number of images of each cluster and class, (num_clusters, num_classes)."""
    _check_pairs(clusters=(clusters, num_clusters), labels=(labels, num_classes))
    counts = torch.bincount(clusters * num_classes + labels, minlength=num_clusters * num_classes)
    return counts.view(num_clusters, num_classes)
