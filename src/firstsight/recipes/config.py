"""Trainings that are described by a run: the same settings again (``config``), or a run to continue by its name."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from firstsight.arguments import expand_user, ignore
from firstsight.documents.runs import RunConfig
from firstsight.engine.rundir import LATEST, find_latest, list_differences, read_config_file
from firstsight.errors import RunError, UsageError
from firstsight.models.registry import MODELS
from firstsight.recipes.recipe import Recipe
from firstsight.recipes.registry import find_recipe
from firstsight.recipes.zoo import DEFAULTS, RECIPES
from firstsight.tasks.settings import Settings


class SavedConfig(NamedTuple):
    """Configuration of a run, and its file.

    Parameters
    ----------
    file : Path
        The ``config.json``.
    config : RunConfig
        Its content.
    """

    file: Path
    config: RunConfig

    @property
    def name(self) -> str:
        """Name of the recipe, or of the network if the recipe is not one of the registry."""
        recipe = RECIPES.get(self.config.recipe)
        return self.config.recipe if recipe and recipe.model == self.config.model else self.config.model


def load_config(source: str | Path, *, notify: Callable[[str], None] = ignore) -> SavedConfig:
    """Read the configuration of a run whose settings are to be used again.

    Parameters
    ----------
    source : str | Path
        A ``config.json``, a run directory, or "latest" for the newest run in ``runs``.
    notify : Callable[[str], None]
        Called with the run that "latest" means.

    Raises
    ------
    UsageError
        If there is no such file.
    RunError
        If the file is damaged, is of another program, or names a network that is not registered.
    """
    path = find_latest(source, notify=notify) or expand_user(source)
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"`config={source}`: there is no file {file}")
    config = read_config_file(file)
    if config.model not in MODELS:
        raise RunError(f"{file}: its network {config.model} is not one of this version (see: firstsight models)")
    return SavedConfig(file, config)


def settings_of(saved: SavedConfig, changes: Mapping[str, Any]) -> tuple[Recipe, Settings]:
    """Return the recipe and the settings of a configuration, with changes.

    Parameters
    ----------
    saved : SavedConfig
        The configuration.
    changes : Mapping[str, Any]
        Settings to change.

    Raises
    ------
    UsageError
        If the network does not have a setting of the changes.
    RunError
        If a saved value is impossible, or of another version.
    """
    base = find_recipe(saved.name)
    settings = saved_settings(type(base.settings), saved.config.settings, saved.file)
    unknown = sorted(set(changes) - {f.name for f in fields(settings)})
    if unknown:
        raise UsageError(
            f"{saved.config.model} has no setting '{unknown[0]}' (all: firstsight train {base.name} --help-all)"
        )
    return replace(base, name=saved.config.recipe, result="not measured"), replace(settings, **changes)


def saved_settings(kind: type[Settings], saved: Mapping[str, Any], file: Path) -> Settings:
    """Return the settings of a ``config.json``, which an earlier version may have written.

    Parameters
    ----------
    kind : type[Settings]
        Class of the settings.
    saved : Mapping[str, Any]
        Values by name. A setting that no longer exists is left out if it is 0 or "none".
    file : Path
        The file, for messages.

    Raises
    ------
    UsageError
        If a setting that no longer exists has another value.
    RunError
        If a value is impossible.
    """
    known = {f.name for f in fields(kind)}
    lost = [name for name, value in saved.items() if name not in known and value not in (0, "none")]
    if lost:
        raise UsageError(
            f"{file.parent}: was started by another version of firstsight with other settings ({', '.join(lost)});"
            " start a new run with settings of this version"
        )
    settings = kind(**{name: value for name, value in saved.items() if name in known})
    try:
        settings.validate()
    except UsageError as error:
        raise RunError(f"{file}: {error}; restore the file") from None
    return settings


def describe_changes(saved: SavedConfig, now: RunConfig) -> list[str]:
    """Return one sentence for each reason why a run differs from the one whose configuration it uses.

    Parameters
    ----------
    saved : SavedConfig
        Configuration of the earlier run.
    now : RunConfig
        Configuration of the new run.
    """
    file, before = saved
    known = {name: before.settings[name] for name in before.settings.keys() & now.settings.keys()}
    settings = list_differences(known, {name: now.settings[name] for name in known})
    data = (
        [] if "data" in [item.partition(" was ")[0] for item in settings] else list_differences(before.data, now.data)
    )
    machine = list_differences(_machine(before), _machine(now))
    sentences = [f"settings of {file}, except for: {'; '.join(settings)}" if settings else f"settings of {file}"]
    if data:
        sentences.append(f"the data are not those of {file}: {'; '.join(data)}")
    if machine:
        sentences.append(f"the last bits may differ from those of {file.parent}: {'; '.join(machine)}")
    if before.extended:
        lengths = ", ".join(map(str, before.extended))
        sentences.append(f"{file.parent} was extended (from {lengths} epochs); a run of this length has other bits")
    return sentences


def _machine(config: RunConfig) -> dict[str, Any]:
    """Return what the bits of a result depend on, in addition to settings and data."""
    versions = {name: version for name, version in config.versions.items() if name in ("torch", "firstsight")}
    return {"device": config.device, "processes": config.processes, **versions}


def run_of(name: str, *, notify: Callable[[str], None] = ignore) -> SavedConfig | None:
    """Return the configuration of the run that a name means, or None for the name of a recipe or a network.

    Parameters
    ----------
    name : str
        Name of a recipe or a network, a run directory, or "latest".
    notify : Callable[[str], None]
        Called with the run that "latest" means.

    Raises
    ------
    UsageError, RunError
        See `load_config`.
    """
    if not name or name in RECIPES or name in DEFAULTS or name in MODELS:
        return None
    if name != LATEST and not (expand_user(name) / "config.json").is_file():
        return None
    return load_config(name, notify=notify)


def check_recipe_name(name: str) -> None:
    """Refuse the name of a run where a recipe is expected.

    Parameters
    ----------
    name : str
        Name of a recipe or a network.

    Raises
    ------
    UsageError
        If it is "latest" or a run directory; the message says how to continue or repeat the run.
    """
    is_recipe = name in RECIPES or name in DEFAULTS or name in MODELS
    if not is_recipe and (name == LATEST or (expand_user(name) / "config.json").is_file()) and name:
        raise UsageError(f"{name}: is a run; continue it with `resume=True`, or train again with `config={name}`")
