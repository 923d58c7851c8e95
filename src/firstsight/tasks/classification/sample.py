"""Sample image of a classifier: an image of the data that it was trained on, if they are on this machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from firstsight.arguments import expand_user
from firstsight.data.datasets import DATASETS
from firstsight.data.image_input import to_pil
from firstsight.data.image_io import open_image
from firstsight.data.images.find import has_split
from firstsight.data.images.folder import split_samples
from firstsight.data.images.loading import is_image_folder, load_data
from firstsight.data.images.tree import ImageTree
from firstsight.data.sample_image import sample_photo
from firstsight.errors import DataError
from firstsight.tasks.provenance import run_settings

MAX_TRIED = 10
"""Number of files of a folder that are tried until one can be read."""


def find_sample(source: str, about: Mapping[str, Any]) -> tuple[Image.Image, str]:
    """Return a sample image and what it is; nothing is downloaded.

    The first test image of the training data is used. If they are not on this machine, a network of strokes gets a
    bundled digit, another one a photograph of a person.

    Parameters
    ----------
    source : str
        Weights file or run directory.
    about : Mapping[str, Any]
        Description of the training in the card of the weights.
    """
    data = str(about.get("data", ""))
    info = DATASETS.get(data)
    if info is not None and has_split(info, "test"):
        return _of_data_set(data)
    settings = run_settings(source) or about.get("settings") or {}
    folder = expand_user(str(settings.get("data", "")))
    if info is None and folder.name and (sample := _of_folder(folder)):
        return sample
    missing = f"; the images of {data} are not on this machine" if data else ""
    if info is not None and info.ink is not None:
        image, name = _of_data_set("digits")
        return image, name + missing
    path = sample_photo()
    return to_pil(path), f"the sample photograph {path.name}{missing}"


def _of_data_set(data: str) -> tuple[Image.Image, str]:
    images = load_data(data, "test")
    pixels = images.images[0].permute(1, 2, 0).numpy()
    name = f"test image 0 of {data} ({images.classes[int(images.labels[0])]})"
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), name


def _of_folder(folder: Path) -> tuple[Image.Image, str] | None:
    """Return the first test image of a user's folder; None if there is none."""
    try:
        if not is_image_folder(folder):
            return None
        tree = ImageTree(folder, labeled=True)
        _, test, _ = split_samples(tree)
    except (DataError, OSError):
        return None
    for sample in test[:MAX_TRIED]:
        try:
            image = open_image(tree.read(sample.file), name=sample.file.name)
        except DataError:
            continue
        return image, f"{sample.file.name} of {folder}"
    return None
