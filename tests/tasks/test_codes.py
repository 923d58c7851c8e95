"""InfoGAN's codes: the information loss, matching with classes, correlation with slant, width and stroke width."""

import math

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score
from torch.distributions import Categorical, Normal

from firstsight.metrics.clustering import class_accuracy, cluster_purity, match_clusters
from firstsight.models.gan.digit_shape import best_correlation, correlation, slant, stroke_width, width
from firstsight.models.gan.infogan import CodePrediction
from firstsight.models.gan.losses import information_loss


def test_information_loss_is_the_negative_log_likelihood_of_the_codes() -> None:
    """Against torch's distributions, without the normal density's constant."""
    torch.manual_seed(0)
    logits, means, logs = torch.randn(6, 4), torch.randn(6, 2), torch.randn(6, 2)
    category, values = torch.randint(4, (6,)), torch.rand(6, 2) * 2 - 1
    expected = -Categorical(logits=logits).log_prob(category)
    expected -= Normal(means, (logs / 2).exp()).log_prob(values).sum(1) + math.log(2 * math.pi)
    learned = information_loss(CodePrediction((logits,), means, logs), [category], values, code_std="learned")
    torch.testing.assert_close(learned, expected)
    fixed = information_loss(CodePrediction((logits,), means, logs), [category], values)
    expected = F.cross_entropy(logits, category, reduction="none") + (means - values).square().sum(1) / 2
    torch.testing.assert_close(fixed, expected)
    each = information_loss(CodePrediction((logits,), means, logs), [category], values, code_std=(0.5, 2.0))
    expected = F.cross_entropy(logits, category, reduction="none") + (means - values).square() @ torch.tensor(
        [2, 1 / 8]
    )
    torch.testing.assert_close(each, expected)
    only = information_loss(
        CodePrediction((logits, logits), means[:, :0], logs[:, :0]), [category, category], values[:, :0]
    )
    torch.testing.assert_close(only, 2 * F.cross_entropy(logits, category, reduction="none"))


def test_categories_are_matched_with_classes_one_to_one_and_by_majority() -> None:
    """Two categories share the class 0: only one of them may have it, the majority counts both."""
    categories = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    labels = torch.tensor([0, 0, 0, 0, 0, 1, 2, 2])
    match = match_clusters(categories, labels, num_clusters=3, num_classes=3)
    assert match.hungarian_accuracy == 6 / 8 and match.purity == 7 / 8 and match.table == (0, 1, 2)
    assert cluster_purity(categories, labels, num_clusters=3, num_classes=3) == (1.0, pytest.approx(2 / 3), 1.0)
    assert class_accuracy(categories, labels, num_classes=4) == (1.0, pytest.approx(1 / 3), 1.0, 0.0)
    # one category more than classes: it gets its most frequent class
    more = match_clusters(categories, labels.clamp_max(1), num_clusters=3, num_classes=2)
    assert more.table == (0, 0, 1) or more.table == (0, 1, 1)
    assert more.purity == accuracy_score(labels.clamp_max(1), torch.tensor([0, 0, 1])[categories])


def test_matching_refuses_no_images_and_values_out_of_range() -> None:
    labels, none = torch.tensor([0, 1, 2]), torch.zeros(0, dtype=torch.long)
    with pytest.raises(ValueError, match="`labels` must have at least one image, got none"):
        match_clusters(none, none, num_clusters=3, num_classes=3)
    with pytest.raises(ValueError, match="`labels` must be between 0 and 1, got 0 to 2"):
        match_clusters(labels, labels, num_clusters=3, num_classes=2)
    with pytest.raises(ValueError, match="`clusters` must be between 0 and 1, got 0 to 2"):
        cluster_purity(labels, labels, num_clusters=2, num_classes=3)
    with pytest.raises(ValueError, match="`requested` and `labels` must have equal lengths, got 3 and 2"):
        class_accuracy(labels, labels[:2], num_classes=3)
    with pytest.raises(ValueError, match=r"`requested` must have shape \(N,\), got \(3, 1\)"):
        class_accuracy(labels[:, None], labels, num_classes=3)
    assert class_accuracy(none, none, num_classes=2) == (0, 0)
    assert cluster_purity(none, none, num_clusters=2, num_classes=2) == (0, 0)


