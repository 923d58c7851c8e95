"""Training samples for top-down networks: one augmented crop per person.

The order of the samples is a pure function of (seed, epoch), and a sample of (seed, epoch, sample number).
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstsight.data.batches import BatchShard, ProgressiveResizing
from firstsight.data.keypoints.crop import crop_matrices, crop_regions, transform_points, warp
from firstsight.data.keypoints.image_cache import ImageCache
from firstsight.data.keypoints.keypoint_set import KeypointSet, expand_boxes_to_joints
from firstsight.data.rng import uniform
from firstsight.errors import DataError

Floats = NDArray[np.float64]
STREAM = 17
"""Random stream (see `firstsight.data.rng`)."""
DRAWS = 16
"""Random numbers per sample."""
LOWER_BODY = ("hip", "knee", "ankle", "foot", "toe", "heel")
"""A joint with one of these words in its name belongs to the lower half of the body."""
MIN_JOINTS = 8
"""Minimum number of labeled joints for a crop of half a body."""
MIN_HALF_JOINTS = 3
"""Minimum number of labeled joints in that half."""
MAX_SIDE = 1024
"""Maximum side in pixels of images in the cache."""


@dataclass(frozen=True, kw_only=True)
class CropBatch(BatchShard):
    """Batch of N crops. Coordinates (x, y) are in pixels of the crop, with pixel centers at integers.

    Parameters
    ----------
    images : Tensor
        (N, 3, H, W) float RGB in [0, 255]. Pixels outside of the image are gray (128).
    keypoints : Tensor
        (N, K, 2) coordinates.
    visible : Tensor
        (N, K) bool: labeled, and inside the crop.
    matrices : Tensor
        (N, 2, 3) maps from pixels of the image file to pixels of the crop, with pixel centers at integers.
    people : NDArray[np.int64]
        (N,) indices of the people in the set.
    """

    images: Tensor
    keypoints: Tensor
    visible: Tensor
    matrices: Tensor
    people: NDArray[np.int64]


@dataclass
class Crops(ProgressiveResizing):
    """Batches of crops, with the interface of `Batches`; sample i is the i-th person with a labeled joint.

    The box of a person is expanded to all labeled joints, then to the aspect ratio of the input, then by a quarter. The
    image is rotated and scaled around the center of this region.

    Parameters
    ----------
    people : KeypointSet
        People to crop.
    batch_size : int
        Maximum size of a global batch.
    epochs : int
        Number of epochs.
    seed : int
        Seed of order and augmentation.
    size : tuple[int, int]
        (height, width) of the crops, multiples of 32.
    rotate : float
        Maximum rotation in degrees, in both directions.
    scale : float
        Maximum relative change of size: the factor is in [1 - scale, 1 + scale].
    translate_fraction : float
        Maximum shift along each axis, as a fraction of the region's size.
    flip : bool
        Flip half of the samples horizontally and swap left and right joints.
    half_body : float
        Fraction of the samples that show only the upper or lower half of a body, if enough of its joints are labeled.
    random_erasing : float
        Fraction of the samples with a rectangle in a random color; joints below it keep their labels.
    low_res_fraction : float
        Fraction of the epochs, the first ones, with crops of ``low_res_size``. ``progress`` counts both parts
        separately.
    low_res_size : tuple[int, int]
        (height, width) of the crops in these epochs.
    rank : int
        See `Batches`.
    world_size : int
        See `Batches`.
    device : torch.device
        Device of the batches.
    dtype : torch.dtype
        Data type of images and keypoints.

    Raises
    ------
    DataError
        If no person has a labeled joint.
    """

    people: KeypointSet
    batch_size: int
    epochs: int
    seed: int
    size: tuple[int, int]
    rotate: float = 40.0
    scale: float = 0.3
    translate_fraction: float = 0.0
    flip: bool = True
    half_body: float = 0.0
    random_erasing: float = 0.0
    low_res_fraction: float = 0.0
    low_res_size: tuple[int, int] = (0, 0)
    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        people = self.people
        is_labeled = people.keypoints[..., 2] > 0
        self.used = np.flatnonzero(is_labeled.any(1) & ~people.crowd).astype(np.int64)
        if not len(self.used):
            raise DataError(f"{people.name}: no person has a labeled joint")
        self.cache = ImageCache(people, max_side=MAX_SIDE)
        self._is_lower = np.array([any(word in joint for word in LOWER_BODY) for joint in people.skeleton.joints])
        self._flip_order = np.array(people.skeleton.flip)
        self._boxes = expand_boxes_to_joints(people) - np.array([0.5, 0.5, 0, 0])  # pixel centers at integers

    @property
    def samples(self) -> int:
        """Number of samples in an epoch."""
        return len(self.used)

    def get(self, epoch: int, index: int) -> CropBatch:
        """Return this process's part of a batch."""
        global_ids = self.ids(epoch, index)
        ids = global_ids[self.rank :: self.world_size]
        draw_ids = ids[:, None] * DRAWS + np.arange(DRAWS, dtype=np.int64)
        draws = uniform(draw_ids.ravel(), seed=self.seed, epoch=epoch, stream=STREAM).reshape(-1, DRAWS)
        size = self.low_res_size if epoch < self.low_res_epochs else self.size
        return self._batch(
            ids, draws, epoch=epoch, index=index, global_size=len(global_ids), world_size=self.world_size, size=size
        )

    def get_unaugmented(self, ids: NDArray[np.int64], *, size: tuple[int, int] | None = None) -> CropBatch:
        """Return the crops of samples (N,) without augmentation.

        Parameters
        ----------
        ids : NDArray[np.int64]
            (N,) sample numbers.
        size : tuple[int, int] | None
            (height, width) of the crops. None means ``self.size``.
        """
        return self._batch(ids, None, epoch=0, index=0, global_size=len(ids), world_size=1, size=size or self.size)

    def _batch(
        self,
        ids: NDArray[np.int64],
        draws: Floats | None,
        *,
        epoch: int,
        index: int,
        global_size: int,
        world_size: int,
        size: tuple[int, int],
    ) -> CropBatch:
        """Return the crops of samples with (N, DRAWS) random numbers, or without augmentation."""
        people = self.used[ids]
        joints = self.people.keypoints[people].astype(np.float64)
        boxes = self._boxes[people]
        flipped = np.zeros(len(ids), bool)
        degrees = np.zeros(len(ids))
        factors, shifts = np.ones((len(ids), 1)), np.zeros((len(ids), 2))
        if draws is not None:
            boxes = np.stack([self._half_body_box(*row, *d[6:8]) for *row, d in zip(boxes, joints, draws, strict=True)])
            degrees = self.rotate * (2 * draws[:, 0] - 1)
            factors = 1 + self.scale * (2 * draws[:, 1:2] - 1)
            flipped = (draws[:, 2] < 0.5) & self.flip
            shifts = self.translate_fraction * (2 * draws[:, 3:5] - 1)
        height, width = size
        regions = crop_regions(torch.from_numpy(boxes), aspect=width / height)
        regions = torch.cat([regions[:, :2] + regions[:, 2:] * torch.from_numpy(shifts), regions[:, 2:]], 1)
        regions[:, 2:] /= torch.from_numpy(factors)
        matrices = crop_matrices(
            regions, size=size, degrees=torch.from_numpy(degrees), flipped=torch.from_numpy(flipped)
        )
        images = self._crop(people, matrices, size)
        if draws is not None and self.random_erasing:
            self._erase(images, draws)
        joints[flipped] = joints[flipped][:, self._flip_order]
        keypoints = transform_points(torch.from_numpy(joints[..., :2]) - 0.5, matrices)
        is_inside = ((keypoints >= -0.5) & (keypoints < keypoints.new_tensor([width, height]) - 0.5)).all(2)
        visible = torch.from_numpy(joints[..., 2] > 0) & is_inside
        return CropBatch(
            images=images.to(self.device, self.dtype),
            keypoints=keypoints.to(self.device, self.dtype),
            visible=visible.to(self.device),
            matrices=matrices,
            people=people,
            ids=ids,
            epoch=epoch,
            index=index,
            global_size=global_size,
            world_size=world_size,
            progress=self.progress(epoch, index),
        )

    def _half_body_box(self, box: Floats, joints: Floats, draw: float, half_draw: float) -> Floats:
        """Return the box of the upper or lower joints in a random fraction of the cases, else ``box``."""
        if draw >= self.half_body:
            return box
        is_labeled = joints[:, 2] > 0
        half = is_labeled & (self._is_lower if half_draw < 0.5 else ~self._is_lower)
        if is_labeled.sum() < MIN_JOINTS or half.sum() < MIN_HALF_JOINTS:
            return box
        low, high = joints[half, :2].min(0) - 0.5, joints[half, :2].max(0) - 0.5
        return np.concatenate([low, np.maximum(high - low, 1)])

    def _crop(self, people: NDArray[np.int64], matrices: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the crops (N, 3, H, W) of people by matrices from pixels of their image files."""
        indices = self.people.image_index[people].tolist()
        images = [torch.from_numpy(self.cache.pixels(index)).permute(2, 0, 1) for index in indices]
        factors = torch.from_numpy(np.stack([self.cache.scale_factor(index) for index in indices]))
        from_cache = matrices.clone()  # from pixels of the cached image: p_file = (p + 0.5) / factor - 0.5
        from_cache[:, :, 2] += (matrices[:, :, :2] @ (0.5 / factors - 0.5)[..., None])[..., 0]
        from_cache[:, :, :2] /= factors[:, None]
        return warp(images, from_cache.float(), size=size)

    def _erase(self, images: Tensor, draws: Floats) -> None:
        """Fill a rectangle with sides of 10 to 50 % of the image's in a random color (random erasing)."""
        height, width = images.shape[2:]
        for image, d in zip(images, draws, strict=True):
            if d[8] >= self.random_erasing:
                continue
            h, w = (round(side * (0.1 + 0.4 * draw)) for side, draw in zip((height, width), d[9:11], strict=True))
            top, left = round((height - h) * d[11]), round((width - w) * d[12])
            color = torch.from_numpy(255 * d[13:16]).to(image)
            image[:, top : top + h, left : left + w] = color[:, None, None]
