"""HTML report of a run: one file with inlined images and no external resources."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from firstsight.text import format_settings, printable


class Grid(NamedTuple):
    """Table with a heading of its columns.

    Parameters
    ----------
    title : str
        Title of the table.
    columns : Sequence[str]
        Headings of the columns.
    rows : Sequence[Sequence[str]]
        Cells of each row.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Report:
    """Contents of a report.

    Attributes
    ----------
    title : str
        Heading of the page.
    subtitle : str
        Line below the heading.
    metrics : Sequence[tuple[str, str]]
        (name, value) pairs for the row at the top.
    figures : Sequence[tuple[str, bytes, str]]
        (title, content of a PNG or GIF file, caption).
    notes : Sequence[str]
        Sentences that qualify the numbers; settings in backticks are shown as options.
    commands : Sequence[str]
        Command lines that use the run.
    tables : Sequence[tuple[str, Mapping[str, object]]]
        (title, rows of name and value).
    grids : Sequence[Grid]
        Tables with several columns, above the figures.
    """

    title: str
    subtitle: str
    metrics: Sequence[tuple[str, str]]
    figures: Sequence[tuple[str, bytes, str]]
    notes: Sequence[str]
    commands: Sequence[str]
    tables: Sequence[tuple[str, Mapping[str, object]]]
    grids: Sequence[Grid] = ()

    def html(self) -> str:
        """Return the report as one HTML page."""
        environment = Environment(
            loader=PackageLoader("firstsight.engine", ""),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=lambda value: printable(value, keep="\n") if type(value) is str else value,
        )
        environment.filters["data_url"] = _data_url
        environment.filters["with_code"] = _with_code
        return environment.get_template("report.html.jinja").render(report=self)


def _with_code(note: str) -> str:
    """Return a note as HTML, with settings in backticks as code elements, written as on the command line."""
    start, end = "\x02", "\x03"  # control characters, which a printable note does not have
    text = format_settings(printable(note, keep="\n"), lambda option: f"{start}{option}{end}")
    return escape(text).replace(start, "<code>").replace(end, "</code>")


def _data_url(content: bytes) -> str:
    """Return a PNG or GIF file as the URL of an inlined image."""
    kind = "gif" if content.startswith(b"GIF8") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
