"""Labels with the number of a person, drawn above the person."""

from functools import lru_cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from firstsight.pose.parts import Pose

DARK, LIGHT = (16, 20, 26), (255, 255, 255)
LUMA_THRESHOLD = 135
"""The text is light on colors with a lower luma (ITU-R BT.601), dark on others."""
SUPERSAMPLING = 4
"""The label is drawn at this multiple of its size and then downsampled."""


def draw_id_label(image: Image.Image, pose: Pose, number: int, color: tuple[int, int, int]) -> None:
    """Draw a number on a rounded label above a pose, inside the image.

    Parameters
    ----------
    image : Image.Image
        RGB image; it is modified.
    pose : Pose
        Pose in pixels of the image. A pose without keypoints gets no label.
    number : int
        Number to draw.
    color : tuple[int, int, int]
        RGB color of the label.
    """
    if not (pose.keypoints[:, 2] >= 0).any():
        return
    label = _make_label(number, color, _label_height(pose, image.height))
    left, top, width, _ = pose.box
    x = round(left + width / 2 - label.width / 2)
    y = round(top - 1.45 * label.height)
    x = _clip(x, image.width - label.width)
    y = _clip(y, image.height - label.height)
    image.paste(label, (x, y), label)


def _clip(position: int, space: int) -> int:
    """Keep a margin of one pixel on both sides of the label, if there is space."""
    return min(max(position, 1), max(space - 1, 0))


def _label_height(pose: Pose, image_height: int) -> int:
    """Return the even height of a label in pixels: proportional to the person, within limits set by the image."""
    return 2 * round(min(max(0.10 * max(pose.box[2:]), 0.035 * image_height, 12), max(0.075 * image_height, 12)) / 2)


@lru_cache(256)
def _make_label(number: int, color: tuple[int, int, int], height: int) -> Image.Image:
    h = SUPERSAMPLING * height
    border = max(1, round(0.07 * SUPERSAMPLING * height))
    font = _load_font(round(0.70 * h))
    text = str(number)
    w = max(h, round(font.getlength(text) + 0.55 * h))
    large = Image.new("RGBA", (w, h))
    draw = ImageDraw.Draw(large)
    draw.rounded_rectangle((0, 0, w - 1, h - 1), radius=0.32 * h, fill=(*DARK, 235))
    interior = (border, border, w - 1 - border, h - 1 - border)
    draw.rounded_rectangle(interior, radius=0.32 * h - border, fill=(*color, 255))
    luma = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    text_color = LIGHT if luma < LUMA_THRESHOLD else DARK
    draw.text((w / 2, h / 2), text, font=font, fill=(*text_color, 255), anchor="mm")
    return large.resize((max(1, w // SUPERSAMPLING), height), Image.Resampling.BOX)


@lru_cache(256)
def _load_font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf", size)
