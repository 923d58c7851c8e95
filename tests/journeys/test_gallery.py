"""The README's pictures are made by the commands that stand beside them."""

from pathlib import Path

import numpy as np
import pytest
from make_gallery import make, rows, sheet
from PIL import Image

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
TEXT = (ROOT / "README.md").read_text()


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
