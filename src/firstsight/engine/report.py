"""HTML report of a run: one file with inlined images and no external resources."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STYLE = """
:root {
  --text: #1c2126;
  --muted: #65707b;
  --line: #e3e7eb;
  --background: #ffffff;
  --page: #f5f7f9;
  --accent: #0b6e99;
}
* {
  box-sizing: border-box;
}
body {
  margin: 0;
  background: var(--page);
  color: var(--text);
  font: 16px/1.55 system-ui, "Noto Sans KR", sans-serif;
}
main {
  max-width: 62rem;
  margin: 0 auto;
  padding: 2.5rem 1.25rem 4rem;
}
header p {
  color: var(--muted);
  margin: .25rem 0 0;
}
h1 {
  font-size: 2rem;
  line-height: 1.2;
  margin: 0;
}
h2 {
  font-size: 1.15rem;
  margin: 0 0 .75rem;
}
section {
  background: var(--background);
  border: 1px solid var(--line);
  border-radius: 10px;
  padding: 1.25rem;
  margin-top: 1.25rem;
}
.metrics {
  display: flex;
  flex-wrap: wrap;
  gap: .75rem;
  margin: 1.5rem 0 0;
  padding: 0;
}
.metrics div {
  background: var(--background);
  border: 1px solid var(--line);
  border-radius: 10px;
  padding: .75rem 1.1rem;
  flex: 1 1 8rem;
}
.metrics dt {
  color: var(--muted);
  font-size: .85rem;
}
.metrics dd {
  margin: 0;
  font-size: 1.5rem;
  font-variant-numeric: tabular-nums;
}
img {
  max-width: 100%;
  height: auto;
  display: block;
  margin: 0 auto;
}
table {
  border-collapse: collapse;
  width: 100%;
  font-size: .92rem;
}
td {
  border-top: 1px solid var(--line);
  padding: .3rem .5rem;
  vertical-align: top;
  overflow-wrap: anywhere;
}
tr:first-child td {
  border-top: 0;
}
td:first-child {
  color: var(--muted);
  white-space: nowrap;
  width: 1%;
  padding-right: 2rem;
}
code {
  background: var(--page);
  border-radius: 4px;
  padding: .1rem .35rem;
  font-size: .92em;
}
pre {
  background: var(--page);
  border-radius: 8px;
  padding: .75rem 1rem;
  overflow-x: auto;
  margin: 0;
}
ul {
  margin: 0;
  padding-left: 1.2rem;
}
"""


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
        Sentences that qualify the numbers.
    commands : Sequence[str]
        Command lines that use the run.
    tables : Sequence[tuple[str, Mapping[str, object]]]
        (title, rows of name and value).
    """

    title: str
    subtitle: str
    metrics: Sequence[tuple[str, str]]
    figures: Sequence[tuple[str, bytes, str]]
    notes: Sequence[str]
    commands: Sequence[str]
    tables: Sequence[tuple[str, Mapping[str, object]]]

    def html(self) -> str:
        """Return the report as one HTML page."""
        top = "".join(f"<div><dt>{_escape(name)}</dt><dd>{_escape(value)}</dd></div>" for name, value in self.metrics)
        parts = [f"<header><h1>{_escape(self.title)}</h1><p>{_escape(self.subtitle)}</p></header>"]
        parts.append(f'<dl class="metrics">{top}</dl>')
        if self.notes:
            items = "".join(f"<li>{_escape(note)}</li>" for note in self.notes)
            parts.append(_section("Notes", f"<ul>{items}</ul>"))
        for title, content, caption in self.figures:
            data = base64.b64encode(content).decode()
            kind = "gif" if content.startswith(b"GIF8") else "png"
            image = f'<img alt="{_escape(title)}" src="data:image/{kind};base64,{data}">'
            parts.append(_section(title, f"{image}<p>{_escape(caption)}</p>"))
        if self.commands:
            lines = _escape("\n".join(self.commands))
            parts.append(_section("Next steps", f"<pre>{lines}</pre>"))
        for title, rows in self.tables:
            body = "".join(f"<tr><td>{_escape(k)}</td><td>{_escape(v)}</td></tr>" for k, v in rows.items())
            parts.append(_section(title, f"<table>{body}</table>"))
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{_escape(self.title)}</title><style>{STYLE}</style></head>\n"
            f"<body><main>{''.join(parts)}</main></body></html>\n"
        )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_escape(title)}</h2>{body}</section>"


def _escape(value: object) -> str:
    return html.escape(str(value))
