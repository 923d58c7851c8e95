"""A classifier that looks at generated pictures: its features measure distances, its answers tell what was made."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from firstsight.data.batches import fit_pixels
from firstsight.weights.bundled import bundled
from firstsight.weights.classifier import Classifier, load

BATCH = 500
FALLBACK = "lenet-fashion"
"""Who judges data that no shipped LeNet was trained on: its features only, its answers mean nothing there."""


@dataclass(frozen=True)
class ClassifierOutput:
    """What a judge saw in pictures.

    Parameters
    ----------
    features : Tensor
        (N, d), the input of its last layer (LeNet: d = 84).
    labels : Tensor
        (N,) its answers.
    sure : Tensor
        (N,) the probability of each answer.
    """

    features: Tensor
    labels: Tensor
    sure: Tensor


class ReferenceClassifier:
    """A trained classifier as a measuring instrument: frozen, named by its hash.

    Parameters
    ----------
    knows
        Its answers can be trusted: it was trained on the classes of the pictures.
    """

    def __init__(self, classifier: Classifier, name: str, *, in_domain: bool) -> None:
        self.classifier, self.name, self.in_domain = classifier, name, in_domain
        self.sha256 = hashlib.sha256(Path(classifier.source).read_bytes()).hexdigest()
        self._last = [m for m in classifier.model.modules() if isinstance(m, nn.Linear)][-1]

    @torch.inference_mode()
    def look(self, images: Tensor) -> ClassifierOutput:
        """At (N, C, H, W) uint8 pictures of any size and 1 or 3 channels."""
        kept: list[Tensor] = []
        handle = self._last.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
        try:
            chunks = [
                self.classifier.probabilities(fit_pixels(chunk, self.classifier.preprocess))
                for chunk in images.cpu().split(BATCH)
            ]
        finally:
            handle.remove()
        best = torch.cat(chunks).max(1)
        return ClassifierOutput(torch.cat(kept[:: self.classifier.tta_views]), best.indices, best.values)


def reference_for(data: str, classes: tuple[str, ...]) -> ReferenceClassifier:
    """The shipped LeNet that was trained on a data set, or a stranger.

    Parameters
    ----------
    data : str
        The data set's name; classes : the names of its classes.
    """
    for name in bundled():
        if name.startswith("lenet-"):
            classifier = load(name)
            if classifier.card["about"]["data"] == data and classifier.classes == classes:
                return ReferenceClassifier(classifier, name, in_domain=True)
    return ReferenceClassifier(load(FALLBACK), FALLBACK, in_domain=False)
