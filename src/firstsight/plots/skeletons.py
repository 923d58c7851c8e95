"""People drawn over a picture, and the maps that they were found in."""

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from firstsight.plots.id_label import write_number
from firstsight.plots.style import TEXT, new_figure
from firstsight.pose.parts import Pose
from firstsight.pose.skeleton import Skeleton

OUTLINE = (16, 20, 26, 235)
SMOOTH = 2
"""People are drawn at so many times the picture's size, and brought down."""
LARGEST = 24_000_000
"""Where that would make more pixels, they are drawn at the picture's own size."""
COLUMNS = 6
THUMBNAIL = 900
"""Longest side of the photograph in a figure, in pixels."""

Colour = tuple[int, int, int]


def limb_colours(skeleton: Skeleton) -> list[Colour]:
    """A colour for each limb: warm on the right, cold on the left, yellow between; no two are the same."""
    left, right = ({pair[side] for pair in skeleton.flip_pairs} for side in (0, 1))
    ranges = ((0.86, 1.10), (0.42, 0.68), (0.13, 0.20))
    sides = [0 if b in right or a in right else 1 if b in left or a in left else 2 for a, b in skeleton.limbs]
    colours = []
    for number, side in enumerate(sides):
        place, count = sides[:number].count(side), sides.count(side)
        low, high = ranges[side]
        hue = low + (high - low) * (place + 0.5) / count
        red, green, blue = colorsys.hls_to_rgb(hue % 1, 0.60, 0.92)
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return colours


