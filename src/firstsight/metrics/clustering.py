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
    """
    from scipy.optimize import linear_sum_assignment

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
    """
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
    """
    counts = _contingency_table(clusters, labels, num_clusters, num_classes).double()
    return tuple((counts.max(1).values / counts.sum(1).clamp_min(1)).tolist())


def _contingency_table(clusters: Tensor, labels: Tensor, num_clusters: int, num_classes: int) -> Tensor:
    """Return the number of images of each cluster and class, (num_clusters, num_classes)."""
    counts = torch.bincount(clusters * num_classes + labels, minlength=num_clusters * num_classes)
    return counts.view(num_clusters, num_classes)
