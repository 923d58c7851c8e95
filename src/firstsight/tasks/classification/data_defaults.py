"""Default settings of a classifier for a user's own images: they follow the data.

The settings of a recipe were chosen for one data set. With 64 images of a user, 30 epochs of one batch are 30 updates,
and the network learns nothing. `adapt_to_data` replaces such settings, but never one that the user gave, and never for
the data set of the recipe. The rules:

- ``image_size``: the smallest of `SIDES` that keeps most pixels of the images, at most `MAX_SIDE` (for networks of
  ImageNet `MAX_IMAGENET_SIDE`).
- ``fit``: "pad" if more than a tenth of the images would lose more than a tenth of their longer side.
- ``translate``: a sixteenth of the image size; at least as much of it as in the recipe.
- ``scale``: at least 0.1 with fewer than `FEW_IMAGES` images.
- ``flip``: "random" for photographs; "none" for drawings and text, where left and right may matter.
- ``batch_size``: the largest power of 2 that gives four updates per epoch, at least 8, at most that of the recipe.
- ``lr``: lower with a smaller batch, by the square root of the ratio (Adam) or by the ratio (SGD, Muon).
- ``epochs``: enough for `MIN_UPDATES` updates, at least those of the recipe.

The learning-rate schedule is a function of the progress: warm-up and decay cover the new number of updates. Pretrained
weights keep their preprocessing, batch size and learning rate, and need only `MIN_UPDATES_PRETRAINED` updates. Those of
ImageNet keep their image size too. Networks for small images get larger images if the files are larger, and
`MIN_UPDATES_SMALL` updates.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from statistics import median
from typing import Any

from firstsight.arguments import expand_user
from firstsight.data.datasets import DATASETS
from firstsight.data.images.folder import split_samples
from firstsight.data.images.image_set import holdout_fraction
from firstsight.data.images.loading import is_image_folder
from firstsight.data.images.survey import ImageSurvey, read_sizes, spread, survey_own_images
from firstsight.data.images.tree import ImageTree
from firstsight.errors import DataError
from firstsight.models.registry import CLASSIFICATION_MODELS
from firstsight.tasks.classification.settings import MAX_SMALL_IMAGE, ClassificationSettings

MIN_UPDATES = 600
"""Minimum number of updates from random weights."""
MIN_UPDATES_PRETRAINED = 60
"""Minimum number of updates from pretrained weights, which need few and take longer."""
MIN_UPDATES_SMALL = 160
"""Minimum number of updates from pretrained weights of a network for small images."""
UPDATES_PER_EPOCH = 4
MIN_BATCH = 8
MAX_SIZES = 100
"""Maximum number of files whose size is read at the end of a training."""
SIDES = (32, 64, 96, 128)
KEPT_SIDE = 0.8
"""An image size is large enough if it is this fraction of the images' longer side."""
MAX_SIDE = 64
MAX_IMAGENET_SIDE = 128
MAX_ASPECT = 1.1
FEW_IMAGES = 2000

Values = dict[str, Any]


def adapt_to_data(
    model: str, settings: ClassificationSettings, given: Mapping[str, Any]
) -> tuple[ClassificationSettings, tuple[str, ...]]:
    """Return settings that fit the images in a user's folder, and messages on what was chosen and why.

    Parameters
    ----------
    model : str
        Name of the network.
    settings : ClassificationSettings
        Settings of the recipe, with those that the user gave.
    given : Mapping[str, Any]
        Settings that the user gave.

    Returns
    -------
    tuple[ClassificationSettings, tuple[str, ...]]
        The settings, and two sentences; none if nothing was changed.
    """
    survey = survey_own_images(settings.data)
    if survey is None:
        return settings, ()
    chosen = choose_settings(model, settings, given, survey)
    if chosen == settings:
        return settings, ()
    return chosen, _messages(settings, chosen, survey)


def choose_settings(
    model: str, settings: ClassificationSettings, given: Mapping[str, Any], survey: ImageSurvey
) -> ClassificationSettings:
    """Apply the rules of this module; see `adapt_to_data`."""

    def update(values: Values) -> ClassificationSettings:
        return replace(chosen, **{name: value for name, value in values.items() if name not in given})

    is_pretrained = settings.weights != "none"
    n = num_updated_images(settings, survey.train_images)
    chosen = settings
    if not is_pretrained:
        chosen = update(_square(model, survey))
    chosen = update(_augmentation(settings, chosen.image_size, survey, is_pretrained=is_pretrained))
    if not is_pretrained:
        chosen = update({"batch_size": batch_size_for(n, settings.batch_size)})
        if "batch_size" not in given:
            chosen = update({"lr": _scaled_lr(settings, chosen.batch_size)})
    elif settings.image_size <= MAX_SMALL_IMAGE:
        chosen = update({"image_size": max(settings.image_size, image_size_for(model, survey.side))})
    return update({"epochs": epochs_for(n, chosen.batch_size, settings.epochs, min_updates_of(model, settings))})


def min_updates_of(model: str, settings: ClassificationSettings) -> int:
    """Return the minimum number of updates of a training on a user's images.

    >>> settings = ClassificationSettings(weights="imagenet")
    >>> min_updates_of("convnet", ClassificationSettings()), min_updates_of("resnet18", settings)
    (600, 60)
    """
    if settings.weights == "none":
        return MIN_UPDATES
    return MIN_UPDATES_SMALL if CLASSIFICATION_MODELS[model].image_size <= MAX_SMALL_IMAGE else MIN_UPDATES_PRETRAINED


