"""Metrics of generated images: Frechet distance, precision and recall, nearest neighbors, classes.

Most functions take features of a fixed network, one row per image. The values depend on the network, the data set and
the number of images. Report them with the number of images and with the same metric of real images against other real
images. Compare only values of equal numbers of images.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from firstsight.metrics.clustering import check_labels

CHUNK = 1024
"""Rows of a distance matrix that `compute_prdc` computes at a time."""


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Compute the squared Frechet distance between Gaussians fitted to two sets of features (Heusel 2017).

    The distance is ``|m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2))`` with means m and covariances S. The last
    trace is the sum of the square roots of the eigenvalues of ``S1^(1/2) S2 S1^(1/2)``, which is symmetric.

    Parameters
    ----------
    real : Tensor
        (N, D) features of real images, N at least 2.
    fake : Tensor
        (M, D) features of generated images, M at least 2.

    Returns
    -------
    float
        Distance in squared units of the features, at least 0.

    Raises
    ------
    ValueError
        If a set has fewer than two images, the numbers of features differ, or a feature is not finite.
    """
    _check_features(real, fake)
    if min(len(real), len(fake)) < 2:
        raise ValueError(
            "`real` and `fake` must have at least 2 images, because one has no covariance,"
            f" got {len(real)} and {len(fake)}"
        )
    real = real.double()
    fake = fake.double()
    real_cov = torch.cov(real.T).reshape(real.shape[1], -1)
    fake_cov = torch.cov(fake.T).reshape(fake.shape[1], -1)
    eigenvalues, eigenvectors = torch.linalg.eigh(real_cov)
    root = eigenvectors * eigenvalues.clamp_min(0).sqrt() @ eigenvectors.T
    trace_of_root = torch.linalg.eigvalsh(root @ fake_cov @ root).clamp_min(0).sqrt().sum()
    mean_distance = (real.mean(0) - fake.mean(0)).square().sum()
    return max(0.0, float(mean_distance + real_cov.trace() + fake_cov.trace() - 2 * trace_of_root))


@dataclass(frozen=True)
class Prdc:
    """Precision, recall, density and coverage of generated images.

    Attributes
    ----------
    precision : float
        Fraction of generated images within the neighborhood of a real image; fidelity (Kynkaanniemi 2019).
    recall : float
        Fraction of real images within the neighborhood of a generated image; diversity (Kynkaanniemi 2019).
    density : float
        Mean number of real neighborhoods that contain a generated image, divided by k. It may exceed 1 and is less
        sensitive to outliers than precision (Naeem 2020).
    coverage : float
        Fraction of real images whose neighborhood contains a generated image (Naeem 2020).
    """

    precision: float
    recall: float
    density: float
    coverage: float


def compute_prdc(real: Tensor, fake: Tensor, *, k: int = 5) -> Prdc:
    """Compute precision, recall, density and coverage.

    The neighborhood of an image is the ball around its features whose radius is the distance to the ``k``-th nearest
    neighbor in the same set.

    Parameters
    ----------
    real : Tensor
        (N, D) features of real images, N above ``k``.
    fake : Tensor
        (M, D) features of generated images, M above ``k``.
    k : int
        Number of neighbors.

    Returns
    -------
    Prdc
        The four metrics.

    Raises
    ------
    ValueError
        If ``k`` is below 1, a set has at most ``k`` images, the numbers of features differ, or a feature is not finite.
    """
    _check_features(real, fake)
    if k < 1:
        raise ValueError(f"`k` must be at least 1, got {k}")
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"`real` and `fake` must have more than k={k} images, got {len(real)} and {len(fake)}")
    real = real.double()
    fake = fake.double()
    real_radii = _neighbor_distances(real, k)
    fake_radii = _neighbor_distances(fake, k)
    num_real_neighborhoods = torch.zeros(len(fake), dtype=torch.long)  # that contain each generated image
    is_recalled = []
    is_covered = []
    for rows, radii in zip(real.split(CHUNK), real_radii.split(CHUNK), strict=True):
        distances = torch.cdist(rows, fake)
        in_real_neighborhood = distances <= radii[:, None]
        num_real_neighborhoods += in_real_neighborhood.sum(0)
        is_covered.append(in_real_neighborhood.any(1))
        is_recalled.append((distances <= fake_radii).any(1))
    return Prdc(
        precision=float((num_real_neighborhoods > 0).double().mean()),
        recall=float(torch.cat(is_recalled).double().mean()),
        density=float(num_real_neighborhoods.double().mean() / k),
        coverage=float(torch.cat(is_covered).double().mean()),
    )


