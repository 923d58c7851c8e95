"""Build the site: docs/, the executed chapters, a reference made of the package's docstrings, results of its recipes.

    python tools/make_site.py [--out build/site]

Sphinx reads one folder, so one is put together in build/source: copies of docs/ and of notebooks/en and notebooks/ko,
and pages that are written here by walking the package. A new document, chapter, module, recipe or card appears by
itself. A warning is an error. Needs no network.
"""

import argparse
import json
import pkgutil
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import firstsight
from firstsight.recipes import RECIPES

ROOT = Path(__file__).parents[1]
LANGUAGES = {"en": "In English", "ko": "한국어"}
NOT_LIBRARY = ("cli", "lazy")
"""What is not called from Python: the command line has its --help."""


def copy_chapters(source: Path) -> None:
    """The chapters, each with a link to itself in the other language."""
    for language in LANGUAGES:
        other = next(key for key in LANGUAGES if key != language)
        (source / "chapters" / language).mkdir(parents=True)
        for path in sorted((ROOT / "notebooks" / language).glob("*.ipynb")):
            book = json.loads(path.read_text(encoding="utf-8"))
            if (ROOT / "notebooks" / other / path.name).exists():
                title, _, rest = "".join(book["cells"][0]["source"]).partition("\n")
                link = f"[{LANGUAGES[other]}](../{other}/{path.name})"
                book["cells"][0]["source"] = f"{title}\n\n{link}\n{rest}"
            (source / "chapters" / language / path.name).write_text(json.dumps(book), encoding="utf-8")


def modules(package: str) -> list[str]:
    """The public modules of a package, by name, without itself."""
    place = getattr(import_module(f"firstsight.{package}"), "__path__", [])
    return [found.name for found in pkgutil.iter_modules(place) if not found.name.startswith("_")]


def packages() -> list[str]:
    """Packages and modules directly below firstsight."""
    names = (found.name for found in pkgutil.iter_modules(firstsight.__path__))
    return [name for name in names if not name.startswith("_") and name not in NOT_LIBRARY]


def automodule(name: str) -> str:
    """What a module defines itself, not what it hands on."""
    return f".. automodule:: {name}\n   :members:\n   :ignore-module-all:\n"


def write_reference(source: Path) -> None:
    """A page for every package, a section for every module."""
    folder = source / "reference"
    folder.mkdir()
    for package in packages():
        name = f"firstsight.{package}"
        parts = [f"{name}\n{'=' * len(name)}\n\n{automodule(name)}"]
        for module in modules(package):
            inner = f"{name}.{module}"
            parts.append(f"{module}\n{'-' * len(module)}\n\n{automodule(inner)}")
        exported = getattr(import_module(name), "__all__", [])
        if exported and modules(package):
            parts.insert(1, "Importable from here: " + ", ".join(f"`{each}`" for each in exported) + ".\n")
        (folder / f"{package}.rst").write_text("\n".join(parts), encoding="utf-8")
    rows = []
    for name in firstsight.__all__:
        thing = getattr(firstsight, name)
        if not name.startswith("_"):
            whole = f"{thing.__module__}.{thing.__qualname__}"
            rows.append(f"   * - :py:obj:`{name} <{whole}>`\n     - {(thing.__doc__ or '').splitlines()[0]}")
    lines = [
        "Reference", "=========", "",
        "What ``import firstsight`` gives:", "",
        ".. list-table::", "", *rows, "",
        "Everything, package by package:", "",
        ".. toctree::", "   :maxdepth: 1", "", *(f"   {package}" for package in packages()), "",
    ]  # fmt: skip
    (folder / "index.rst").write_text("\n".join(lines), encoding="utf-8")


def write_results(source: Path) -> None:
    """The table of recipes that results.md includes, and the cards of the shipped weights."""
    cards = source / "cards"
    cards.mkdir()
    for path in sorted((ROOT / "src" / "firstsight" / "weights").glob("*.md")):
        shutil.copy(path, cards)
    rows = ["| recipe | network | data | result |", "| --- | --- | --- | --- |"]
    for recipe in RECIPES.values():
        card = f"[`{recipe.name}`](cards/{recipe.name}.md)" if (cards / f"{recipe.name}.md").exists() else ""
        rows.append(f"| {card or f'`{recipe.name}`'} | `{recipe.model}` | {recipe.data} | {recipe.result} |")
    (source / "recipes.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")


def gather(source: Path) -> None:
    """Put together what Sphinx reads."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "docs", source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "CHANGELOG.md", source / "changelog.md")
    copy_chapters(source)
    write_reference(source)
    write_results(source)


def main() -> int:
    """Gather, build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site")
    out = parser.parse_args().out.resolve()
    source = out.parent / "source"
    gather(source)
    shutil.rmtree(out, ignore_errors=True)
    options = ["-q", "-b", "html", "-W", "--keep-going", "-d", str(out.parent / "doctrees"), "-E"]
    done = subprocess.run([sys.executable, "-m", "sphinx", *options, str(source), str(out)], check=False)
    if done.returncode == 0:
        print(out / "index.html")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
