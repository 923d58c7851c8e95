"""The diagnosis of accuracies, on constructed cases."""

from math import comb

import pytest

from firstsight.tasks.classification.diagnosis import accuracy_interval, diagnose


@pytest.mark.parametrize(
    ("train", "test", "n", "chance", "kind"),
    [
        (0.95, 0.56, 1000, 0.5, "overfitting"),
        (1.0, 0.7, 100, 0.1, "overfitting"),
        (0.7, 0.4, 500, 0.1, "overfitting"),
        (0.55, 0.52, 1000, 0.5, "underfitting"),
        (0.3, 0.31, 1000, 0.1, "underfitting"),
        (0.99, 0.97, 1000, 0.1, "good"),
        (1.0, 1.0, 16, 0.5, "good"),
        (0.9, 0.95, 50, 0.5, "good"),
        (1.0, 1.0, 9, 0.5, "few test images"),
        (0.8, 0.62, 16, 0.5, "underfitting"),
        (0.9, 0.75, 12, 0.5, "few test images"),
        (1.0, 0.94, 16, 0.5, "good"),
        (1.0, 0.56, 16, 0.5, "overfitting"),
    ],
)
def test_each_case_has_its_diagnosis(train: float, test: float, n: int, chance: float, kind: str) -> None:
    diagnosis = diagnose(train, test, num_test=n, chance=chance)
    assert diagnosis.kind == kind
    assert f"training accuracy {100 * train:.0f}%, test accuracy {100 * test:.0f}%" in diagnosis.text
    assert kind in diagnosis.text
    assert ("95% interval" in diagnosis.text) == (n < 100)


def test_the_advice_names_settings_that_help() -> None:
    overfitting = diagnose(0.95, 0.56, num_test=1000, chance=0.5).text
    assert "more images" in overfitting and "`flip=random`" in overfitting and "`weights=imagenet`" in overfitting
    assert "weights" not in diagnose(0.95, 0.56, num_test=1000, chance=0.5, is_pretrained=True).text
    assert "`epochs`" in diagnose(0.3, 0.3, num_test=1000, chance=0.1).text


@pytest.mark.parametrize(("correct", "n"), [(16, 16), (12, 16), (50, 100), (970, 1000)])
def test_the_interval_has_the_accuracies_that_the_result_does_not_contradict(correct: int, n: int) -> None:
    low, high = accuracy_interval(correct / n, n)
    assert low < correct / n <= high

    def tail(p: float, ks: range) -> float:
        return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in ks)

    assert 0.005 < tail(low, range(correct, n + 1)) < 0.1  # 2.5% of the results at the bound are as good
    if high < 1:
        assert 0.005 < tail(high, range(correct + 1)) < 0.1
