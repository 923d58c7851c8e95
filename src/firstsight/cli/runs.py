"""``firstsight runs``: list runs; ``firstsight runs compare``: compare them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import Flag, Maybe, parse
from firstsight.errors import UsageError

if TYPE_CHECKING:
    from firstsight.recipes.runs import RunComparison

EXAMPLES = (
    "firstsight runs",
    "firstsight runs --data fashion-mnist --finished --best",
    "firstsight runs compare runs/lenet-digits/1 latest --out compare.html",
)
COMPARE_EXAMPLES = (
    "firstsight runs compare runs/lenet-digits/1 runs/lenet-digits/2",
    "firstsight runs compare lenet-digits/1 latest --out compare.html --open",
)


@dataclass(frozen=True)
class Arguments:
    """List the runs in a folder, the newest first; or compare runs (see: firstsight runs compare --help).

    last is the result of the last epoch; after early stopping (--patience), that of the weights that are kept. A
    damaged run is in the list, and a warning says what is damaged.
    """

    folder: Annotated[Positional[Path], tyro.conf.arg(metavar="[FOLDER]")] = Path("runs")
    """Folder of the runs."""
    recipe: Maybe[str] = None
    """Only runs of this recipe or network: a name, a part of it, or a glob pattern such as lenet*."""
    data: Maybe[str] = None
    """Only runs on these data: a name, a part of it, or a glob pattern."""
    finished: Flag = False
    """Only finished runs."""
    best: Flag = False
    """The best result first, for each metric."""
    json: Flag = False
    """Print as one JSON document."""


@dataclass(frozen=True)
class CompareArguments:
    """Compare runs: the settings that differ, the last metrics, and all learning curves in one figure."""

    runs: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN RUN [RUN ...]")]
    """Run directories, their names below runs (lenet-digits/1), or latest (the newest run there)."""
    out: Maybe[Path] = None
    """Write the figure (.png, .jpg, .svg or .pdf), or a page with the tables and the figure (.html)."""
    open: Flag = False
    """Open the page in the browser (without --out: runs-compare.html)."""
    force: Flag = False
    """Replace an existing file of --out."""
    json: Flag = False
    """Print as one JSON document."""


def run(argv: list[str]) -> int:
    """List or compare runs."""
    if argv and argv[0] == "compare":
        return _compare(parse(CompareArguments, "runs compare", argv[1:], examples=COMPARE_EXAMPLES))
    return _list(parse(Arguments, "runs", argv, examples=EXAMPLES))


def _list(arguments: Arguments) -> int:
    from firstsight.cli.console import out, print_json, say, table, warn
    from firstsight.recipes.runs import duration, list_runs

    runs = list_runs(
        arguments.folder,
        recipe=arguments.recipe or "",
        data=arguments.data or "",
        finished=arguments.finished,
        best_first=arguments.best,
    )
    for problem in (problem for item in runs for problem in item.problems):
        warn(problem)
    if arguments.json:
        print_json({"runs": [item.to_dict() for item in runs]})
        return 0
    if not runs:
        has_filter = arguments.recipe or arguments.data or arguments.finished
        reason = "no run matches" if has_filter else "no runs"
        say(f"{reason} in {arguments.folder} (train one: firstsight train --help)")
        return 0
    columns = ("run", "recipe", "model", "data", "epochs", "metric", "last", "best", "time", "state")
    rows = table(*columns, right=("epochs", "last", "best", "time"))
    for item in runs:
        if item.state == "damaged":
            rows.add_row(str(item.path), *["-"] * (len(columns) - 2), item.state)
            continue
        rows.add_row(
            str(item.path),
            item.recipe,
            item.model,
            item.data,
            f"{item.epochs}/{item.planned_epochs}",
            item.metric.label if item.metric else "-",
            item.text_of(item.last),
            item.text_of(item.best),
            duration(item.seconds),
            item.state,
        )
    out().print(rows)
    return 0


def _compare(arguments: CompareArguments) -> int:
    from firstsight.cli.console import log, open_in_browser, print_json
    from firstsight.cli.outputs import report_output
    from firstsight.recipes.runs import compare_runs

    path = _checked_output(arguments)
    comparison = compare_runs(*arguments.runs, notify=log)
    for note in comparison.notes:
        log(note)
    if arguments.json:
        print_json(comparison.to_dict())
    else:
        _print_tables(comparison)
    if path is not None:
        _write(comparison, path)
        log(f"written: {path}")
        report_output(path, arguments.out, "runs-compare.html")
        if arguments.open:
            open_in_browser(path)
    return 0


def _checked_output(arguments: CompareArguments) -> Path | None:
    """Return the file to write, or None without any."""
    from firstsight.cli.outputs import FIGURES, check_outputs, choose_output

    path = arguments.out
    if arguments.open:
        path = choose_output(arguments.out, "runs-compare.html", force=arguments.force)
        if path.suffix.lower() != ".html":
            raise UsageError(f"`open` needs an .html file; got `out={path}`")
    if path is not None:
        check_outputs([path], force=arguments.force, suffixes=(".html", *FIGURES))
    return path


def _print_tables(comparison: "RunComparison") -> None:
    from firstsight.cli.console import out, say, table

    for title, values in (("result", comparison.metrics), ("setting that differs", comparison.settings)):
        if not values:
            say("all settings are the same")
            continue
        rows = table(title, *comparison.labels)
        for name, cells in values.items():
            rows.add_row(name, *cells)
        out().print(rows)
        if title == "result":
            say("")


def _write(comparison: "RunComparison", path: Path) -> None:
    from firstsight.atomic_io import replace_file
    from firstsight.cli.console import write_figure

    if path.suffix.lower() == ".html":
        replace_file(path, comparison.html().encode())
    else:
        write_figure(comparison.figure(), path)
