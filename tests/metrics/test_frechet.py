"""Metrics of generated images compared with known distributions, brute force and values by hand."""

import math

import pytest
import torch

from firstsight.metrics.frechet import (
    Prdc,
    class_kl_divergence,
    compute_prdc,
    count_modes,
    frechet_distance,
    nearest_neighbors,
)


def points(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_frechet_distance_of_shifted_and_scaled_points() -> None:
    """Shifted by v and scaled by s along each axis, the distance is |v|^2 + sum of variance (1 - s)^2."""
    cloud = points(1, 500, 6)
    cloud = cloud - cloud.mean(0)
    shift, scale = points(2, 6), torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.0], dtype=torch.float64)
    values, vectors = torch.linalg.eigh(torch.cov(cloud.T))
    aligned = cloud @ vectors  # uncorrelated axes: the covariances commute
    expected = float(shift.square().sum() + (values * (1 - scale).square()).sum())
    assert frechet_distance(aligned, aligned * scale + shift) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(cloud, cloud) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_with_covariances_that_do_not_commute() -> None:
    """The reference is the square root of their product, by its (complex) eigenvalues."""
    one, two = points(3, 300, 5) @ points(4, 5, 5), points(5, 400, 5) @ points(6, 5, 5) + 1
    first, second = torch.cov(one.T), torch.cov(two.T)
    root = torch.linalg.eigvals(first @ second).sqrt().real.sum()
    expected = (one.mean(0) - two.mean(0)).square().sum() + first.trace() + second.trace() - 2 * root
    assert frechet_distance(one, two) == pytest.approx(float(expected), rel=1e-9)
    assert frechet_distance(one, two) == pytest.approx(frechet_distance(two, one), rel=1e-9)


def test_precision_recall_density_and_coverage_are_their_definitions() -> None:
    """The reference is a loop over all pairs."""
    real, fake, k = points(7, 40, 3), points(8, 30, 3) * 0.7 + 0.4, 3
    radius_real = [sorted(float((a - b).norm()) for b in real)[k] for a in real]
    radius_fake = [sorted(float((a - b).norm()) for b in fake)[k] for a in fake]
    near = [[float((r - f).norm()) <= radius_real[i] for i, r in enumerate(real)] for f in fake]
    back = [[float((r - f).norm()) <= radius_fake[j] for j, f in enumerate(fake)] for r in real]
    result = compute_prdc(real, fake, k=k)
    assert result.precision == pytest.approx(sum(map(any, near)) / 30)
    assert result.recall == pytest.approx(sum(map(any, back)) / 40)
    assert result.density == pytest.approx(sum(map(sum, near)) / (k * 30))
    assert result.coverage == pytest.approx(sum(map(any, zip(*near, strict=True))) / 40)


def test_copies_of_one_real_image_have_full_precision_and_no_recall() -> None:
    real = points(9, 200, 4)
    same = real[:1].expand(200, 4) + 1e-6 * points(10, 200, 4)
    result = compute_prdc(real, same)
    assert result.precision == 1 and result.recall < 0.02 and result.coverage < 0.1
    assert compute_prdc(real, points(11, 200, 4) + 50).precision == 0
    with pytest.raises(ValueError, match="`real` and `fake` must have more than k=5 images, got 3 and 200"):
        compute_prdc(real[:3], real)


def test_precision_needs_more_images_than_neighbors() -> None:
    """An image of a set of k images has k - 1 others, which is one too few."""
    cloud = points(12, 40, 2)
    for real, fake, counts in ((cloud[:4], cloud, "4 and 40"), (cloud, cloud[:4], "40 and 4")):
        with pytest.raises(ValueError, match=f"must have more than k=4 images, got {counts}"):
            compute_prdc(real, fake, k=4)
    assert compute_prdc(cloud[:5], cloud[:5], k=4) == Prdc(1.0, 1.0, 1.25, 1.0)


