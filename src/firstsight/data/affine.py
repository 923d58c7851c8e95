"""Moves of a picture and of the places in it: enlarged, turned, mirrored, put elsewhere.

Places run from 0 to the picture's width and height, as in COCO's files; the centre of the first pixel is at 0.5.
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
    """``origin`` goes to ``target``, all else around it: target + matrix (p - origin).

    Parameters
    ----------
    scale : float
        Pixels of the result for one of the source.
    degrees : float
        Clockwise, as y points down.
    mirrored : bool
        Left and right, before turning.
    origin, target : tuple[float, float]
        x, y in the source and in the result.

    Examples
    --------
    >>> move = Affine(scale=2.0, degrees=90.0, mirrored=False, origin=(1.0, 1.0), target=(10.0, 10.0))
    >>> move([[2.0, 1.0]]).round(6).tolist()
    [[10.0, 12.0]]
    """

    scale: float
    degrees: float
    mirrored: bool
    origin: tuple[float, float]
    target: tuple[float, float]

    @property
    def matrix(self) -> Floats:
        """(2, 2)."""
        angle, across = math.radians(self.degrees), -1 if self.mirrored else 1
        cos, sin = self.scale * math.cos(angle), self.scale * math.sin(angle)
        return np.array([[across * cos, -sin], [across * sin, cos]])

    def __call__(self, places: ArrayLike) -> Floats:
        """Where places (..., 2) of the source come to lie."""
        moved: Floats = (np.asarray(places, np.float64) - self.origin) @ self.matrix.T + self.target
        return moved

    def back(self, places: ArrayLike) -> Floats:
        """From which places of the source those of the result (..., 2) come."""
        inverse = self.matrix.T / self.scale**2  # of a turned and enlarged plane
        source: Floats = (np.asarray(places, np.float64) - self.target) @ inverse.T + self.origin
        return source

    def picture(
        self, image: Image.Image, *, size: tuple[int, int], at: tuple[int, int] = (0, 0), fill: Any = None,
        resample: Image.Resampling = Image.Resampling.BILINEAR,
    ) -> Image.Image:  # fmt: skip
        """The moved picture, or the part of it from ``at`` on; of means where it becomes much smaller.

        Parameters
        ----------
        size : tuple[int, int]
            (width, height) of what is returned.
        at : tuple[int, int]
            (x, y) in the result of its first corner.
        fill : Any
            Colour outside the picture; 0 if not given.
        """
        factor = max(1, int(1 / self.scale + 0.25))
        if factor > 1:
            image = image.reduce(factor)
        start, right, down = self.back([at, (at[0] + 1, at[1]), (at[0], at[1] + 1)]) / factor
        (a, d), (b, e), (c, f) = right - start, down - start, start
        data = tuple(map(float, (a, b, c, d, e, f)))
        return image.transform(size, Image.Transform.AFFINE, data, resample, fillcolor=fill)
