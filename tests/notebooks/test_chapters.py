"""The chapters: the same code in both languages, executed, committed as they are made, one Korean term a concept."""

import re
from pathlib import Path

import nbformat
import pytest
from make_notebooks import LANGUAGES, Cell, execute, notebook, read_chapter

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "notebooks" / "source").glob("*.md"))
NAMES = [path.stem for path in SOURCES]


def committed(name: str, language: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "notebooks" / language / f"{name}.ipynb", as_version=4)


def chapter(name: str) -> list[Cell]:
    return read_chapter(ROOT / "notebooks" / "source" / f"{name}.md")


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_made_of_their_source_and_share_their_code(name: str) -> None:
    code = []
    for language in LANGUAGES:
        book, made = committed(name, language), notebook(name, chapter(name), language)
        nbformat.validate(book)
        assert [(c.cell_type, c.source, c.id) for c in book.cells] == [
            (c.cell_type, c.source, c.id) for c in made.cells
        ]
        code.append([c.source for c in book.cells if c.cell_type == "code"])
    assert code[0] == code[1] and len(code[0]) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_has_all_that_it_should(name: str) -> None:
    """What you will see, formulas, pictures, checked numbers, three exercises with hidden solutions, references."""
    cells = chapter(name)
    wanted = {"en": ("**What you will see.**", "## Exercises", "**References.**"),
              "ko": ("**무엇을 보게 되나요.**", "## 연습 문제", "**참고 문헌.**")}  # fmt: skip
    for language, words in wanted.items():
        text = "\n".join(getattr(cell, language) for cell in cells if cell.kind == "markdown")
        assert all(word in text for word in words) and "$$" in text
        assert len(re.findall(r"^\d\. ", text, re.MULTILINE)) == text.count("<details>") == 3
        assert text.count("</details>") == 3
    assert sum("assert " in cell.en for cell in cells if cell.kind == "code") >= 3
    english, korean = (
        [re.findall(r"\$\$.*?\$\$", getattr(cell, language), re.DOTALL) for cell in cells if cell.kind == "markdown"]
        for language in LANGUAGES
    )
    assert english == korean  # formulas are the same


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_was_executed_without_a_complaint_and_is_small(name: str, language: str) -> None:
    book = committed(name, language)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or (o.output_type == "stream" and o.name == "stderr")]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert (ROOT / "notebooks" / language / f"{name}.ipynb").stat().st_size < 400_000


def terms() -> list[tuple[str, str, list[str]]]:
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in (ROOT / "docs" / "glossary.md").read_text().splitlines()
        if line.startswith("| ") and not line.startswith(("| English", "| ---"))
    ]
    return [
        (english, korean, [word.strip() for word in other.split(",") if word.strip()])
        for english, korean, other in rows
    ]


@pytest.mark.parametrize("name", NAMES)
def test_one_korean_term_for_a_concept(name: str) -> None:
    text = "\n".join(cell.ko for cell in chapter(name) if cell.kind == "markdown")
    for english, korean, others in terms():
        for word in others:
            assert word not in text, f"{word}: the term for {english} is {korean}"


def test_every_term_is_used() -> None:
    text = "\n".join(cell.ko for name in NAMES for cell in chapter(name) if cell.kind == "markdown")
    assert len(terms()) == len({korean for _, korean, _ in terms()})
    assert [korean for _, korean, _ in terms() if korean not in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_runs(name: str, language: str) -> None:
    """Every cell, and so every number that a cell asserts; with nothing on stderr."""
    book = notebook(name, chapter(name), language)
    execute(book)
    said = [o for c in book.cells if c.cell_type == "code" for o in c.outputs if o.get("name") == "stderr"]
    assert said == []


def test_a_source_that_is_not_one(tmp_path: Path) -> None:
    path = tmp_path / "01_x.md"
    for text, message in (("hello", "text before"), ("<!-- en -->\nhello\n```python\n1\n```", "no ko beside: hello")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_chapter(path)
    path.write_text("<!-- both -->\n$$x$$\n```python\nx = 1\n```\n<!-- en -->\na\n<!-- ko -->\nb\n")
    assert [(cell.kind, cell.en, cell.ko) for cell in read_chapter(path)] == [
        ("markdown", "$$x$$", "$$x$$"), ("code", "x = 1", "x = 1"), ("markdown", "a", "b"),
    ]  # fmt: skip
