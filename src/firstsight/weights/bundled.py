"""Weights at hand: those inside the package, and those stored on this machine."""

import json
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from firstsight.data.fetch import home

CARD = "firstsight"
"""The metadata of a weights file under which its card lies."""


def bundled() -> dict[str, Path]:
    """Names and files of the weights inside the package."""
    folder = Path(str(files("firstsight.weights")))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def display_name(path: str | Path) -> str:
    """What a user knows a weights file by: the name of shipped ones, else the path."""
    path = Path(path)
    return path.stem if bundled().get(path.stem) == path else str(path)


def cache_dir() -> Path:
    """Where published and imported weights are stored: ``$FIRSTSIGHT_HOME/weights``."""
    return home() / "weights"


def cached() -> dict[str, Path]:
    """Names and files of the weights stored on this machine."""
    return {path.stem: path for path in sorted(cache_dir().glob("*.safetensors")) if not path.name.startswith(".")}


STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""What batch norms keep beside their parameters."""


def parameters_of(path: Path) -> int:
    """How many parameters a weights file holds, by its header alone.

    Raises
    ------
    SafetensorError
        It is none.
    """
    with safe_open(path, framework="np") as file:
        names = [name for name in file.keys() if not name.endswith(STATISTICS)]  # noqa: SIM118 - not a dict
        return sum(prod(file.get_slice(name).get_shape()) for name in names)


def card_of(path: Path) -> dict[str, Any] | None:
    """The card of a weights file, read without its tensors; None for what is not a whole weights file of firstsight."""
    try:
        with safe_open(path, framework="np") as file:
            card = json.loads((file.metadata() or {})[CARD])
            return dict(card) if isinstance(card["about"], dict) else None
    except (SafetensorError, OSError, KeyError, ValueError, TypeError):
        return None
