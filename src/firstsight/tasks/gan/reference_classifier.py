"""Classifier that measures generated images: distances in its features, classes by its predictions."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from firstsight.data.batches import fit_pixels
from firstsight.tasks.classification.classifier import Classifier, load_classifier
from firstsight.weights.bundled import bundled
from firstsight.weights.io import read_weights

BATCH = 500
"""Images classified at once."""
FALLBACK = "lenet-fashion"
"""Classifier for data that no bundled LeNet was trained on. Only its features are used, not its predictions."""


@dataclass(frozen=True)
class ClassifierOutput:
    """Features and predictions of the reference classifier.

    Attributes
    ----------
    features : Tensor
        (N, D) input of its last layer (LeNet: D = 84).
    labels : Tensor
        (N,) predicted classes.
    confidence : Tensor
        (N,) probabilities of the predicted classes.
    """

    features: Tensor
    labels: Tensor
    confidence: Tensor


class ReferenceClassifier:
    """Trained classifier for the evaluation of generated images.

    Parameters
    ----------
    classifier : Classifier
        The trained network; it is not changed.
    name : str
        Name of its weights.
    in_domain : bool
        Whether it was trained on the classes of the images; otherwise its predictions have no meaning.

    Attributes
    ----------
    sha256 : str
        SHA-256 of its weights file.
    """

    def __init__(self, classifier: Classifier, name: str, *, in_domain: bool) -> None:
        self.classifier = classifier
        self.name = name
        self.in_domain = in_domain
        self.sha256 = hashlib.sha256(Path(classifier.source).read_bytes()).hexdigest()
        self._last_layer = [m for m in classifier.model.modules() if isinstance(m, nn.Linear)][-1]

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> ClassifierOutput:
        """Classify images.

        Parameters
        ----------
        images : Tensor
            (N, C, H, W) uint8, C 1 or 3, any size.

        Returns
        -------
        ClassifierOutput
            Features, predicted classes and their probabilities.
        """
        features: list[Tensor] = []
        hook = self._last_layer.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
        try:
            probs = [
                self.classifier.probabilities(fit_pixels(chunk, self.classifier.preprocess))
                for chunk in images.cpu().split(BATCH)
            ]
        finally:
            hook.remove()
        best = torch.cat(probs).max(1)
        first_views = features[:: self.classifier.tta_views]  # the network runs once per view
        return ClassifierOutput(torch.cat(first_views), best.indices, best.values)


def reference_for(data: str, classes: tuple[str, ...]) -> ReferenceClassifier:
    """Return the bundled LeNet that was trained on a data set, or `FALLBACK` if there is none.

    Parameters
    ----------
    data : str
        Name of the data set.
    classes : tuple[str, ...]
        Names of its classes.
    """
    for name, path in bundled().items():
        if name.startswith("lenet-"):
            classifier = load_classifier(read_weights(path))
            if classifier.card["about"]["data"] == data and classifier.classes == classes:
                return ReferenceClassifier(classifier, name, in_domain=True)
    return ReferenceClassifier(load_classifier(read_weights(bundled()[FALLBACK])), FALLBACK, in_domain=False)
