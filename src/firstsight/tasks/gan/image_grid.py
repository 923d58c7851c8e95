"""Grid of generated images with their latent vectors."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from firstsight.arguments import expand_user
from firstsight.atomic_io import replace_file
from firstsight.errors import UsageError

GRID_SUFFIXES = (".png", ".jpg", ".jpeg", ".svg", ".pdf", ".gif")
"""Suffixes of files of a grid."""


@dataclass(frozen=True, repr=False, eq=False)
class ImageGrid:
    """Grid of generated images.

    Attributes
    ----------
    z : Tensor
        (N, latent.length) latent vectors.
    images : Tensor
        (N, C, S, S) uint8, generated from ``z``. `add_nearest_neighbors` adds training images.
    columns : int
        Number of images in a row.
    rows : tuple[str, ...]
        Names of the rows; empty for none.
    heads : tuple[str, ...]
        Names of the columns; empty for none.
    notes : tuple[str, ...]
        Remarks that qualify the images.
    seeds : tuple[int, ...]
        Seeds of the latent vectors.
    """

    z: Tensor
    images: Tensor
    columns: int
    rows: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def show(self) -> None:
        """Open the grid in the image viewer of the system."""
        Image.open(BytesIO(self._repr_png_())).show()

    def save(self, path: str | Path) -> Path:
        """Write the grid to a PNG file, or an animation with one image per frame to a GIF file.

        Parameters
        ----------
        path : str | Path
            File to write, with the suffix .png or .gif; an existing file is replaced.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        UsageError
            If the suffix is another one, or the file cannot be written.
        """
        target = expand_user(path)
        if target.suffix.lower() not in GRID_SUFFIXES:
            raise UsageError(f"`path` must be a .png, .jpg, .svg, .pdf or .gif file; got {path}")
        try:
            replace_file(target, self.encode(target.suffix))
        except OSError as error:
            raise UsageError(f"`path={path}` cannot be written ({error.strerror or error})") from None
        return target

    def encode(self, suffix: str) -> bytes:
        """Return the content of a file; the suffix chooses the format: one of `GRID_SUFFIXES`."""
        from firstsight import plots

        if suffix.lower() == ".gif":
            return self._gif()
        images = self.images.numpy()
        if self.rows or self.heads:
            figure = plots.image_grid(images, self.columns, rows=self.rows, heads=self.heads)
            return plots.encode_figure(figure, suffix)
        grid = Image.fromarray(plots.tile(images, self.columns, min_side=plots.STANDALONE_MIN_SIDE))
        return plots.encode_image(grid, suffix)

    def to_dict(self) -> dict[str, Any]:
        """Return shape, seeds, names of rows and columns, and notes as plain data for JSON; without pixels and z."""
        return {
            "shape": list(self.images.shape),
            "columns": self.columns,
            "seeds": list(self.seeds),
            "rows": list(self.rows),
            "heads": list(self.heads),
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        n, channels, height, width = self.images.shape
        return f"ImageGrid({n} images of {channels}x{height}x{width}, {self.columns} columns)"

    def _repr_png_(self) -> bytes:
        return self.encode(".png")

    def _gif(self) -> bytes:
        from firstsight import plots

        return plots.encode_gif([plots.tile_png(image[None], 1) for image in self.images.numpy()])
