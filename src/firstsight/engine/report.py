"""The report of a run: one HTML file, pictures inlined, nothing fetched."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STYLE = """
:root {
  --ink: #1c2126;
  --soft: #65707b;
  --line: #e3e7eb;
  --paper: #ffffff;
  --wash: #f5f7f9;
  --accent: #0b6e99;
}
* {
  box-sizing: border-box;
}
body {
  margin: 0;
  background: var(--wash);
  color: var(--ink);
  font: 16px/1.55 system-ui, "Noto Sans KR", sans-serif;
}
main {
  max-width: 62rem;
  margin: 0 auto;
  padding: 2.5rem 1.25rem 4rem;
}
header p {
  color: var(--soft);
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
  background: var(--paper);
  border: 1px solid var(--line);
  border-radius: 10px;
  padding: 1.25rem;
  margin-top: 1.25rem;
}
.figures {
  display: flex;
  flex-wrap: wrap;
  gap: .75rem;
  margin: 1.5rem 0 0;
  padding: 0;
}
.figures div {
  background: var(--paper);
  border: 1px solid var(--line);
  border-radius: 10px;
  padding: .75rem 1.1rem;
  flex: 1 1 8rem;
}
.figures dt {
  color: var(--soft);
  font-size: .85rem;
}
.figures dd {
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
  color: var(--soft);
  white-space: nowrap;
  width: 1%;
  padding-right: 2rem;
}
code {
  background: var(--wash);
  border-radius: 4px;
  padding: .1rem .35rem;
  font-size: .92em;
}
pre {
  background: var(--wash);
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
    """What a report shows.

    Parameters
    ----------
    figures : Sequence[tuple[str, str]]
        (name, value) for the row of numbers on top.
    pictures : Sequence[tuple[str, bytes, str]]
        (title, PNG bytes, caption).
    notes : Sequence[str]
        Sentences a reader of the numbers must know.
    commands : Sequence[str]
        Lines that do something with this run.
    tables : Sequence[tuple[str, Mapping[str, object]]]
        (title, rows of name and value).
    """

    title: str
    subtitle: str
    figures: Sequence[tuple[str, str]]
    pictures: Sequence[tuple[str, bytes, str]]
    notes: Sequence[str]
    commands: Sequence[str]
    tables: Sequence[tuple[str, Mapping[str, object]]]

    def html(self) -> str:
        """The page."""
        top = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in self.figures)
        parts = [f"<header><h1>{_text(self.title)}</h1><p>{_text(self.subtitle)}</p></header>"]
        parts.append(f'<dl class="figures">{top}</dl>')
        if self.notes:
            items = "".join(f"<li>{_text(note)}</li>" for note in self.notes)
            parts.append(f"<section><h2>To know when reading</h2><ul>{items}</ul></section>")
        for title, content, caption in self.pictures:
            data = base64.b64encode(content).decode()
            kind = "gif" if content.startswith(b"GIF8") else "png"
            picture = f'<img alt="{_text(title)}" src="data:image/{kind};base64,{data}">'
            parts.append(f"<section><h2>{_text(title)}</h2>{picture}<p>{_text(caption)}</p></section>")
        if self.commands:
            lines = _text("\n".join(self.commands))
            parts.append(f"<section><h2>Go on from here</h2><pre>{lines}</pre></section>")
        for title, rows in self.tables:
            body = "".join(f"<tr><td>{_text(k)}</td><td>{_text(v)}</td></tr>" for k, v in rows.items())
            parts.append(f"<section><h2>{_text(title)}</h2><table>{body}</table></section>")
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{_text(self.title)}</title><style>{STYLE}</style></head>\n"
            f"<body><main>{''.join(parts)}</main></body></html>\n"
        )


def _text(value: object) -> str:
    return html.escape(str(value))
