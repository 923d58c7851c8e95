"""Grid of generated images with their latent vectors."""

from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, ClassVar

from PIL import Image
from torch import Tensor

from firstsight import display
from firstsight.display import FORMATS, Result

MAX_SHOWN = 256
"""Number of images that a notebook shows of a grid."""


@dataclass(frozen=True, repr=False, eq=False)
class ImageGrid(Result):
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

    IMAGE_FORMATS: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".jpeg", ".svg", ".pdf", ".gif")

    def __len__(self) -> int:
        return len(self.images)

    def encode(self, suffix: str) -> bytes:
        """Return the content of a file with this suffix: the grid, an animation (.gif), or its data; see `save`."""
        from firstsight import plots

        if suffix.lower() in FORMATS:
            return super().encode(suffix)
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
            "seeds": [int(seed) for seed in self.seeds],
            "rows": list(self.rows),
            "heads": list(self.heads),
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        n, channels, height, width = self.images.shape
        return f"ImageGrid({n} images of {channels}x{height}x{width}, {self.columns} columns)"

    def __str__(self) -> str:
        return "\n".join([repr(self), *(f"note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        rows = max(1, MAX_SHOWN // self.columns)
        shown = replace(self, images=self.images[: rows * self.columns], rows=self.rows[:rows])
        more = len(self) - len(shown)
        remarks = [f"{self!r}{f', of which the first {len(shown)} are shown' if more else ''}", *self.notes]
        image = Image.open(BytesIO(shown.encode(".png")))
        return "".join(map(display.paragraph, remarks)) + display.embed(image, alt=repr(self))

    def _show_in_terminal(self) -> None:
        display.open_image(Image.open(BytesIO(self.encode(".png"))))

    def _gif(self) -> bytes:
        from firstsight import plots

        return plots.encode_gif([plots.tile_png(image[None], 1) for image in self.images.numpy()])
