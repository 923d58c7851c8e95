"""Training scenes for bottom-up networks: parts of photographs, or people of several images composed into one.

The order of the samples is a pure function of (seed, epoch), and a sample of (seed, epoch, sample number).
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstsight.data.batches import BatchShard, ProgressiveResizing
from firstsight.data.keypoints.keypoint_set import KeypointSet
from firstsight.data.keypoints.mosaic import MosaicComposer
from firstsight.data.keypoints.scene_composer import Kind, Scene, SceneComposer
from firstsight.data.rng import uniform

STREAM = 16
"""Random stream (see `firstsight.data.rng`)."""


@dataclass(frozen=True, kw_only=True)
class SceneBatch(BatchShard):
    """Batch of N scenes; scenes with fewer than P people are padded with people without visible joints.

    Parameters
    ----------
    images : Tensor
        (N, 3, S, S) uint8 RGB.
    keypoints : Tensor
        (N, P, K, 2), see `Scene`.
    visible : Tensor
        (N, P, K), see `Scene`.
    uncertain : Tensor
        (N, P, K), see `Scene`.
    boxes : Tensor
        (N, P, 4), see `Scene`.
    areas : Tensor
        (N, P), see `Scene`.
    loss_mask : Tensor
        (N, S / stride, S / stride), see `Scene`.
    """

    images: Tensor
    keypoints: Tensor
    visible: Tensor
    uncertain: Tensor
    boxes: Tensor
    areas: Tensor
    loss_mask: Tensor


@dataclass
class Scenes(ProgressiveResizing):
    """Batches of scenes, with the interface of `Batches`; sample i uses the i-th usable image.

    There are three kinds of scenes:

    - **photographs**: A part of the image with a random one of its people in the center, randomly scaled, rotated and
      flipped. Crowds and people without labels are ignored. Images without a labeled person are not used.
    - **composed**: One to ``max_people`` people, each from another image with a margin around the box, randomly scaled,
      rotated and flipped, at random positions (an eighth of a person may be outside). Later people cover earlier ones.
      The person of the sample is the last one, so each person is uncovered once per epoch. The background is another
      image, blurred until no person is recognizable. A single person keeps its whole image. Joints below the rectangle
      of a later person are not visible. Only images with exactly one person are used.
    - **mosaics**: One photograph, or four in a grid, with and without people; all images are used. See
      `MosaicComposer`.

    Parameters
    ----------
    people : KeypointSet
        People and images.
    kind : Kind
        "photographs", "composed" or "mosaics".
    batch_size : int
        Maximum size of a global batch.
    epochs : int
        Number of epochs.
    seed : int
        Seed of order and augmentation.
    side : int
        Side of the scenes in pixels (S), a multiple of ``stride``.
    min_scale : float
        Minimum size of a person as a fraction of the side. The size is the longer side of the box, in photographs its
        height.
    max_scale : float
        Maximum size of a person. In a composed scene with n people it is divided by the cube root of n.
    rotate : float
        Maximum rotation in degrees, in both directions.
    flip : bool
        Flip half of the people horizontally and swap left and right joints.
    max_people : int
        Maximum number of people in a composed scene.
    stride : int
        Side of a cell of ``loss_mask`` in pixels.
    low_res_fraction : float
        Fraction of the epochs, the first ones, with scenes of ``low_res_side``. ``progress`` counts both parts
        separately.
    low_res_side : int
        Side of the scenes in these epochs.
    rank : int
        See `Batches`.
    world_size : int
        See `Batches`.
    device : torch.device
        Device of the batches.
    dtype : torch.dtype
        Data type of keypoints, boxes and areas.

    Raises
    ------
    DataError
        If no image is usable.
    """

    people: KeypointSet
    kind: Kind
    batch_size: int
    epochs: int
    seed: int
    side: int
    min_scale: float = 0.25
    max_scale: float = 0.9
    rotate: float = 40.0
    flip: bool = True
    max_people: int = 6
    stride: int = 8
    low_res_fraction: float = 0.0
    low_res_side: int = 0
    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        self._composer = self._create_composer(self.side)

    @property
    def samples(self) -> int:
        """Number of samples in an epoch."""
        return len(self._composer.used)

    def side_in(self, epoch: int) -> int:
        """Return the side of an epoch's scenes in pixels."""
        return self.low_res_side if epoch < self.low_res_epochs else self.side

    def get(self, epoch: int, index: int) -> SceneBatch:
        """Return this process's part of a batch."""
        global_ids = self.ids(epoch, index)
        ids = global_ids[self.rank :: self.world_size]
        scenes = [self.scene(epoch, int(i)) for i in ids]
        return self._batch(scenes, ids, epoch=epoch, index=index, size=len(global_ids), world_size=self.world_size)

    def get_samples(self, epoch: int, ids: NDArray[np.int64], *, side: int | None = None) -> SceneBatch:
        """Return the scenes of samples in an epoch as one batch.

        Parameters
        ----------
        epoch : int
            Epoch, from 0.
        ids : NDArray[np.int64]
            (N,) sample numbers.
        side : int | None
            Side of the scenes in pixels. None means that of the epoch.
        """
        scenes = [self.scene(epoch, int(i), side=side) for i in ids]
        return self._batch(scenes, ids, epoch=epoch, index=0, size=len(ids), world_size=1)

    def get_letterboxed(self, ids: NDArray[np.int64], *, side: int | None = None) -> SceneBatch:
        """Return the whole photographs of samples without augmentation, centered on gray (see `SceneComposer`).

        Parameters
        ----------
        ids : NDArray[np.int64]
            (N,) sample numbers.
        side : int | None
            Side of the scenes in pixels. None means ``self.side``.
        """
        composer = self._get_composer(side or self.side)
        return self._batch(
            [composer.letterbox(int(i)) for i in ids], ids, epoch=0, index=0, size=len(ids), world_size=1
        )

    def scene(self, epoch: int, sample: int, *, side: int | None = None) -> Scene:
        """Return the scene of a sample in an epoch.

        Parameters
        ----------
        epoch : int
            Epoch, from 0.
        sample : int
            Sample number.
        side : int | None
            Side of the scene in pixels. None means that of the epoch.
        """
        composer = self._get_composer(side or self.side_in(epoch))
        draw_ids = sample * composer.num_draws + np.arange(composer.num_draws, dtype=np.int64)
        return composer.scene(sample, uniform(draw_ids, seed=self.seed, epoch=epoch, stream=STREAM))

    def _get_composer(self, side: int) -> SceneComposer:
        """Return the composer for a side; only one at a time is kept with its image cache."""
        if self._composer.side != side:
            self._composer = self._create_composer(side)
        return self._composer

    def _create_composer(self, side: int) -> SceneComposer:
        kind = MosaicComposer if self.kind == "mosaics" else SceneComposer
        return kind(
            self.people,
            self.kind,
            side=side,
            min_scale=self.min_scale,
            max_scale=self.max_scale,
            rotate=self.rotate,
            flip=self.flip,
            max_people=self.max_people,
            stride=self.stride,
        )

    def _batch(
        self, scenes: list[Scene], ids: NDArray[np.int64], *, epoch: int, index: int, size: int, world_size: int
    ) -> SceneBatch:
        """Collate scenes; ``size`` is that of the global batch."""
        max_people = max((len(scene.areas) for scene in scenes), default=0)

        def pad(name: str, dtype: torch.dtype) -> Tensor:
            arrays = [getattr(scene, name) for scene in scenes]
            padded = [np.pad(a, [(0, max_people - len(a)), *[(0, 0)] * (a.ndim - 1)]) for a in arrays]
            return torch.from_numpy(np.stack(padded)).to(self.device, dtype)

        images = torch.from_numpy(np.stack([scene.image for scene in scenes])).permute(0, 3, 1, 2)
        loss_mask = torch.from_numpy(np.stack([scene.loss_mask for scene in scenes]))
        return SceneBatch(
            images=images.to(self.device),
            keypoints=pad("keypoints", self.dtype),
            visible=pad("visible", torch.bool),
            uncertain=pad("uncertain", torch.bool),
            boxes=pad("boxes", self.dtype),
            areas=pad("areas", self.dtype),
            loss_mask=loss_mask.to(self.device),
            ids=ids,
            epoch=epoch,
            index=index,
            global_size=size,
            world_size=world_size,
            progress=self.progress(epoch, index),
        )
