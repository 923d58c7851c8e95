"""The number of a person, written above them."""

from functools import lru_cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from firstsight.pose.parts import Pose

DARK, LIGHT = (16, 20, 26), (255, 255, 255)
DIM = 135
"""Numbers are light on colours with less luma (ITU-R 601), else dark."""
FINE = 4
"""The badge is drawn at so many times its size, and brought down."""


def write_number(picture: Image.Image, pose: Pose, number: int, colour: tuple[int, int, int]) -> None:
    """Write a number on a rounded badge above a pose, within the picture.

    Parameters
    ----------
    picture : Image.Image
        "RGB"; it is drawn on.
    pose : Pose
        In pixels of the picture. One without joints gets no badge.
    """
    if not (pose.keypoints[:, 2] >= 0).any():
        return
    badge = _badge(number, colour, _tall(pose, picture.height))
    left, top, wide, _ = pose.box
    x = round(left + wide / 2 - badge.width / 2)
    y = round(top - 1.45 * badge.height)
    x, y = (
        min(max(at, 1), max(side - own - 1, 0)) for at, side, own in zip((x, y), picture.size, badge.size, strict=True)
    )
    picture.paste(badge, (x, y), badge)


def _tall(pose: Pose, height: int) -> int:
    """A badge's height in pixels, even: by the person's size, but to be read in the picture, and not to cover it."""
    return 2 * round(min(max(0.10 * max(pose.box[2:]), 0.035 * height, 12), max(0.075 * height, 12)) / 2)


@lru_cache(256)
def _badge(number: int, colour: tuple[int, int, int], tall: int) -> Image.Image:
    fine, edge = FINE * tall, max(1, round(0.07 * FINE * tall))
    font, text = _font(round(0.70 * fine)), str(number)
    wide = max(fine, round(font.getlength(text) + 0.55 * fine))
    sheet = Image.new("RGBA", (wide, fine))
    pen = ImageDraw.Draw(sheet)
    pen.rounded_rectangle((0, 0, wide - 1, fine - 1), radius=0.32 * fine, fill=(*DARK, 235))
    inside = (edge, edge, wide - 1 - edge, fine - 1 - edge)
    pen.rounded_rectangle(inside, radius=0.32 * fine - edge, fill=(*colour, 255))
    luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    ink = LIGHT if luma < DIM else DARK
    pen.text((wide / 2, fine / 2), text, font=font, fill=(*ink, 255), anchor="mm")
    return sheet.resize((max(1, wide // FINE), tall), Image.Resampling.BOX)


@lru_cache(256)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf", size)
