"""Where the data lie that weights were trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstsight.data.sources import SOURCES
from firstsight.engine.rundir import read_config
from firstsight.errors import UsageError


def training_data(source: str | Path, card: Mapping[str, Any]) -> str:
    """What to `load` to have the data again: of a run what it was given then, else what the card names.

    Parameters
    ----------
    source : the weights file, or a run directory.
    card : that of the weights.

    Raises
    ------
    UsageError
        They are none of firstsight's data sets, and not where they were.
    """
    place = Path(source)
    for folder in (place, *place.parents[:3]):
        config = read_config(folder) if folder.is_dir() else None
        if config is not None:
            return str(config["settings"]["data"])
    name = str(card["about"].get("data", "digits"))
    if name not in SOURCES and not Path(name).exists():
        raise UsageError(f"{source}: its training data ({name}) are not at hand; name a data set with --data")
    return name
