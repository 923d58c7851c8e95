"""Build the website from docs/, the executed chapters, the docstrings of the package and the results of the recipes.

    python tools/make_site.py [--out build/site]

Sphinx reads one folder, build/source. It gets copies of docs/, notebooks/en and notebooks/ko, and pages that this
script generates from the package. New documents, chapters, modules, recipes and cards are included automatically.
Warnings are errors. The build needs no network.
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
NOT_LIBRARY = ("cli",)
"""Packages without a page in the reference; the command line is documented by its --help."""


def copy_chapters(source: Path) -> None:
    """Copy the chapters, and add a link to the other language to each."""
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
    """Return the names of the public modules of a package and of the packages in it, as "classification.classifier"."""
    prefix = f"firstsight.{package}."
    path = getattr(import_module(prefix.rstrip(".")), "__path__", [])
    names = [info.name.removeprefix(prefix) for info in pkgutil.walk_packages(path, prefix)]
    return [name for name in names if "._" not in f".{name}"]


def packages() -> list[str]:
    """Return the names of the public packages and modules directly in firstsight."""
    names = (info.name for info in pkgutil.iter_modules(firstsight.__path__))
    return [name for name in names if not name.startswith("_") and name not in NOT_LIBRARY]


def automodule(name: str) -> str:
    """Return the Sphinx directive for a module's own definitions, without imported names."""
    return f".. automodule:: {name}\n   :members:\n   :ignore-module-all:\n"


def write_reference(source: Path) -> None:
    """Write the reference: a page for each package, with a section for each module."""
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
            parts.insert(1, "Importable from here: " + ", ".join(f"`{item}`" for item in exported) + ".\n")
        (folder / f"{package}.rst").write_text("\n".join(parts), encoding="utf-8")
    rows = []
    for name in firstsight.__all__:
        value = getattr(firstsight, name)
        if not name.startswith("_"):
            is_constant = not callable(value)
            target = name if is_constant else f"{value.__module__}.{value.__qualname__}"
            about = "Constant." if is_constant else (value.__doc__ or "").splitlines()[0]
            rows.append(f"   * - :py:obj:`{name} <{target}>`\n     - {about}")
    lines = [
        "Reference",
        "=========",
        "",
        "Names of ``import firstsight``:",
        "",
        ".. list-table::",
        "",
        *rows,
        "",
        "All packages:",
        "",
        ".. toctree::",
        "   :maxdepth: 1",
        "",
        *(f"   {package}" for package in packages()),
        "",
    ]
    (folder / "index.rst").write_text("\n".join(lines), encoding="utf-8")


def write_results(source: Path) -> None:
    """Write the table of recipes for results.md, and copy the cards of the bundled weights."""
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
    """Create the folder that Sphinx reads."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "docs", source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "CHANGELOG.md", source / "changelog.md")
    copy_chapters(source)
    write_reference(source)
    write_results(source)


def main() -> int:
    """Gather the sources and run Sphinx."""
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
