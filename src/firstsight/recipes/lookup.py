"""Finding the recipe that a name stands for, and settings for what has none."""

from dataclasses import replace

from firstsight.errors import unknown_name
from firstsight.gan import GANS
from firstsight.nets import MODELS
from firstsight.recipes.recipe import ClassifySettings, GanSettings, Recipe
from firstsight.recipes.table import DEFAULTS, INFOGAN, RECIPES


def fine_tuning(model: str, *, frozen: bool) -> ClassifySettings:
    """Settings for a network that begins with trained weights: small steps, or larger ones for a head alone."""
    return ClassifySettings(
        epochs=5, batch_size=32, lr=1e-3 if frozen else 1e-4, optimizer="adamw", weight_decay=0.02, flip="random",
        zoom=0.1, image_size=MODELS[model].image_size,
    )  # fmt: skip


def find_recipe(name: str) -> Recipe:
    """The recipe of that name, or the default one of the model of that name (a plain one where none was measured).

    Raises
    ------
    UsageError
        Neither is known; close matches are offered.
    """
    known = RECIPES.get(DEFAULTS.get(name, name))
    if known is not None:
        return known
    if name not in MODELS:
        raise unknown_name("recipe or model", name, [*RECIPES, *MODELS, *DEFAULTS], "see: firstsight models")
    settings = ClassifySettings(image_size=MODELS[name].image_size, optimizer="adamw", weight_decay=0.02, shift=2)
    return Recipe(name=name, model=name, result="not measured", settings=settings)


def recipe_for(name: str, data: str) -> Recipe:
    """The recipe for a name on a data set: a model's bare name picks the one that was made for these data.

    >>> recipe_for("lenet", "fashion-mnist").name, recipe_for("lenet", "my-photos").name
    ('lenet-fashion', 'lenet-digits')
    """
    default = find_recipe(name)
    if name not in DEFAULTS:
        return default
    made_for = [recipe for recipe in RECIPES.values() if recipe.model == name and recipe.data == data]
    if not made_for and name in GANS:
        return Recipe(name=name, model=name, result="not measured", settings=unmeasured(name))
    return made_for[0] if made_for else default


def unmeasured(model: str) -> GanSettings:
    """Settings of a generative adversarial network for data that nothing was measured on."""
    plain = replace(INFOGAN, continuous=2) if model == "infogan" else GanSettings()
    return replace(plain, data="", epochs=100, flip="none")
