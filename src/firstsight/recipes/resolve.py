"""Resolution of a training request: the recipe, its settings, and the run to continue."""

import os
import platform
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from firstsight.arguments import expand_user
from firstsight.data.images.find import recognize
from firstsight.data.images.idx import find_idx
from firstsight.documents.runs import RunConfig
from firstsight.engine.rundir import EXTENDABLE, ROOT, describe_resume, find_runs, is_extension, read_config
from firstsight.errors import DataError, RunError, UsageError, similar_names, suggest
from firstsight.recipes.config import SavedConfig, saved_settings, settings_of
from firstsight.recipes.recipe import Recipe
from firstsight.recipes.registry import find_recipe, recipe_for
from firstsight.tasks.settings import Settings

IDENTITY = ("data", "weights")
"""Settings that change the name of a run."""
MAX_SLUG_BYTES = 200
"""Maximum length of the part of a run's name for its data; file systems take names of 255 bytes."""
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
    name: str,
    changes: Mapping[str, Any],
    *,
    resume: bool = False,
    out: Path | None = None,
    config: SavedConfig | None = None,
) -> tuple[Recipe, Settings, Path | None]:
    """Return the recipe, its settings with the changes, and the directory of the run to continue, or None.

    A continued run keeps its saved settings. The changes must agree with them, except for a larger ``epochs`` or
    ``max_steps``, which extends the run.

    Parameters
    ----------
    name : str
        Name of a recipe or of a network; empty with ``config``.
    changes : Mapping[str, Any]
        Settings to change.
    resume : bool
        Continue the run in ``out``, or the latest run of the recipe; with ``data`` or ``weights`` among the changes,
        the latest run of the network on these data.
    out : Path | None
        Run directory.
    config : SavedConfig | None
        Configuration of a run, whose settings replace those of the recipe.

    Raises
    ------
    UsageError
        If the recipe or a setting is unknown, a value is impossible, a change differs from the saved settings,
        ``config`` is of another network, or a larger length is given for a run that does not exist.
    RunError
        If the saved settings are not those of a run.
    """
    if config:
        if name and find_recipe(name).model != config.config.model:
            raise UsageError(f"`config={config.file}`: is of a run of {config.config.model}, not of {name}")
        recipe, settings = _settings_of_config(config, changes)
        name, names, changes = config.name, [recipe.name], asdict(settings)
    else:
        recipe, settings = _new_settings(name, changes)
        names = [name, recipe.name]
    continued = None
    if resume and out is not None:
        continued = out if read_config(out) else None
    elif resume:
        is_named = any(key in changes for key in IDENTITY) and config is None
        continued = _find_latest(*names[is_named:])  # runs of the network on other data do not count
        if continued is None:
            _refuse_to_extend_nothing(recipe, changes)
    saved = read_config(continued) if continued else None
    if continued and saved:
        recipe, settings = _continued_settings(name, continued, saved, changes)
    settings.validate()
    settings.check_model(recipe.model)
    return recipe, settings, continued


def _refuse_to_extend_nothing(recipe: Recipe, changes: Mapping[str, Any]) -> None:
    """Refuse a length for a run that does not exist, if another run of the network may be meant.

    Raises
    ------
    UsageError
        The message names that run.
    """
    length = next((f"`{key}={changes[key]}`" for key in EXTENDABLE if key in changes), "")
    other = _find_latest(recipe.model) if length else None
    if other:
        raise UsageError(
            f"{recipe.name} has no run in {ROOT} that could be extended; extend another run of {recipe.model}, as in"
            f" {describe_resume(other)} {length}, or omit `resume` for a new run"
        )


def _new_settings(name: str, changes: Mapping[str, Any]) -> tuple[Recipe, Settings]:
    """Return the recipe and the settings of a new run with the changes."""
    recipe, initial = _initial_settings(name, changes)
    known = [f.name for f in fields(initial)]
    unknown = sorted(set(changes) - set(known))
    if unknown:
        raise UsageError(
            f"{recipe.name} has no setting {_describe_unknown(unknown, known)} (all: firstsight train"
            f" {name} --help-all)"
        )
    return recipe, initial.changed(dict(changes))


def _settings_of_config(config: SavedConfig, changes: Mapping[str, Any]) -> tuple[Recipe, Settings]:
    """Return the recipe and the settings of a saved configuration; on other data the run has another name."""
    recipe, settings = settings_of(config, changes)
    if any(changes.get(key, config.config.settings.get(key)) != config.config.settings.get(key) for key in IDENTITY):
        recipe = replace(recipe, name=_initial_settings(config.name, asdict(settings))[0].name)
    return recipe, settings


def _continued_settings(name: str, run: Path, saved: RunConfig, changes: Mapping[str, Any]) -> tuple[Recipe, Settings]:
    """Return the recipe and the settings of a run to continue."""
    base = find_recipe(name)
    recipe = Recipe(name=saved.recipe, model=saved.model, result="", settings=base.settings)
    if recipe.model != base.model:
        raise UsageError(f"{run}: was trained as {saved.recipe}, not as {name}; resume it under that name")
    settings = saved_settings(type(base.settings), saved.settings, run / "config.json")
    return recipe, _extend(run, settings, changes)


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
    """Return the run of the recipes or networks with these names that was started or extended last, or None.

    All runs below `ROOT` count, also those that ``out`` has named. After a restart, only runs of this job count.
    """
    for run in sorted(find_runs(ROOT), key=_time_of, reverse=True):
        config = _read_if_own(run, names)
        if config is None:  # killed before it began
            continue
        if {config.recipe, config.model} & set(names) and (not is_restart() or config.launcher == launcher_id()):
            return run
    return None


def _time_of(run: Path) -> int:
    """Return when a run was started or extended; 0 if it has no configuration."""
    try:
        return (run / "config.json").stat().st_mtime_ns
    except OSError:
        return 0


def _read_if_own(run: Path, names: tuple[str, ...]) -> RunConfig | None:
    """Return the configuration of a run, or None if it has none.

    A damaged one is an error only in the folder of these recipes.
    """
    try:
        return read_config(run)
    except (OSError, RunError):
        if run.parent.name in names:
            raise
        return None


def _slug(data: str) -> str:
    """Return the part of a run directory's name for a data set, given by name or path.

    Letters and digits of all scripts are kept, composed (NFC). Others, which a file system or a shell may not take,
    become hyphens.

    >>> _slug("~/my photos (2).zip"), _slug("내 사진/"), _slug("???")
    ('my-photos-2', '내-사진', 'data')
    """
    name = unicodedata.normalize("NFC", Path(data).stem)
    kept = "".join(
        char if char.isalnum() or char in "_." or unicodedata.category(char)[0] == "M" else "-" for char in name
    )
    short = kept.encode()[:MAX_SLUG_BYTES].decode(errors="ignore")
    return re.sub(r"-+", "-", short).strip("-.") or "data"


def _extend(run: Path, saved: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return the settings of a run to continue: the saved ones, and a larger length from the changes.

    Raises
    ------
    UsageError
        If another change differs from the saved settings.
    """
    differing = {
        key: value
        for key, value in changes.items()
        if getattr(saved, key) != value and (key, value) != ("precision", "auto")
    }
    longer = {key: value for key, value in differing.items() if is_extension(key, getattr(saved, key), value)}
    different = [
        f"{key} was {getattr(saved, key)}, now {value}" for key, value in differing.items() if key not in longer
    ]
    if different:
        raise UsageError(
            f"{run}: cannot resume with other settings ({'; '.join(different)});"
            " omit them, or start a new run without `resume`"
        )
    return replace(saved, **longer)


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
