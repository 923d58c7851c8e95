"""Affine transforms of images and points: scale, rotation, horizontal flip and translation.

Coordinates run from 0 to the width and height of the image, as in COCO files. The center of the first pixel is at 0.5.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Affine:
    """Affine transform ``p -> target + matrix (p - origin)``.

    Parameters
    ----------
    scale : float
        Pixels of the output per pixel of the source.
    degrees : float
        Clockwise rotation, as y points down.
    flipped : bool
        Flip horizontally before the rotation.
    origin : tuple[float, float]
        Point (x, y) of the source that is mapped to ``target``.
    target : tuple[float, float]
        Point (x, y) of the output.

    Examples
    --------
    >>> transform = Affine(scale=2.0, degrees=90.0, flipped=False, origin=(1.0, 1.0), target=(10.0, 10.0))
    >>> transform([[2.0, 1.0]]).round(6).tolist()
    [[10.0, 12.0]]
    """

    scale: float
    degrees: float
    flipped: bool
    origin: tuple[float, float]
    target: tuple[float, float]

    @property
    def matrix(self) -> Floats:
        """(2, 2) matrix of scale, rotation and flip."""
        angle = math.radians(self.degrees)
        sign = -1 if self.flipped else 1
        cos, sin = self.scale * math.cos(angle), self.scale * math.sin(angle)
        return np.array([[sign * cos, -sin], [sign * sin, cos]])

    def __call__(self, points: ArrayLike) -> Floats:
        """Transform points (..., 2) of the source to the output."""
        output: Floats = (np.asarray(points, np.float64) - self.origin) @ self.matrix.T + self.target
        return output

    def inverse(self, points: ArrayLike) -> Floats:
        """Transform points (..., 2) of the output back to the source."""
        inverse = self.matrix.T / self.scale**2  # the matrix is a scaled orthogonal matrix
        source: Floats = (np.asarray(points, np.float64) - self.target) @ inverse.T + self.origin
        return source

    def warp(
        self,
        image: Image.Image,
        *,
        size: tuple[int, int],
        offset: tuple[int, int] = (0, 0),
        fill: Any = None,
        resample: Image.Resampling = Image.Resampling.BILINEAR,
    ) -> Image.Image:
        """Transform an image and return a window of the output.

        An image that is reduced by an integer factor or more is averaged by that factor first (antialiasing).

        Parameters
        ----------
        image : Image.Image
            Source image.
        size : tuple[int, int]
            (width, height) of the window.
        offset : tuple[int, int]
            (x, y) of the window's first corner in the output.
        fill : Any
            Color outside of the source image. None means 0.
        resample : Image.Resampling
            Interpolation.

        Returns
        -------
        Image.Image
            The window, of the mode of ``image``.
        """
        factor = max(1, int(1 / self.scale + 0.25))
        if factor > 1:
            image = image.reduce(factor)
        x, y = offset
        start, right, down = self.inverse([(x, y), (x + 1, y), (x, y + 1)]) / factor
        (a, d), (b, e), (c, f) = right - start, down - start, start
        data = tuple(map(float, (a, b, c, d, e, f)))
        return image.transform(size, Image.Transform.AFFINE, data, resample, fillcolor=fill)
