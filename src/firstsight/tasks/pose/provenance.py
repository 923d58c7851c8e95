"""The people that a pose network is evaluated on."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from firstsight.arguments import expand_user
from firstsight.data.keypoints.keypoint_set import KeypointSet
from firstsight.data.keypoints.splits import find_people, load_held_out_people, load_val_people
from firstsight.errors import DataError, UsageError
from firstsight.tasks.provenance import run_settings
from firstsight.weights.bundled import display_name


def load_test_people(
    source: str | Path, card: Mapping[str, Any], data: str | Path | None, images: str | Path | None = None
) -> KeypointSet:
    """Return the people to evaluate a pose network on.

    Parameters
    ----------
    source : str | Path
        Weights file or run directory of the network.
    card : Mapping[str, Any]
        Card of the weights, which names the training data.
    data : str | Path | None
        JSON file of COCO keypoints, or its folder; None, or the folder of the training, for the people that the
        training held out.
    images : str | Path | None
        Folder of the images of the JSON file.

    Raises
    ------
    UsageError
        If ``data`` is None, and the training data are not found or ``images`` is given.
    DataError
        If the data cannot be used.
    """
    settings = run_settings(source)
    if data is not None and not (settings and expand_user(data).is_dir() and _is_same(data, settings["data"])):
        people = load_val_people(data, images)
        if settings is None or not expand_user(data).is_file() or not _is_same(data, settings["data"]):
            return people
        note = "the network was trained on most of these images; without `data` only the held-out images are used"
        return replace(people, notes=(*people.notes, note))
    if images is not None:
        raise UsageError(f"`images={images}` needs the JSON file of these images; name it with `data`")
    about = card.get("about", {})
    training = {"data": about.get("data", "not known"), **(settings or about.get("settings", {}))}
    try:
        path = find_people(training["data"])
    except DataError:
        raise UsageError(
            f"{display_name(source)}: its training data ({training['data']}) were not found;"
            " name a JSON file of COCO keypoints, or its folder, with `data`"
        ) from None
    return load_held_out_people(path, val_fraction=training.get("val_fraction", 0.0))


def _is_same(path: str | Path, other: str | Path) -> bool:
    return os.path.realpath(expand_user(path)) == os.path.realpath(expand_user(other))
