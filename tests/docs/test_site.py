"""The site: built without a warning and without a network, asks nobody for anything, and its links lead somewhere."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from make_site import LANGUAGES, modules, packages

from firstsight.gan import GANS
from firstsight.nets import MODELS
from firstsight.pose import POSE_MODELS, TOP_DOWN_MODELS
from firstsight.recipes import RECIPES
from firstsight.weights.shipped import shipped

ROOT = Path(__file__).parents[2]
FETCHED = {
    "script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src", "audio": "src", "embed": "src",
    "object": "data",
}  # fmt: skip
"""What a browser asks for by itself. Of ``link`` it depends on ``rel``."""
NOT_FETCHED = {"canonical", "next", "prev", "index", "search", "author", "help", "license"}


@dataclass
class Page(HTMLParser):
    """What a page holds: addresses that are fetched, addresses to go to, places to go to, words for pictures."""

    fetched: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)
    described: list[str] = field(default_factory=list)
    language: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def __hash__(self) -> int:
        return id(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "html":
            self.language = given.get("lang", "")
        if tag == "img":
            self.described.append(given["alt"])
        if tag in FETCHED and FETCHED[tag] in given:
            self.fetched.append(given[FETCHED[tag]])
        if tag == "link" and "href" in given and given.get("rel") not in NOT_FETCHED:
            self.fetched.append(given["href"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it, with the network cut where that can be done."""
    out = tmp_path_factory.mktemp("docs") / "site"
    cut = ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--net", "--map-root-user")
    prefix = () if subprocess.run([*cut, "true"], capture_output=True, check=False).returncode else cut
    command = [*prefix, sys.executable, str(ROOT / "tools" / "make_site.py"), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr and "ERROR" not in done.stderr, done.stderr
    return out


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    found = {}
    for path in sorted(site.rglob("*.html")):
        found[path] = Page()
        found[path].feed(path.read_text(encoding="utf-8"))
    assert len(found) > 30
    return found


@pytest.mark.slow
def test_nobody_is_asked_for_anything(site: Path, pages: dict[Path, Page]) -> None:
    """Scripts, stylesheets, pictures and fonts are the site's own; links that a reader may follow are another thing."""
    for path, page in pages.items():
        for address in page.fetched:
            assert urlsplit(address).scheme in ("", "data"), f"{path.name}: {address}"
            assert not address.startswith("//"), f"{path.name}: {address}"
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""(url\(|@import)\s*["']?(https?:)?//""", text), path.name


def targets(path: Path, page: Page) -> Iterator[tuple[Path, str]]:
    """File and place of every address within the site."""
    for address in [*page.links, *page.fetched]:
        if urlsplit(address).scheme or address.startswith("//"):
            continue
        where, place = urldefrag(address)
        file = unquote(where.partition("?")[0])
        yield (path if not file else (path.parent / file).resolve()), unquote(place)


@pytest.mark.slow
def test_links_within_the_site_lead_somewhere(pages: dict[Path, Page]) -> None:
    known = {path.resolve(): page for path, page in pages.items()}
    count = 0
    for path, page in known.items():
        for file, place in targets(path, page):
            assert file.is_file(), f"{path.name}: {file}"
            if place and file in known and path.name != "search.html":
                assert place in known[file].places, f"{path.name}: {file.name}#{place}"
            count += 1
    assert count > 1000


@pytest.mark.slow
def test_everything_is_there(site: Path, pages: dict[Path, Page]) -> None:
    """Chapters, how-tos, modules, recipes and cards, whatever there is now."""
    for language in LANGUAGES:
        for book in (ROOT / "notebooks" / language).glob("*.ipynb"):
            page = pages[site / "chapters" / language / f"{book.stem}.html"]
            assert page.language == language
            assert any(address.endswith(".png") for address in page.fetched)
            assert page.described and not any(words.endswith(".png") for words in page.described)
    for source in (ROOT / "docs").rglob("*.md"):
        assert site / source.relative_to(ROOT / "docs").with_suffix(".html") in pages
    for package in packages():
        page = pages[site / "reference" / f"{package}.html"]
        assert {f"module-firstsight.{package}.{module}" for module in modules(package)} <= page.places
        assert f"module-firstsight.{package}" in page.places
    results = " ".join(pages[site / "results.html"].text.split())
    for recipe in RECIPES.values():
        assert recipe.name in results and recipe.result in results
    assert {f"{name}.html" for name in shipped()} <= {path.name for path in (site / "cards").glob("*.html")}


@pytest.mark.slow
def test_both_languages_are_in_the_search(site: Path) -> None:
    """A Korean word also without the particle that hangs on it: the index has its beginnings."""
    text = (site / "searchindex.js").read_text(encoding="utf-8").strip()
    terms = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))["terms"]
    assert "convolut" in terms  # English words by their stem
    assert {"합성곱", "기울기", "텐서"} <= set(terms)
    script = (site / "_static" / "language_data.js").read_text(encoding="utf-8")
    stemmer = re.search(r"^window\.Stemmer = (.*);$", script, re.MULTILINE)
    assert stemmer and f"var {stemmer[1]}=function" in script  # else the page of results stays empty


FIDELITY = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")


def test_the_ledger_names_tests_that_are_there() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", FIDELITY)
    assert len(named) > 50
    for file, function in named:
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), f"{file}::{function}"


def test_the_ledger_has_every_network() -> None:
    """Families of numbered depths by their first and their last."""
    for name in {*MODELS, *POSE_MODELS, *TOP_DOWN_MODELS, *GANS}:
        family = re.sub(r"\d+(_bn)?$", "", name)
        assert f"`{name}`" in FIDELITY or re.search(rf"`{family}\d+` to `{family}\d+`", FIDELITY), name
