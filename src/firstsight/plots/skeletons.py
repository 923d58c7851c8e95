"""Draw people on an image, and plot heatmaps and part affinity fields."""

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from firstsight.plots.id_label import draw_id_label
from firstsight.plots.style import TEXT, new_figure
from firstsight.pose.parts import Pose
from firstsight.pose.skeleton import Skeleton

OUTLINE = (16, 20, 26, 235)
SUPERSAMPLING = 2
"""People are drawn at this multiple of the image size and then downsampled."""
MAX_PIXELS = 24_000_000
"""People are drawn without supersampling if it would need more pixels."""
UNCERTAIN = 0.3
"""Joints with a lower score are drawn as uncertain."""
UNCERTAIN_WIDTH = 0.55
"""Width of an uncertain limb, relative to a certain one."""
UNCERTAIN_OPACITY = 150
COLUMNS = 6
MAX_IMAGE_SIDE = 900
"""Longest side of the image in a figure in pixels."""

Color = tuple[int, int, int]


def limb_colors(skeleton: Skeleton) -> list[Color]:
    """Return a different RGB color for each limb: warm on the right side, cold on the left, yellow in the middle."""
    left, right = ({pair[side] for pair in skeleton.flip_pairs} for side in (0, 1))
    hue_ranges = ((0.86, 1.10), (0.42, 0.68), (0.13, 0.20))
    sides = [0 if b in right or a in right else 1 if b in left or a in left else 2 for a, b in skeleton.limbs]
    colors = []
    for index, side in enumerate(sides):
        rank = sides[:index].count(side)
        count = sides.count(side)
        low, high = hue_ranges[side]
        hue = low + (high - low) * (rank + 0.5) / count
        colors.append(_hls_color(hue, 0.60, 0.92))
    return colors


def drawn_limbs(skeleton: Skeleton) -> frozenset[int]:
    """Return the numbers of the limbs that are drawn: all but those from ear to shoulder, if there is a neck.

    OpenPose uses these limbs to connect joints, and does not draw them either.
    """
    if "neck" not in skeleton.joints:
        return frozenset(range(len(skeleton.limbs)))
    ends = [{skeleton.joints[joint].rpartition("_")[2] for joint in limb} for limb in skeleton.limbs]
    return frozenset(number for number, parts in enumerate(ends) if parts != {"ear", "shoulder"})


def identity_color(number: int) -> Color:
    """Return the RGB color of a person's number, counted from 1.

    The hues of consecutive numbers are a golden section of the color circle apart.
    """
    return _hls_color(0.56 + 0.618034 * (number - 1), 0.62, 0.95)


def _hls_color(hue: float, lightness: float, saturation: float) -> Color:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, lightness, saturation)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_people(
    image: Image.Image,
    poses: Sequence[Pose],
    skeleton: Skeleton,
    *,
    identities: Sequence[int] | None = None,
    color_by_person: bool = False,
) -> Image.Image:
    """Draw people on a copy of an image: limbs as colored lines, joints as dots, both with a thin dark outline.

    Joints with a score below `UNCERTAIN` and their limbs are drawn thinner and lighter.

    Parameters
    ----------
    image : Image.Image
        Image of any mode; it is not modified.
    poses : Sequence[Pose]
        Poses in pixels of the image, with pixel centers at integers.
    skeleton : Skeleton
        Joints and limbs of the poses.
    identities : Sequence[int] | None
        Number of each person, counted from 1. It is drawn above the person and determines the color of all limbs.
    color_by_person : bool
        Whether to draw each of several people in one color instead of coloring by limb.

    Returns
    -------
    Image.Image
        RGB image of the same size.
    """
    result = image.convert("RGB") if image.mode != "RGB" else image.copy()
    colors = limb_colors(skeleton)
    numbers = [None] * len(poses) if identities is None else list(identities)
    use_one_color = color_by_person and identities is None and len(poses) > 1
    color_numbers = [*range(1, len(poses) + 1)] if use_one_color else numbers
    people = sorted(zip(poses, numbers, color_numbers, strict=True), key=lambda person: max(person[0].box[2:]))
    for pose, _, color_number in people:
        _draw_pose(
            result, pose, skeleton, colors if color_number is None else [identity_color(color_number)] * len(colors)
        )
    for pose, number, _ in people:  # after all people, so that no label is covered
        if number is not None:
            draw_id_label(result, pose, number, identity_color(number))
    return result


