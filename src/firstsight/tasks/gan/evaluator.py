"""Evaluation of generated images during training: Frechet distance to test images, and generated classes."""

from collections.abc import Mapping
from statistics import fmean, stdev

import torch
from torch import Tensor

from firstsight.data.batches import Batches, fit_images
from firstsight.data.image_io import Preprocess
from firstsight.data.images.image_set import ImageSet
from firstsight.metrics.frechet import class_kl_divergence, count_modes, frechet_distance
from firstsight.tasks.gan.reference_classifier import ClassifierOutput, ReferenceClassifier

NUM_IMAGES = 1000
"""Number of test images to compare with, and smallest number of images to generate (see `MAX_DRAWS`)."""
MAX_DRAWS = 8
"""Maximum number of draws; a draw has as many generated images as there are test images."""


def spread_rows(images: ImageSet, n: int) -> Tensor:
    """Return the indices (n,) of ``n`` images that are evenly spread over a set."""
    return torch.arange(n) * len(images) // n


def classify_set(
    reference: ReferenceClassifier, images: ImageSet, n: int, preprocess: Preprocess
) -> tuple[ClassifierOutput, Tensor]:
    """Classify ``n`` images of a set at the size of generated images.

    Parameters
    ----------
    reference : ReferenceClassifier
        The classifier.
    images : ImageSet
        The set; its images are chosen by `spread_rows`.
    n : int
        Number of images, at most ``len(images)``.
    preprocess : Preprocess
        Preprocessing of the generator, with its image size.

    Returns
    -------
    output : ClassifierOutput
        Features and predictions.
    labels : Tensor
        (n,) labels of the images.
    """
    rows = spread_rows(images, n)
    return reference(fit_images(images, preprocess)[rows]), images.labels[rows]


def distances(real: Tensor, fake: Tensor) -> dict[str, float]:
    """Compute the Frechet distance of generated features, as a mean over draws.

    The distance of few images depends on which images are drawn. Each draw has as many images as ``real``.

    Parameters
    ----------
    real : Tensor
        (N, D) features of real images.
    fake : Tensor
        (draws * N, D) features of generated images.

    Returns
    -------
    dict[str, float]
        "frechet", the mean over draws; with several draws also "frechet_sd", the standard deviation of one draw.
    """
    values = [frechet_distance(real, draw) for draw in fake.split(len(real))]
    metrics = {"frechet": fmean(values)}
    if len(values) > 1:
        metrics["frechet_sd"] = stdev(values)
    return metrics


class GANEvaluator:
    """Evaluates generated images against test images with the reference classifier.

    Parameters
    ----------
    reference : ReferenceClassifier
        Classifier whose features and predictions are compared.
    batches : Batches
        Training batches; their images give the distance to approach.
    test : ImageSet
        Test images.

    Attributes
    ----------
    n : int
        Number of test images that are compared, and of generated images per draw.
    draws : int
        Number of draws.
    num_images : int
        Number of images to generate for an evaluation, ``n * draws``.
    """

    def __init__(self, reference: ReferenceClassifier, batches: Batches, test: ImageSet) -> None:
        self.reference = reference
        self.test = test
        self.n = min(NUM_IMAGES, len(test))
        self.draws = min(MAX_DRAWS, -(-NUM_IMAGES // self.n))
        self.num_images = self.n * self.draws
        self._real, self._labels = classify_set(reference, test, self.n, batches.preprocess)
        rows = spread_rows(batches.source, self.n).to(batches.device)
        self._floor = frechet_distance(self._real.features, reference(batches.images[rows]).features)

    def __call__(self, images: Tensor) -> dict[str, float]:
        """Compute the metrics of generated images.

        Parameters
        ----------
        images : Tensor
            (``num_images``, C, S, S) uint8.

        Returns
        -------
        dict[str, float]
            ``frechet`` and ``frechet_sd``, see `distances`; ``frechet_floor``, the distance of training images;
            ``spread``, variance of the features divided by that of test images. If the reference classifier knows the
            classes also ``modes``, number of generated classes, and ``kl``, divergence of the class distribution.
        """
        fake = self.reference(images)
        real = self._real
        metrics = distances(real.features, fake.features)
        metrics["frechet_floor"] = self._floor
        metrics["spread"] = float(fake.features.var(0).sum() / real.features.var(0).sum())
        if self.reference.in_domain:
            num_classes = len(self.test.classes)
            metrics["modes"] = float(count_modes(fake.labels, num_classes))
            metrics["kl"] = class_kl_divergence(fake.labels, self._labels, num_classes)
        return metrics

    def summarize(self, metrics: Mapping[str, float]) -> tuple[str, list[tuple[str, str]]]:
        """Return the headline of a result, and its metrics as (name, value) pairs.

        Parameters
        ----------
        metrics : Mapping[str, float]
            Metrics of `__call__`; ``q_error`` is optional.
        """
        size = f"N = {self.n:,}"
        if self.draws > 1:
            size += f", mean of {self.draws} draws"
        if self.n <= self._real.features.shape[1]:  # the covariance matrix has no full rank
            size += ", too few for a reliable distance"
        distance = f"{metrics['frechet']:.2f}"
        floor = f"{metrics['frechet_floor']:.2f}"
        headline = f"Frechet distance {distance} (real images: {floor}, {size})"
        rows = [("Frechet distance", distance), ("that of real images", floor)]
        if "modes" in metrics:
            modes = f"{metrics['modes']:.0f} of {len(self.test.classes)}"
            headline += f", {modes} classes generated"
            rows += [("generated classes", modes), ("KL divergence", f"{metrics['kl']:.3f}")]
        if "q_error" in metrics:
            q_error = f"{metrics['q_error']:.1%}"
            headline += f", error of Q {q_error}"
            rows.append(("error of Q", q_error))
        rows.append(("features of", self.reference.name))
        return headline, rows
