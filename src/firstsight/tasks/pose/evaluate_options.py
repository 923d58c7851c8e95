"""Options of the evaluation of pose networks. Importing this module imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal


@dataclass(frozen=True, kw_only=True)
class PoseOptions:
    """Options of the evaluation of pose networks."""

    TITLE: ClassVar[str] = "pose network"
    images: Path | None = None
    """Folder of the images of the JSON file (default: next to it, in images or under the name of the file)."""
    height: int | None = None
    """Height in pixels that images are resized to (bottom-up; default: that of the network)."""
    method: Literal["fast", "exact"] | None = None
    """Decoding: fast (default), or exact as in the published code (bottom-up)."""
    scales: str | None = None
    """Average the maps over these multiples of the height, as in 0.5,1,1.5 (bottom-up)."""
    flip: bool | None = None
    """Average with the horizontally flipped image (default: yes for top-down, no for bottom-up networks)."""
    detector: str | None = None
    """Weights of a bottom-up network that finds the people (top-down; default: the labeled boxes)."""
    limit: int | None = None
    """Evaluate only this many images, those with the lowest ids."""
    results: Path | None = None
    """Write the predictions to this .json file as COCO keypoint results."""