def identity_colour(number: int) -> Colour:
    """A colour for a person's number, from 1: each a golden section of the circle away from the one before."""
    red, green, blue = colorsys.hls_to_rgb((0.56 + 0.618034 * (number - 1)) % 1, 0.62, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_people(
    picture: Image.Image, poses: Sequence[Pose], skeleton: Skeleton, *, identities: Sequence[int] | None = None,
    apart: bool = False,
) -> Image.Image:  # fmt: skip
    """The picture with people over it: limbs in colours, joints as dots, all with a thin dark edge.

    Parameters
    ----------
    picture : Image.Image
        Of any mode; it is not changed.
    poses : Sequence[Pose]
        In pixels of the picture, pixel centres at integers.
    identities : Sequence[int] | None
        For each pose the number of its person, from 1: written above it, in the colour of all its limbs.
    apart : bool
        Of several people each is drawn in one colour, so that they can be told apart.

    Returns
    -------
    Image.Image
        "RGB", of the same size.
    """
    drawn, colours = picture.convert("RGB") if picture.mode != "RGB" else picture.copy(), limb_colours(skeleton)
    numbers = [None] * len(poses) if identities is None else list(identities)
    hues = [*range(1, len(poses) + 1)] if apart and identities is None and len(poses) > 1 else numbers
    people = sorted(zip(poses, numbers, hues, strict=True), key=lambda person: max(person[0].box[2:]))
    for pose, _, hue in people:
        _draw(drawn, pose, skeleton, colours if hue is None else [identity_colour(hue)] * len(colours))
    for pose, number, _ in people:  # over all people, so that each can be read
        if number is not None:
            write_number(drawn, pose, number, identity_colour(number))
    return drawn


def _draw(picture: Image.Image, pose: Pose, skeleton: Skeleton, colours: Sequence[Colour]) -> None:
    """One person, on a transparent sheet around them that is laid on the picture."""
    size = max(*pose.box[2:], 1.0)
    width = min(max(0.022 * size, 2.0), 0.02 * max(picture.size) + 2)
    edge = max(0.22 * width, 0.8)
    capacity = 2 * width + edge + 2
    x, y, wide, high = pose.box
    left, top = (max(0, int(low - capacity)) for low in (x, y))
    right, bottom = (
        min(side, int(far + capacity) + 1) for side, far in zip(picture.size, (x + wide, y + high), strict=True)
    )
    if right <= left or bottom <= top:
        return
    factor = SMOOTH if SMOOTH**2 * (right - left) * (bottom - top) <= LARGEST else 1
    sheet = Image.new("RGBA", (factor * (right - left), factor * (bottom - top)))
    pen = ImageDraw.Draw(sheet)
    places = (pose.keypoints[:, :2] + 0.5 - (left, top)) * factor
    there = pose.keypoints[:, 2] >= 0
    limbs = [(number, a, b) for number, (a, b) in enumerate(skeleton.limbs) if there[a] and there[b]]
    dots: list[int] = np.flatnonzero(there).tolist()
    thick, border, radius = factor * width, factor * edge, factor * 0.85 * width
    for _, a, b in limbs:
        _stroke(pen, places[a], places[b], thick + 2 * border, OUTLINE)
    for joint in dots:
        _dot(pen, places[joint], radius + border, OUTLINE)
    for number, a, b in limbs:
        _stroke(pen, places[a], places[b], thick, (*colours[number], 255))
    for joint in dots:
        _dot(pen, places[joint], radius, (255, 255, 255, 255))
    if factor > 1:
        sheet = sheet.resize((right - left, bottom - top), Image.Resampling.BOX)
    picture.paste(sheet, (left, top), sheet)


def _stroke(pen: ImageDraw.ImageDraw, a: NDArray[Any], b: NDArray[Any], width: float, colour: tuple[int, ...]) -> None:
    """A line with round ends, of any width."""
    along = b - a
    length = float(np.hypot(*along))
    if length > 0:
        across = np.array([-along[1], along[0]]) / length * width / 2
        pen.polygon([tuple(corner) for corner in (a + across, b + across, b - across, a - across)], fill=colour)
    _dot(pen, a, width / 2, colour)
    _dot(pen, b, width / 2, colour)


def _dot(pen: ImageDraw.ImageDraw, at: NDArray[Any], radius: float, colour: tuple[int, ...]) -> None:
    pen.ellipse((*(at - radius).tolist(), *(at + radius).tolist()), fill=colour)


def pose_maps(
    picture: Image.Image, heatmaps: NDArray[np.float32], pafs: NDArray[np.float32], skeleton: Skeleton,
    *, extent: tuple[float, float, float, float], title: str = "",
) -> Figure:  # fmt: skip
    """The network's maps over the picture: all joints, all fields, then each of them.

    Parameters
    ----------
    heatmaps : NDArray[np.float32]
        (K, h, w) or with the background, which is left out.
    pafs : NDArray[np.float32]
        (2 limbs, h, w); a field's direction is shown as a hue (see the wheel), its length by how much of it.
    extent : tuple[float, float, float, float]
        Left, right, bottom, top of the maps in pixels of the picture.
    """
    photo = np.asarray(_small(picture.convert("L"))) / 255
    size, joints, limbs = picture.size, len(skeleton), len(skeleton.limbs)
    joint_rows, limb_rows = -(-joints // COLUMNS), -(-limbs // COLUMNS)
    aspect = min(max(size[1] / size[0], 0.3), 2.0)
    tall = 1.62 * aspect + 0.22
    figure = new_figure(10.4, tall * (3.1 + joint_rows + limb_rows) + (0.4 if title else 0.1))
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=TEXT)
    rows = joint_rows + limb_rows
    grid = figure.add_gridspec(1 + rows, COLUMNS, height_ratios=[3.0] + [1.0] * rows)
    fields = np.stack([pafs[c : c + 2] for c in skeleton.paf_channels])  # (limbs, 2, h, w)
    longest = np.argmax(np.square(fields).sum(1), 0)
    strongest = np.take_along_axis(fields, longest[None, None], 0)[0]

    def show(axes: Any, layer: NDArray[np.float64], name: str, fontsize: float) -> None:
        axes.imshow(photo, cmap="gray", vmin=-0.35, vmax=1.1, extent=(-0.5, size[0] - 0.5, size[1] - 0.5, -0.5))
        axes.imshow(layer, extent=extent, interpolation="bilinear")
        axes.set(xlim=(-0.5, size[0] - 0.5), ylim=(size[1] - 0.5, -0.5))
        axes.axis("off")
        axes.set_title(name, loc="left", fontsize=fontsize, color=TEXT, pad=3)

    large = COLUMNS // 2
    show(figure.add_subplot(grid[0, :large]), heatmap_rgba(heatmaps[:joints].max(0)), "all joints", 10)
    where = figure.add_subplot(grid[0, large:])
    show(where, flow_to_color(strongest), "all limbs: hue is the direction", 10)
    _legend(where)
    for number, name in enumerate(skeleton.joints):
        place = grid[1 + number // COLUMNS, number % COLUMNS]
        show(figure.add_subplot(place), heatmap_rgba(heatmaps[number]), name.replace("_", " "), 7.5)
    for number, (a, b) in enumerate(skeleton.limbs):
        place = grid[1 + joint_rows + number // COLUMNS, number % COLUMNS]
        name = f"{_short(skeleton.joints[a])} to {_short(skeleton.joints[b])}"
        show(figure.add_subplot(place), flow_to_color(fields[number]), name, 7.5)
    return figure


def heatmap_rgba(heatmap: NDArray[np.float32]) -> NDArray[np.float64]:
    """A heatmap as (h, w, 4) colours, through red to yellow; clear where it is 0."""
    value = np.clip(np.asarray(heatmap, dtype=np.float64), 0, 1)
    colour = np.stack([np.ones_like(value), 0.15 + 0.8 * value, 0.25 * (1 - value)], -1)
    return np.concatenate([colour, np.clip(1.6 * value, 0, 0.92)[..., None]], -1)


def flow_to_color(field: NDArray[np.float32]) -> NDArray[np.float64]:
    """A field (2, h, w) as (h, w, 4) colours: hue by its direction, opacity by its length, clear where it is 0."""
    x, y = np.asarray(field, dtype=np.float64)
    length = np.clip(np.hypot(x, y), 0, 1)
    hue = np.arctan2(y, x) / (2 * np.pi) % 1
    colour = hsv_to_rgb(np.stack([hue, np.full_like(hue, 0.85), np.ones_like(hue)], -1))
    return np.concatenate([colour, 0.92 * length[..., None]], -1)


def _legend(axes: Any) -> None:
    """What hue means which direction, in a corner: the colour on the right is that of limbs that lead to the right."""
    y, x = np.mgrid[-1:1:121j, -1:1:121j]
    inside = np.hypot(x, y) <= 1
    small = axes.inset_axes((0.84, 0.02, 0.15, 0.2))
    small.imshow(flow_to_color(np.where(inside, np.stack([x, y]), 0).astype(np.float32)), interpolation="bilinear")
    small.axis("off")


def _small(picture: Image.Image) -> Image.Image:
    held = picture.copy()
    held.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)
    return held


def _short(joint: str) -> str:
    return joint.replace("left_", "l. ").replace("right_", "r. ").replace("_", " ")
