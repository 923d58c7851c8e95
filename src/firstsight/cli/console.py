"""Printing: results on stdout, everything else on stderr, colors only on a terminal."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table

from firstsight.errors import UsageError

T = TypeVar("T")


class ResultConsole(Console):
    """Console that leaves a closed pipe to `firstsight.cli.main`; rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Raise the error that is being handled."""
        raise BrokenPipeError


def out() -> Console:
    """Return the console for results; it is wide in a pipe, so that nothing is truncated."""
    return ResultConsole(highlight=False, soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 160)


def err() -> Console:
    """Return the console for progress and warnings."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def log(line: str) -> None:
    """Print a line on stderr, such as a download or a hint."""
    err().print(line, markup=False)


def warn(line: str) -> None:
    """Print a warning on stderr."""
    log(f"warning: {line}")


def print_json(document: object) -> None:
    """Print one JSON document on stdout; short lists of numbers, such as x, y, score, stay on one line."""
    print(dumps(document))


def dumps(value: object, margin: str = "") -> str:
    """Return JSON text with line breaks; a value without nested lists or mappings is one line.

    >>> print(dumps({"image": "a.png", "box": [1, 2, 3, 4], "none": []}))
    {
      "image": "a.png",
      "box": [1, 2, 3, 4],
      "none": []
    }
    """
    inner = margin + "  "
    if isinstance(value, Mapping) and value:
        lines = [f"{json.dumps(str(key), ensure_ascii=False)}: {dumps(held, inner)}" for key, held in value.items()]
        left, right = "{}"
    elif isinstance(value, list | tuple) and any(isinstance(held, Mapping | list | tuple) for held in value):
        lines = [dumps(held, inner) for held in value]
        left, right = "[]"
    else:
        return json.dumps(value, ensure_ascii=False)
    return left + ",".join(f"\n{inner}{line}" for line in lines) + f"\n{margin}{right}"


def progress(items: Iterable[T], what: str, *, total: int | None = None, quiet: bool = False) -> Iterator[T]:
    """Iterate over items with a progress bar on stderr, if it is a terminal and there are several items.

    Parameters
    ----------
    total : int | None
        Number of items, if they have no length; None shows a bar without an end.
    quiet : bool
        Show no bar.
    """
    console = err()
    total = len(items) if isinstance(items, Sized) else total
    hidden = quiet or not console.is_terminal or total in {0, 1}
    yield from track(items, description=what, total=total, console=console, transient=True, disable=hidden)


def report_failures(refused: Sequence[str]) -> int:
    """Print messages about unusable images on stderr, at most four; return the exit code."""
    for sentence in refused[:4]:
        print(f"firstsight: {sentence}", file=sys.stderr)
    if len(refused) > 4:
        print(f"firstsight: and {len(refused) - 4} more images cannot be read", file=sys.stderr)
    return 1 if refused else 0


def write_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG.

    Raises
    ------
    UsageError
        If the name has another suffix, or its folder does not exist.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"`out` must be a .png file; got {path}")
    if not path.parent.is_dir():
        raise UsageError(f"`out={path}`: the folder {path.parent} does not exist")
    from firstsight.plots import encode_png

    path.write_bytes(encode_png(figure))


def table(*columns: str, title: str | None = None, right: tuple[str, ...] = ()) -> Table:
    """Return a table without borders."""
    result = Table(
        title=title, box=None, title_justify="left", header_style="bold", pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in columns:
        result.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return result
