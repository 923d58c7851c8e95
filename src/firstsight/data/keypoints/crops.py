"""Training samples of one person each, cut out of their pictures: turned, resized, moved, mirrored, partly hidden.

The order of the samples is a pure function of (seed, epoch), what is done to a sample of (seed, epoch, sample number).
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstsight.data.batches import BatchShard, ProgressiveResizing
from firstsight.data.image_cache import ImageCache
from firstsight.data.keypoints.crop import crop_matrices, moved, regions, warp
from firstsight.data.keypoints.keypoint_set import KeypointSet, boxes_with_joints
from firstsight.data.rng import uniform
from firstsight.errors import DataError

Floats = NDArray[np.float64]
STREAM = 17
"""Of the counter-based generator."""
DRAWS = 16
"""Random numbers for a sample."""
LOWER = ("hip", "knee", "ankle", "foot", "toe", "heel")
"""Joints with one of these in their name are of a body's lower half."""
ENOUGH = 8
"""A half is looked at alone where so many joints are labelled, and `HALF` of them in that half."""
HALF = 3
LONGEST = 1024
"""Pictures are kept with so many pixels a side at most."""


@dataclass(frozen=True, kw_only=True)
class CropBatch(BatchShard):
    """N crops of a batch. Places are in pixels of the crop, x then y, pixel centres at integers.

    Parameters
    ----------
    images : Tensor
        (N, 3, H, W) float in [0, 255], red, green, blue; grey (128) where there is no picture.
    keypoints : Tensor
        (N, K, 2).
    visible : Tensor
        (N, K) bool: labelled, and inside the crop.
    matrices : Tensor
        (N, 2, 3) from pixels of the picture's file, pixel centres at integers, to those of the crop.
    people : NDArray[np.int64]
        (N,) their numbers in the set.
    """

    images: Tensor
    keypoints: Tensor
    visible: Tensor
    matrices: Tensor
    people: NDArray[np.int64]


