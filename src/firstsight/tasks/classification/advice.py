"""Advice on what to try after a training of a classifier, for each diagnosis.

The advice names only settings that are not in use, or whose value can still grow. It does not name what a network
cannot do, such as another image size for LeNet, or weights that are neither on this machine nor can be downloaded.
"""

import math
from collections.abc import Sequence

from firstsight.data.fetch import is_offline
from firstsight.models.registry import CLASSIFICATION_MODELS
from firstsight.tasks.classification.data_defaults import min_updates_of
from firstsight.tasks.classification.diagnosis import Kind
from firstsight.tasks.classification.settings import ClassificationSettings
from firstsight.weights.table import PUBLISHED

MAX_AUGMENTATIONS = 3
"""Maximum number of augmentations that are named."""
HIGH_LR = {"adam": 0.01, "adamw": 0.01, "sgd": 0.5, "muon": 0.5}
"""A larger learning rate is often too high, by optimizer."""
USUAL_LR = {"adam": 0.001, "adamw": 0.001, "sgd": 0.05, "muon": 0.05}
LARGE_SIDE = 224
SMALL_NETWORK = 1_000_000
"""A network with fewer parameters than this can be replaced by a larger one."""
LEARNED_NOTHING = 0.95
"""The training has learned nothing if the loss is above this fraction of the loss of equal probabilities."""
PRETRAINED_MODEL = "resnet18"


def advise(
    model: str, settings: ClassificationSettings, *, image_side: int, num_classes: int, steps: int, train_loss: float
) -> dict[Kind, list[str]]:
    """Return what to try for each diagnosis, as sentences with settings in backticks.

    Parameters
    ----------
    model : str
        Name of the network.
    settings : ClassificationSettings
        Settings of the run.
    image_side : int
        Side of the images of the data set before they are resized; larger inputs do not show more of them.
    num_classes : int
        Number of classes.
    steps : int
        Optimizer steps per epoch.
    train_loss : float
        Cross entropy on training images without augmentation, in nats.
    """
    is_untrained = not train_loss < LEARNED_NOTHING * math.log(max(2, num_classes))
    return {
        "few test images": ["Add images"],
        "overfitting": [_try([*_more_data(settings), *_pretrained(model, settings)])],
        "underfitting": _learn(settings)
        if is_untrained and settings.lr > HIGH_LR[settings.optimizer]
        else [_try(_more_training(model, settings, image_side, steps))],
        "good": [],
    }


def _try(options: Sequence[str]) -> str:
    return f"Try {', '.join(options)}"


def _more_data(settings: ClassificationSettings) -> list[str]:
    """Return what reduces overfitting: more images, augmentation and regularization that are not in use."""
    augmentations = {
        "`flip=random` (if left and right do not matter)": settings.flip == "none",
        "`rotate=15`": settings.rotate < 15,
        "`scale=0.2`": settings.scale < 0.2,
        f"`translate={settings.image_size // 8}`": settings.translate < settings.image_size // 8,
        f"`cutout={settings.image_size // 4}`": settings.cutout < settings.image_size // 4,
    }
    unused = [text for text, is_unused in augmentations.items() if is_unused][:MAX_AUGMENTATIONS]
    options = ["more images"]
    if unused:
        options.append(f"more augmentation: {', '.join(unused)}")
    if not settings.patience:
        options.append("early stopping (`patience=10`)")
    elif settings.label_smoothing < 0.1:
        options.append("`label_smoothing=0.1`")
    if settings.weights != "none" and not settings.freeze:
        options.append("training of the head only (`freeze=True`)")
    return options


def _learn(settings: ClassificationSettings) -> list[str]:
    """Return the advice for a loss like that of guessing at a high learning rate."""
    return [
        "The loss is not lower than that of guessing: the learning rate may be too high",
        _try([f"a smaller one, such as `lr={USUAL_LR[settings.optimizer]:g}`"]),
    ]


def _more_training(model: str, settings: ClassificationSettings, image_side: int, steps: int) -> list[str]:
    """Return what helps a network to learn the training images."""
    info = CLASSIFICATION_MODELS[model]
    epochs = max(2 * settings.epochs, -(-min_updates_of(model, settings) // steps))
    options = [f"more epochs (`epochs={epochs}`)", "another `lr`"]
    if settings.patience:
        options.insert(1, f"`patience={2 * settings.patience}`")
    if not info.is_fixed_size and 2 * settings.image_size <= LARGE_SIDE and 2 * settings.image_size <= image_side:
        options.append(f"`image_size={2 * settings.image_size}`")
    augmentations = ("rotate", "scale", "translate", "cutout")
    if used := [f"`{name}`" for name in augmentations if getattr(settings, name)]:
        options.append(f"less augmentation ({', '.join(used)})")
    if settings.freeze:
        options.append("training of all layers (`freeze=False`)")
    if pretrained := _pretrained(model, settings):
        return options + pretrained
    return [*options, "a larger network"] if info.parameters < SMALL_NETWORK else options


def _pretrained(model: str, settings: ClassificationSettings) -> list[str]:
    """Return the advice to use pretrained weights, or nothing if they are in use or not available."""
    own = model in PUBLISHED
    source = PUBLISHED[model if own else PRETRAINED_MODEL]
    if settings.weights != "none" or (is_offline() and not source.target.is_file()):
        return []
    setting = "`weights=imagenet`"
    return [f"pretrained weights ({setting if own else f'{source.model} with {setting}'})"]