def num_updated_images(settings: ClassificationSettings, n: int) -> int:
    """Return the number of training images without those that the run holds out."""
    fraction = settings.val_fraction or (holdout_fraction(n) if settings.patience else 0)
    return max(2, n - round(fraction * n))


def batch_size_for(n: int, largest: int) -> int:
    """Return the batch size for ``n`` images, at most that of the recipe.

    >>> [batch_size_for(n, 64) for n in (10, 64, 245, 5000)]
    [8, 16, 32, 64]
    """
    size = MIN_BATCH
    while 2 * size * UPDATES_PER_EPOCH <= n:
        size *= 2
    return min(size, largest)


def epochs_for(n: int, batch_size: int, epochs: int, min_updates: int) -> int:
    """Return the number of epochs that gives at least ``min_updates`` updates, and at least ``epochs``.

    >>> epochs_for(64, 16, 30, 600), epochs_for(64, 64, 30, 600), epochs_for(50_000, 64, 30, 600)
    (150, 600, 30)
    """
    steps = -(-n // batch_size)
    return max(epochs, -(-min_updates // steps))


def image_size_for(model: str, side: int) -> int:
    """Return the image size of a network without trained weights, for images of ``side`` pixels.

    >>> image_size_for("convnet", 28), image_size_for("convnet", 3000), image_size_for("lenet", 3000)
    (32, 64, 32)
    """
    info = CLASSIFICATION_MODELS[model]
    if info.is_fixed_size:
        return info.image_size
    largest = MAX_SIDE if info.image_size <= MAX_SIDE else MAX_IMAGENET_SIDE
    usable = [size for size in SIDES if info.min_size <= size <= largest]
    return next((size for size in usable if size >= KEPT_SIDE * side), usable[-1])


def original_side(data: str, loaded: int) -> int:
    """Return the median of the longer sides of a user's images before they are resized.

    Parameters
    ----------
    data : str
        Name or path of the data.
    loaded : int
        Side of the images that were loaded; it is returned for data that are not files of images.
    """
    path = expand_user(data)
    if data in DATASETS or not is_image_folder(path):
        return loaded
    try:
        tree = ImageTree(path, labeled=True)
        sizes, _ = read_sizes(tree, spread(split_samples(tree)[0], MAX_SIZES))
    except (DataError, OSError):
        return loaded
    return int(median(max(size) for size in sizes)) if sizes else loaded


def _square(model: str, survey: ImageSurvey) -> Values:
    """Return the image size, and how images become squares."""
    return {
        "image_size": image_size_for(model, survey.side),
        "fit": "pad" if survey.upper_aspect > MAX_ASPECT else "crop",
    }


def _augmentation(
    settings: ClassificationSettings, image_size: int, survey: ImageSurvey, *, is_pretrained: bool
) -> Values:
    """Return the augmentation, in proportion to the image size."""
    flip = settings.flip if settings.flip != "none" else "random"
    values: Values = {"flip": flip if survey.is_photographic else "none"}
    if not is_pretrained:
        ratio = image_size / settings.image_size
        values |= {
            "translate": max(image_size // 16, round(settings.translate * ratio)),
            "cutout": round(settings.cutout * ratio),
        }
    if survey.train_images < FEW_IMAGES:
        values["scale"] = max(0.1, settings.scale)
    return values


def _scaled_lr(settings: ClassificationSettings, batch_size: int) -> float:
    """Return the learning rate for another batch size than that of the settings, with two digits."""
    ratio = batch_size / settings.batch_size
    power = 0.5 if settings.optimizer in ("adam", "adamw") else 1.0
    return settings.lr if ratio == 1 else float(f"{settings.lr * ratio**power:.2g}")


def _messages(settings: ClassificationSettings, chosen: ClassificationSettings, survey: ImageSurvey) -> tuple[str, str]:
    """Return what was chosen, and why."""
    changed = [f.name for f in fields(chosen) if getattr(chosen, f.name) != getattr(settings, f.name)]
    values = ", ".join(f"`{name}={getattr(chosen, name)}`" for name in changed)
    kind = "photographs" if survey.is_photographic else "drawings or gray images"
    n = num_updated_images(settings, survey.train_images)  # not stated: the loader may leave out more files
    reasons = []
    if "epochs" in changed:
        before = settings.epochs * -(-n // settings.batch_size)
        updates = chosen.epochs * -(-n // chosen.batch_size)
        reasons.append(f"{updates:,} updates of the weights instead of {before:,}")
    if "fit" in changed:
        is_padded = chosen.fit == "pad"
        reasons.append("the images are padded, so that nothing is cut off" if is_padded else "the images are square")
    if "flip" in changed:
        reasons.append("photographs are also flipped" if chosen.flip != "none" else "left and right may matter")
    if {"image_size", "translate"} & {*changed} or not reasons:
        reasons.append("size and augmentation fit the images")
    width, height = survey.median_size
    return (
        f"settings for your images ({kind}, about {width}x{height} pixels): {values}",
        f"why: {'; '.join(reasons)}. Options that you give replace these",
    )
