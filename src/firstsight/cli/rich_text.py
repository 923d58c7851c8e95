"""Console and table of rich that print text unchanged."""

import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from firstsight.text import printable

WIDTH = 160
"""Width of a table in a pipe or a file, in characters."""


class TextConsole(Console):
    """Console that prints text unchanged: names are no markup, no emoji codes and no control characters."""

    def __init__(self, *, stderr: bool, has_colors: bool) -> None:
        stream = sys.stderr if stderr else sys.stdout
        super().__init__(
            stderr=stderr,
            markup=False,
            emoji=False,
            highlight=False,
            color_system="standard" if has_colors else None,
            force_terminal=stream.isatty(),
            soft_wrap=not stream.isatty(),
            width=None if stream.isatty() else WIDTH,
        )

    def render_str(self, text: str, **options: Any) -> Text:
        """Return text for the terminal; rich calls this for every line and every cell."""
        return super().render_str(printable(text, keep="\n"), **options)

    def on_broken_pipe(self) -> None:
        """Leave a closed pipe to `firstsight.cli.main`; rich would exit with 1."""
        raise BrokenPipeError


class TextTable(Table):
    """Table whose cells have one line each, also if a name has a line break."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row; text is escaped."""
        super().add_row(*(printable(cell) if isinstance(cell, str) else cell for cell in cells), **options)
