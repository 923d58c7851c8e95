"""Registry of recipes: lookup by name and by data set."""

from dataclasses import replace

from firstsight.arguments import check_arguments
from firstsight.errors import unknown_name
from firstsight.models.registry import MODELS, matches
from firstsight.recipes.recipe import Recipe
from firstsight.recipes.zoo import DEFAULTS, RECIPES
from firstsight.tasks.spec import task_of


def register_recipe(recipe: Recipe, *, default: bool = False) -> None:
    """Add a recipe to the registry; a recipe with the same name is replaced.

    Parameters
    ----------
    recipe : Recipe
        The recipe.
    default : bool
        Make it the default recipe of its network.
    """
    RECIPES[recipe.name] = recipe
    if default:
        DEFAULTS[recipe.model] = recipe.name


def find_recipe(name: str) -> Recipe:
    """Return a recipe by its name, or the default recipe of a network by the network's name.

    A network without a recipe gets the default settings of its task.

    Parameters
    ----------
    name : str
        Name of a recipe or of a network.

    Raises
    ------
    UsageError
        If the name is unknown; the message suggests similar names.
    """
    recipe = RECIPES.get(DEFAULTS.get(name, name))
    if recipe is not None:
        return recipe
    if name not in MODELS:
        raise unknown_name("recipe or model", name, [*RECIPES, *MODELS], "see: firstsight models")
    return _default_recipe(name)


def recipe_for(name: str, data: str) -> Recipe:
    """Return the recipe for a name and a data set.

    For the name of a network, this is its recipe for the data set, or else its default recipe.

    Parameters
    ----------
    name : str
        Name of a recipe or of a network.
    data : str
        Name of a data set, or a path.

    Examples
    --------
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
    return default if settings is default.settings else replace(_default_recipe(name), settings=settings)


def _default_recipe(model: str) -> Recipe:
    """Return an unmeasured recipe with the default settings of the network's task."""
    settings = task_of(model).resolve("default_settings")(model)
    return Recipe(name=model, model=model, result="not measured", settings=settings)


def list_recipes(pattern: str = "") -> list[str]:
    """Return the sorted names of the recipes that match a pattern.

    Parameters
    ----------
    pattern : str
        Part of the name, or a glob pattern; an empty string matches all.

    Examples
    --------
    >>> list_recipes("lenet-f*")
    ['lenet-fashion']
    """
    check_arguments(list_recipes, locals())
    return sorted(name for name in RECIPES if matches(name, pattern))
