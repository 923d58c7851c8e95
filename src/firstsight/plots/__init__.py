"""Every matplotlib figure; the one place that imports matplotlib. Figures are made without a display."""

from firstsight.plots.cost import cost
from firstsight.plots.filters import filtering
from firstsight.plots.gan_curves import gan_curves, sheet
from firstsight.plots.grid import ALONE, gif, tile_png
from firstsight.plots.maps import features
from firstsight.plots.poses import (
    pck_by_joint,
    pose_curves,
    scene_sheet,
    side_by_side,
    sides_and_sizes,
    top_down_curves,
)
from firstsight.plots.skeletons import draw_people, pose_maps
from firstsight.plots.style import TRAIN, WRONG, message, png
from firstsight.plots.training import confusion, curves, gallery

__all__ = [
    "ALONE",
    "TRAIN",
    "WRONG",
    "confusion",
    "cost",
    "curves",
    "draw_people",
    "features",
    "filtering",
    "gallery",
    "gan_curves",
    "gif",
    "message",
    "pck_by_joint",
    "png",
    "pose_curves",
    "pose_maps",
    "scene_sheet",
    "sheet",
    "side_by_side",
    "sides_and_sizes",
    "tile_png",
    "top_down_curves",
]
