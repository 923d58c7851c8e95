"""What a request means: recipe, settings, and the run to continue."""

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from firstsight.data.find import recognize
from firstsight.data.images.idx import find_idx
from firstsight.engine.rundir import latest, read_config
from firstsight.errors import UsageError
from firstsight.recipes.recipe import Recipe
from firstsight.recipes.registry import find_recipe, recipe_for
from firstsight.tasks.settings import Settings


def resolve(
    name: str, changes: Mapping[str, Any], *, resume: bool = False, out: Path | None = None
) -> tuple[Recipe, Settings, Path | None]:
    """What a request means: the recipe, its settings with the changes, and the directory of the run to continue.

    A continued run keeps the settings it was started with; changes are then held against them.

    Raises
    ------
    UsageError
        Unknown recipe, or an impossible value.
    """
    base = find_recipe(name)
    if not resume:
        continued = None
    elif out is not None:
        continued = out if read_config(out) else None
    else:
        continued = _latest_run(name, _initial_settings(name, changes)[0].name)
    saved = read_config(continued) if continued else None
    if saved is None:
        recipe, begins = _initial_settings(name, changes)
        unknown = set(changes) - {f.name for f in fields(begins)}
        if unknown:
            raise UsageError(
                f"{recipe.name} has no setting {', '.join(sorted(unknown))}; it has"
                f" {', '.join(f.name for f in fields(begins))}"
            )
        settings = replace(begins, **changes)
    else:
        recipe = Recipe(name=saved["recipe"], model=saved["model"], result="", settings=base.settings)
        if recipe.model != base.model:
            raise UsageError(f"{continued}: was trained as {saved['recipe']}, not as {name}")
        try:
            settings = _saved_settings(type(base.settings), saved["settings"])
        except TypeError:
            raise UsageError(f"{continued}: was started by another version of firstsight with other settings") from None
        _refuse_changes(continued, settings, changes)
    settings.validate()
    return recipe, settings, continued


def _initial_settings(name: str, changes: Mapping[str, Any]) -> tuple[Recipe, Settings]:
    """The recipe and the settings that a new run begins with.

    The recipe's settings on other data, or from trained weights, make a run of another name with no measured result.
    Keypoints are always given by path: those in a folder of the recipe's data's name are its own.
    """
    base = find_recipe(name)
    data = _data_name(str(changes.get("data", base.data)))
    recipe = recipe_for(name, data) if "data" in changes else base
    own = recipe.settings.matches_data(data, recipe.data)
    begins = recipe.settings.starting_point(recipe.model, dict(changes))
    if not own or begins is not recipe.settings:
        recipe = replace(recipe, name=f"{recipe.model}-{_slug(data)}", result="not measured")
    return recipe, begins


def restarted() -> bool:
    """Were these processes started again by torchrun after one of them died (``--max-restarts``)?"""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def launcher() -> str:
    """What started these processes; the same for a job and its restarts, different for every job."""
    return f"{platform.node()}:{os.getppid()}" if "TORCHELASTIC_RUN_ID" in os.environ else ""


def _latest_run(*names: str) -> Path | None:
    """The run begun last of a recipe or a model of one of these names; after a restart, only this job's own."""
    found: list[Path] = []
    for root in Path("runs").iterdir() if Path("runs").is_dir() else []:
        run = latest(root)
        config = read_config(run) if run else None
        if run is None or config is None or not {config["recipe"], config["model"]} & set(names):
            continue
        if not restarted() or config.get("launcher") == launcher():
            found.append(run)
    return max(found, key=lambda run: (run / "config.json").stat().st_mtime, default=None)


def _saved_settings(kind: type[Settings], saved: Mapping[str, Any]) -> Settings:
    """Return the settings of a run directory, also of an earlier version.

    Raises
    ------
    TypeError
        A setting that exists no more has a value other than "off".
    """
    known = {f.name for f in fields(kind)}
    return kind(**{name: value for name, value in saved.items() if name in known or value not in (0, "none")})


def _slug(data: str) -> str:
    """A name for a run directory from a data set's name or path."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", Path(data).stem).strip("-.") or "data"


def _refuse_changes(run: Path | None, saved: Settings, changes: Mapping[str, Any]) -> None:
    different = [
        f"{key} was {getattr(saved, key)}, now {value}"
        for key, value in changes.items()
        if getattr(saved, key) != value and (key, value) != ("precision", "auto")
    ]
    if different:
        raise UsageError(f"{run}: the run was started with other settings: {'; '.join(different)}")


def _data_name(where: str) -> str:
    """The published name of a data set given by path, if it is one."""
    path = Path(where).expanduser()
    if not path.is_dir():
        return where
    for _, labels in find_idx(path).values():
        try:
            source = recognize(labels)
        except (OSError, EOFError):
            return where
        if source:
            return source.name
    return where
