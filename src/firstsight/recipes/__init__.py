"""Named experiments: network, data, settings, and the result they reach."""

from firstsight.models.registry import matches
from firstsight.recipes.recipe import Recipe
from firstsight.recipes.registry import find_recipe, register_recipe
from firstsight.recipes.zoo import RECIPES


def list_recipes(pattern: str = "") -> list[str]:
    """Return the sorted names of the recipes that match ``pattern`` (part of the name, or a glob pattern).

    >>> list_recipes("lenet-f")
    ['lenet-fashion']
    """
    return sorted(name for name in RECIPES if matches(name, pattern))


__all__ = ["RECIPES", "Recipe", "find_recipe", "list_recipes", "register_recipe"]
