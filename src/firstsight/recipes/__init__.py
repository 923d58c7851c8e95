"""Named experiments: network, data, settings, and the result they reach."""

from firstsight.recipes.lookup import find_recipe
from firstsight.recipes.recipe import ClassifySettings, GanSettings, PoseSettings, Recipe, Settings, TopDownSettings
from firstsight.recipes.table import RECIPES


def list_recipes(pattern: str = "") -> list[str]:
    """Names of the recipes that contain ``pattern``.

    >>> list_recipes("lenet-f")
    ['lenet-fashion']
    """
    return sorted(name for name in RECIPES if pattern in name)


__all__ = [
    "RECIPES",
    "ClassifySettings",
    "GanSettings",
    "PoseSettings",
    "Recipe",
    "Settings",
    "TopDownSettings",
    "find_recipe",
    "list_recipes",
]
