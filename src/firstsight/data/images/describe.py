"""Description of a data set: classes, number of images, sizes, modes, and what was left out."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from firstsight.arguments import expand_user, ignore
from firstsight.data.datasets import DATASETS
from firstsight.data.images.folder import read_thumbnails, split_samples
from firstsight.data.images.image_set import ImageSet, SkippedImage
from firstsight.data.images.loading import is_image_folder, load_data
from firstsight.data.images.survey import read_sizes, spread
from firstsight.data.images.tree import ImageTree

READ_SIDE = 32
"""Side in pixels to which all images of a folder are reduced; only their number and their labels are used."""
EXAMPLE_SIDE = 128
"""Maximum side in pixels of the examples of a folder."""


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """Description of a data set for people.

    Attributes
    ----------
    name : str
        Name of the data set.
    counts : dict[str, dict[str, int]]
        Number of usable images by split and class.
    sizes : dict[str, tuple[int, int]]
        "min", "median" and "max" of the widths and of the heights in pixels.
    modes : dict[str, int]
        Number of images by mode of Pillow ("L" is gray).
    notes : tuple[str, ...]
        How the images were split, and what was left out.
    skipped : tuple[SkippedImage, ...]
        Files that cannot be used.
    train : ImageSet
        Training images; those of a folder are reduced to squares of `READ_SIDE` pixels.
    folder : Path | None
        Folder or zip file of the images; None for data of another kind.
    """

    name: str
    counts: dict[str, dict[str, int]]
    sizes: dict[str, tuple[int, int]]
    modes: dict[str, int]
    notes: tuple[str, ...]
    skipped: tuple[SkippedImage, ...]
    train: ImageSet
    folder: Path | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.train.classes

    def to_dict(self) -> dict[str, Any]:
        """Return the description as plain data for JSON."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "counts": self.counts,
            "sizes": {name: list(size) for name, size in self.sizes.items()},
            "modes": self.modes,
            "notes": list(self.notes),
            "skipped": [{"path": item.path, "reason": item.reason} for item in self.skipped],
        }

    def examples(self, per_class: int) -> list[list[NDArray[np.uint8]]]:
        """Return images of each class, evenly spread, for a contact sheet.

        Parameters
        ----------
        per_class : int
            Maximum number of images of a class.

        Returns
        -------
        list[list[NDArray[np.uint8]]]
            Images (C, H, W) by class. Those of a folder are read again, at up to `EXAMPLE_SIDE` pixels.
        """
        if self.folder is not None:
            tree = ImageTree(self.folder, labeled=True)
            train, test, _ = split_samples(tree)
            skipped = {item.path for item in self.skipped}
            usable = [sample for sample in train if sample.file.name not in skipped]
            by_class = ([sample for sample in usable if sample.label == name] for name in self.classes)
            return [
                read_thumbnails(tree, spread(samples, per_class), [*train, *test], EXAMPLE_SIDE) for samples in by_class
            ]
        labels = self.train.labels.numpy()
        members = (np.flatnonzero(labels == label).tolist() for label in range(len(self.classes)))
        return [[*self.train.images[spread(positions, per_class)].numpy()] for positions in members]


def describe_data(name_or_path: str | Path, *, notify: Callable[[str], None] = ignore) -> DataDescription:
    """Read a data set as a training would, and describe it.

    Parameters
    ----------
    name_or_path : str | Path
        Name of a data set, or a path, see `load_data`.
    notify : Callable[[str], None]
        Called with a line for every download.

    Raises
    ------
    UsageError, DataError
        If it cannot be used, see `load_data`.
    """
    splits = [
        load_data(name_or_path, split, size=READ_SIDE, letterbox=True, notify=notify) for split in ("train", "test")
    ]
    sizes, modes = _sizes_and_modes(str(name_or_path), splits)
    return DataDescription(
        name=splits[0].name,
        counts={images.split: _count_classes(images) for images in splits},
        sizes=_summarize(sizes),
        modes=dict(modes.most_common()),
        notes=tuple(dict.fromkeys(note for images in splits for note in images.notes)),
        skipped=tuple(item for images in splits for item in images.skipped),
        train=splits[0],
        folder=_image_folder(str(name_or_path)),
    )


def _image_folder(data: str) -> Path | None:
    """Return the path of a folder or a zip file of images; None for IDX files, CIFAR-10 and names."""
    path = expand_user(data)
    return path if data not in DATASETS and is_image_folder(path) else None


def _sizes_and_modes(data: str, splits: list[ImageSet]) -> tuple[list[tuple[int, int]], Counter[str]]:
    """Return the size of every image file, or that of all images of a set, and the number of images by mode."""
    path = _image_folder(data)
    if path is not None:
        tree = ImageTree(path, labeled=True)
        train, test, _ = split_samples(tree)
        return read_sizes(tree, [*train, *test])
    height, width = splits[0].size
    mode = "L" if splits[0].channels == 1 else "RGB"
    return [(width, height)], Counter({mode: sum(map(len, splits))})


def _count_classes(images: ImageSet) -> dict[str, int]:
    counts = torch.bincount(images.labels, minlength=len(images.classes)).tolist()
    return dict(zip(images.classes, counts, strict=True))


def _summarize(sizes: list[tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Return the minimum, median and maximum of the widths and of the heights."""
    array = np.array(sizes)
    values = {"min": array.min(0), "median": np.median(array, axis=0), "max": array.max(0)}
    return {name: (int(width), int(height)) for name, (width, height) in values.items()}
