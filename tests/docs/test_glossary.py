"""The code and the documentation use the words of docs/glossary.md: its column "Not" occurs nowhere."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from firstsight.tasks.spec import TASKS
from helpers.glossary import replacements

pytestmark = pytest.mark.source
ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "firstsight"
FILES = sorted(SOURCE.rglob("*.py"))
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "notebooks/source").glob("*.md")),
]
MIGRATION = SOURCE / "migrate.py"
"""The table of former names, which files of earlier versions have."""


@cache
def glossary() -> dict[str, dict[str, str]]:
    """Return for each table of the glossary the words not to use, with the words to use.

    A word that is restricted by a text in parentheses is wrong in one sense only, and is not checked.
    """
    return {
        title: {
            word.text: ", ".join(each.text for each in use)
            for use, unwanted in replacements(title)
            for word in unwanted
            if not word.context
        }
        for title in ("Prose", "Identifiers", "Options and settings", "JSON keys")
    }


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def defined_names(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the names that a file defines, with their lines: classes, functions, parameters, variables, attributes."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield (node.id if isinstance(node, ast.Name) else node.attr), node.lineno


def dictionary_keys(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the texts that are keys of dictionaries in a file, with their lines."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Dict):
            for key in node.keys:
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, key.lineno


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of prose of a file: comments and texts of Python, Markdown without code blocks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.STRING, tokenize.COMMENT):
                for offset, line in enumerate(token.string.splitlines()):
                    yield token.start[0] + offset, line
        return
    is_code = is_korean = False
    for number, line in enumerate(text.splitlines(), 1):
        is_code ^= line.lstrip().startswith("```")
        is_korean = line == "<!-- ko -->" or (is_korean and line != "<!-- en -->")
        if not is_code and not is_korean:
            yield number, line


@cache
def lines(path: Path) -> list[str]:
    """Return the lines of a file, of which those with the comment "prose: ok" are not checked."""
    return path.read_text(encoding="utf-8").splitlines()


def test_the_tables_are_read() -> None:
    tables = glossary()
    assert tables["Prose"]["picture"] == "image"
    assert "Verdict" in tables["Identifiers"] and "sure" in tables["JSON keys"]
    assert "noisy" not in tables["Identifiers"], "a word with a restriction in parentheses is not checked"
    assert sum(map(len, tables.values())) > 150


def test_identifiers_are_those_of_the_glossary() -> None:
    unwanted = glossary()["Identifiers"]
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name} -> {unwanted[name]}"
        for path in FILES
        for name, line in defined_names(path)
        if name in unwanted
    ]
    assert wrong == []


def test_files_are_named_as_in_the_glossary() -> None:
    assert [path.name for path in FILES if path.stem in glossary()["Identifiers"]] == []


def test_settings_are_named_as_in_the_glossary() -> None:
    unwanted = glossary()["Options and settings"]
    settings = {field.name for spec in TASKS.values() for field in fields(spec.resolve("settings"))}
    assert settings & set(unwanted) == set()
    assert len(settings) > 60


def test_keys_of_documents_are_those_of_the_glossary() -> None:
    unwanted = glossary()["JSON keys"]
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {key} -> {unwanted[key]}"
        for path in FILES
        if path != MIGRATION
        for key, line in dictionary_keys(path)
        if key in unwanted
    ]
    assert wrong == []


def test_prose_uses_the_words_of_the_glossary() -> None:
    unwanted = glossary()["Prose"]
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, unwanted))})(s|es|ed|d)?\b", re.IGNORECASE)
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]} -> {unwanted.get(match[1].lower(), '')}"
        for path in [*FILES, *PAGES]
        if path not in (MIGRATION, ROOT / "docs/glossary.md")
        for number, line in prose(path)
        if "prose: ok" not in lines(path)[number - 1]
        for match in pattern.finditer(line)
    ]
    assert wrong == []


def test_an_unwanted_name_would_be_noticed(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text('def shelf(found: int) -> None:\n    """Return a picture."""\n    self.told = {"sure": 1}\n')
    names = {name for name, _ in defined_names(file)}
    assert names == {"shelf", "found", "told"}
    assert names <= set(glossary()["Identifiers"])
    assert [key for key, _ in dictionary_keys(file)] == ["sure"]
    assert any("picture" in line for _, line in prose(file))


@pytest.mark.parametrize("title", ["Identifiers", "Options and settings", "JSON keys"])
def test_the_words_to_use_are_used(title: str) -> None:
    """A row of the glossary whose word no longer exists is out of date."""
    names = {path.stem for path in SOURCE.rglob("*")}
    names |= {name for path in FILES for name in re.findall(r"\w+", path.read_text(encoding="utf-8"))}
    assert [word.text for use, _ in replacements(title) for word in use if word.text not in names] == []