def _check_features(real: Tensor, fake: Tensor) -> None:
    """Raise ValueError unless features have shapes (N, D) and (M, D) and are finite."""
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or real.shape[1] < 1:
        raise ValueError(
            "`real` and `fake` must have shapes (N, D) and (M, D) with equal D,"
            f" got {tuple(real.shape)} and {tuple(fake.shape)}"
        )
    for name, features in (("real", real), ("fake", fake)):
        num_bad = int((~features.isfinite()).sum())
        if num_bad:
            raise ValueError(f"`{name}` must be finite, got {num_bad} values that are NaN or infinite")


def _neighbor_distances(features: Tensor, k: int) -> Tensor:
    """Return the distance of each row to its ``k``-th nearest other row."""
    return torch.cat([torch.cdist(rows, features).kthvalue(k + 1, dim=1).values for rows in features.split(CHUNK)])


def nearest_neighbors(images: Tensor, candidates: Tensor, *, k: int = 1) -> Tensor:
    """Find the candidates nearest to each image by Euclidean distance.

    Parameters
    ----------
    images : Tensor
        (N, ...) compared as flat vectors.
    candidates : Tensor
        (M, ...) of the same shape per image.
    k : int
        Number of candidates to return for each image.

    Returns
    -------
    Tensor
        (N, k) indices of candidates, nearest first.

    Raises
    ------
    ValueError
        If there are fewer than ``k`` candidates, or the shapes of an image differ.
    """
    if images.shape[1:] != candidates.shape[1:]:
        raise ValueError(
            "`images` and `candidates` must have the same shape per image,"
            f" got {tuple(images.shape)} and {tuple(candidates.shape)}"
        )
    if not 0 <= k <= len(candidates):
        raise ValueError(f"`k` must be between 0 and the number of candidates, {len(candidates)}, got {k}")
    flat = candidates.flatten(1).float()
    return torch.cat(
        [torch.cdist(rows, flat).topk(k, largest=False).indices for rows in images.flatten(1).float().split(256)]
    )


def count_modes(labels: Tensor, num_classes: int, *, min_fraction: float = 0.01) -> int:
    """Count the classes that have at least a given fraction of the images.

    Parameters
    ----------
    labels : Tensor
        (N,) class of each generated image according to a classifier.
    num_classes : int
        Number of classes.
    min_fraction : float
        Minimum fraction of the images, in [0, 1].

    Returns
    -------
    int
        Number of classes.

    Raises
    ------
    ValueError
        If there are no images, or a class is out of range.
    """
    check_labels("labels", labels, num_classes)
    if not len(labels):
        raise ValueError("`labels` must have at least one image, got none")
    counts = torch.bincount(labels, minlength=num_classes)
    return int((counts >= min_fraction * len(labels)).sum())


def class_kl_divergence(fake_labels: Tensor, real_labels: Tensor, num_classes: int) -> float:
    """Compute the Kullback-Leibler divergence of the generated class distribution from the real one.

    The divergence is ``sum(p log(p / q))`` with class frequencies p of generated and q of real images.

    Parameters
    ----------
    fake_labels : Tensor
        (N,) class of each generated image according to a classifier.
    real_labels : Tensor
        (M,) class of each real image.
    num_classes : int
        Number of classes.

    Returns
    -------
    float
        Divergence in nats; infinite if a class is generated that no real image has.

    Raises
    ------
    ValueError
        If a set has no images, or a class is out of range.
    """
    for name, labels in (("fake_labels", fake_labels), ("real_labels", real_labels)):
        check_labels(name, labels, num_classes)
        if not len(labels):
            raise ValueError(f"`{name}` must have at least one image, got none")
    p = torch.bincount(fake_labels, minlength=num_classes).double() / len(fake_labels)
    q = torch.bincount(real_labels, minlength=num_classes).double() / len(real_labels)
    return float(torch.special.xlogy(p, p / q).nan_to_num(0.0, posinf=float("inf")).sum())
