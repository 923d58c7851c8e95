"""Every matplotlib figure; the one place that imports matplotlib. Figures are made without a display."""

from firstsight.plots.cost import cost
from firstsight.plots.duel import duel, sheet
from firstsight.plots.filters import filtering
from firstsight.plots.grid import gif, tile_png
from firstsight.plots.maps import features
from firstsight.plots.style import TRAIN, WRONG, message, png
from firstsight.plots.training import confusion, curves, gallery

__all__ = [
    "TRAIN",
    "WRONG",
    "confusion",
    "cost",
    "curves",
    "duel",
    "features",
    "filtering",
    "gallery",
    "gif",
    "message",
    "png",
    "sheet",
    "tile_png",
]
