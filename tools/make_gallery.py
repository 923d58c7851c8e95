"""Generate the images of docs/gallery.md with the commands next to them.

    python tools/make_gallery.py [--out docs/images]

Each row of the table in docs/gallery.md has a command and the image that it makes. The commands run unchanged in a
temporary folder. `gallery.png` at the top of the README shows all images. The images may be published: they show
bundled digits, generated digits and clothes, and the sample photographs (US Navy, public domain; COCO, CC BY 2.0).
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
ROW = re.compile(r"^\| `(firstsight [^`]*--out (\S+)\.(?:png|jpg))` \| .*\(images/(\S+)\.(png|jpg)\)", re.MULTILINE)
MAX_WIDTH = 640
"""Maximum width of an image in pixels."""
TILE, COLUMNS, GAP, CAPTION_HEIGHT = (400, 310), 3, 24, 46
CAPTION_CHARACTERS = 46
"""Maximum number of characters per line of a caption."""


def read_rows(page: str) -> list[tuple[str, str]]:
    """Return the command and the image name of each row of the table; photographs are stored as JPEG."""
    return [
        (command, f"{name}.{suffix}")
        for command, out, name, suffix in ROW.findall(page)
        if name == (f"{out}-maps" if " --maps" in command else out)
    ]


def run_commands(commands: list[tuple[str, str]]) -> dict[str, Image.Image]:
    """Run the commands and return the image of each, scaled to at most `MAX_WIDTH` pixels.

    Raises
    ------
    RuntimeError
        If a command fails.
    """
    images, previous_folder = {}, Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for command, name in commands:
                if firstsight(shlex.split(command)[1:]):
                    raise RuntimeError(f"failed: {command}")
                written = next(Path().glob(f"{Path(name).stem}.*"))
                with Image.open(written) as file:
                    image = file.convert("RGB")
                if image.width > MAX_WIDTH:
                    size = MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)
                    image = image.resize(size, Image.Resampling.LANCZOS)
                images[command] = image
        finally:
            os.chdir(previous_folder)
    return images


def caption(command: str) -> str:
    """Return a command without ``--out``, wrapped so that options and their values stay on one line."""
    command = re.sub(r" --out \S+", "", command)
    unbroken = re.sub(r"(--\S+) (?!-)", "\\1\xa0", command)
    return "\n".join(textwrap.wrap(unbroken, CAPTION_CHARACTERS, break_on_hyphens=False))


def make_grid(images: dict[str, Image.Image]) -> Image.Image:
    """Return one image with all images in a grid, each above its command."""
    font = ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSansMono.ttf"), 13)
    (width, height), rows = TILE, -(-len(images) // COLUMNS)
    size = COLUMNS * (width + GAP) + GAP, rows * (height + CAPTION_HEIGHT + GAP) + GAP
    grid = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(grid)
    for i, (command, image) in enumerate(images.items()):
        left = GAP + i % COLUMNS * (width + GAP)
        top = GAP + i // COLUMNS * (height + CAPTION_HEIGHT + GAP)
        scale = min(width / image.width, height / image.height)
        resized = image.resize(
            (round(image.width * scale), round(image.height * scale)),
            Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS,
        )
        grid.paste(resized, (left + (width - resized.width) // 2, top + (height - resized.height) // 2))
        center = left + width / 2, top + height + CAPTION_HEIGHT / 2
        draw.text(center, caption(command), (60, 66, 77), font, anchor="mm", align="center")
    return grid


def main() -> None:
    """Generate and save the images and the grid."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    commands = read_rows((ROOT / "docs" / "gallery.md").read_text(encoding="utf-8"))
    images = run_commands(commands)
    for command, name in commands:
        images[command].save(folder / name, optimize=True, quality=85)
    make_grid(images).save(folder / "gallery.png", optimize=True)


if __name__ == "__main__":
    main()
