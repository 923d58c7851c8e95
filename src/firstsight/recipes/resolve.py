"""Resolution of a training request: the recipe, its settings, and the run to continue."""

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from firstsight.arguments import expand_user
from firstsight.data.images.find import recognize
from firstsight.data.images.idx import find_idx
from firstsight.documents.runs import RunConfig
from firstsight.engine.rundir import ROOT, numbered_runs, read_config
from firstsight.errors import DataError, RunError, UsageError, similar_names, suggest
from firstsight.recipes.recipe import Recipe
from firstsight.recipes.registry import find_recipe, recipe_for
from firstsight.tasks.settings import Settings

SYNONYMS = {
    "learning_rate": "lr",
    "wd": "weight_decay",
    "bs": "batch_size",
    "dataset": "data",
    "img_size": "image_size",
    "dtype": "precision",
    "pretrained": "weights",
}
"""Names of settings in other libraries, and the names here."""


def resolve(
    name: str, changes: Mapping[str, Any], *, resume: bool = False, out: Path | None = None
) -> tuple[Recipe, Settings, Path | None]:
    """Return the recipe, its settings with the changes, and the directory of the run to continue, or None.

    A continued run keeps its saved settings. The changes must agree with them.

    Parameters
    ----------
    name : str
        Name of a recipe or of a network.
    changes : Mapping[str, Any]
        Settings to change.
    resume : bool
        Continue the run in ``out``, or the latest run of the recipe.
    out : Path | None
        Run directory.

    Raises
    ------
    UsageError
        If the recipe or a setting is unknown, a value is impossible, or a change differs from the saved settings.
    RunError
        If the saved settings are not those of a run.
    """
    base = find_recipe(name)
    if not resume:
        continued = None
    elif out is not None:
        continued = out if read_config(out) else None
    else:
        continued = _find_latest(name, _initial_settings(name, changes)[0].name)
    saved = read_config(continued) if continued else None
    if saved is None:
        recipe, initial = _initial_settings(name, changes)
        known = [f.name for f in fields(initial)]
        unknown = sorted(set(changes) - set(known))
        if unknown:
            raise UsageError(
                f"{recipe.name} has no setting {_describe_unknown(unknown, known)} (all: firstsight train"
                f" {name} --help-all)"
            )
        settings = replace(initial, **changes)
    else:
        recipe = Recipe(name=saved.recipe, model=saved.model, result="", settings=base.settings)
        if recipe.model != base.model:
            message = f"{continued}: was trained as {saved.recipe}, not as {name}; resume it under that name"
            raise UsageError(message)
        try:
            settings = _saved_settings(type(base.settings), saved.settings)
        except TypeError:
            raise UsageError(
                f"{continued}: was started by another version of firstsight with other settings;"
                " start a new run without `resume`"
            ) from None
        try:
            settings.validate()
        except UsageError as error:
            raise RunError(f"{continued}/config.json: {error}; restore the file") from None
        _check_unchanged(continued, settings, changes)
    settings.validate()
    return recipe, settings, continued


def _initial_settings(name: str, changes: Mapping[str, Any]) -> tuple[Recipe, Settings]:
    """Return the recipe and the settings of a new run.

    On other data, or from trained weights, the run has another name and no measured result. Keypoints are always given
    by path, so a folder with the name of the recipe's data counts as these data.
    """
    base = find_recipe(name)
    data = _dataset_name(str(changes.get("data", base.data)))
    recipe = recipe_for(name, data) if "data" in changes else base
    is_own_data = recipe.settings.matches_data(data, recipe.data)
    initial = recipe.settings.starting_point(recipe.model, dict(changes))
    if not is_own_data or initial is not recipe.settings:
        recipe = replace(recipe, name=f"{recipe.model}-{_slug(data)}", result="not measured")
    return recipe, initial


def _describe_unknown(unknown: list[str], known: list[str]) -> str:
    """Return unknown settings and similar ones, as in "'learning_rate'; did you mean lr?"."""
    similar: list[str] = []
    for name in unknown:
        synonym = SYNONYMS.get(name)
        similar += [synonym] if synonym in known else similar_names(name, known)
    hint = suggest(dict.fromkeys(similar))
    return ", ".join(f"'{name}'" for name in unknown) + (f"; {hint}" if hint else "")


def is_restart() -> bool:
    """Return whether torchrun has restarted these processes after one of them died (``--max-restarts``)."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def launcher_id() -> str:
    """Return an identifier of the torchrun process that started this one; an empty string without torchrun.

    It is the same for a job and its restarts, and different for each job.
    """
    return f"{platform.node()}:{os.getppid()}" if "TORCHELASTIC_RUN_ID" in os.environ else ""


def _find_latest(*names: str) -> Path | None:
    """Return the newest run of the recipes or networks with these names; after a restart, only of this job."""
    runs: list[Path] = []
    for root in ROOT.iterdir() if ROOT.is_dir() else []:
        for run in numbered_runs(root):
            config = _read_if_own(run, names)
            if config is None:  # killed before it began
                continue
            if {config.recipe, config.model} & set(names) and (not is_restart() or config.launcher == launcher_id()):
                runs.append(run)
            break
    return max(runs, key=lambda run: (run / "config.json").stat().st_mtime, default=None)


def _read_if_own(run: Path, names: tuple[str, ...]) -> RunConfig | None:
    """Return the configuration of a run, or None if it has none.

    A damaged one is an error only in the folder of these recipes.
    """
    try:
        return read_config(run)
    except RunError:
        if run.parent.name in names:
            raise
        return None


def _saved_settings(kind: type[Settings], saved: Mapping[str, Any]) -> Settings:
    """Return the settings of a run directory, which an earlier version may have written.

    Raises
    ------
    TypeError
        If a setting that no longer exists has a value other than 0 or "none".
    """
    known = {f.name for f in fields(kind)}
    return kind(**{name: value for name, value in saved.items() if name in known or value not in (0, "none")})


def _slug(data: str) -> str:
    """Return the part of a run directory's name for a data set, given by name or path."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", Path(data).stem).strip("-.") or "data"


def _check_unchanged(run: Path | None, saved: Settings, changes: Mapping[str, Any]) -> None:
    different = [
        f"{key} was {getattr(saved, key)}, now {value}"
        for key, value in changes.items()
        if getattr(saved, key) != value and (key, value) != ("precision", "auto")
    ]
    if different:
        raise UsageError(
            f"{run}: cannot resume with other settings ({'; '.join(different)});"
            " omit them, or start a new run without `resume`"
        )


def _dataset_name(data: str) -> str:
    """Return the name of the known data set in a folder; ``data`` unchanged if it is none."""
    path = expand_user(data)
    if not path.is_dir():
        return data
    try:
        label_files = [labels for _, labels in find_idx(path).values()]
    except DataError:  # the message of the loader says more
        return data
    datasets = (recognize(labels) for labels in label_files)
    return next((info.name for info in datasets if info), data)
