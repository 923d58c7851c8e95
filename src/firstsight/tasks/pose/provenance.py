"""Where the data lie that weights were trained on."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from firstsight.data.datasets import SOURCES
from firstsight.data.keypoints.keypoint_set import KeypointSet
from firstsight.data.keypoints.splits import find_people, held_out_people, people_to_measure
from firstsight.engine.rundir import read_config
from firstsight.errors import DataError, UsageError
from firstsight.weights.bundled import display_name


def training_data(source: str | Path, card: Mapping[str, Any]) -> str:
    """What to `load` to have the data again: of a run what it was given then, else what the card names.

    Parameters
    ----------
    source : str | Path
        The weights file, or a run directory.
    card : Mapping[str, Any]
        That of the weights.

    Raises
    ------
    UsageError
        They are none of firstsight's data sets, and not where they were.
    """
    settings = run_settings(source)
    if settings is not None:
        return str(settings["data"])
    name = str(card["about"].get("data", "digits"))
    if name not in SOURCES and not Path(name).exists():
        raise UsageError(
            f"{display_name(source)}: its training data ({name}) are not at hand; name a data set with --data"
        )
    return name


def run_settings(source: str | Path) -> dict[str, Any] | None:
    """The settings of the run that a weights file is from; None where it is from none."""
    place = Path(source)
    for folder in (place, *place.parents[:3]):
        config = read_config(folder) if folder.is_dir() else None
        if config is not None:
            return dict(config["settings"])
    return None


def people_for(
    source: str | Path, card: Mapping[str, Any], data: str | Path | None, images: str | Path | None = None
) -> KeypointSet:
    """People to measure a pose network on.

    Parameters
    ----------
    source, card
        Of the network, as of `training_data`.
    data, images : str | Path | None
        As of `people_to_measure`; if None, the people that the training was measured on.

    Raises
    ------
    UsageError
        None are named, and those of the training are not where they were.
    DataError
        They cannot be used.
    """
    settings = run_settings(source)
    if data is not None:
        people = people_to_measure(data, images)
        if settings is None or not Path(data).is_file() or not _same(data, settings["data"]):
            return people
        known = "the network was trained on most of these pictures; without --data the others are taken"
        return replace(people, notes=(*people.notes, known))
    if images is not None:
        raise UsageError(f"--images {images}: name the JSON file of these pictures with --data")
    about = card.get("about", {})
    told = settings or about.get("settings") or {"data": about.get("data", "not known")}
    try:
        where = find_people(told["data"])
    except DataError:
        raise UsageError(
            f"{display_name(source)}: its training data ({told['data']}) were not found;"
            " give a JSON file of COCO keypoints, or its folder, with --data"
        ) from None
    return held_out_people(where, share=told.get("val_fraction", 0.0))


def _same(one: str | Path, other: str | Path) -> bool:
    return Path(one).resolve() == Path(other).expanduser().resolve()
