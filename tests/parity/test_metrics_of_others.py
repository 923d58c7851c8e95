"""Metrics of generated images equal those of torchmetrics and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from firstsight import load_data
from firstsight.metrics.clustering import cluster_purity, match_clusters
from firstsight.metrics.frechet import compute_prdc, frechet_distance, nearest_neighbors
from firstsight.tasks.gan.reference_classifier import reference_for


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Features(nn.Module):
    """Features of the bundled LeNet for uint8 images, as torchmetrics calls them."""

    num_features = 84

    def __init__(self) -> None:
        super().__init__()
        self.reference = reference_for("digits", tuple("0123456789"))

    def forward(self, images: Tensor) -> Tensor:
        return self.reference(images).features.clone()


@pytest.mark.parametrize(("n", "m", "width"), [(400, 300, 5), (2000, 2000, 84), (60, 200, 84)])
def test_frechet_distance_is_that_of_torchmetrics(n: int, m: int, width: int) -> None:
    """Also with fewer images than features, where the covariance has no inverse."""
    mixing = draw(1, width, width) / width**0.5
    real, fake = draw(2, n, width) @ mixing, draw(3, m, width) @ mixing * 1.3 + 0.2
    peer = FrechetInceptionDistance(feature=nn.Flatten(), input_img_size=(1, 1, width)).set_dtype(torch.float64)
    peer.update(real[:, None, None, :], real=True)
    peer.update(fake[:, None, None, :], real=False)
    assert frechet_distance(real, fake) == pytest.approx(float(peer.compute()), rel=1e-4)


def test_frechet_distance_in_features_of_lenet_is_that_of_torchmetrics() -> None:
    """Both get the same images, as a user of torchmetrics would pass them."""
    images = load_data("digits", "train").images
    images = nn.functional.interpolate(images.float(), size=32).to(torch.uint8)
    real, fake = images[:600], images[600:1200] // 2
    features = Features()
    peer = FrechetInceptionDistance(feature=features, input_img_size=(1, 32, 32)).set_dtype(torch.float64)
    peer.update(real, real=True)
    peer.update(fake, real=False)
    ours = frechet_distance(features(real), features(fake))
    assert ours > 1 and ours == pytest.approx(float(peer.compute()), rel=1e-4)


@pytest.mark.parametrize("k", [1, 5])
def test_precision_and_recall_are_those_by_nearest_neighbors_of_scikit_learn(k: int) -> None:
    real, fake = draw(4, 700, 6), draw(5, 500, 6) * 0.8 + 0.3
    radii = [NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x)[0][:, -1] for x in (real.numpy(), fake.numpy())]
    distances, indices = NearestNeighbors(n_neighbors=len(fake)).fit(fake.numpy()).kneighbors(real.numpy())
    matrix = np.empty((700, 500))
    np.put_along_axis(matrix, indices, distances, axis=1)
    result = compute_prdc(real, fake, k=k)
    assert result.precision == pytest.approx((matrix <= radii[0][:, None]).any(0).mean())
    assert result.recall == pytest.approx((matrix <= radii[1]).any(1).mean())
    assert result.density == pytest.approx((matrix <= radii[0][:, None]).sum() / (k * 500))
    assert result.coverage == pytest.approx((matrix <= radii[0][:, None]).any(1).mean())


def test_nearest_images_are_those_of_scikit_learn() -> None:
    images, among = draw(6, 40, 1, 4, 4), draw(7, 90, 1, 4, 4)
    peer = NearestNeighbors(n_neighbors=3).fit(among.flatten(1).numpy())
    assert nearest_neighbors(images, among, k=3).tolist() == peer.kneighbors(images.flatten(1).numpy())[1].tolist()


def test_accuracy_of_matched_categories_and_purity_are_those_of_scikit_learn() -> None:
    """One-to-one: the accuracy of the renamed categories. Purity: by the contingency table."""
    generator = torch.Generator().manual_seed(8)
    labels = torch.randint(0, 10, (2000,), generator=generator)
    other = torch.randint(0, 10, (2000,), generator=generator)
    noisy = torch.where(torch.rand(2000, generator=generator) < 0.3, other, labels)
    categories = torch.randperm(10, generator=generator)[noisy]
    result = match_clusters(categories, labels, num_clusters=10, num_classes=10)
    renamed = torch.tensor(result.table)[categories]
    assert result.hungarian_accuracy == pytest.approx(accuracy_score(labels, renamed))
    table = contingency_matrix(labels, categories)
    assert result.purity == pytest.approx(table.max(0).sum() / 2000)
    purity = cluster_purity(categories, labels, num_clusters=10, num_classes=10)
    assert purity == pytest.approx(table.max(0) / table.sum(0))
