"""Make the README's pictures with the commands that stand beside them.

    python tools/make_gallery.py [--out docs/pictures]

Every row of the README's table of pictures is a command and the picture it makes; the commands are run as they are
written there, in a folder of their own. The sheet on top of the README, `gallery.png`, is made of all of them. Each
picture shows what may be shown: embedded digits, generated digits and clothes, the photograph that comes along (US
Navy, public domain).
"""

import argparse
import os
import re
import shlex
import tempfile
import textwrap
from pathlib import Path

from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from firstsight.cli import main as firstsight

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| `(firstsight [^`]+ --out (\S+\.png))` \| .*\(docs/pictures/(\S+\.png)\)", re.MULTILINE)
WIDE = 640
"""Pixels of a picture, at most."""
TILE, COLUMNS, GAP, CAPTION = (400, 310), 3, 24, 46

LETTERS = 46
"""Of a line under a tile."""


def rows(readme: str) -> list[tuple[str, str]]:
    """(command, name of its picture) of every row of the table."""
    return [(command, name) for command, out, name in ROW.findall(readme) if out == name]


def make(commands: list[tuple[str, str]]) -> dict[str, Image.Image]:
    """The pictures by their commands, each at most `WIDE` pixels wide.

    Raises
    ------
    RuntimeError
        A command failed.
    """
    made, here = {}, Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for command, name in commands:
                if firstsight(shlex.split(command)[1:]):
                    raise RuntimeError(f"failed: {command}")
                with Image.open(name) as image:
                    picture = image.convert("RGB")
                if picture.width > WIDE:
                    size = WIDE, round(picture.height * WIDE / picture.width)
                    picture = picture.resize(size, Image.Resampling.LANCZOS)
                made[command] = picture
        finally:
            os.chdir(here)
    return made


def sheet(pictures: dict[str, Image.Image]) -> Image.Image:
    """All of them beside one another, each over its command."""
    font = ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSansMono.ttf"), 13)
    (wide, high), lines = TILE, -(-len(pictures) // COLUMNS)
    size = COLUMNS * (wide + GAP) + GAP, lines * (high + CAPTION + GAP) + GAP
    whole = Image.new("RGB", size, (255, 255, 255))
    pen = ImageDraw.Draw(whole)
    for i, (command, picture) in enumerate(pictures.items()):
        left = GAP + i % COLUMNS * (wide + GAP)
        top = GAP + i // COLUMNS * (high + CAPTION + GAP)
        scale = min(wide / picture.width, high / picture.height)
        fitted = picture.resize(
            (round(picture.width * scale), round(picture.height * scale)),
            Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS,
        )
        whole.paste(fitted, (left + (wide - fitted.width) // 2, top + (high - fitted.height) // 2))
        whole_options = re.sub(
            r"(--\S+) (?!-)", "\\1\xa0", re.sub(r" --out \S+", "", command)
        )  # a value stays with its name
        shown = "\n".join(textwrap.wrap(whole_options, LETTERS, break_on_hyphens=False))
        pen.text((left + wide / 2, top + high + CAPTION / 2), shown, (60, 66, 77), font, anchor="mm", align="center")
    return whole


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    commands = rows((ROOT / "README.md").read_text(encoding="utf-8"))
    pictures = make(commands)
    for command, name in commands:
        pictures[command].save(folder / name, optimize=True)
    sheet(pictures).save(folder / "gallery.png", optimize=True)


if __name__ == "__main__":
    main()
