"""``firstsight models``."""

from dataclasses import asdict, dataclass
from typing import Annotated

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import Flag, Maybe, parse

EXAMPLES = ("firstsight models", "firstsight models 'resnet*'")


@dataclass(frozen=True)
class Arguments:
    """List the networks and the recipes, with their size and the result that they reach."""

    pattern: Annotated[Positional[str], tyro.conf.arg(metavar="[PATTERN]")] = ""
    """Part of a name, or a glob pattern such as resnet*."""
    kind: Maybe[str] = None
    """Only networks of this kind: classification, gan, bottom-up or top-down."""
    json: Flag = False
    """Print as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse and print; an unknown pattern is an error with the close matches."""
    arguments = parse(Arguments, "models", argv, examples=EXAMPLES)
    from firstsight.cli.console import print_json, print_table, say, table
    from firstsight.cli.names import describe_name
    from firstsight.errors import UsageError, unknown_name
    from firstsight.models.registry import MODELS, list_models, matches
    from firstsight.recipes import RECIPES
    from firstsight.tasks.spec import TASKS
    from firstsight.weights.bundled import bundled

    if arguments.kind is not None and arguments.kind not in TASKS:
        raise UsageError(f"`kind` must be one of {', '.join(TASKS)}; got {arguments.kind}")
    models = [MODELS[name] for name in list_models(arguments.pattern, kind=arguments.kind)]
    recipes = [
        recipe
        for recipe in RECIPES.values()
        if (matches(recipe.name, arguments.pattern) or arguments.pattern == recipe.model)
        and arguments.kind in (None, MODELS[recipe.model].kind)
    ]
    if not models and not recipes:
        if text := describe_name(arguments.pattern, "a model or recipe"):
            raise UsageError(text)
        raise unknown_name("model or recipe", arguments.pattern, [*MODELS, *RECIPES], "see: firstsight models")
    weights = bundled()
    if arguments.json:
        print_json(
            {
                "models": [
                    {
                        "name": m.name,
                        "kind": m.kind,
                        "summary": m.summary,
                        "parameters": m.parameters,
                        "variants": list(m.variants),
                    }
                    for m in models
                ],
                "recipes": [
                    {
                        "name": r.name,
                        "model": r.model,
                        "result": r.result,
                        "weights": r.name in weights,
                        "settings": asdict(r.settings),
                    }
                    for r in recipes
                ],
            }
        )
        return 0
    if models:
        rows = table("model", "kind", "parameters", "description", right=("parameters",))
        for info in models:
            variants = f"; variants: {', '.join(info.variants)}" if info.variants else ""
            rows.add_row(info.name, info.kind, f"{info.parameters:,}", info.summary + variants)
        print_table(rows, "description")
    if recipes:
        rows = table("recipe", "data", "epochs", "result (measured)", "weights", right=("epochs",))
        for recipe in recipes:
            settings = recipe.settings
            available = "bundled" if recipe.name in weights else "-"
            rows.add_row(recipe.name, settings.data, str(settings.epochs), recipe.result, available)
        say("")
        print_table(rows, "result (measured)")
        say("", "Train a recipe: firstsight train RECIPE. Use bundled weights by the name of their recipe:")
        commands = dict.fromkeys(spec.command for spec in TASKS.values())
        say(", ".join(f"firstsight {command} --help" for command in commands) + " say how.")
    return 0
