"""All figures. This is the only package that imports matplotlib; figures need no display."""

from firstsight.plots.compare import compare_runs
from firstsight.plots.contact_sheet import contact_sheet
from firstsight.plots.cost import cost
from firstsight.plots.encode import encode_figure, encode_image, encode_png
from firstsight.plots.filters import filtering
from firstsight.plots.gan_curves import gan_curves, image_grid
from firstsight.plots.grid import STANDALONE_MIN_SIDE, encode_gif, tile, tile_png
from firstsight.plots.maps import features
from firstsight.plots.network_input import SIDE as INPUT_SIDE
from firstsight.plots.network_input import network_inputs
from firstsight.plots.poses import (
    pck_by_joint,
    pose_curves,
    scene_grid,
    side_by_side,
    swaps_and_errors,
    top_down_curves,
)
from firstsight.plots.skeletons import draw_people, pose_maps
from firstsight.plots.style import TRAIN, WRONG, text_figure
from firstsight.plots.training import confusion, curves, gallery

__all__ = [
    "INPUT_SIDE",
    "STANDALONE_MIN_SIDE",
    "TRAIN",
    "WRONG",
    "compare_runs",
    "confusion",
    "contact_sheet",
    "cost",
    "curves",
    "draw_people",
    "encode_figure",
    "encode_gif",
    "encode_image",
    "encode_png",
    "features",
    "filtering",
    "gallery",
    "gan_curves",
    "image_grid",
    "network_inputs",
    "pck_by_joint",
    "pose_curves",
    "pose_maps",
    "scene_grid",
    "side_by_side",
    "swaps_and_errors",
    "text_figure",
    "tile",
    "tile_png",
    "top_down_curves",
]
