"""Schema of files with boxes of people."""

from typing import Annotated

from msgspec import Meta

MAX_BOXES = 10_000
"""Maximum number of boxes in one image."""
MAX_BYTES = 64 * 2**20
"""Limit of the size of a file."""
MAX_LENGTH = 1e9
"""Limit of coordinates and sides in pixels."""

Pixels = Annotated[float, Meta(ge=-MAX_LENGTH, le=MAX_LENGTH)]
Boxes = Annotated[list[tuple[Pixels, Pixels, Pixels, Pixels]], Meta(max_length=MAX_BOXES)]
"""Boxes of one image: x and y of the upper left corner, width and height in pixels."""
BoxFile = Boxes | dict[str, Boxes]
"""Boxes of one image, or of several images by file name."""