def test_number_of_modes_and_kl_divergence_by_hand() -> None:
    fake = torch.tensor([0] * 50 + [1] * 49 + [2])
    assert count_modes(fake, 10) == 3 and count_modes(fake, 10, min_fraction=0.02) == 2
    real = torch.tensor([0, 1, 2, 2])
    expected = 0.5 * math.log(0.5 / 0.25) + 0.49 * math.log(0.49 / 0.25) + 0.01 * math.log(0.01 / 0.5)
    assert class_kl_divergence(fake, real, 10) == pytest.approx(expected)
    assert class_kl_divergence(real, real, 3) == 0
    assert class_kl_divergence(torch.tensor([5]), real, 10) == math.inf


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        ((1, 3), (5, 3), "at least 2 images, because one has no covariance, got 1 and 5"),
        ((5, 3), (0, 3), "at least 2 images, because one has no covariance, got 5 and 0"),
        ((5, 3), (5, 4), r"shapes \(N, D\) and \(M, D\) with equal D, got \(5, 3\) and \(5, 4\)"),
        ((5,), (5,), r"with equal D, got \(5,\) and \(5,\)"),
        ((5, 3, 2), (5, 3, 2), r"with equal D, got \(5, 3, 2\) and \(5, 3, 2\)"),
        ((5, 0), (5, 0), r"with equal D, got \(5, 0\) and \(5, 0\)"),
    ],
)
def test_frechet_distance_states_which_features_it_needs(
    real: tuple[int, ...], fake: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_distance(points(13, *real), points(14, *fake))


def test_two_images_and_one_feature_have_a_frechet_distance() -> None:
    """Computed by hand: means 1 and 5, standard deviations sqrt(2) and sqrt(8)."""
    distance = frechet_distance(torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [7.0]]))
    assert distance == pytest.approx((5 - 1) ** 2 + (8**0.5 - 2**0.5) ** 2)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_metrics_refuse_features_that_are_not_finite(value: float) -> None:
    good, bad = points(15, 9, 3), points(16, 9, 3)
    bad[4, 1] = value
    for metric in (frechet_distance, compute_prdc):
        with pytest.raises(ValueError, match="`fake` must be finite, got 1 values that are NaN or infinite"):
            metric(good, bad)
        with pytest.raises(ValueError, match="`real` must be finite"):
            metric(bad, good)


def test_number_of_neighbors_is_refused_where_there_are_not_so_many() -> None:
    cloud = points(17, 6, 2)
    with pytest.raises(ValueError, match="`k` must be at least 1, got 0"):
        compute_prdc(cloud, cloud, k=0)
    with pytest.raises(ValueError, match=r"with equal D, got \(6, 2\) and \(6, 3\)"):
        compute_prdc(cloud, points(18, 6, 3))
    assert nearest_neighbors(cloud, cloud, k=6)[:, 0].tolist() == list(range(6))
    assert nearest_neighbors(cloud[:0], cloud).shape == (0, 1)
    for candidates, k in ((cloud, 7), (cloud, -1), (cloud[:0], 1)):
        with pytest.raises(ValueError, match=f"number of candidates, {len(candidates)}, got {k}"):
            nearest_neighbors(cloud, candidates, k=k)
    with pytest.raises(ValueError, match=r"same shape per image, got \(6, 2\) and \(6, 1, 2\)"):
        nearest_neighbors(cloud, cloud[:, None])


def test_class_metrics_refuse_no_images_and_unknown_classes() -> None:
    """Without images there are no frequencies; they were 10 classes with a divergence of 0."""
    labels, none = torch.tensor([0, 1]), torch.zeros(0, dtype=torch.long)
    with pytest.raises(ValueError, match="`labels` must have at least one image, got none"):
        count_modes(none, 10)
    with pytest.raises(ValueError, match="`fake_labels` must have at least one image, got none"):
        class_kl_divergence(none, labels, 2)
    with pytest.raises(ValueError, match="`real_labels` must have at least one image, got none"):
        class_kl_divergence(labels, none, 2)
    with pytest.raises(ValueError, match="`real_labels` must be between 0 and 1, got 0 to 2"):
        class_kl_divergence(labels, torch.tensor([0, 2]), 2)
    with pytest.raises(ValueError, match="`labels` must be between 0 and 1, got -1 to 1"):
        count_modes(labels * 2 - 1, 2)
