"""Evaluation of a trained classifier: accuracy and cross entropy on a test set."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from firstsight.arguments import ignore, iterate
from firstsight.data.batches import fit_images
from firstsight.data.images.image_set import ImageSet
from firstsight.data.images.loading import load_data
from firstsight.errors import DataError
from firstsight.tasks.classification.classifier import Classifier
from firstsight.tasks.evaluation import Evaluation, MetricRow
from firstsight.tasks.provenance import (
    abbreviated,
    describe_split,
    has_only_test_split,
    is_training_data,
    training_data,
)

BATCH = 256


@dataclass(frozen=True, kw_only=True, repr=False)
class ClassificationEvaluation(Evaluation):
    """Accuracy in [0, 1] and loss (mean cross entropy in nats) of a classifier."""

    def headline(self) -> str:
        """Return the result in one line."""
        accuracy = self.metrics["accuracy"] or 0.0
        correct = round(accuracy * self.n)
        return f"{self.model} on {self.data}: accuracy {accuracy:.2%} ({correct:,} of {self.n:,} images)"

    def rows(self) -> list[MetricRow]:
        """Return a table of the metrics for people."""
        return [
            MetricRow("accuracy", f"{self.metrics['accuracy']:.2%}", "fraction of images classified correctly"),
            MetricRow("loss", f"{self.metrics['loss']:.4f}", "mean cross entropy in nats"),
        ]


def evaluate_classifier(
    model: Classifier,
    data: str | Path | None = None,
    *,
    strict: bool = False,
    notify: Callable[[str], None] = ignore,
    progress: Callable[[Sequence[Any]], Iterable[Any]] = iterate,
) -> ClassificationEvaluation:
    """Evaluate a classifier on the test split of a data set.

    Parameters
    ----------
    model : Classifier
        Trained classifier.
    data : str | Path | None
        Name or path of a data set, see `firstsight.load_data`; None for the one it was trained on. Of data without
        splits, or with only one, all images are used, except of the training data, of which those are used that
        training held out.
    strict : bool
        Refuse data with unusable images instead of leaving them out.
    notify : Callable[[str], None]
        Called with a line for every download.
    progress : Callable[[Sequence[Any]], Iterable[Any]]
        Iterates over the batches, for a progress bar.

    Raises
    ------
    UsageError
        If ``data`` is None and the training data are not available.
    DataError
        If the data cannot be used, or have other classes than the classifier.
    """
    test = _load_test(model, data, strict=strict, notify=notify)
    if test.classes != model.classes:
        expected, given = abbreviated(model.classes), abbreviated(test.classes)
        raise DataError(f"{test.name} has the classes {given}, but {model.card['model']} was trained for {expected}")
    batches = fit_images(test, model.preprocess).split(BATCH)
    probs = torch.cat([model.probabilities(batch) for batch in progress(batches)])
    correct = int((probs.argmax(1) == test.labels).sum())
    loss = float(F.nll_loss(probs.double().clamp_min(1e-300).log(), test.labels))
    return ClassificationEvaluation(
        metrics={"accuracy": correct / len(test), "loss": loss},
        n=len(test),
        model=str(model.card["model"]),
        data=test.name,
        notes=(describe_split(test), *test.notes, *(f"left out {item.path}: {item.reason}" for item in test.skipped)),
    )


def _load_test(model: Classifier, data: str | Path | None, *, strict: bool, notify: Callable[[str], None]) -> ImageSet:
    """Return the images to measure, see `evaluate_classifier`."""
    preprocess = model.preprocess

    def load(*, whole: bool) -> ImageSet:
        return load_data(
            data if data is not None else training_data(model.source, model.card),
            "test",
            size=preprocess.resize,
            channels=preprocess.channels,
            strict=strict,
            shorter=preprocess.shorter,
            letterbox=preprocess.letterbox,
            whole=whole,
            notify=notify,
        )

    is_own = data is None or is_training_data(data, model.source, model.card)
    test = load(whole=not is_own)
    if not is_own or not has_only_test_split(test):
        return test
    every = load(whole=True)  # all are new to the network if the training measured as many, which cannot be a part
    return every if len(every) == model.card["about"].get("test_images") else test
