"""Cache of the decoded images of a `KeypointSet`."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from firstsight.data.keypoints.keypoint_set import KeypointSet

CAPACITY = 2_000_000_000
"""Default size of the cache in bytes. Images beyond it are read from their files every time."""

THUMBNAIL_SIZE = 6


class ImageCache:
    """RGB images of a data set with a limited size, kept in memory.

    Parameters
    ----------
    people : KeypointSet
        Data set with the images.
    max_side : int
        Maximum side in pixels. Larger images are reduced (bilinear with antialiasing).
    capacity : int
        Maximum size of the cache in bytes.
    """

    def __init__(self, people: KeypointSet, *, max_side: int, capacity: int = CAPACITY) -> None:
        self.people = people
        self.max_side = max_side
        self._free_bytes = capacity
        self._images: dict[int, NDArray[np.uint8]] = {}
        self._thumbnails: dict[int, Image.Image] = {}

    def size(self, index: int) -> tuple[int, int]:
        """Return the size (width, height) of image ``index`` in the cache."""
        image = self.people.images[index]
        scale = min(1.0, self.max_side / max(image.width, image.height))
        return max(1, round(image.width * scale)), max(1, round(image.height * scale))

    def scale_factor(self, index: int) -> NDArray[np.float64]:
        """Return the factors (x, y) from coordinates in the file to those in the cache; 1 if it is not reduced."""
        image = self.people.images[index]
        return np.array(self.size(index)) / (image.width, image.height)

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """Return image ``index`` as an array (H, W, 3).

        Raises
        ------
        DataError
            If the file is not an image, or its size differs from the annotations.
        """
        pixels = self._images.get(index)
        if pixels is None:
            image = self.people.open(index).convert("RGB")
            if image.size != self.size(index):
                image = image.resize(self.size(index), Image.Resampling.BILINEAR)
            pixels = np.array(image)
            if pixels.nbytes <= self._free_bytes:
                self._free_bytes -= pixels.nbytes
                self._images[index] = pixels
        return pixels

    def thumbnail(self, index: int) -> Image.Image:
        """Return image ``index`` at `THUMBNAIL_SIZE` x `THUMBNAIL_SIZE` pixels, too small to recognize anything."""
        if index not in self._thumbnails:
            size = (THUMBNAIL_SIZE, THUMBNAIL_SIZE)
            self._thumbnails[index] = Image.fromarray(self.pixels(index)).resize(size, Image.Resampling.BOX)
        return self._thumbnails[index]
