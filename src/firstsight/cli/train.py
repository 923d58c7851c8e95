"""``firstsight train``."""

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

import tyro
from tyro.conf import Positional

from firstsight.cli import is_first_process
from firstsight.cli.parse import Device, Flag, Maybe, parse
from firstsight.errors import UsageError
from firstsight.recipes import RECIPES, find_recipe
from firstsight.recipes.zoo import DEFAULTS
from firstsight.tasks.settings import Settings
from firstsight.tasks.spec import task_of

S = TypeVar("S", bound=Settings)
Switch = Annotated[Flag, tyro.conf.FlagCreatePairsOff]


@dataclass(frozen=True)
class Arguments(Generic[S]):
    """Train a recipe, or a model by the recipe made for the data. See: firstsight models.

    Writes a run directory with the trained model, metrics, figures and report.html. The defaults differ from recipe to
    recipe: firstsight train RECIPE --help shows those of one.
    """

    recipe: Annotated[Positional[str], tyro.conf.arg(metavar="RECIPE_OR_MODEL")]
    """Name of a recipe or a model."""
    settings: S
    """What the result depends on (defaults: those of the recipe)."""
    out: Maybe[Path] = None
    """Run directory (default: runs/RECIPE/1, 2, ...)."""
    resume: Switch = False
    """Continue the run in --out, or the latest of this recipe; with the settings it was started with."""
    device: Device = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    strict: Switch = False
    """Refuse data with unusable pictures instead of leaving them out."""
    checkpoint_seconds: float = 30.0
    """Seconds between checkpoints (0: after every step)."""
    log: Literal["none", "tensorboard"] = "none"
    """Also write the metrics for TensorBoard."""
    quiet: Switch = False
    """No progress on stderr."""
    json: Switch = False
    """Print the result as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, train, print."""
    arguments, changes = read(argv)
    from firstsight.cli.console import ConsoleCallback, print_json
    from firstsight.recipes.train import RunOptions, train

    where = RunOptions(
        out=arguments.out, device=arguments.device, strict=arguments.strict,
        checkpoint_seconds=arguments.checkpoint_seconds, log=arguments.log,
    )  # fmt: skip
    with ConsoleCallback(quiet=arguments.quiet) as watcher:
        result = train(arguments.recipe, resume=arguments.resume, callback=watcher, where=where, **changes)
    if not is_first_process():
        return 0
    if arguments.json:
        print_json({**asdict(result), "run_dir": str(result.run_dir)})
    else:
        print(f"{result.recipe}: {result.headline} after epoch {result.epochs}")
        speed = f"{result.samples_per_second:,.0f} training images/s"
        print(f"{result.seconds:.1f} s, {speed}, {result.parameters:,} parameters")
        print(f"report: {result.run_dir / 'report.html'}")
    return 0


def read(argv: list[str]) -> tuple[Arguments[Settings], dict[str, Any]]:
    """The arguments, and the settings that were given on the command line.

    They are read for the name first, then with that recipe's values as defaults (so that ``train lenet --help`` shows
    them), then with values that all differ: what is equal both times was given, even if it is the recipe's value.
    """
    named = next((word for word in argv if word in RECIPES or word in DEFAULTS), None)
    kind = _arguments_of(named) if named else _arguments_of("lenet")
    if any(word in ("-h", "--help") for word in argv):
        named = argv[0] if not argv[0].startswith("-") else None
        default = Arguments(named, find_recipe(named).settings) if named else None
        parse(kind, "train", ["--help"], default=default, pairs=True)
    if named:
        _refuse_settings_of_others(argv, named)
    first = parse(kind, "train", argv, pairs=True)
    begins = find_recipe(first.recipe).settings
    low = parse(kind, "train", argv, default=Arguments(first.recipe, begins), pairs=True)
    high = parse(kind, "train", argv, default=Arguments(first.recipe, _different(begins)), pairs=True)
    changes = {
        f.name: value
        for f in fields(begins)
        if (
            not {f"--{f.name.replace('_', '-')}", f"--no-{f.name.replace('_', '-')}"}.isdisjoint(argv)
            if isinstance(value := getattr(low.settings, f.name), bool)
            else repr(value) == repr(getattr(high.settings, f.name))
        )
    }
    return low, changes


def _arguments_of(name: str) -> type[Arguments[Any]]:
    """Return the arguments with the settings of the recipe's task."""
    settings: Any = task_of(find_recipe(name).model).resolve("settings")
    return Arguments[settings]


def _refuse_settings_of_others(argv: list[str], name: str) -> None:
    """Say of a setting that this recipe does not have which recipe has it."""
    own = {f.name for f in (*fields(Arguments), *fields(find_recipe(name).settings))}
    for word in argv:
        setting = word.split("=")[0].removeprefix("--no-").removeprefix("--").replace("-", "_")
        if not word.startswith("--") or setting in own:
            continue
        having = [r for r in RECIPES.values() if setting in {f.name for f in fields(r.settings)}]
        using = [r for r in having if getattr(r.settings, setting) != getattr(type(r.settings)(), setting)]
        for recipe in (using or having)[:1]:
            has = f"{recipe.name} has (see: firstsight train {name} --help)"
            raise UsageError(f"{name} has no {word.split('=')[0]}, as {has}")


def _different(settings: S) -> S:
    """Settings that differ from ``settings`` in every field: what is equal after parsing both was given."""
    other: dict[str, Any] = {}
    hints = get_type_hints(type(settings))
    for name in (f.name for f in fields(settings)):
        hint = hints[name]
        value, choices = getattr(settings, name), get_args(hint) if get_origin(hint) is Literal else ()
        if isinstance(value, bool):  # a flag is given where it stands on the command line
            continue
        if choices:
            other[name] = next(choice for choice in choices if choice != value)
        elif isinstance(value, str):
            other[name] = f"{value}?" if hint is str else 1.0  # a number, or a name
        else:
            other[name] = value + 1
    return replace(settings, **other)
