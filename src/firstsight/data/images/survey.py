"""Facts of a user's images before they are trained on: number, sizes, modes, and whether they are photographs.

Only headers are read, except for a sample of images whose pixels are compared with their neighbors.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from firstsight.arguments import expand_user
from firstsight.data.datasets import DATASETS
from firstsight.data.image_io import read_header
from firstsight.data.images.folder import split_samples
from firstsight.data.images.layout import Sample
from firstsight.data.images.loading import is_image_folder
from firstsight.data.images.tree import ImageTree
from firstsight.errors import DataError

T = TypeVar("T")
MAX_HEADERS = 500
MAX_DECODED = 24
FLAT = 3
"""Neighboring pixels whose values differ by at most this much are equal for the eye."""
COLORFUL = 12.0
"""Mean difference of the channels of a colored pixel, from 0 to 255."""


@dataclass(frozen=True, kw_only=True)
class ImageSurvey:
    """Facts of the training images of a folder.

    Attributes
    ----------
    train_images : int
        Number of training images whose header can be read; an estimate if there are more than `MAX_HEADERS`.
    classes : int
        Number of classes.
    sizes : tuple[tuple[int, int], ...]
        (width, height) of the upright images, at most `MAX_HEADERS` of them.
    modes : dict[str, int]
        Number of images of each mode of Pillow.
    is_photographic : bool
        Most images are colored and have few flat areas; drawings and text are not photographs.
    """

    train_images: int
    classes: int
    sizes: tuple[tuple[int, int], ...]
    modes: dict[str, int]
    is_photographic: bool

    @property
    def side(self) -> int:
        """Median of the longer sides in pixels."""
        return int(np.median([max(size) for size in self.sizes]))

    @property
    def median_size(self) -> tuple[int, int]:
        """Median of the widths and of the heights in pixels."""
        width, height = np.median(np.array(self.sizes), axis=0)
        return int(width), int(height)

    @property
    def upper_aspect(self) -> float:
        """Longer side divided by the shorter side; nine tenths of the images have at most this aspect."""
        return float(np.quantile([max(size) / min(size) for size in self.sizes], 0.9))


def survey_own_images(data: str, *, labeled: bool = True) -> ImageSurvey | None:
    """Return the facts of a user's images; None for a named data set, other formats, and folders that cannot be used.

    Parameters
    ----------
    data : str
        Name or path of a data set.
    labeled : bool
        Require class folders, see `firstsight.data.images.folder.read_folder`.
    """
    path = expand_user(data)
    if data in DATASETS or not is_image_folder(path):
        return None
    try:
        return survey_folder(path, labeled=labeled)
    except DataError:  # the loader raises it again
        return None


def survey_folder(path: Path, *, labeled: bool = True) -> ImageSurvey | None:
    """Return the facts of the training images in class folders, or None if no image can be read.

    Errors of single images are ignored: the loader reports them.

    Parameters
    ----------
    path : Path
        Folder or zip file of class folders.
    labeled : bool
        Require at least two classes; if False, images may also be in no class folder.

    Raises
    ------
    DataError
        If the folder has no classes, see `firstsight.data.images.folder.read_folder`.
    """
    tree = ImageTree(path, labeled=labeled)
    train, _, _ = split_samples(tree, labeled=labeled)
    read = spread(train, MAX_HEADERS)
    sizes, modes = read_sizes(tree, read)
    if not sizes:
        return None
    answers = [_is_photograph(tree, sample) for sample in spread(train, MAX_DECODED)]
    return ImageSurvey(
        train_images=round(len(train) * len(sizes) / len(read)),  # without files that the loader leaves out
        classes=len({sample.label for sample in train}),
        sizes=tuple(sizes),
        modes=dict(modes),
        is_photographic=answers.count(True) > answers.count(False),
    )


def read_sizes(tree: ImageTree, samples: Sequence[Sample]) -> tuple[list[tuple[int, int]], Counter[str]]:
    """Return the sizes (width, height) and the modes of images, from their headers; unreadable ones are left out."""
    sizes: list[tuple[int, int]] = []
    modes: Counter[str] = Counter()
    for sample in samples:
        try:
            header = read_header(tree.read(sample.file), name=sample.file.name)
        except DataError:
            continue
        sizes.append(header.upright_size)
        modes[header.image.mode] += 1
    return sizes, modes


def spread(samples: Sequence[T], count: int) -> list[T]:
    """Return at most ``count`` items, evenly spread over all of them."""
    positions = np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(int)
    return [samples[position] for position in positions]


def _is_photograph(tree: ImageTree, sample: Sample) -> bool | None:
    """Return whether an image is colored and has few flat areas; None if it cannot be read."""
    try:
        image = read_header(tree.read(sample.file), name=sample.file.name).decode()
    except DataError:
        return None
    return is_photographic(image)


def is_photographic(image: Image.Image) -> bool:
    """Return whether an image of mode "L" or "RGB" is colored and has few flat areas.

    In a photograph most pixels differ from their neighbor, because of texture and noise. Drawings, text and diagrams
    have areas of one color.
    """
    if image.mode != "RGB":
        return False
    pixels = np.asarray(image).astype(np.int16)
    height, width = pixels.shape[:2]
    center = pixels[height // 8 : height - height // 8, width // 8 : width - width // 8]
    if min(center.shape[:2]) < 2:
        return False
    is_flat = (np.abs(np.diff(center, axis=1)).max(2) <= FLAT).mean() > 0.6
    is_colorful = (center.max(2) - center.min(2)).mean() > COLORFUL
    return bool(is_colorful and not is_flat)
