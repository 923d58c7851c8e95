"""The README's pictures are made by the commands that stand beside them."""

import re
from pathlib import Path

import numpy as np
import pytest
from make_gallery import make, rows, sheet
from PIL import Image

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
TEXT = (ROOT / "README.md").read_text()


def bare(code: str) -> str:
    """Without comments, and whatever the language of the chapters."""
    return re.sub(r" *#.*", "", code).replace("notebooks/ko/", "notebooks/en/")


def test_each_has_its_command_and_is_small() -> None:
    found = rows(TEXT)
    assert len(found) == TEXT.count("](docs/pictures/") - 1 >= 6  # the sheet is of all of them
    assert {name for _, name in found} | {"gallery.png"} == {path.name for path in PICTURES.iterdir()}
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < 1_500_000


@pytest.mark.slow
def test_commands_make_the_pictures() -> None:
    """In shape, and in what they show but for what differs between machines."""
    found = rows(TEXT)
    made = make(found)
    for command, name in found:
        with Image.open(PICTURES / name) as image:
            there = np.asarray(image.convert("RGB"), dtype=float)
        here = np.asarray(made[command], dtype=float)
        assert here.shape == there.shape, name
        assert np.abs(here - there).mean() < 8, name
    with Image.open(PICTURES / "gallery.png") as image:
        assert image.size == sheet(made).size


def test_the_korean_readme_has_the_same_commands_and_pictures() -> None:
    """And one term for a concept, as the chapters."""
    korean = (ROOT / "README.ko.md").read_text()
    assert rows(korean) == rows(TEXT)
    figures = r"^\| `[a-z_0-9]+-[a-z0-9]+` \| \w+ \| [\d,]+ \| .*\|$"
    assert re.findall(figures, korean, re.MULTILINE) == re.findall(figures, TEXT, re.MULTILINE) != []
    for indented in (r"^ {4}(?:firstsight|make|pip|python3|jupyter) .*$", r"(?<=```python\n)[^`]*(?=```)"):
        ours, theirs = (re.findall(indented, text, re.MULTILINE) for text in (korean, TEXT))
        assert [bare(each) for each in ours] == [bare(each) for each in theirs[: len(ours)]] != []
    for line in (ROOT / "docs" / "glossary.md").read_text().splitlines():
        if line.startswith("| ") and not line.startswith(("| English", "| ---")):
            _, term, others = (cell.strip() for cell in line.strip("|").split("|"))
            for word in filter(None, map(str.strip, others.split(","))):
                assert word not in korean, f"{word}: the term is {term}"
