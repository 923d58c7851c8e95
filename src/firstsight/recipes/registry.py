"""Registry of the recipes: find the recipe for a name and a data set."""

from dataclasses import replace

from firstsight.errors import unknown_name
from firstsight.models.registry import MODELS
from firstsight.recipes.recipe import Recipe
from firstsight.recipes.zoo import DEFAULTS, RECIPES
from firstsight.tasks.spec import task_of


def register_recipe(recipe: Recipe, *, default: bool = False) -> None:
    """Add a recipe; with ``default``, the name of its network stands for it."""
    RECIPES[recipe.name] = recipe
    if default:
        DEFAULTS[recipe.model] = recipe.name


def find_recipe(name: str) -> Recipe:
    """Return the recipe of this name, or the default recipe of the network of this name.

    A network without a recipe gets the default settings of its task.

    Raises
    ------
    UsageError
        Unknown name; the message suggests similar ones.
    """
    recipe = RECIPES.get(DEFAULTS.get(name, name))
    if recipe is not None:
        return recipe
    if name not in MODELS:
        raise unknown_name("recipe or model", name, [*RECIPES, *MODELS], "see: firstsight models")
    return _unmeasured(name)


def recipe_for(name: str, data: str) -> Recipe:
    """Return the recipe for a name on a data set; the name of a network selects the recipe made for these data.

    >>> recipe_for("lenet", "fashion-mnist").name, recipe_for("lenet", "my-photos").name
    ('lenet-fashion', 'lenet-digits')
    """
    default = find_recipe(name)
    if name not in DEFAULTS:
        return default
    for recipe in RECIPES.values():
        if recipe.model == name and recipe.data == data:
            return recipe
    settings = default.settings.for_other_data(name)
    return default if settings is default.settings else replace(_unmeasured(name), settings=settings)


def _unmeasured(model: str) -> Recipe:
    settings = task_of(model).resolve("default_settings")(model)
    return Recipe(name=model, model=model, result="not measured", settings=settings)
