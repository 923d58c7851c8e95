"""``firstsight train``."""

import itertools
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from firstsight.cli import is_first_process
from firstsight.cli.names import check_recipe, check_training
from firstsight.cli.parse import ADVANCED, Device, Flag, Maybe, parse_given
from firstsight.errors import UsageError
from firstsight.recipes import RECIPES, find_recipe
from firstsight.recipes.config import check_recipe_name, load_config, run_of
from firstsight.recipes.zoo import DEFAULTS

EXAMPLES = (
    "firstsight train lenet",
    "firstsight train resnet18 --data photos/ --weights imagenet --out runs/mine",
)
FLAGS = ("--resume", "--open", "--quiet", "--strict", "--json")
"""Options without a value, which can be in front of the name."""
DEFAULT = "lenet"
"""Recipe whose settings the help shows if none is named."""


@dataclass(frozen=True)
class Arguments:
    """Train a recipe, or a model with the recipe made for the data.

    Writes a run directory with the trained model, metrics, figures and report.html. The defaults differ between
    recipes: firstsight train RECIPE --help shows those of one.
    """

    recipe: Annotated[Positional[str], tyro.conf.arg(metavar="[RECIPE_OR_MODEL]")] = ""
    """Name of a recipe or a model (see: firstsight models); with --resume also a run directory, or latest, or none for
    the newest interrupted run."""
    config: Maybe[str] = None
    """Train again with the settings of a run, given by its config.json, its directory or latest; options replace some
    of them."""
    out: Maybe[Path] = None
    """Run directory (default: runs/RECIPE/1, 2, ...)."""
    resume: Flag = False
    """Continue the run in --out, or the latest of this recipe below runs/, with its settings. A larger --epochs extends
    it."""
    open: Flag = False
    """Open the report in the browser at the end."""
    device: Device = "auto"
    """Device to compute on; auto uses a GPU if there is one."""
    strict: Annotated[bool, ADVANCED] = False
    """Refuse data with unusable images instead of leaving them out."""
    checkpoint_seconds: Annotated[float, ADVANCED] = 30.0
    """Seconds between checkpoints (0: after every step)."""
    log: Annotated[Literal["none", "tensorboard"], ADVANCED] = "none"
    """Also write the metrics for TensorBoard."""
    quiet: Annotated[bool, ADVANCED] = False
    """Show no progress on stderr."""
    json: Flag = False
    """Print the result as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, train, print."""
    arguments, changes = read(argv)
    from firstsight.cli.console import as_options, open_in_browser, print_json, say
    from firstsight.recipes.progress import ProgressBar
    from firstsight.recipes.train import train

    with ProgressBar(quiet=arguments.quiet, translate=as_options) as callback:
        result = train(
            arguments.recipe,
            config=arguments.config,
            out=arguments.out,
            resume=arguments.resume,
            device=arguments.device,
            strict=arguments.strict,
            checkpoint_seconds=arguments.checkpoint_seconds,
            log=arguments.log,
            callback=callback,
            **changes,
        )
    if not is_first_process():
        return 0
    if arguments.json:
        print_json(result.to_dict())
    else:
        say(result.title)
        speed = f"{result.samples_per_second:,.0f} training images/s"
        say(f"{result.seconds:.1f} s, {speed}, {result.parameters:,} parameters")
        say(*(as_options(line) for line in (result.early_stopping, result.diagnosis) if line))
        say(f"report: {result.run_dir / 'report.html'}")
    if arguments.open:
        open_in_browser(result.report)
    return 0


def read(argv: list[str]) -> tuple[Arguments, dict[str, Any]]:
    """Return the arguments, and the settings that were given on the command line."""
    named = next((word for word in argv if word in RECIPES or word in DEFAULTS), None) or _named_by_run(argv)
    if named is None and argv and not argv[0].startswith("-"):
        check_recipe_name(argv[0])
        check_recipe(argv[0])  # before its options
        named = argv[0]
    recipe = find_recipe(named or DEFAULT)
    weights = _value_of("--weights", argv)
    settings = recipe.settings.starting_point(recipe.model, {"weights": weights} if weights else {})
    if named:
        _refuse_settings_of_others(argv, named)
    given, changes = parse_given(
        Arguments,
        "train",
        argv,
        settings=settings,
        basic=type(settings).BASIC,
        examples=_examples(named),
        target=named or "",
    )
    if not given.get("recipe") and "config" not in given and not given.get("resume"):
        raise UsageError("missing: RECIPE_OR_MODEL (see: firstsight train --help)")
    if named is None and given.get("recipe"):
        check_recipe(given["recipe"])
    if given.get("recipe"):
        resume, out = given.get("resume", False), given.get("out")
        check_training(named or given["recipe"], changes, resume=resume, out=out, argv=argv)
    return Arguments(**given), changes


def _named_by_run(argv: list[str]) -> str | None:
    """Return the recipe or the network of the run that ``--config``, or ``--resume`` with a name or alone, means."""
    if config := _value_of("--config", argv):
        return load_config(config).name
    if "--resume" not in argv:
        return None
    pairs = itertools.pairwise(["", *argv])
    words = [word for before, word in pairs if word[:1] != "-" and (before[:2] != "--" or before in FLAGS)]
    if not words:
        from firstsight.recipes.interrupted import run_to_resume

        try:
            return run_to_resume(Path(out) if (out := _value_of("--out", argv)) else None).name
        except UsageError:  # the training raises it again, after the options were checked
            return None
    runs = (run_of(word) for word in words)
    return next((run.name for run in runs if run), None)


def _value_of(option: str, argv: list[str]) -> str | None:
    """Return the value of an option on the command line; with pretrained weights other defaults apply."""
    for word, following in itertools.pairwise([*argv, ""]):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


def _examples(recipe: str | None) -> tuple[str, ...]:
    if recipe is None:
        return EXAMPLES
    return (f"firstsight train {recipe}", f"firstsight train {recipe} --data DATA --epochs 5 --out runs/mine")


def _refuse_settings_of_others(argv: list[str], name: str) -> None:
    """Refuse a setting that this recipe does not have, and name one that has it."""
    known = {f.name for f in (*fields(Arguments), *fields(find_recipe(name).settings))} | {"help_all"}
    for word in argv:
        setting = word.split("=")[0].removeprefix("--no-").removeprefix("--").replace("-", "_")
        if not word.startswith("--") or setting in known:
            continue
        having = [r for r in RECIPES.values() if setting in asdict(r.settings)]
        using = [r for r in having if getattr(r.settings, setting) != getattr(type(r.settings)(), setting)]
        for recipe in (using or having)[:1]:
            raise UsageError(
                f"{name} has no {word.split('=')[0]}; {recipe.name} has it (see: firstsight train {name} --help-all)"
            )
