"""Printing: results on stdout, everything else on stderr, colors only on a terminal.

Messages of one line need no rich, which takes longer to import than to report a wrong option.
"""

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from firstsight.text import MAX_MESSAGE, UNSAFE, format_settings, one_line, printable

if TYPE_CHECKING:
    from rich.console import Console

    from firstsight.cli.rich_text import TextTable

T = TypeVar("T")
YELLOW, RED, RESET = "\x1b[33m", "\x1b[1;31m", "\x1b[0m"
"""Escape sequences of a terminal."""
PIPE_WIDTH = 100
"""Width of wide tables in a pipe or a file, in characters."""


def has_colors(stream: Any) -> bool:
    """Return whether to write colors: never with ``NO_COLOR``, always with ``FORCE_COLOR``, else on a terminal.

    ``--color`` sets these variables, see `firstsight.cli.color`.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


def out() -> "Console":
    """Return the console for tables of results; it is wide in a pipe, so that nothing is truncated."""
    from firstsight.cli.rich_text import TextConsole

    return TextConsole(stderr=False, has_colors=has_colors(sys.stdout))


def err() -> "Console":
    """Return the console for progress and warnings."""
    from firstsight.cli.rich_text import TextConsole

    return TextConsole(stderr=True, has_colors=has_colors(sys.stderr))


def say(*lines: str) -> None:
    """Print lines of a result on stdout."""
    for line in lines:
        print(printable(line))


def log(line: str) -> None:
    """Print a line on stderr, such as a download or a hint."""
    print(printable(line), file=sys.stderr)


def warn(line: str) -> None:
    """Print a warning on stderr."""
    _print_labeled("warning:", YELLOW, line)


def _print_labeled(label: str, color: str, line: str) -> None:
    """Print a line on stderr that begins with a word, in color where colors are wanted."""
    if has_colors(sys.stderr):
        label = f"{color}{label}{RESET}"
    print(label, printable(line), file=sys.stderr)


def as_options(message: str) -> str:
    """Replace names of parameters by the options and arguments of the command line, and a call that continues a run.

    >>> as_options("`batch_size` must be at least 4 with `packing=2`")
    '--batch-size must be at least 4 with --packing 2'
    >>> as_options("`FILE=a.h5` is a folder")
    'FILE a.h5 is a folder'
    >>> as_options("continue with: `train('runs/mine', resume=True)`")
    'continue with: firstsight train runs/mine --resume'
    """
    return format_settings(message)


def fail(reason: str) -> None:
    """Print why a command fails, as one line of at most `firstsight.text.MAX_MESSAGE` characters."""
    label = "firstsight:"
    _print_labeled(label, RED, one_line(reason, MAX_MESSAGE - len(label) - 1))


def print_json(document: object) -> None:
    """Print one JSON document on stdout; short lists of numbers, such as x, y, score, stay on one line."""
    print(to_encodable(dumps(document), sys.stdout.encoding or "utf-8"))  # a StringIO has no encoding


def to_encodable(text: str, encoding: str) -> str:
    r"""Return JSON text whose strings have escapes for control characters, and for characters that the encoding lacks.

    >>> print(to_encodable('["고양이"]', "utf-8"), to_encodable('["고양이"]', "ascii"))
    ["고양이"] ["\uace0\uc591\uc774"]
    """

    def escape(match: re.Match[str]) -> str:
        return match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1]

    text = UNSAFE.sub(escape, text)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return re.sub(r"[^\x00-\x7f]", escape, text)
    return text


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
        return _dump_leaf(value)
    return left + ",".join(f"\n{inner}{line}" for line in lines) + f"\n{margin}{right}"


def _dump_leaf(value: object) -> str:
    """Return JSON text on one line; numbers that are not finite, which JSON does not have, are null."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_dump_leaf, value))}]"
    is_number = not isinstance(value, float) or math.isfinite(value)
    return json.dumps(value if is_number else None, ensure_ascii=False)


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
    if quiet or not console.is_terminal or total in {0, 1}:
        yield from items
        return
    from rich.progress import track

    yield from track(items, description=what, total=total, console=console, transient=True)


def report_failures(refused: Sequence[str]) -> int:
    """Print messages about unusable images on stderr, at most four; return the exit code."""
    for sentence in refused[:4]:
        fail(sentence)
    if len(refused) > 4:
        fail(f"and {len(refused) - 4} more images cannot be read")
    return 1 if refused else 0


def write_figure(figure: Any, path: Path) -> None:
    """Write a figure; the suffix of the path, which `check_outputs` has checked, chooses the format."""
    from firstsight.atomic_io import replace_file
    from firstsight.plots import encode_figure

    replace_file(path, encode_figure(figure, path.suffix))


def open_in_browser(path: Path) -> None:
    """Open a file in the browser; without any, say so in one line on stderr."""
    import webbrowser

    try:
        is_open = webbrowser.open(path.resolve().as_uri())
    except (webbrowser.Error, OSError):
        is_open = False
    if not is_open:
        log(f"no browser was found on this machine; open {path} yourself")


def table_width() -> int:
    """Return the width of tables, in characters: that of the terminal, or `PIPE_WIDTH` without a terminal."""
    console = out()
    return console.width if console.is_terminal else PIPE_WIDTH


def print_table(rows: "TextTable", *flexible: str) -> None:
    """Print a table that fits the width of the terminal, or `PIPE_WIDTH` characters without a terminal.

    Parameters
    ----------
    rows : TextTable
        The table.
    *flexible : str
        Headers of the columns whose cells are wrapped if the table is too wide.
    """
    console = out()
    rows.fit(console, table_width(), flexible)
    console.print(rows, soft_wrap=False)


def table(*columns: str, title: str | None = None, right: tuple[str, ...] = ()) -> "TextTable":
    """Return a table without borders."""
    from firstsight.cli.rich_text import TextTable

    result = TextTable(
        title=title, box=None, title_justify="left", header_style="bold", pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in columns:
        result.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return result
