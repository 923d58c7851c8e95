"""The glossary (docs/glossary.md) as data."""

import re
from dataclasses import dataclass
from pathlib import Path

TEXT = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Word:
    """A word of the tables `Use | Not`.

    Parameters
    ----------
    text : str
        The word, without backticks.
    context : str
        Text in parentheses that restricts the word; empty if it has none.
    """

    text: str
    context: str = ""


def section(title: str) -> str:
    """Return the text of a section, up to the next heading of the same or a higher level."""
    level, body = re.findall(rf"^(##+) {re.escape(title)}\n(.*)", TEXT, re.MULTILINE | re.DOTALL)[0]
    return re.split(rf"^#{{1,{len(level)}}} ", body, maxsplit=1, flags=re.MULTILINE)[0]


def rows(title: str) -> list[list[str]]:
    """Return the cells of each row of the table in a section, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def definitions() -> dict[str, str]:
    """Return the definition of each term."""
    entries = re.findall(r"^- \*\*(.+?)\*\*: (.*?)(?=^- |\Z)", section("Terms"), re.MULTILINE | re.DOTALL)
    return {term: " ".join(text.split()) for term, text in entries}


def parse_words(cell: str) -> list[Word]:
    """Return the words of a cell, which are separated by commas.

    >>> parse_words('`noisy` (function in `src/`), `translated`')
    [Word(text='noisy', context='function in `src/`'), Word(text='translated', context='')]
    """
    parts = re.findall(r"([^,(]+?)\s*(?:\(([^)]*)\))?\s*(?:,\s*|$)", cell)
    return [Word(word.strip("` "), context) for word, context in parts]


def replacements(title: str) -> list[tuple[list[Word], list[Word]]]:
    """Return the rows of a table `Use | Not`: "Prose", "Identifiers", "Options and settings" or "JSON keys"."""
    return [(parse_words(use), parse_words(avoid)) for use, avoid in rows(title)]


def korean_terms() -> list[tuple[str, str, list[str]]]:
    """Return the English term, the Korean term, and the Korean words not to use, of each concept."""
    return [
        (english, korean, [word.strip() for word in others.split(",") if word.strip()])
        for english, korean, others in rows("English and Korean")
    ]
