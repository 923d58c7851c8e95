"""Console and table of rich that print text unchanged."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from firstsight.text import printable

GAP = 2
"""Characters between columns."""
MIN_COLUMN = 12
"""Minimum width of a column whose cells are wrapped."""
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

    def fit(self, console: Console, total: int, flexible: Sequence[str]) -> None:
        """Wrap the cells of some columns so that the table has at most ``total`` characters.

        Parameters
        ----------
        console : Console
            Console to measure text with.
        total : int
            Width of the table.
        flexible : Sequence[str]
            Headers of the columns that become narrower, in proportion to their widths.
        """
        sizes = [
            max(console.measure(cell).maximum for cell in (column.header, *column.cells)) for column in self.columns
        ]
        names = [str(column.header) for column in self.columns]
        gaps = GAP * (len(sizes) - 1)
        wanted = sum(size for name, size in zip(names, sizes, strict=True) if name in flexible)
        space = total - gaps - (sum(sizes) - wanted)
        for column, size in zip(self.columns, sizes, strict=True):
            if str(column.header) in flexible and space < wanted:
                column.width = max(MIN_COLUMN, int(size * space / wanted))
            else:
                column.no_wrap = True
