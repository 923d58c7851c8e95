"""A trained classifier: network, preprocessing, class names, and where the weights are from."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from msgspec.structs import asdict as asdict_struct
from PIL import Image
from torch import Tensor, nn

from firstsight import display
from firstsight.arguments import check_type
from firstsight.data.datasets import DATASETS
from firstsight.data.image_input import ImageLike
from firstsight.data.image_io import Preprocess
from firstsight.data.image_source import ImageSource
from firstsight.display import Result
from firstsight.documents.cards import ClassifierCard, PreprocessCard, check_card
from firstsight.engine.device import choose_device
from firstsight.errors import DataError, UsageError, WeightsError
from firstsight.models.classification import create_model
from firstsight.tasks.classification.prepare import Invert, Trained, confidence_remarks, prepare
from firstsight.tasks.classification.stream import OnError, batches, default_batch_size, prepare_images
from firstsight.tasks.model_html import model_html
from firstsight.weights.io import WeightsFile, build_checked, not_finite

TOP = 5
"""Default number of classes that a prediction lists."""


@dataclass(frozen=True)
class ClassProbability:
    """A class name and its probability in [0, 1]."""

    label: str
    probability: float


@dataclass(frozen=True, repr=False)
class Prediction(Result):
    """The most probable classes of an image.

    Parameters
    ----------
    image : str
        File name of the image, or "image" for one in memory.
    top : tuple[ClassProbability, ...]
        Classes in order of decreasing probability.
    remarks : tuple[str, ...]
        What was changed in the image, and why the prediction may be wrong.
    index : int
        Position among the images of the call, from 0. Images that cannot be read count too, and so does every file of a
        folder.
    """

    image: str
    top: tuple[ClassProbability, ...]
    remarks: tuple[str, ...] = ()
    index: int = 0

    @property
    def label(self) -> str:
        """Most probable class."""
        return self.top[0].label

    @property
    def probability(self) -> float:
        """Probability of the most probable class, in [0, 1]."""
        return self.top[0].probability

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as plain data for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.image}: " + ", ".join(f"{item.label} {item.probability:.1%}" for item in self.top)

    def __repr__(self) -> str:
        return f"Prediction({self})"

    def _repr_html_(self) -> str:
        rows = [(item.label, f"{item.probability:.1%}", display.bar(item.probability)) for item in self.top]
        return display.paragraph(self.image) + display.table(rows, numbers=[1])


@dataclass(frozen=True, repr=False)
class Classifier:
    """A trained classifier with everything needed to use it.

    Parameters
    ----------
    model : nn.Module
        In eval mode; (N, C, S, S) normalized images to (N, len(classes)) logits.
    preprocess : Preprocess
        From images to the input of ``model``.
    classes : tuple[str, ...]
        Class names, in the order of the logits.
    card : dict[str, Any]
        Metadata of the weights: model, recipe, data and their terms, metrics.
    source : str
        Weights file.
    tta_views : int
        Views for test-time augmentation, see `average_over_views`.
    """

    model: nn.Module
    preprocess: Preprocess
    classes: tuple[str, ...]
    card: dict[str, Any]
    source: str
    tta_views: int = 1

    task: ClassVar[str] = "classification"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (C, S, S) of one input of ``model``."""
        side = self.preprocess.input_size
        return self.preprocess.channels, side, side

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """Return class probabilities on the CPU.

        Parameters
        ----------
        images : Tensor
            (N, C, S, S) uint8, of the input size of the network.

        Returns
        -------
        Tensor
            (N, len(classes)) float, each row sums to 1.

        Raises
        ------
        WeightsError
            If the network computes values that are not finite.
        """
        weight = next(self.model.parameters())
        inputs = self.preprocess.normalize(images.to(weight.device), weight.dtype)
        probs = torch.softmax(average_over_views(self.model, inputs, self.tta_views), dim=1).cpu()
        if not bool(probs.isfinite().all()):
            raise not_finite(self.source, "probabilities")
        return probs

    def __call__(
        self,
        images: ImageLike | Iterable[ImageLike],
        *,
        bgr: bool = False,
        batch_size: int | None = None,
        invert: Invert = "auto",
    ) -> Tensor:
        """Return class probabilities of images of any form and size.

        Parameters
        ----------
        images : ImageLike | Iterable[ImageLike]
            One image or several, see `predict`.
        bgr : bool
            Channels of arrays and tensors are blue, green, red (OpenCV); images of other forms are not changed.
        batch_size : int | None
            Images per batch; None for as many as fit the size of the input.
        invert : Invert
            See `predict`.

        Returns
        -------
        Tensor
            (N, len(classes)) float on the CPU.

        Raises
        ------
        DataError
            If an image cannot be read.
        """
        chunks = self._batches(images, bgr=bgr, batch_size=batch_size, invert=invert, on_error=None)
        probs = [probs for *_, probs in chunks]
        return torch.cat(probs) if probs else torch.empty(0, len(self.classes))

    def to_pixels(self, image: Image.Image, *, invert: Invert = "auto") -> Tensor:
        """Return the (C, S, S) uint8 pixels that the network gets for an image of mode "L" or "RGB"."""
        return torch.from_numpy(prepare(image, self.preprocess, self._trained, invert)[0])

    @property
    def _trained(self) -> Trained:
        about = self.card.get("about", {})
        name = str(about.get("recipe") or self.card.get("model", "the network"))
        dataset = DATASETS.get(str(about.get("data")))
        is_other = dataset is not None and dataset.ink is not None and max(self.preprocess.mean) > 0.5
        return Trained(name, None if is_other else dataset, len(self.classes))  # own images in a folder of this name

    def _batches(
        self,
        images: ImageLike | Iterable[ImageLike | ImageSource],
        *,
        bgr: bool,
        batch_size: int | None,
        invert: Invert,
        on_error: OnError | None,
    ) -> Iterator[tuple[tuple[int, ...], tuple[str, ...], tuple[tuple[str, ...], ...], Tensor]]:
        """Yield indices, names and remarks (N,), and probabilities (N, classes), of each batch; see `predict`."""
        check_type("invert", invert, Invert)
        check_type("batch_size", batch_size, int | None)
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"`batch_size` must be at least 1; got {batch_size}")
        size = batch_size or default_batch_size(self.input_shape)
        trained = self._trained
        inputs = prepare_images(
            images,
            lambda image: prepare(image, self.preprocess, trained, invert),
            bgr=bgr,
            ahead=size,
            on_error=on_error,
        )
        for batch in batches(inputs, size):
            indices, names, pixels, remarks = zip(*batch, strict=True)
            yield indices, names, remarks, self.probabilities(torch.from_numpy(np.stack(pixels)))

    def stream(
        self,
        images: ImageLike | Iterable[ImageLike | ImageSource],
        *,
        top: int = TOP,
        bgr: bool = False,
        batch_size: int | None = None,
        invert: Invert = "auto",
        on_error: OnError | None = None,
    ) -> Iterator[Prediction]:
        """Yield the predictions of any number of images; only a batch or two are in memory.

        The parameters and the errors are those of `predict`.

        Yields
        ------
        Prediction
            One for every image, in the same order.

        Raises
        ------
        UsageError
            If ``top`` is below 1.
        """
        if not isinstance(top, int) or top < 1:
            raise UsageError(f"`top` must be a whole number of at least 1; got {top!r}")
        chunks = self._batches(images, bgr=bgr, batch_size=batch_size, invert=invert, on_error=on_error)
        for indices, names, remarks, probs in chunks:
            best = probs.topk(min(max(top, 2), probs.shape[1]), dim=1)
            rows = zip(indices, names, remarks, best.values.tolist(), best.indices.tolist(), strict=True)
            for index, name, notes, row, ids in rows:
                labels = [self.classes[i] for i in ids]
                guesses = (ClassProbability(label, round(p, 6)) for label, p in zip(labels, row, strict=True))
                yield Prediction(name, tuple(guesses)[:top], (*notes, *confidence_remarks(labels, row)), index)

    def predict(
        self,
        images: ImageLike | Iterable[ImageLike],
        *,
        top: int = TOP,
        bgr: bool = False,
        batch_size: int | None = None,
        invert: Invert = "auto",
        on_error: OnError | None = None,
    ) -> list[Prediction]:
        """Predict the classes of images.

        Parameters
        ----------
        images : ImageLike | Iterable[ImageLike]
            One image or several, of any form and size. A path may also be a folder, a zip file, or a pattern such as
            ``photos/*.jpg``.
        top : int
            Number of classes to return for every image, at least 1.
        bgr : bool
            Channels of arrays and tensors are blue, green, red (OpenCV); images of other forms are not changed.
        batch_size : int | None
            Images per batch; None for as many as fit the size of the input.
        invert : Invert
            For networks of light digits on black. "auto": a digit on a plain background is cropped, inverted if it is
            dark, and placed as in the training images; images that have this form are unchanged. "yes": the digit is
            dark. "no": the image is not changed.
        on_error : OnError | None
            Called with the `DataError` of each image that cannot be read, which is left out. None raises it.

        Returns
        -------
        list[Prediction]
            One for every image, in the same order.

        Raises
        ------
        UsageError
            If an argument has a wrong type or value.
        DataError
            If an image cannot be read and ``on_error`` is None.
        """
        return [*self.stream(images, top=top, bgr=bgr, batch_size=batch_size, invert=invert, on_error=on_error)]

    def to(self, device: str | torch.device) -> Self:
        """Move the network to a device ("cpu", "cuda", "mps", or "auto"); return the classifier itself.

        Raises
        ------
        UsageError
            If this machine has no such device.
        """
        self.model.to(choose_device(device))
        return self

    def _repr_html_(self) -> str:
        facts = [("classes", f"{len(self.classes)}: {', '.join(self.classes)}"), ("test-time views", self.tta_views)]
        return model_html("Classifier", self, self.model, facts)

    def __repr__(self) -> str:
        about = self.card.get("about", {})
        side = self.preprocess.input_size
        accuracy = about.get("metrics", {}).get("accuracy")
        reached = f", test accuracy {accuracy:.2%}" if accuracy is not None else ""
        return (
            f"Classifier({self.card['model']}: {len(self.classes)} classes, trained on {about.get('data', 'unknown')}"
            f"{reached}, input {self.preprocess.channels}x{side}x{side})"
        )


