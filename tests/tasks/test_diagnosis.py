"""The diagnosis of accuracies, on constructed cases."""

from math import comb
from typing import Any

import pytest

from firstsight.tasks.classification.advice import advise
from firstsight.tasks.classification.diagnosis import accuracy_interval, diagnose
from firstsight.tasks.classification.settings import ClassificationSettings


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


def advice(model: str, *, train_loss: float = 0.1, image_side: int = 500, **settings: Any) -> dict[str, str]:
    """Return the advice for each diagnosis."""
    chosen = ClassificationSettings(**settings)
    sentences = advise(model, chosen, image_side=image_side, num_classes=4, steps=100, train_loss=train_loss)
    return {kind: ". ".join(texts) for kind, texts in sentences.items()}


def test_the_text_has_the_advice_for_its_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "0")
    sentences = advise("convnet", ClassificationSettings(), image_side=32, num_classes=2, steps=100, train_loss=0.1)
    text = diagnose(0.95, 0.56, num_test=1000, chance=0.5, advice=sentences).text
    assert "more images" in text and "`flip=random`" in text and "`weights=imagenet`" in text
    assert "`epochs=20`" in diagnose(0.3, 0.3, num_test=1000, chance=0.1, advice=sentences).text
    assert "Try" not in diagnose(0.99, 0.98, num_test=1000, chance=0.1, advice=sentences).text


def test_the_advice_against_overfitting_names_only_what_is_not_in_use() -> None:
    settings: dict[str, Any] = {}
    for name, value in (("flip", "random"), ("rotate", 15), ("scale", 0.2), ("translate", 4), ("cutout", 8)):
        settings[name] = value
        text = advice("convnet", **settings)["overfitting"]
        assert not [used for used in settings if f"`{used}=" in text]
    assert "augmentation" not in text and "more images" in text and "`patience=10`" in text
    assert "`patience" not in advice("convnet", patience=5)["overfitting"]


def test_the_advice_fits_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "0")
    assert "image_size" not in advice("lenet")["underfitting"]
    assert "`image_size=64`" in advice("convnet")["underfitting"]
    assert "image_size" not in advice("convnet", image_side=28)["underfitting"]
    for kind in ("overfitting", "underfitting"):
        assert "(resnet18 with `weights=imagenet`)" in advice("convnet")[kind]
        assert "(`weights=imagenet`)" in advice("resnet18")[kind]
        assert "imagenet" not in advice("resnet18", weights="imagenet")[kind]
    assert "`freeze=True`" in advice("resnet18", weights="imagenet")["overfitting"]
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "1")
    assert "imagenet" not in " ".join(advice("convnet").values())
    assert "`epochs=6`" in advice("convnet", epochs=1)["underfitting"]
    assert "larger network" in advice("convnet")["underfitting"]
    assert "larger network" not in advice("resnet18")["underfitting"]


def test_a_loss_that_did_not_fall_at_a_high_learning_rate_is_named() -> None:
    text = advice("convnet", lr=50, train_loss=1.4)["underfitting"]
    assert "learning rate may be too high" in text and "`lr=0.001`" in text and "epochs" not in text
    assert "too high" in advice("convnet", lr=50, train_loss=float("nan"))["underfitting"]
    assert "too high" not in advice("convnet", lr=50, train_loss=0.7)["underfitting"]
    assert "too high" not in advice("convnet", lr=0.001, train_loss=1.4)["underfitting"]


@pytest.mark.parametrize(("correct", "n"), [(16, 16), (12, 16), (50, 100), (970, 1000)])
def test_the_interval_has_the_accuracies_that_the_result_does_not_contradict(correct: int, n: int) -> None:
    low, high = accuracy_interval(correct / n, n)
    assert low < correct / n <= high

    def tail(p: float, ks: range) -> float:
        return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in ks)

    assert 0.005 < tail(low, range(correct, n + 1)) < 0.1  # 2.5% of the results at the bound are as good
    if high < 1:
        assert 0.005 < tail(high, range(correct + 1)) < 0.1
