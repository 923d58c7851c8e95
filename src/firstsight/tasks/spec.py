"""Kinds of tasks: what `train`, `evaluate` and the command line need to know of each. Importing it imports no torch."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from firstsight.models.registry import MODELS


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """One kind of task, described by names that are imported when they are needed.

    Parameters
    ----------
    name : str
        The kind of the task and of its networks in the model registry.
    settings : str
        "module:class" of the settings, a subclass of `firstsight.tasks.settings.Settings`.
    default_settings : str
        "module:function" that returns the settings of a network without a recipe, ``(model) -> Settings``.
    build : str
        "module:class" of the experiment builder, a subclass of `firstsight.tasks.builder.Builder`.
    """

    name: str
    settings: str
    default_settings: str
    build: str

    def resolve(self, field: str) -> Any:
        """Import and return the object that a field names.

        >>> TASKS["gan"].resolve("settings").__name__
        'GANSettings'
        """
        module, attribute = getattr(self, field).split(":")
        return getattr(import_module(module), attribute)


TASKS: dict[str, TaskSpec] = {}


def register_task(spec: TaskSpec) -> None:
    """Add a kind of task; a spec of the same name is replaced."""
    TASKS[spec.name] = spec


def task_of(model: str) -> TaskSpec:
    """Return the task that a network of the model registry is trained for."""
    return TASKS[MODELS[model].kind]


for _name, _package, _builder, _settings in (
    ("classification", "classification", "ClassificationBuilder", "ClassificationSettings"),
    ("gan", "gan", "GANBuilder", "GANSettings"),
    ("bottom-up", "pose.bottom_up", "BottomUpBuilder", "BottomUpSettings"),
    ("top-down", "pose.top_down", "TopDownBuilder", "TopDownSettings"),
):
    register_task(
        TaskSpec(
            name=_name,
            settings=f"firstsight.tasks.{_package}.settings:{_settings}",
            default_settings=f"firstsight.tasks.{_package}.settings:default_settings",
            build=f"firstsight.tasks.{_package}.build:{_builder}",
        )
    )
