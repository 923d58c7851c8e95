"""The data that weights were trained on."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from firstsight.arguments import expand_user
from firstsight.data.datasets import DATASETS
from firstsight.data.images.image_set import ImageSet
from firstsight.engine.rundir import read_config
from firstsight.errors import RunError, UsageError
from firstsight.weights.bundled import display_name

ONLY_TEST = ("only a test split", "only a val split", "only the test files")
"""Notes of `load_data` on data without a training split begin with one of these."""


def training_data(source: str | Path, card: Mapping[str, Any]) -> str:
    """Return the name or path of the data that weights were trained on.

    Parameters
    ----------
    source : str | Path
        Weights file or run directory. Weights of a run: the data of the run.
    card : Mapping[str, Any]
        Card of the weights, which names the data.

    Raises
    ------
    UsageError
        If they are not one of firstsight's data sets, and not where they were.
    """
    settings = run_settings(source)
    if settings is not None:
        return str(settings["data"])
    name = str(card["about"].get("data", "digits"))
    if name not in DATASETS and not Path(name).exists():
        raise UsageError(
            f"{display_name(source)}: its training data ({name}) were not found; name a data set with `data`"
        )
    return name


def is_training_data(data: str | Path, source: str | Path, card: Mapping[str, Any]) -> bool:
    """Return whether ``data`` is the name or the path of the data that weights were trained on.

    Cards have the last part of a path only. So for weights without their run, and for a run whose data were moved, a
    path with the same last part counts, too: then the images that were held out are measured, and never those of the
    training.

    Parameters
    ----------
    data : str | Path
        Name or path of a data set.
    source : str | Path
        See `training_data`.
    card : Mapping[str, Any]
        See `training_data`.
    """
    settings = run_settings(source) or card["about"].get("settings") or {}
    trained_on = str(settings.get("data", card["about"].get("data", "")))
    if str(data) == trained_on:
        return True
    given, original = os.path.realpath(expand_user(data)), os.path.realpath(expand_user(trained_on))
    if given == original:
        return True
    is_there = "data" in (run_settings(source) or {}) and os.path.exists(original)  # noqa: PTH110 - a long name
    return not is_there and Path(given).name == Path(original).name


def has_only_test_split(images: ImageSet) -> bool:
    """Return whether a part of a test split was held out, because the data have no other split."""
    return any(note.startswith(ONLY_TEST) for note in images.notes)


def describe_split(images: ImageSet) -> str:
    """Return which images were measured: "measured on the test split: 12 images"."""
    count = f"{len(images):,} image{'s' * (len(images) != 1)}"
    if any("using all" in note for note in images.notes):
        return f"measured on all {count}"
    if any("holding out" in note for note in images.notes):
        return f"measured on the {count} that training holds out"
    return f"measured on the test split: {count}"


def abbreviated(classes: Sequence[str]) -> str:
    """Return the first classes, and the number of all.

    >>> abbreviated("abcde")
    'a, b, c, d, ... (5 in all)'
    """
    return ", ".join(classes[:4]) + (f", ... ({len(classes)} in all)" if len(classes) > 4 else "")


def run_settings(source: str | Path) -> dict[str, Any] | None:
    """Return the settings of the run that a weights file belongs to, or None.

    Only ``model.safetensors`` of a run directory and files of its checkpoints belong to a run. A ``config.json`` of
    another program next to a weights file is ignored.

    Parameters
    ----------
    source : str | Path
        Weights file or run directory.
    """
    path = Path(source)
    if path.is_dir():
        folder = path
    elif len(path.parents) > 2 and path.parents[1].name == "checkpoints":
        folder = path.parents[2]
    else:
        folder = path.parent
    try:
        config = read_config(folder)
    except RunError:
        return None
    if config is None or not isinstance(config.settings.get("data"), str):
        return None
    return dict(config.settings)