def test_permuted_classes_are_matched_perfectly() -> None:
    torch.manual_seed(1)
    labels, names = torch.randint(10, (500,)), torch.randperm(10)
    match = match_clusters(names[labels], labels, num_clusters=10, num_classes=10)
    assert match.hungarian_accuracy == match.purity == 1
    assert [match.table[int(names[i])] for i in range(10)] == list(range(10))


def bar(width: float, shear: float, *, size: int = 64) -> torch.Tensor:
    """Return an image of an upright bar 40 pixels high, with soft edges, sheared by ``shear`` pixels a pixel."""
    y, x = torch.meshgrid(torch.arange(size) - 31.5, torch.arange(size) - 31.5, indexing="ij")
    inside = (width / 2 + 0.5 - (x + shear * y).abs()).clamp(0, 1) * ((y.abs() <= 20).float())
    return inside[None, None]


@pytest.mark.parametrize("shear", [-0.4, 0.0, 0.25])
def test_slant_of_a_sheared_bar_is_its_shear(shear: float) -> None:
    assert float(slant(bar(4, shear))) == pytest.approx(shear, abs=0.01)


@pytest.mark.parametrize("across", [2.0, 4.0, 7.0])
def test_stroke_width_of_a_bar_is_twice_its_area_over_its_outline(across: float) -> None:
    """The ends are part of the outline: w l / (w + l) by hand."""
    assert float(stroke_width(bar(across, 0.0))) == pytest.approx(across * 41 / (across + 41), rel=0.03)


@pytest.mark.parametrize("shear", [-0.4, 0.0, 0.25])
def test_width_is_the_standard_deviation_of_columns_whatever_the_slant(shear: float) -> None:
    """n columns have the variance (n^2 - 1) / 12; bolder strokes at the same places hardly change it."""
    assert float(width(bar(24, 0.0)[..., 20:40])) == pytest.approx(math.sqrt((20**2 - 1) / 12), rel=1e-6)
    assert float(width(bar(24, shear))) == pytest.approx(math.sqrt(24**2 / 12), rel=0.01)
    pairs = [bar(stroke, shear).roll(-12, 3) + bar(stroke, shear).roll(12, 3) for stroke in (2, 5)]
    thin, bold = (float(width(strokes)) for strokes in pairs)
    assert thin == pytest.approx(12, rel=0.01) and bold == pytest.approx(thin, rel=0.02)


def test_slant_width_and_stroke_width_of_an_empty_image_are_zero() -> None:
    empty = torch.zeros(2, 1, 8, 8)
    assert slant(empty).tolist() == width(empty).tolist() == stroke_width(empty).tolist() == [0, 0]


def test_best_correlation_is_that_of_a_direction_between_two_codes() -> None:
    """Each of two codes is half of a slant: each has the correlation sqrt(0.5), both together 1."""
    torch.manual_seed(0)
    codes, groups = torch.rand(20_000, 2) * 2 - 1, torch.randint(3, (20_000,))
    slants = codes[:, 0] + codes[:, 1] + 5 * groups
    assert correlation(codes[:, 0], slants, groups) == pytest.approx(math.sqrt(0.5), abs=0.01)
    assert best_correlation(codes, slants, groups) == pytest.approx(1)
    noisy = slants + torch.randn(20_000) * math.sqrt(2 / 3)  # with noise of the same variance
    assert best_correlation(codes, noisy, groups) == pytest.approx(math.sqrt(0.5), abs=0.01)
    assert best_correlation(codes, torch.ones(20_000), groups) == 0
    assert best_correlation(codes[:, :0], slants, groups) == 0


def test_correlation_leaves_out_differences_between_groups() -> None:
    """Groups with opposite means and the same gradient."""
    a = torch.tensor([0.0, 1, 2, 10, 11, 12])
    b = torch.tensor([5.0, 6, 7, -5, -4, -3])
    groups = torch.tensor([0, 0, 0, 1, 1, 1])
    assert correlation(a, b, groups) == pytest.approx(1)
    assert correlation(a, b, torch.zeros(6, dtype=torch.long)) < 0
    assert correlation(a, torch.zeros(6), groups) == 0
