"""Make the chapters in both languages from their common sources, and execute them.

    python tools/make_notebooks.py [NAME ...] [--check | --text]

A source, `notebooks/source/NAME.md`, holds every code cell once and every text twice:

    <!-- en -->
    Text in English.
    <!-- ko -->
    The same in Korean.
    ```python
    code
    ```

A text under `<!-- both -->`, a formula, say, is the same in both. Texts in a row make one cell. The notebooks are
written to `notebooks/en` and `notebooks/ko` with their outputs. --check executes and writes nothing; an error in a cell
is an error. --text executes nothing: where only texts have changed, the outputs that are there are kept.
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
"""What a chapter may take."""
PIECES = re.compile(r"^(?:<!-- (en|ko|both) -->|```python\n(.*?)\n```)$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """A cell of a chapter: code, or a text in both languages."""

    kind: Literal["code", "markdown"]
    en: str
    ko: str


def read_chapter(path: Path) -> list[Cell]:
    """The cells of a source.

    Raises
    ------
    ValueError
        A text is in one language only, or before the first mark.
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
        for each in LANGUAGES if language == "both" else (language,):
            texts[each].append(part.strip())

    def close() -> None:
        if texts["en"] or texts["ko"]:
            if not (texts["en"] and texts["ko"]):
                lacking = "ko" if texts["en"] else "en"
                raise ValueError(f"{path.name}: no {lacking} beside: {(texts['en'] or texts['ko'])[0][:60]}")
            cells.append(Cell("markdown", "\n\n".join(texts["en"]), "\n\n".join(texts["ko"])))
            texts["en"], texts["ko"] = [], []

    for found in PIECES.finditer(text):
        take(text[begin : found.start()])
        begin = found.end()
        if found[1]:
            language = found[1]
        else:
            close()
            cells.append(Cell("code", found[2], found[2]))
            language = ""
    take(text[begin:])
    close()
    return cells


def notebook(name: str, cells: list[Cell], language: str) -> NotebookNode:
    """A chapter in a language, without outputs."""
    made = []
    for number, cell in enumerate(cells):
        new = nbformat.v4.new_code_cell if cell.kind == "code" else nbformat.v4.new_markdown_cell
        made.append(new(getattr(cell, language), id=f"{name[:2]}-{number:03}"))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=made, metadata=metadata)


def execute(book: NotebookNode) -> None:
    """Run all cells in an empty folder.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        kernel = AsyncKernelManager(kernel_name="python3")
        client = nbclient.NotebookClient(
            book, km=kernel, timeout=SECONDS, resources={"metadata": {"path": scratch}},
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )  # fmt: skip
        client.execute(cleanup_kc=True)  # else the kernel lives as long as this process
    book.metadata["language_info"] = {"name": "python"}  # not the version of the machine it was made on
    for cell in book.cells:
        cell.metadata.pop("execution", None)  # times


def keep_outputs(book: NotebookNode, old: NotebookNode) -> None:
    """Give a notebook the outputs of an older one with the same code.

    Raises
    ------
    ValueError
        The code differs.
    """
    ours, theirs = ([cell for cell in each.cells if cell.cell_type == "code"] for each in (book, old))
    if [cell.source for cell in ours] != [cell.source for cell in theirs]:
        raise ValueError("the code has changed: execute it")
    for cell, before in zip(ours, theirs, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count


def main() -> None:
    """Read, execute, write."""
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
