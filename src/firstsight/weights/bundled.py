"""Weights files on this machine: those in the package, and those in the cache."""

import json
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from firstsight.data.fetch import get_home

CARD = "firstsight"
"""Key of the card in the metadata of a weights file."""
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""Last parts of the names of batch norm buffers, which are not parameters."""


def bundled() -> dict[str, Path]:
    """Return names and files of the weights in the package."""
    folder = Path(str(files("firstsight.weights")))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def cache_dir() -> Path:
    """Return the folder of published and imported weights: ``$FIRSTSIGHT_HOME/weights``."""
    return get_home() / "weights"


def cached() -> dict[str, Path]:
    """Return names and files of the weights in the cache."""
    return {path.stem: path for path in sorted(cache_dir().glob("*.safetensors")) if not path.name.startswith(".")}


def display_name(path: str | Path) -> str:
    """Return the name of bundled weights, or else the path of the file."""
    path = Path(path)
    return path.stem if bundled().get(path.stem) == path else str(path)


def parameters_of(path: Path) -> int:
    """Return the number of parameters in a weights file, from its header alone.

    Raises
    ------
    SafetensorError
        If it is no safetensors file.
    """
    with safe_open(path, framework="np") as file:
        names = [name for name in file.keys() if not name.endswith(BUFFERS)]  # noqa: SIM118 - not a dict
        return sum(prod(file.get_slice(name).get_shape()) for name in names)


def card_of(path: Path) -> dict[str, Any] | None:
    """Return the card of a weights file, read without its tensors; None if it is not a complete firstsight file."""
    try:
        with safe_open(path, framework="np") as file:
            card = json.loads((file.metadata() or {})[CARD])
            return dict(card) if isinstance(card["about"], dict) else None
    except (SafetensorError, OSError, KeyError, ValueError, TypeError):
        return None