def average_over_views(net: nn.Module, images: Tensor, views: int) -> Tensor:
    """Average the logits over several views of every image (test-time augmentation).

    Parameters
    ----------
    net : nn.Module
        (N, C, H, W) to (N, classes) logits.
    images : Tensor
        (N, C, H, W) normalized.
    views : int
        1: the image. 2: also flipped horizontally. 6: also both of these shifted by one pixel, down and right, and up
        and left; the four shifted views together weigh as much as the two in place. The edge is padded by reflection
        (Jordan 2024, airbench).

    Returns
    -------
    Tensor
        (N, classes) logits.
    """
    weighted = [(1.0, images)]
    if views == 6:
        padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
        weighted = [(0.5, images), (0.25, padded[:, :, :-2, :-2]), (0.25, padded[:, :, 2:, 2:])]
    if views > 1:
        weighted = [(weight / 2, view) for weight, original in weighted for view in (original, original.flip(3))]
    return torch.stack([weight * net(view) for weight, view in weighted]).sum(0)


def load_classifier(weights: WeightsFile) -> Classifier:
    """Return the classifier of a weights file.

    Raises
    ------
    WeightsError
        If the card is incomplete, or the tensors do not fit the network that it names.
    """
    source = f"{weights.path}: its card"
    card = check_card(weights.card, ClassifierCard, source)
    preprocess = read_preprocess(weights.card["preprocess"], f"{source}: preprocess")
    model = build_checked(lambda: create_model(card.model, **asdict_struct(card.options)), weights)
    return Classifier(model, preprocess, tuple(card.classes), weights.card, str(weights.path), card.views)


def read_preprocess(card: Mapping[str, Any], source: str = "preprocess") -> Preprocess:
    """Return the preprocessing that a card describes.

    Parameters
    ----------
    card : Mapping[str, Any]
        Entry "preprocess" of a card.
    source : str
        Name of the entry in messages.

    Raises
    ------
    WeightsError
        If a value is missing or wrong.
    """
    entries = check_card(card, PreprocessCard, source)
    try:
        return Preprocess(**asdict_struct(entries))
    except DataError as error:
        raise WeightsError(f"{source}: {error}") from None
