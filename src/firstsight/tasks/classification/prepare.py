"""Images of users as inputs of a classifier, with remarks on images unlike those of its training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from firstsight.data.datasets import DatasetInfo, InkFormat
from firstsight.data.image_io import Preprocess
from firstsight.data.ink import find_strokes, to_ink_format

Invert: TypeAlias = Literal["auto", "yes", "no"]
"""Type of ``invert``: dark strokes on a light background become light ones on black; auto: if they clearly are."""

LARGE = 4
"""Images that are this many times larger or smaller than those of the training are remarked on."""
UNCERTAIN = 0.5
"""A lower probability is remarked on, if the next class has at least half of it."""
NOTES = ("inverted", "cropped")
"""Beginnings of the remarks that are no warnings."""


@dataclass(frozen=True)
class Trained:
    """Training data of a network, for remarks and conversion.

    Parameters
    ----------
    name : str
        Name of the recipe or the network, for remarks.
    dataset : DatasetInfo | None
        Published data set; None for another one.
    num_classes : int
        Number of classes.
    """

    name: str
    dataset: DatasetInfo | None
    num_classes: int

    @property
    def ink(self) -> InkFormat | None:
        """Form of the strokes of the data set, if it has strokes."""
        return self.dataset.ink if self.dataset else None


def prepare(
    image: Image.Image, preprocess: Preprocess, trained: Trained, invert: Invert = "auto"
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Convert an image to the input of a network.

    Parameters
    ----------
    image : Image.Image
        Image of mode "L" or "RGB".
    preprocess : Preprocess
        Preprocessing of the network.
    trained : Trained
        What the network was trained on. Strokes on a plain background get the form of its data set.
    invert : Invert
        "yes": dark strokes on a light background become light on black, and any other image is inverted. "no": the
        image is not changed. "auto": strokes are converted if the data set has strokes; images that have the form
        of the data set are not changed.

    Returns
    -------
    tuple[NDArray[np.uint8], tuple[str, ...]]
        (C, S, S) pixels, and remarks.
    """
    remarks: list[str] = []
    if invert == "yes":
        strokes = find_strokes(image, is_dark=True) if trained.ink else None
        image = to_ink_format(strokes, trained.ink) if strokes and trained.ink else ImageOps.invert(image)
    elif trained.ink:
        if invert == "auto" and not _is_in_format(image, trained.ink):
            image, remarks = _convert(image, trained.ink, trained)
        elif invert == "no":
            remarks += _size_remarks(image, preprocess, trained)
    else:
        remarks += _size_remarks(image, preprocess, trained)
    return preprocess.to_pixels(image), tuple(remarks)


def _is_in_format(image: Image.Image, ink: InkFormat) -> bool:
    """Return whether an image has the size of the data set and a dark border."""
    if image.size != (ink.size, ink.size):
        return False
    gray = np.asarray(image.convert("L"))
    return bool(np.median(np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])) < 128)


def _convert(image: Image.Image, ink: InkFormat, trained: Trained) -> tuple[Image.Image, list[str]]:
    strokes = find_strokes(image)
    if strokes is None:
        if image.mode == "RGB" and min(image.size) > LARGE * ink.size:
            reason = f"a large color image, but {trained.name} was trained on gray images of {ink.size}x{ink.size}"
        else:
            reason = "no digit found on a plain background"
        return image, [f"{reason}; the prediction is one of its {trained.num_classes} classes for any image"]
    if not strokes.is_dark and strokes.is_placed:
        return image, []
    keep = "(`invert=no` keeps the image)"
    remarks = [
        f"inverted: dark digit on a light background, cropped to it {keep}"
        if strokes.is_dark
        else f"cropped: light digit on a dark background {keep}"
    ]
    if strokes.num_digits > 1:
        remarks.append(f"{strokes.num_digits} digits side by side: only the largest one is used")
    return to_ink_format(strokes, ink), remarks


def _size_remarks(image: Image.Image, preprocess: Preprocess, trained: Trained) -> list[str]:
    """Return remarks on images that are much larger or smaller than those of a published data set, or have colors."""
    shorter, side = min(image.size), preprocess.resize
    size = f"{image.width}x{image.height} pixels"
    if preprocess.channels == 1 and image.mode == "RGB" and shorter > LARGE * side:
        return [
            f"a large color image, but {trained.name} was trained on gray images of {side}x{side}; the prediction is"
            f" one of its {trained.num_classes} classes for any image"
        ]
    if LARGE * shorter < side:
        return [f"a small image: {size}, enlarged to {side}x{side} for {trained.name}"]
    if trained.dataset and shorter > LARGE * side:
        return [f"a large image: {size}, but {trained.name} was trained on images of {side}x{side}"]
    return []


def confidence_remarks(labels: Sequence[str], probs: Sequence[float]) -> tuple[str, ...]:
    """Return a remark if the most probable class is not clear.

    Parameters
    ----------
    labels : Sequence[str]
        Two classes in order of decreasing probability.
    probs : Sequence[float]
        Their probabilities.

    Examples
    --------
    >>> confidence_remarks(("4", "9"), (0.45, 0.4))
    ('low confidence: 4 has 45%, 9 has 40%',)
    >>> confidence_remarks(("4", "9"), (0.9, 0.1))
    ()
    """
    if len(probs) < 2 or probs[0] >= UNCERTAIN or probs[0] > 2 * probs[1]:
        return ()
    return (f"low confidence: {labels[0]} has {probs[0]:.0%}, {labels[1]} has {probs[1]:.0%}",)


def is_note(text: str) -> bool:
    """Return whether a remark only says what was done, and is no warning."""
    return text.startswith(NOTES)
