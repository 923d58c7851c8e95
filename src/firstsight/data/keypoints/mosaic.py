"""Training scenes of whole photographs: one, or four in a grid, with and without people."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from firstsight.data.affine import Affine, Floats
from firstsight.data.keypoints.scene_composer import GRAY, Scene, SceneComposer

SCENE_DRAWS = 3
TILE_DRAWS = 10
MAX_TILES = 4
MOSAIC = 0.5
"""Fraction of the scenes with four photographs."""
MIN_COVER = 0.85
"""Smallest size of a photograph, as a fraction of the size at which it covers its tile."""
MAX_ZOOM = 2.0
"""Largest enlargement of a photograph."""
SHIFT = 0.4
"""Maximum distance of a person from the center of the tile along each axis, as a fraction of the tile's side."""
COLOR = 0.25
"""Maximum change of contrast and of the mean of each channel, as a fraction of the range."""
PERSON_FIELDS = ("keypoints", "visible", "uncertain", "boxes", "areas")
"""Fields of a `Scene` with a row for each person."""
EMPTY_BOX = np.array([0.15, 0.15, 0.7, 0.7])
"""Region of a photograph without people that takes the place of a person's box, as fractions of width and height."""


class MosaicComposer(SceneComposer):
    """Composer of scenes of one photograph, or of four in a grid.

    A photograph is scaled so that a random one of its people has a random size relative to the tile, between
    ``min_scale`` and ``max_scale`` on a logarithmic scale. It is not reduced so far that it leaves much of the tile
    gray, nor enlarged more than `MAX_ZOOM` times. The person is at a random position, so that others are cut off. The
    photograph is rotated, flipped, and changed in contrast and color. In a mosaic, the four tiles meet at a random
    point, and three of the photographs are random ones; so people are small, and many scenes have parts without people.
    Parameters are those of `SceneComposer`; ``max_people`` is ignored.
    """

    @property
    def num_draws(self) -> int:
        """Number of random numbers of a scene."""
        return SCENE_DRAWS + TILE_DRAWS * MAX_TILES

    def scene(self, sample: int, draws: Floats) -> Scene:
        """Compose the scene of a sample; ``draws`` are (num_draws,) random numbers in [0, 1)."""
        tile_draws = draws[SCENE_DRAWS:].reshape(MAX_TILES, TILE_DRAWS)
        index = int(self.used[sample])
        canvas = Image.new("RGB", (self.side, self.side), GRAY)
        loss_mask = np.ones((self.side // self.stride,) * 2, bool)
        scenes = []
        for number, tile in enumerate(self._tiles(draws)):
            other = int(self.used[int(tile_draws[number, 0] * len(self.used))])
            scenes.append(self._add_tile(canvas, loss_mask, index if number == 0 else other, tile, tile_draws[number]))
        fields = {name: np.concatenate([getattr(scene, name) for scene in scenes]) for name in PERSON_FIELDS}
        return Scene(image=np.asarray(canvas), loss_mask=loss_mask, **fields)

    def _tiles(self, draws: Floats) -> list[tuple[int, int, int, int]]:
        """Return the tiles (left, top, right, bottom) of a scene; the corners are multiples of the stride."""
        side = self.side
        if draws[0] >= MOSAIC:
            return [(0, 0, side, side)]
        x, y = (round(side * (0.35 + 0.3 * draw) / self.stride) * self.stride for draw in draws[1:3])
        return [(0, 0, x, y), (x, 0, side, y), (0, y, x, side), (x, y, side, side)]

    def _add_tile(
        self,
        canvas: Image.Image,
        loss_mask: NDArray[np.bool_],
        index: int,
        tile: tuple[int, int, int, int],
        draws: Floats,
    ) -> Scene:
        """Paste a photograph into a tile of the canvas, and return a scene with its people in the tile."""
        left, top, right, bottom = tile
        transform = self._place(index, tile, draws)
        image = Image.fromarray(self.cache.pixels(index)).point(_color_table(draws[7:10]))
        size, offset = (right - left, bottom - top), (left, top)
        warped = transform.warp(image, size=size, offset=offset, fill=GRAY)
        canvas.paste(warped, offset)
        if self._has_ignored[index]:
            cells = np.s_[top // self.stride : bottom // self.stride, left // self.stride : right // self.stride]
            loss_mask[cells] = self._loss_mask(index, transform)[cells]
        people = self._annotated[index].tolist()
        scene = self._to_scene(canvas, people, [transform] * len(people), loss_mask, window=tile)
        kept = (scene.visible | scene.uncertain).any(1)
        return Scene(
            image=scene.image, loss_mask=loss_mask, **{name: getattr(scene, name)[kept] for name in PERSON_FIELDS}
        )

    def _place(self, index: int, tile: tuple[int, int, int, int], draws: Floats) -> Affine:
        """Return a random transform of a photograph into a tile."""
        person_draw, scale_draw, angle_draw, flip_draw = draws[1:5]
        left, top, right, bottom = tile
        sides, image_sides = np.array([right - left, bottom - top]), np.array(self.cache.size(index))
        labeled = self._labeled[index]
        if len(labeled):
            box = self._boxes[labeled[int(person_draw * len(labeled))]]
        else:
            box = EMPTY_BOX * np.tile(image_sides, 2)
        size = self.min_scale * (self.max_scale / self.min_scale) ** scale_draw
        cover = float((sides / image_sides).max())
        scale = float(np.clip(size * sides.min() / box[2:].max(), MIN_COVER * cover, max(MAX_ZOOM, MIN_COVER * cover)))
        flipped = self.flip and flip_draw < 0.5
        center = box[:2] + box[2:] / 2
        target = np.array([left, top]) + sides * (0.5 + SHIFT * (2 * draws[5:7] - 1))
        # move the photograph so that it covers the tile as far as its size allows
        before = scale * np.where([flipped, False], image_sides - center, center)
        low = target - before - (left, top)  # first corner of the photograph in the tile
        slack = sides - scale * image_sides
        target += np.clip(low, np.minimum(slack, 0), np.maximum(slack, 0)) - low
        return Affine(
            scale=scale,
            degrees=self.rotate * (2 * angle_draw - 1),
            flipped=flipped,
            origin=(float(center[0]), float(center[1])),
            target=(float(target[0]), float(target[1])),
        )


def _color_table(draws: Floats) -> list[int]:
    """Return a table (3 x 256) that changes contrast and the mean of each channel; ``draws`` are 3 numbers in [0, 1).

    The second number changes the brightness, and the third one the balance of red and blue.
    """
    contrast, brightness, balance = COLOR * (2 * draws - 1)
    levels = np.arange(256)
    tables = [
        (levels - 128) * (1 + contrast) + 128 + 128 * (brightness + shift) for shift in (balance / 2, 0, -balance / 2)
    ]
    return [int(level) for table in tables for level in table.round().clip(0, 255)]