def _draw_pose(image: Image.Image, pose: Pose, skeleton: Skeleton, colors: Sequence[Color]) -> None:
    """Draw one person on a transparent layer and paste it into the image."""
    size = max(*pose.box[2:], 1.0)
    width = min(max(0.022 * size, 2.0), 0.02 * max(image.size) + 2)
    border = max(0.22 * width, 0.8)
    margin = 2 * width + border + 2
    x, y, w, h = pose.box
    left, top = (max(0, int(low - margin)) for low in (x, y))
    right, bottom = (min(side, int(high + margin) + 1) for side, high in zip(image.size, (x + w, y + h), strict=True))
    if right <= left or bottom <= top:
        return
    factor = SUPERSAMPLING if SUPERSAMPLING**2 * (right - left) * (bottom - top) <= MAX_PIXELS else 1
    layer = Image.new("RGBA", (factor * (right - left), factor * (bottom - top)))
    draw = ImageDraw.Draw(layer)
    points = (pose.keypoints[:, :2] + 0.5 - (left, top)) * factor
    is_present = pose.keypoints[:, 2] >= 0
    shown = drawn_limbs(skeleton)
    limbs = [(i, a, b) for i, (a, b) in enumerate(skeleton.limbs) if i in shown and is_present[a] and is_present[b]]
    joints: list[int] = np.flatnonzero(is_present).tolist()
    line_width = factor * width
    line_border = factor * border
    radius = factor * 0.85 * width
    is_uncertain = pose.keypoints[:, 2] < UNCERTAIN
    for is_lighter in (True, False):  # uncertain limbs first, so that certain ones cover them
        shown_limbs = [limb for limb in limbs if (is_uncertain[limb[1]] or is_uncertain[limb[2]]) == is_lighter]
        shown_joints = [joint for joint in joints if is_uncertain[joint] == is_lighter]
        scale, opacity = (UNCERTAIN_WIDTH, UNCERTAIN_OPACITY) if is_lighter else (1.0, 255)
        outline = (*OUTLINE[:3], OUTLINE[3] * opacity // 255)
        for _, a, b in shown_limbs:
            _draw_line(draw, points[a], points[b], scale * line_width + 2 * line_border, outline)
        for joint in shown_joints:
            _draw_dot(draw, points[joint], scale * radius + line_border, outline)
        for index, a, b in shown_limbs:
            _draw_line(draw, points[a], points[b], scale * line_width, (*colors[index], opacity))
        for joint in shown_joints:
            _draw_dot(draw, points[joint], scale * radius, (255, 255, 255, opacity))
    if factor > 1:
        layer = layer.resize((right - left, bottom - top), Image.Resampling.BOX)
    image.paste(layer, (left, top), layer)


def _draw_line(
    draw: ImageDraw.ImageDraw, a: NDArray[Any], b: NDArray[Any], width: float, color: tuple[int, ...]
) -> None:
    """Draw a line with round ends."""
    direction = b - a
    length = float(np.hypot(*direction))
    if length > 0:
        normal = np.array([-direction[1], direction[0]]) / length * width / 2
        draw.polygon([tuple(corner) for corner in (a + normal, b + normal, b - normal, a - normal)], fill=color)
    _draw_dot(draw, a, width / 2, color)
    _draw_dot(draw, b, width / 2, color)


def _draw_dot(draw: ImageDraw.ImageDraw, center: NDArray[Any], radius: float, color: tuple[int, ...]) -> None:
    draw.ellipse((*(center - radius).tolist(), *(center + radius).tolist()), fill=color)


def pose_maps(
    image: Image.Image,
    heatmaps: NDArray[np.float32],
    pafs: NDArray[np.float32],
    skeleton: Skeleton,
    *,
    extent: tuple[float, float, float, float],
    title: str = "",
) -> Figure:
    """Plot heatmaps and part affinity fields (PAFs) over an image: all in one, then each separately.

    Parameters
    ----------
    image : Image.Image
        The image.
    heatmaps : NDArray[np.float32]
        Heatmaps of shape (K, h, w), or (K + 1, h, w) with the background, which is not plotted.
    pafs : NDArray[np.float32]
        PAFs of shape (2 limbs, h, w). The hue shows the direction, the opacity the length.
    skeleton : Skeleton
        Joints and limbs of the maps.
    extent : tuple[float, float, float, float]
        Left, right, bottom and top of the maps in pixels of the image.
    title : str
        Title of the figure.

    Returns
    -------
    Figure
        Two large panels (all joints, all limbs), then one panel per joint and per limb.
    """
    gray = np.asarray(_downscale(image.convert("L"))) / 255
    width, height = image.size
    num_joints = len(skeleton)
    joint_rows = -(-num_joints // COLUMNS)
    limb_rows = -(-len(skeleton.limbs) // COLUMNS)
    rows = joint_rows + limb_rows
    aspect = min(max(height / width, 0.3), 2.0)
    row_height = 1.62 * aspect + 0.22
    fig = new_figure(10.4, row_height * (3.1 + joint_rows + limb_rows) + (0.4 if title else 0.1))
    if title:
        fig.suptitle(title, x=0.01, ha="left", fontsize=12, color=TEXT)
    grid = fig.add_gridspec(1 + rows, COLUMNS, height_ratios=[3.0] + [1.0] * rows)
    fields = np.stack([pafs[c : c + 2] for c in skeleton.paf_channels])  # (limbs, 2, h, w)

    def show(ax: Any, rgba: NDArray[np.float64], name: str, fontsize: float) -> None:
        ax.imshow(gray, cmap="gray", vmin=-0.35, vmax=1.1, extent=(-0.5, width - 0.5, height - 0.5, -0.5))
        ax.imshow(rgba, extent=extent, interpolation="bilinear")
        ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
        ax.axis("off")
        ax.set_title(name, loc="left", fontsize=fontsize, color=TEXT, pad=3)

    middle = COLUMNS // 2
    show(fig.add_subplot(grid[0, :middle]), heatmap_rgba(heatmaps[:num_joints].max(0)), "all joints", 10)
    ax = fig.add_subplot(grid[0, middle:])
    show(ax, flow_to_color(_longest_vectors(fields)), "all limbs (hue: direction)", 10)
    _add_direction_legend(ax)
    for index, name in enumerate(skeleton.joints):
        cell = grid[1 + index // COLUMNS, index % COLUMNS]
        show(fig.add_subplot(cell), heatmap_rgba(heatmaps[index]), name.replace("_", " "), 7.5)
    for index, (a, b) in enumerate(skeleton.limbs):
        cell = grid[1 + joint_rows + index // COLUMNS, index % COLUMNS]
        name = f"{_abbreviate(skeleton.joints[a])} to {_abbreviate(skeleton.joints[b])}"
        show(fig.add_subplot(cell), flow_to_color(fields[index]), name, 7.5)
    return fig


def _longest_vectors(fields: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the longest vector of (limbs, 2, h, w) fields at each position, as (2, h, w)."""
    longest = np.argmax(np.square(fields).sum(1), 0)
    vectors: NDArray[np.float32] = np.take_along_axis(fields, longest[None, None], 0)[0]
    return vectors


def heatmap_rgba(heatmap: NDArray[np.float32]) -> NDArray[np.float64]:
    """Convert a heatmap to colors from red to yellow, transparent where it is 0.

    Parameters
    ----------
    heatmap : NDArray[np.float32]
        Heatmap of shape (h, w); values are clipped to [0, 1].

    Returns
    -------
    NDArray[np.float64]
        RGBA colors of shape (h, w, 4) in [0, 1].
    """
    value = np.clip(np.asarray(heatmap, dtype=np.float64), 0, 1)
    rgb = np.stack([np.ones_like(value), 0.15 + 0.8 * value, 0.25 * (1 - value)], -1)
    return np.concatenate([rgb, np.clip(1.6 * value, 0, 0.92)[..., None]], -1)


def flow_to_color(field: NDArray[np.float32]) -> NDArray[np.float64]:
    """Convert a vector field to colors: the hue shows the direction, the opacity the length.

    Parameters
    ----------
    field : NDArray[np.float32]
        Vectors (x, y) of shape (2, h, w); lengths are clipped to [0, 1].

    Returns
    -------
    NDArray[np.float64]
        RGBA colors of shape (h, w, 4) in [0, 1], transparent where the field is 0.
    """
    x, y = np.asarray(field, dtype=np.float64)
    length = np.clip(np.hypot(x, y), 0, 1)
    hue = np.arctan2(y, x) / (2 * np.pi) % 1
    rgb = hsv_to_rgb(np.stack([hue, np.full_like(hue, 0.85), np.ones_like(hue)], -1))
    return np.concatenate([rgb, 0.92 * length[..., None]], -1)


def _add_direction_legend(ax: Any) -> None:
    """Add a color wheel in a corner: the color at its right is that of vectors that point to the right."""
    y, x = np.mgrid[-1:1:121j, -1:1:121j]
    is_inside = np.hypot(x, y) <= 1
    inset = ax.inset_axes((0.84, 0.02, 0.15, 0.2))
    inset.imshow(flow_to_color(np.where(is_inside, np.stack([x, y]), 0).astype(np.float32)), interpolation="bilinear")
    inset.axis("off")


def _downscale(image: Image.Image) -> Image.Image:
    result = image.copy()
    result.thumbnail((MAX_IMAGE_SIDE, MAX_IMAGE_SIDE), Image.Resampling.BILINEAR)
    return result


def _abbreviate(joint: str) -> str:
    return joint.replace("left_", "l. ").replace("right_", "r. ").replace("_", " ")
