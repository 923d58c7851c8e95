"""``firstsight models``."""

from dataclasses import asdict, dataclass
from typing import Annotated

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import Flag, parse


@dataclass(frozen=True)
class Arguments:
    """The networks and recipes, with their size and the result they reach."""

    pattern: Annotated[Positional[str], tyro.conf.arg(metavar="[PATTERN]", help_behavior_hint="")] = ""
    """Only names that contain this."""
    json: Flag = False
    """Print as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse and print; an unknown pattern is an error with the close matches."""
    arguments = parse(Arguments, "models", argv)
    from firstsight.cli.console import out, print_json, table
    from firstsight.errors import unknown_name
    from firstsight.models.registry import MODELS, list_models, matches
    from firstsight.recipes import RECIPES
    from firstsight.weights.bundled import bundled

    kept = bundled()
    models = [MODELS[name] for name in list_models(arguments.pattern)]
    recipes = [r for r in RECIPES.values() if matches(r.name, arguments.pattern) or arguments.pattern == r.model]
    if not models and not recipes:
        raise unknown_name("model or recipe", arguments.pattern, [*MODELS, *RECIPES], "see: firstsight models")
    if arguments.json:
        print_json(
            {
                "models": [{"name": m.name, "summary": m.summary, "parameters": m.parameters} for m in models],
                "recipes": [
                    {
                        "name": r.name,
                        "model": r.model,
                        "result": r.result,
                        "weights": r.name in kept,
                        "settings": asdict(r.settings),
                    }
                    for r in recipes
                ],
            }
        )
        return 0
    console = out()
    if models:
        shown = table("model", "parameters", "what it is", right=("parameters",))
        for entry in models:
            shown.add_row(entry.name, f"{entry.parameters:,}", entry.summary)
        console.print(shown)
    if recipes:
        shown = table("recipe", "data", "epochs", "result (measured)", "weights", right=("epochs",))
        for recipe in recipes:
            settings = recipe.settings
            shown.add_row(
                recipe.name,
                settings.data,
                str(settings.epochs),
                recipe.result,
                "shipped" if recipe.name in kept else "-",
            )
        console.print()
        console.print(shown)
        console.print()
        console.print("firstsight train RECIPE trains it. Where weights are shipped, its name is enough to use them:")
        console.print("firstsight predict RECIPE IMAGE; of a generator firstsight generate RECIPE; of a pose network")
        console.print("firstsight pose IMAGE --model RECIPE.")
    return 0
