"""Default settings of a GAN for a user's own images: enough updates of the weights.

The default number of epochs is made for data sets of thousands of images. With 64 images, 100 epochs of one batch are
100 updates, and G generates noise. `adapt_to_data` replaces such settings, but never one that the user gave, and never
for named data sets. The rules:

- ``batch_size``: the largest power of 2 that is at most half the number of images, at most the default.
- ``epochs``: enough for `MIN_UPDATES` updates, at least the default.
- ``evaluate_every``: about `EVALUATIONS` evaluations, if there are more epochs.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from firstsight.data.images.survey import survey_own_images
from firstsight.tasks.gan.settings import GANSettings

MIN_UPDATES = 2000
"""Minimum number of updates of both networks; the recipes on the bundled digits have 2,300 and more."""
EVALUATIONS = 20


def adapt_to_data(model: str, settings: GANSettings, given: Mapping[str, Any]) -> tuple[GANSettings, tuple[str, ...]]:
    """Return settings that fit the images in a user's folder, and messages on what was chosen and why.

    Parameters
    ----------
    model : str
        Name of the network.
    settings : GANSettings
        Settings of the recipe, with those that the user gave.
    given : Mapping[str, Any]
        Settings that the user gave.

    Returns
    -------
    tuple[GANSettings, tuple[str, ...]]
        The settings, and two sentences; none if nothing was changed.
    """
    survey = survey_own_images(settings.data, labeled=False)
    if survey is None:
        return settings, ()
    n = max(2, survey.train_images - round(settings.val_fraction * survey.train_images))
    chosen = choose_settings(settings, given, n)
    if chosen == settings:
        return settings, ()
    names = [f.name for f in fields(chosen) if getattr(chosen, f.name) != getattr(settings, f.name)]
    values = ", ".join(f"`{name}={getattr(chosen, name)}`" for name in names)
    before, after = (item.epochs * _steps(n, item.batch_size) for item in (settings, chosen))
    why = f"{after:,} updates of the weights instead of {before:,}" if after != before else "batches of half the images"
    return chosen, (
        f"settings for your images: {values}",
        f"why: {why}. Options that you give replace these",
    )


def choose_settings(settings: GANSettings, given: Mapping[str, Any], n: int) -> GANSettings:
    """Apply the rules of this module for ``n`` training images; see `adapt_to_data`.

    Examples
    --------
    >>> chosen = choose_settings(GANSettings(epochs=100), {}, 64)
    >>> chosen.batch_size, chosen.epochs, chosen.evaluate_every
    (32, 1000, 50)
    """
    chosen = settings
    if "batch_size" not in given:
        size = 2 * settings.packing
        while 2 * size <= n // 2:
            size *= 2
        chosen = replace(chosen, batch_size=min(size, settings.batch_size))
    if "epochs" not in given:
        chosen = replace(chosen, epochs=max(settings.epochs, -(-MIN_UPDATES // _steps(n, chosen.batch_size))))
    if "evaluate_every" not in given and chosen.epochs > settings.epochs:
        chosen = replace(chosen, evaluate_every=max(settings.evaluate_every, chosen.epochs // EVALUATIONS))
    return chosen


def _steps(n: int, batch_size: int) -> int:
    """Return the number of updates per epoch."""
    return -(-n // batch_size)
