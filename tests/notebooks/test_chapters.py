"""The chapters: the same code in both languages, all of it run, committed with outputs, consistent Korean terms."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest
from make_notebooks import LANGUAGES, Cell, execute, notebook, read_chapter

from helpers.glossary import korean_terms

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "notebooks" / "source").glob("*.md"))
NAMES = [path.stem for path in SOURCES]
SHORT = [name for name in NAMES if name[:2] in ("01", "03", "05", "07", "08", "11")]
"""Chapters without training, or with a very short one."""
RESET = """%reset -f
import os, tempfile
os.chdir(tempfile.mkdtemp(dir="."))
del os, tempfile"""
"""Remove all names and change to an empty folder."""


def committed(name: str, language: str) -> nbformat.NotebookNode:
    """Return a committed notebook."""
    return nbformat.read(ROOT / "notebooks" / language / f"{name}.ipynb", as_version=4)


def chapter(name: str) -> list[Cell]:
    """Return the cells of a chapter's source."""
    return read_chapter(ROOT / "notebooks" / "source" / f"{name}.md")


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_match_their_source_and_share_their_code(name: str) -> None:
    code = []
    for language in LANGUAGES:
        book, generated = committed(name, language), notebook(name, chapter(name), language)
        nbformat.validate(book)
        assert [(c.cell_type, c.source, c.id) for c in book.cells] == [
            (c.cell_type, c.source, c.id) for c in generated.cells
        ]
        code.append([c.source for c in book.cells if c.cell_type == "code"])
    assert code[0] == code[1] and len(code[0]) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_every_chapter_has_the_required_sections(name: str) -> None:
    """An overview, formulas, checked numbers, three exercises with hidden solutions, references."""
    cells = chapter(name)
    required = {
        "en": ("**What you will see.**", "## Exercises", "**References.**"),
        "ko": ("**이 장에서 배울 내용.**", "## 연습 문제", "**참고 문헌.**"),
    }
    for language, words in required.items():
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
def test_committed_notebooks_are_executed_without_errors_and_small(name: str, language: str) -> None:
    book = committed(name, language)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or (o.output_type == "stream" and o.name == "stderr")]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert (ROOT / "notebooks" / language / f"{name}.ipynb").stat().st_size < 800_000


@pytest.mark.parametrize("name", NAMES)
def test_every_concept_has_one_korean_term(name: str) -> None:
    text = "\n".join(cell.ko for cell in chapter(name) if cell.kind == "markdown")
    for english, korean, others in korean_terms():
        for word in others:
            assert word not in text, f"{word}: the term for {english} is {korean}"


def test_every_korean_term_of_the_glossary_is_used() -> None:
    text = "\n".join(cell.ko for name in NAMES for cell in chapter(name) if cell.kind == "markdown")
    assert len(korean_terms()) == len({korean for _, korean, _ in korean_terms()})
    assert [korean for _, korean, _ in korean_terms() if korean not in text] == []


@pytest.mark.parametrize("name", SHORT)
def test_the_code_of_a_short_chapter_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the code as a script in this process: all assertions hold, and stderr is empty."""
    names = {"__name__": "__main__"}
    try:
        for number, cell in enumerate(chapter(name)):
            if cell.kind == "code":
                exec(compile(cell.en, f"{name}, cell {number}", "exec"), names)
    finally:
        plt.close("all")
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_both_notebooks_of_a_chapter_run_in_jupyter(name: str) -> None:
    """Execute every cell in both languages: all assertions hold, and stderr is empty.

    One kernel runs both, so torch is imported once; all names are removed between the languages.
    """
    english, korean = (notebook(name, chapter(name), language).cells for language in LANGUAGES)
    for cell in korean:
        cell.id += "-ko"
    both = nbformat.v4.new_notebook(cells=[*english, nbformat.v4.new_code_cell(RESET), *korean])
    execute(both)
    code = [cell for cell in both.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert [output for cell in code for output in cell.outputs if output.get("name") == "stderr"] == []
    for cells in (english, korean):
        outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
        assert any("image/png" in output.get("data", {}) for output in outputs)


def test_a_text_in_one_language_only_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "01_x.md"
    for text, message in (("hello", "text before"), ("<!-- en -->\nhello\n```python\n1\n```", "no ko text for: hello")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_chapter(path)
    path.write_text("<!-- both -->\n$$x$$\n```python\nx = 1\n```\n<!-- en -->\na\n<!-- ko -->\nb\n")
    assert [(cell.kind, cell.en, cell.ko) for cell in read_chapter(path)] == [
        ("markdown", "$$x$$", "$$x$$"),
        ("code", "x = 1", "x = 1"),
        ("markdown", "a", "b"),
    ]
