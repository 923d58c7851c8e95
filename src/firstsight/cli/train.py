"""``firstsight train``."""

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from firstsight.cli import is_first_process
from firstsight.cli.parse import parse
from firstsight.recipes import Settings, find_recipe


@dataclass(frozen=True)
class Arguments:
    """Train a recipe, or a model by the recipe made for the data. See: firstsight models.

    Writes a run directory with the trained model, metrics, figures and report.html. The defaults differ from recipe to
    recipe: firstsight train RECIPE --help shows those of one.
    """

    recipe: Annotated[Positional[str], tyro.conf.arg(metavar="RECIPE_OR_MODEL")]
    """Name of a recipe or a model."""
    settings: Settings = field(default_factory=Settings)
    """What the result depends on (defaults: those of the recipe)."""
    out: Path | None = None
    """Run directory (default: runs/RECIPE/1, 2, ...)."""
    resume: bool = False
    """Continue the run in --out, or the latest of this recipe; with the settings it was started with."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    strict: bool = False
    """Refuse data with unusable pictures instead of leaving them out."""
    checkpoint_seconds: float = 30.0
    """Seconds between checkpoints (0: after every step)."""
    log: Literal["none", "tensorboard"] = "none"
    """Also write the metrics for TensorBoard."""
    quiet: bool = False
    """No progress on stderr."""
    json: bool = False
    """Print the result as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, train, print."""
    arguments, changes = read(argv)
    from firstsight.cli.console import Watcher, print_json
    from firstsight.recipes.train import Where, train

    where = Where(
        out=arguments.out, device=arguments.device, strict=arguments.strict,
        checkpoint_seconds=arguments.checkpoint_seconds, log=arguments.log,
    )  # fmt: skip
    with Watcher(quiet=arguments.quiet) as watcher:
        result = train(arguments.recipe, resume=arguments.resume, observer=watcher, where=where, **changes)
    if not is_first_process():
        return 0
    if arguments.json:
        print_json({**asdict(result), "run_dir": str(result.run_dir)})
    else:
        print(f"{result.recipe}: test accuracy {result.metrics['accuracy']:.2%} after epoch {result.epochs}")
        speed = f"{result.samples_per_second:,.0f} training images/s"
        print(f"{result.seconds:.1f} s, {speed}, {result.parameters:,} parameters")
        print(f"report: {result.run_dir / 'report.html'}")
    return 0


def read(argv: list[str]) -> tuple[Arguments, dict[str, Any]]:
    """The arguments, and the settings that were given on the command line.

    They are read for the name first, then with that recipe's values as defaults (so that ``train lenet --help`` shows
    them), then with values that all differ: what is equal both times was given, even if it is the recipe's value.
    """
    if any(argument in ("-h", "--help") for argument in argv):
        named = argv[0] if not argv[0].startswith("-") else None
        default = Arguments(named, find_recipe(named).settings) if named else None
        parse(Arguments, "train", ["--help"], default=default)
    first = parse(Arguments, "train", argv)
    recipe = find_recipe(first.recipe)
    low = parse(Arguments, "train", argv, default=Arguments(first.recipe, recipe.settings))
    high = parse(Arguments, "train", argv, default=Arguments(first.recipe, _different(recipe.settings)))
    changes = {
        f.name: getattr(low.settings, f.name)
        for f in fields(Settings)
        if (
            f"--{f.name}" in argv
            if isinstance(getattr(low.settings, f.name), bool)
            else repr(getattr(low.settings, f.name)) == repr(getattr(high.settings, f.name))
        )
    }
    return low, changes


def _different(settings: Settings) -> Settings:
    """Settings that differ from ``settings`` in every field: what is equal after parsing both was given."""
    other: dict[str, Any] = {}
    for f in fields(Settings):
        value = getattr(settings, f.name)
        choices = getattr(Settings.__annotations__[f.name], "__args__", ())
        if isinstance(value, bool):  # a flag is given where it stands on the command line
            continue
        if choices:
            other[f.name] = next(choice for choice in choices if choice != value)
        else:
            other[f.name] = f"{value}?" if isinstance(value, str) else value + 1
    return replace(settings, **other)
