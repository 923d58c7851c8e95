"""Diagnosis of a trained classifier in plain words: overfitting, underfitting, too few test images, or good.

`diagnose` compares the accuracy on training images (without augmentation) with that on test images. "Chance" is the
accuracy of always answering the most frequent class of the test images. The first rule that applies decides:

1. *few test images*: there are fewer than `MIN_TEST_IMAGES`.
2. *overfitting*: the test accuracy is more than `MAX_GAP` below the training accuracy, and the training accuracy is
   above the 95 % interval of the test accuracy.
3. *underfitting*: the training accuracy is less than `LEARNED` of the way from chance to 100 %.
4. *few test images*: the 95 % interval of the test accuracy contains chance, so the test says nothing.
5. *good*: everything else.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

MIN_TEST_IMAGES = 10
MAX_GAP = 0.1
LEARNED = 0.75
STATED_INTERVAL = 100
"""The text states the interval of the test accuracy if there are fewer test images than this."""

Kind = Literal["good", "overfitting", "underfitting", "few test images"]
MEANING: dict[Kind, str] = {
    "few test images": "too few test images to say how good the network is",
    "overfitting": "overfitting, it knows the training images better than new ones",
    "underfitting": "underfitting, it has not learned the training images",
    "good": "good, it is about as accurate on new images as on the training images",
}


@dataclass(frozen=True)
class Diagnosis:
    """Diagnosis of a trained classifier.

    Attributes
    ----------
    kind : Kind
        The diagnosis.
    text : str
        The accuracies, the diagnosis, and what to try; settings are in backticks.
    """

    kind: Kind
    text: str


def diagnose(
    train_accuracy: float,
    test_accuracy: float,
    *,
    num_test: int,
    chance: float,
    advice: Mapping[Kind, Sequence[str]] | None = None,
) -> Diagnosis:
    """Return the diagnosis of a trained classifier; the module describes the rules.

    Parameters
    ----------
    train_accuracy : float
        Accuracy on training images without augmentation, in [0, 1].
    test_accuracy : float
        Accuracy on the test images, in [0, 1].
    num_test : int
        Number of test images.
    chance : float
        Fraction of the most frequent class of the test images, in [0, 1].
    advice : Mapping[Kind, Sequence[str]] | None
        What to try for each diagnosis, see `firstsight.tasks.classification.advice`. None for no advice.

    Examples
    --------
    >>> diagnose(0.95, 0.56, num_test=200, chance=0.5).kind
    'overfitting'
    """
    low, high = accuracy_interval(test_accuracy, num_test)
    if num_test < MIN_TEST_IMAGES:
        kind: Kind = "few test images"
    elif train_accuracy - test_accuracy > MAX_GAP and train_accuracy > high:
        kind = "overfitting"
    elif train_accuracy < chance + LEARNED * (1 - chance):
        kind = "underfitting"
    else:
        kind = "few test images" if low <= chance else "good"
    is_stated = num_test < STATED_INTERVAL
    interval = f" of {num_test} images (95% interval {100 * low:.0f}% to {100 * high:.0f}%)" if is_stated else ""
    accuracies = f"training accuracy {_percent(train_accuracy)}, test accuracy {_percent(test_accuracy)}"
    sentences = (advice or {}).get(kind, ())
    return Diagnosis(kind, ". ".join([f"{accuracies}{interval}: {MEANING[kind]}", *sentences]))


def accuracy_interval(accuracy: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy that was measured on ``n`` images (Wilson 1927).

    >>> [round(bound, 2) for bound in accuracy_interval(1.0, 16)]
    [0.81, 1.0]
    """
    z = 1.96
    center = (accuracy + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(accuracy * (1 - accuracy) / n + z**2 / (4 * n**2))
    return max(0.0, center - half), min(1.0, center + half)


def _percent(value: float) -> str:
    """Return a fraction as a percentage; only 1 is 100 %.

    >>> _percent(0.9996), _percent(1.0), _percent(0.56)
    ('99.96%', '100%', '56%')
    """
    percentage = 100 * value
    if percentage > 99 and value < 1:
        return f"{math.floor(100 * percentage) / 100:.2f}%"
    return f"{percentage:.0f}%"