@dataclass
class Crops(ProgressiveResizing):
    """Batches of crops, with the interface of `Batches`; sample i is the i-th person with a labelled joint.

    A person's box, made to hold all labelled joints, is grown to the input's aspect and by a quarter; around its middle
    the picture is turned and resized.

    Parameters
    ----------
    size : tuple[int, int]
        (height, width) of the crops; multiples of 32.
    rotate : float
        Degrees either way. zoom : resized by a factor from 1 - zoom to 1 + zoom. move : the middle is moved by up to
        this share of the person's size.
    flip : bool
        Mirror half of them; left and right joints change places.
    half_body : float
        Share of the samples that show one half of a body alone, where enough of it is labelled.
    hide : float
        Share of the samples of which a rectangle is covered; its joints are to be found all the same.
    early, early_size
        In this share of the epochs, the first ones, crops are of that size instead; ``progress`` counts each of the two
        parts for itself.
    rank, world : int
        As in `Batches`.

    Raises
    ------
    DataError
        Nobody has a labelled joint.
    """

    people: KeypointSet
    batch_size: int
    epochs: int
    seed: int
    size: tuple[int, int]
    rotate: float = 40.0
    zoom: float = 0.3
    move: float = 0.0
    flip: bool = True
    half_body: float = 0.0
    hide: float = 0.0
    early: float = 0.0
    early_size: tuple[int, int] = (0, 0)
    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        people = self.people
        known = people.keypoints[..., 2] > 0
        self.used = np.flatnonzero(known.any(1) & ~people.crowd).astype(np.int64)
        if not len(self.used):
            raise DataError(f"{people.name}: nobody in it has a labelled joint")
        self.pool = ImageCache(people, longest=LONGEST)
        self._lower = np.array([any(word in joint for word in LOWER) for joint in people.skeleton.joints])
        self._flipped = np.array(people.skeleton.flip)
        self._boxes = boxes_with_joints(people) - np.array([0.5, 0.5, 0, 0])  # pixel centres at integers

    @property
    def samples(self) -> int:
        """Samples in an epoch."""
        return len(self.used)

    def get(self, epoch: int, index: int) -> CropBatch:
        """The share of this process in one batch."""
        whole = self.ids(epoch, index)
        ids = whole[self.rank :: self.world]
        numbers = ids[:, None] * DRAWS + np.arange(DRAWS, dtype=np.int64)
        draws = uniform(numbers.ravel(), seed=self.seed, epoch=epoch, stream=STREAM).reshape(-1, DRAWS)
        size = self.early_size if epoch < self.early_epochs else self.size
        return self._batch(ids, draws, epoch, index, len(whole), self.world, size)

    def plain(self, ids: NDArray[np.int64], *, size: tuple[int, int] | None = None) -> CropBatch:
        """Crops of these samples as they are, with nothing done to them; of another (height, width) if given."""
        return self._batch(ids, None, 0, 0, len(ids), 1, size or self.size)

    def _batch(
        self, ids: NDArray[np.int64], draws: Floats | None, epoch: int, index: int, whole: int, world: int,
        size: tuple[int, int],
    ) -> CropBatch:  # fmt: skip
        people = self.used[ids]
        joints = self.people.keypoints[people].astype(np.float64)
        boxes = self._boxes[people]
        mirrored = np.zeros(len(ids), bool)
        degrees = np.zeros(len(ids))
        factors, shifts = np.ones((len(ids), 1)), np.zeros((len(ids), 2))
        if draws is not None:
            boxes = np.stack([self._part(*each, *d[6:8]) for *each, d in zip(boxes, joints, draws, strict=True)])
            degrees, factors = self.rotate * (2 * draws[:, 0] - 1), 1 + self.zoom * (2 * draws[:, 1:2] - 1)
            mirrored, shifts = (draws[:, 2] < 0.5) & self.flip, self.move * (2 * draws[:, 3:5] - 1)
        height, width = size
        areas = regions(torch.from_numpy(boxes), aspect=width / height)
        areas = torch.cat([areas[:, :2] + areas[:, 2:] * torch.from_numpy(shifts), areas[:, 2:]], 1)
        areas[:, 2:] /= torch.from_numpy(factors)
        matrices = crop_matrices(
            areas, size=size, degrees=torch.from_numpy(degrees), mirrored=torch.from_numpy(mirrored)
        )
        images = self._cut(people, matrices, size)
        if draws is not None and self.hide:
            self._cover(images, draws)
        joints[mirrored] = joints[mirrored][:, self._flipped]
        keypoints = moved(torch.from_numpy(joints[..., :2]) - 0.5, matrices)
        inside = ((keypoints >= -0.5) & (keypoints < keypoints.new_tensor([width, height]) - 0.5)).all(2)
        visible = torch.from_numpy(joints[..., 2] > 0) & inside
        return CropBatch(
            images=images.to(self.device, self.dtype), keypoints=keypoints.to(self.device, self.dtype),
            visible=visible.to(self.device), matrices=matrices, people=people, ids=ids, epoch=epoch, index=index,
            global_size=whole, world=world, progress=self.progress(epoch, index),
        )  # fmt: skip

    def _part(self, box: Floats, joints: Floats, wanted: float, which: float) -> Floats:
        """The box, or that of the upper or the lower half's joints."""
        if wanted >= self.half_body:
            return box
        labelled = joints[:, 2] > 0
        half = labelled & (self._lower if which < 0.5 else ~self._lower)
        if labelled.sum() < ENOUGH or half.sum() < HALF:
            return box
        low, high = joints[half, :2].min(0) - 0.5, joints[half, :2].max(0) - 0.5
        return np.concatenate([low, np.maximum(high - low, 1)])

    def _cut(self, people: NDArray[np.int64], matrices: Tensor, size: tuple[int, int]) -> Tensor:
        """(N, 3, H, W) of people's pictures."""
        places = self.people.picture[people].tolist()
        pictures = [torch.from_numpy(self.pool.pixels(place)).permute(2, 0, 1) for place in places]
        factors = torch.from_numpy(np.stack([self.pool.factor(place) for place in places]))
        own = matrices.clone()  # from pixels of a picture as it is kept: p_file = (p + 0.5) / factor - 0.5
        own[:, :, 2] += (matrices[:, :, :2] @ (0.5 / factors - 0.5)[..., None])[..., 0]
        own[:, :, :2] /= factors[:, None]
        return warp(pictures, own.float(), size=size)

    def _cover(self, images: Tensor, draws: Floats) -> None:
        """Cover a rectangle of a tenth to a half of the sides."""
        height, width = images.shape[2:]
        for image, each in zip(images, draws, strict=True):
            if each[8] >= self.hide:
                continue
            high, wide = (round(side * (0.1 + 0.4 * d)) for side, d in zip((height, width), each[9:11], strict=True))
            top, left = round((height - high) * each[11]), round((width - wide) * each[12])
            colour = torch.from_numpy(255 * each[13:16]).to(image)
            image[:, top : top + high, left : left + wide] = colour[:, None, None]
