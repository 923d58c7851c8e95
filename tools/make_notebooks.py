"""Generate the chapters in both languages from their common sources, and execute them.

    python tools/make_notebooks.py [NAME ...] [--check | --text]

A source, `notebooks/source/NAME.md`, has every code cell once and every text in both languages:

    <!-- en -->
    Text in English.
    <!-- ko -->
    The same in Korean.
    ```python
    code
    ```

Text under `<!-- both -->`, such as a formula, is the same in both languages. Consecutive texts form one cell. The
notebooks are written to `notebooks/en` and `notebooks/ko` with their outputs. --check executes them, fails if a cell
fails, and writes nothing. --text executes nothing and keeps the outputs; use it if only texts have changed.
"""

import argparse
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nbclient
import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode

FOLDER = Path(__file__).parents[1] / "notebooks"
LANGUAGES = ("en", "ko")
SECONDS = 180
"""Time limit of a cell in seconds."""
PIECES = re.compile(r"^(?:<!-- (en|ko|both) -->|```python\n(.*?)\n```)$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """Cell of a chapter: code, or text in both languages."""

    kind: Literal["code", "markdown"]
    en: str
    ko: str


def read_chapter(path: Path) -> list[Cell]:
    """Return the cells of a source.

    Raises
    ------
    ValueError
        If a text is in one language only, or before the first language comment.
    """
    text = path.read_text(encoding="utf-8")
    cells: list[Cell] = []
    texts: dict[str, list[str]] = {"en": [], "ko": []}
    language, begin = "", 0

    def take(part: str) -> None:
        if not part.strip():
            return
        if not language:
            raise ValueError(f"{path.name}: text before <!-- en -->: {part.strip()[:60]}")
        for name in LANGUAGES if language == "both" else (language,):
            texts[name].append(part.strip())

    def close() -> None:
        if texts["en"] or texts["ko"]:
            if not (texts["en"] and texts["ko"]):
                missing = "ko" if texts["en"] else "en"
                raise ValueError(f"{path.name}: no {missing} text for: {(texts['en'] or texts['ko'])[0][:60]}")
            cells.append(Cell("markdown", "\n\n".join(texts["en"]), "\n\n".join(texts["ko"])))
            texts["en"], texts["ko"] = [], []

    for match in PIECES.finditer(text):
        take(text[begin : match.start()])
        begin = match.end()
        if match[1]:
            language = match[1]
        else:
            close()
            cells.append(Cell("code", match[2], match[2]))
            language = ""
    take(text[begin:])
    close()
    return cells


def notebook(name: str, cells: list[Cell], language: str) -> NotebookNode:
    """Return a chapter in one language, without outputs."""
    book_cells = []
    for number, cell in enumerate(cells):
        new = nbformat.v4.new_code_cell if cell.kind == "code" else nbformat.v4.new_markdown_cell
        book_cells.append(new(getattr(cell, language), id=f"{name[:2]}-{number:03}"))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=book_cells, metadata=metadata)


def execute(book: NotebookNode) -> None:
    """Execute all cells in an empty folder, in place.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        kernel = AsyncKernelManager(kernel_name="python3")
        client = nbclient.NotebookClient(
            book,
            km=kernel,
            timeout=SECONDS,
            resources={"metadata": {"path": scratch}},
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
        client.execute(cleanup_kc=True)  # otherwise the kernel lives as long as this process
    book.metadata["language_info"] = {"name": "python"}  # without the Python version of this machine
    for cell in book.cells:
        cell.metadata.pop("execution", None)  # timestamps


def keep_outputs(book: NotebookNode, old: NotebookNode) -> None:
    """Copy the outputs from an older notebook with the same code.

    Raises
    ------
    ValueError
        If the code differs.
    """
    new_cells, old_cells = ([cell for cell in nb.cells if cell.cell_type == "code"] for nb in (book, old))
    if [cell.source for cell in new_cells] != [cell.source for cell in old_cells]:
        raise ValueError("the code has changed: execute the notebook, without --text")
    for new, before in zip(new_cells, old_cells, strict=True):
        new.outputs = before.outputs
        new.execution_count = before.execution_count


def main() -> None:
    """Read the sources, execute the notebooks, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--text", action="store_true")
    arguments = parser.parse_args()
    names = arguments.names or sorted(path.stem for path in (FOLDER / "source").glob("*.md"))
    for name in names:
        cells = read_chapter(FOLDER / "source" / f"{name}.md")
        for language in LANGUAGES:
            book = notebook(name, cells, language)
            target = FOLDER / language / f"{name}.ipynb"
            if arguments.text:
                keep_outputs(book, nbformat.read(target, as_version=4))
            else:
                execute(book)
            if not arguments.check:
                target.parent.mkdir(exist_ok=True)
                nbformat.write(book, target)
            print(f"{target.relative_to(FOLDER.parent)}: {len(cells)} cells", file=sys.stderr)


if __name__ == "__main__":
    main()
