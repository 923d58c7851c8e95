"""Measuring generated pictures: their distance from test images, and what a classifier takes them for."""

from collections.abc import Mapping
from statistics import fmean, stdev

import torch
from torch import Tensor

from firstsight.data.batches import Batches, fit_images
from firstsight.data.image_io import Preprocess
from firstsight.data.images.image_set import ImageSet
from firstsight.metrics.frechet import divergence, frechet_distance, modes
from firstsight.tasks.gan.reference_classifier import ClassifierOutput, ReferenceClassifier

MEASURED = 1000
"""Pictures that are generated to be measured after every epoch: so many, or as often as there are test images."""
DRAWS = 8
"""...but no more often than this."""


def chosen(images: ImageSet, n: int) -> Tensor:
    """Row numbers of ``n`` images, spread evenly over a set."""
    return torch.arange(n) * len(images) // n


def look_at(
    reference: ReferenceClassifier, images: ImageSet, n: int, prepare: Preprocess
) -> tuple[ClassifierOutput, Tensor]:
    """What a judge sees in ``n`` images of a set, in the size of generated ones; and their labels."""
    rows = chosen(images, n)
    return reference.look(fit_images(images, prepare)[rows]), images.labels[rows]


def distances(real: Tensor, fake: Tensor) -> dict[str, float]:
    """The Frechet distance of generated features, in draws of as many as there are real ones.

    A distance between few pictures depends on which they are.

    Parameters
    ----------
    real, fake : Tensor
        (N, d) and (draws * N, d).

    Returns
    -------
    dict[str, float]
        "frechet", the mean over draws; "frechet_sd", the standard deviation of one draw, if there are several.
    """
    found = [frechet_distance(real, draw) for draw in fake.split(len(real))]
    return {"frechet": fmean(found)} | ({"frechet_sd": stdev(found)} if len(found) > 1 else {})


class GANEvaluator:
    """What a judge sees in generated pictures, beside test images.

    Parameters
    ----------
    judge
        Who looks; batches : the training images; test : those to measure against.

    Attributes
    ----------
    n
        Generated and test pictures compared, each; draws : how often; pictures : how many are generated for it.
    """

    def __init__(self, reference: ReferenceClassifier, batches: Batches, test: ImageSet) -> None:
        self.reference, self.test = reference, test
        self.n = min(MEASURED, len(test))
        self.draws = min(DRAWS, -(-MEASURED // self.n))
        self.pictures = self.n * self.draws
        self._real, self._labels = look_at(reference, test, self.n, batches.preprocess)
        among = chosen(batches.source, self.n).to(batches.device)
        self._floor = frechet_distance(self._real.features, reference.look(batches.images[among]).features)

    def __call__(self, images: Tensor) -> dict[str, float]:
        """Numbers of (pictures, C, S, S) uint8.

        Returns
        -------
        dict[str, float]
            ``frechet``, ``frechet_sd`` (see `distances`) and ``frechet_floor``, the distance of training images;
            ``spread`` (variance of the features over that of test images); ``modes`` and ``kl`` where the judge knows
            the classes.
        """
        seen, real = self.reference.look(images), self._real
        found = distances(real.features, seen.features) | {
            "frechet_floor": self._floor,
            "spread": float(seen.features.var(0).sum() / real.features.var(0).sum()),
        }
        if self.reference.in_domain:
            classes = len(self.test.classes)
            found["modes"] = float(modes(seen.labels, classes))
            found["kl"] = divergence(seen.labels, self._labels, classes)
        return found

    def told(self, metrics: Mapping[str, float]) -> tuple[str, list[tuple[str, str]]]:
        """A headline, and figures by name, as a run's verdict has them."""
        size = f"N = {self.n:,}" + (f", mean of {self.draws} draws" if self.draws > 1 else "")
        if self.n <= self._real.features.shape[1]:
            size += ": too few to mean anything"
        figures = [
            (f"Frechet distance, {size}", f"{metrics['frechet']:.2f}"),
            ("the same of real pictures", f"{metrics['frechet_floor']:.2f}"),
        ]
        headline = f"Frechet distance {metrics['frechet']:.2f} (real pictures: {metrics['frechet_floor']:.2f}, {size})"
        if "modes" in metrics:
            made = f"{metrics['modes']:.0f} of {len(self.test.classes)}"
            figures += [("classes made", made), ("KL divergence", f"{metrics['kl']:.3f}")]
            headline += f", {made} classes made"
        if "q_error" in metrics:
            figures.append(("Q's error on real pictures", f"{metrics['q_error']:.1%}"))
            headline += f", Q errs on {metrics['q_error']:.1%}"
        figures.append(("in the features of", f"{self.reference.name}, SHA-256 {self.reference.sha256[:12]}"))
        return headline, figures
