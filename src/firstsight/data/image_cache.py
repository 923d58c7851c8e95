"""Pixels of the pictures of a `KeypointSet`, decoded once and kept in memory as far as there is room."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from firstsight.data.keypoints.keypoint_set import KeypointSet

ROOM = 2_000_000_000
"""Bytes that are kept; pictures beyond are read from their files every time."""

TINY = 6


class ImageCache:
    """Pictures as RGB of at most ``longest`` pixels a side.

    Parameters
    ----------
    people : KeypointSet
        Whose pictures.
    longest : int
        Larger ones are made smaller (bilinear, antialiased); see `factor`.
    room
        Bytes to keep at most.
    """

    def __init__(self, people: KeypointSet, *, longest: int, capacity: int = ROOM) -> None:
        self.people, self.longest, self.capacity = people, longest, capacity
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._tiny: dict[int, Image.Image] = {}

    def size(self, index: int) -> tuple[int, int]:
        """(width, height) of picture ``index`` as it is here."""
        picture = self.people.pictures[index]
        sides = picture.width, picture.height
        share = min(1.0, self.longest / max(sides))
        return max(1, round(sides[0] * share)), max(1, round(sides[1] * share))

    def factor(self, index: int) -> NDArray[np.float64]:
        """(2,) by what places of the file are multiplied, x and y: 1 where the picture is as in its file."""
        picture = self.people.pictures[index]
        return np.array(self.size(index)) / (picture.width, picture.height)

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """(height, width, 3) of picture ``index``.

        Raises
        ------
        DataError
            The file is no picture, or of another size than the annotations say.
        """
        found = self._kept.get(index)
        if found is None:
            image = self.people.open(index).convert("RGB")
            if image.size != self.size(index):
                image = image.resize(self.size(index), Image.Resampling.BILINEAR)
            found = np.array(image)
            if found.nbytes <= self.capacity:
                self.capacity -= found.nbytes
                self._kept[index] = found
        return found

    def thumbnail(self, index: int) -> Image.Image:
        """Picture ``index`` in `TINY` by `TINY` pixels: its colours, and where they are, but nothing to be made out."""
        if index not in self._tiny:
            self._tiny[index] = Image.fromarray(self.pixels(index)).resize((TINY, TINY), Image.Resampling.BOX)
        return self._tiny[index]
