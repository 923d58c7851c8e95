"""The site is built without warnings and network, is complete, fetches only its own files, has no broken links."""

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from filelock import FileLock
from make_site import LANGUAGES, gather, modules, packages

from firstsight.models.registry import MODELS
from firstsight.recipes import RECIPES
from firstsight.weights.bundled import bundled

ROOT = Path(__file__).parents[2]
FETCHED = {
    "script": "src",
    "img": "src",
    "source": "src",
    "iframe": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
}
"""Attributes with addresses that a browser fetches automatically; for ``link`` it depends on ``rel``."""
NOT_FETCHED = {"canonical", "next", "prev", "index", "search", "author", "help", "license"}


@dataclass
class Page(HTMLParser):
    """Content of a page: fetched addresses, links, anchors, alternative texts of images."""

    fetched: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    alternatives: list[str] = field(default_factory=list)
    language: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def __hash__(self) -> int:
        return id(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "html":
            self.language = values.get("lang", "")
        if tag == "img":
            self.alternatives.append(values["alt"])
        if tag in FETCHED and FETCHED[tag] in values:
            self.fetched.append(values[FETCHED[tag]])
        if tag == "link" and "href" in values and values.get("rel") not in NOT_FETCHED:
            self.fetched.append(values["href"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site as `make docs` builds it, once for all workers; with the network cut where that is possible."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "docs"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "built").exists():
            build(folder / "site")
            (folder / "built").touch()
    return folder / "site"


def build(out: Path) -> None:
    """Build the site."""
    unshare = ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--net", "--map-root-user")
    prefix = () if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode else unshare
    command = [*prefix, sys.executable, str(ROOT / "tools" / "make_site.py"), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr and "ERROR" not in done.stderr, done.stderr


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Return every page of the site by its file."""
    by_file = {}
    for path in sorted(site.rglob("*.html")):
        by_file[path] = Page()
        by_file[path].feed(path.read_text(encoding="utf-8"))
    assert len(by_file) > 30
    return by_file


REMOTE = re.compile(r"""(url\(|@import)\s*["']?(https?:)?//""")
"""Rules of a stylesheet that fetch a file from another site."""


@pytest.mark.slow
def test_the_site_fetches_nothing_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    """Scripts, stylesheets, images and fonts are the site's own; links that a reader may follow are not fetched."""
    for path, page in pages.items():
        for address in page.fetched:
            assert urlsplit(address).scheme in ("", "data"), f"{path.name}: {address}"
            assert not address.startswith("//"), f"{path.name}: {address}"
    for path in site.rglob("*.css"):
        assert not REMOTE.search(path.read_text(encoding="utf-8")), path.name


def targets(path: Path, page: Page) -> Iterator[tuple[Path, str]]:
    """Yield the file and the anchor of every address within the site."""
    for address in [*page.links, *page.fetched]:
        if urlsplit(address).scheme or address.startswith("//"):
            continue
        location, anchor = urldefrag(address)
        file = unquote(location.partition("?")[0])
        yield (path if not file else (path.parent / file).resolve()), unquote(anchor)


@pytest.mark.slow
def test_links_within_the_site_have_targets(pages: dict[Path, Page]) -> None:
    known = {path.resolve(): page for path, page in pages.items()}
    count = 0
    for path, page in known.items():
        for file, anchor in targets(path, page):
            assert file.is_file(), f"{path.name}: {file}"
            if anchor and file in known and path.name != "search.html":
                assert anchor in known[file].anchors, f"{path.name}: {file.name}#{anchor}"
            count += 1
    assert count > 1000


@pytest.mark.slow
def test_the_site_has_all_chapters_pages_modules_recipes_and_cards(site: Path, pages: dict[Path, Page]) -> None:
    for language in LANGUAGES:
        for book in (ROOT / "notebooks" / language).glob("*.ipynb"):
            page = pages[site / "chapters" / language / f"{book.stem}.html"]
            assert page.language == language
            assert any(address.endswith(".png") for address in page.fetched)
            assert page.alternatives and not any(words.endswith(".png") for words in page.alternatives)
    for source in (ROOT / "docs").rglob("*.md"):
        assert site / source.relative_to(ROOT / "docs").with_suffix(".html") in pages
    for package in packages():
        page = pages[site / "reference" / f"{package}.html"]
        assert {f"module-firstsight.{package}.{module}" for module in modules(package)} <= page.anchors
        assert f"module-firstsight.{package}" in page.anchors
    results = " ".join(pages[site / "results.html"].text.split())
    for recipe in RECIPES.values():
        assert recipe.name in results and recipe.result in results
    assert {f"{name}.html" for name in bundled()} <= {path.name for path in (site / "cards").glob("*.html")}


@pytest.mark.slow
def test_the_search_index_has_words_of_both_languages(site: Path) -> None:
    """A Korean word is also found without its particle: the index has its prefixes."""
    text = (site / "searchindex.js").read_text(encoding="utf-8").strip()
    terms = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))["terms"]
    assert "convolut" in terms  # English words by their stem
    assert {"합성곱", "기울기", "텐서"} <= set(terms)
    script = (site / "_static" / "language_data.js").read_text(encoding="utf-8")
    stemmer = re.search(r"^window\.Stemmer = (.*);$", script, re.MULTILINE)
    assert stemmer and f"var {stemmer[1]}=function" in script  # else the page of results stays empty


def test_the_sources_of_the_site_are_complete(tmp_path: Path) -> None:
    """Sphinx reads a page per package, a section per module, recipes, cards and linked notebooks."""
    source = tmp_path / "source"
    gather(source)
    for package in packages():
        page = (source / "reference" / f"{package}.rst").read_text(encoding="utf-8")
        documented = re.findall(r"^\.\. automodule:: firstsight\.(\S+)$", page, re.MULTILINE)
        assert documented == [package, *(f"{package}.{module}" for module in modules(package))]
        assert f"   {package}\n" in (source / "reference" / "index.rst").read_text(encoding="utf-8")
    table = (source / "recipes.txt").read_text(encoding="utf-8")
    for recipe in RECIPES.values():
        assert f"`{recipe.name}`" in table and f"| {recipe.result} |" in table
    assert {path.stem for path in (source / "cards").iterdir()} == set(bundled())
    assert len(table.splitlines()) == len(RECIPES) + 2
    for language, other in (("en", "ko"), ("ko", "en")):
        books = sorted((source / "chapters" / language).iterdir())
        assert [path.name for path in books] == sorted(
            path.name for path in (ROOT / "notebooks" / language).glob("*.ipynb")
        )
        for path in books:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            assert f"[{LANGUAGES[other]}](../{other}/{path.name})" in cells[0]["source"]


def test_own_styles_fetch_nothing_from_elsewhere() -> None:
    styles = list((ROOT / "docs" / "_static").glob("*.css"))
    assert styles
    for path in styles:
        assert not REMOTE.search(path.read_text(encoding="utf-8")), path.name
    assert REMOTE.search("@import 'https://example.org/x.css'") and REMOTE.search("url(//example.org/font.woff)")


CONF = runpy.run_path(str(ROOT / "docs" / "conf.py"))


def test_korean_words_are_indexed_by_their_prefixes() -> None:
    assert CONF["prefixes"]("합성곱을") == ["합성", "합성곱", "합성곱을"]
    assert CONF["prefixes"]("convolution") == ["convolution"]


def test_docstrings_are_prepared_for_sphinx() -> None:
    lines = ["Scale x.", "", "x : NDArray[np.bool_]", "", "Use it as::", "", "scale(x)"]
    CONF["prepare_docstring"](None, "function", "f", None, None, lines)
    assert lines == ["Scale x.", "", r"x : NDArray[np.bool\_]", "", "Use it as::", "", "    scale(x)"]
    CONF["prepare_docstring"](None, "method", "f", abs, None, lines)
    assert lines == []


FIDELITY = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")


def test_fidelity_names_tests_that_exist() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", FIDELITY)
    assert len(named) > 50
    for file, function in named:
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), f"{file}::{function}"


def test_fidelity_lists_every_network() -> None:
    """Families of numbered depths by their first and their last member."""
    for name in MODELS:
        family = re.sub(r"\d+(_bn)?$", "", name)
        assert f"`{name}`" in FIDELITY or re.search(rf"`{family}\d+` to `{family}\d+`", FIDELITY), name
