"""Recipes: named experiments with network, data, settings and measured result."""

from firstsight.recipes.recipe import Recipe
from firstsight.recipes.registry import find_recipe, list_recipes, register_recipe
from firstsight.recipes.zoo import RECIPES

__all__ = ["RECIPES", "Recipe", "find_recipe", "list_recipes", "register_recipe"]
