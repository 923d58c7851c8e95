"""Trained classifiers at work: on pictures, and on a test set."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from firstsight.data import ImageSet
from firstsight.data.batches import fit_images
from firstsight.data.image_io import load_image
from firstsight.data.images.loading import load as load_data
from firstsight.errors import DataError, UsageError
from firstsight.tasks.pose.provenance import training_data
from firstsight.weights.classifier import Classifier, load

BATCH = 256
GUESSES = 5


@dataclass(frozen=True)
class Guess:
    """A class and the probability the network gives it, in [0, 1]."""

    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What a network sees in a picture: the most probable classes, the first first."""

    image: str
    top: tuple[Guess, ...]


def predict(
    classifier: Classifier | str | Path,
    images: str | Path | Image.Image | Iterable[str | Path | Image.Image],
    *,
    top: int = GUESSES,
) -> list[Prediction]:
    """Say what pictures show.

    Parameters
    ----------
    classifier : Classifier | str | Path
        A `Classifier`, or what `load` takes: "lenet-fashion", "resnet34", a run directory, a file.
    images : str | Path | Image.Image | Iterable[str | Path | Image.Image]
        Paths or PIL pictures, of any size and mode; or one of them.
    top : int
        How many classes to name for each.

    Raises
    ------
    UsageError
        ``top`` below 1, or unknown weights.
    DataError
        A picture cannot be read; none is answered then.
    """
    if top < 1:
        raise UsageError(f"--top must be at least 1; got {top}")
    network = classifier if isinstance(classifier, Classifier) else load(classifier)
    names, pictures = [], []
    for image in [images] if isinstance(images, str | Path | Image.Image) else images:
        in_memory = isinstance(image, Image.Image)
        names.append((getattr(image, "filename", "") or "picture") if in_memory else str(image))
        pictures.append(network.preprocess.picture(load_image(image)))
    if not pictures:
        return []
    probs = torch.cat(
        [network.probabilities(chunk) for chunk in torch.stack([torch.from_numpy(p) for p in pictures]).split(BATCH)]
    )
    best = probs.topk(min(top, probs.shape[1]), dim=1)
    return [
        Prediction(name, tuple(Guess(network.classes[i], round(p, 6)) for p, i in zip(row, places, strict=True)))
        for name, row, places in zip(names, best.values.tolist(), best.indices.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class Evaluation:
    """A classifier measured on a data set.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Accuracy in [0, 1] and loss in nats.
    n : int
        Images measured on.
    """

    metrics: Mapping[str, float]
    n: int
    model: str
    data: str
    notes: tuple[str, ...]


def evaluate(
    classifier: Classifier | str | Path, data: str | Path | None = None, *, strict: bool = False
) -> Evaluation:
    """Measure a classifier on the test split of a data set.

    Parameters
    ----------
    classifier : Classifier | str | Path
        A `Classifier`, or what `load` takes.
    data : str | Path | None
        What `load_data` takes; the data set of the classifier's card if None.
    strict : bool
        Refuse a folder with unusable pictures.

    Raises
    ------
    UsageError
        No data are named, and those that the classifier was trained on are none of firstsight's.
    DataError
        The data cannot be used, or have other classes than the classifier.
    """
    network = classifier if isinstance(classifier, Classifier) else load(classifier)
    prepare = network.preprocess
    where = data if data is not None else training_data(network.source, network.card)
    test = load_data(
        where, "test", size=prepare.resize, channels=prepare.channels, strict=strict, shorter=prepare.shorter
    )
    if test.classes != network.classes:
        own, other = _short(network.classes), _short(test.classes)
        raise DataError(f"{test.name} has the classes {other}, but {network.card['model']} was trained for {own}")
    probs = network_probabilities(network, test)
    right = int((probs.argmax(1) == test.labels).sum())
    loss = float(F.nll_loss(probs.double().clamp_min(1e-300).log(), test.labels))
    notes = (*test.notes, *(f"left out {item.path}: {item.reason}" for item in test.skipped))
    return Evaluation(
        {"accuracy": right / len(test), "loss": loss}, len(test), str(network.card["model"]), test.name, notes
    )


def network_probabilities(network: Classifier, test: ImageSet) -> Tensor:
    """(N, classes) probabilities for every image of a set."""
    images = fit_images(test, network.preprocess)
    return torch.cat([network.probabilities(chunk) for chunk in images.split(BATCH)])


def _short(classes: tuple[str, ...]) -> str:
    return ", ".join(classes[:4]) + (f", ... ({len(classes)} in all)" if len(classes) > 4 else "")
