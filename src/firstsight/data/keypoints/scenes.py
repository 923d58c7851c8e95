"""Training pictures with people in them: parts of photographs, or scenes composed of people from several pictures.

The order of the samples is a pure function of (seed, epoch), what is done to a sample of (seed, epoch, sample number).
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstsight.data.batches import BatchShard, ProgressiveResizing
from firstsight.data.keypoints.keypoint_set import KeypointSet
from firstsight.data.keypoints.scene_composer import PER_PERSON, PER_SCENE, Kind, Scene, SceneComposer
from firstsight.data.rng import uniform

STREAM = 16
"""Of the counter-based generator."""


@dataclass(frozen=True, kw_only=True)
class SceneBatch(BatchShard):
    """Scenes of a batch, N of them; those with fewer people than P are filled up with ones without visible joints.

    Parameters
    ----------
    images : Tensor
        (N, 3, S, S) uint8, red, green, blue.
    keypoints, visible, boxes, areas, counts : Tensor
        As of a `Scene`, with N in front.
    """

    images: Tensor
    keypoints: Tensor
    visible: Tensor
    boxes: Tensor
    areas: Tensor
    counts: Tensor


@dataclass
class Scenes(ProgressiveResizing):
    """Batches of scenes, with the interface of `Batches`; sample i is about the i-th picture that can be used.

    photographs
        A random person of the picture in the middle, enlarged and turned at random, and all around. Crowds, and people
        without labels, do not count. Pictures without anybody labelled are left out.
    composed
        One to ``most`` people, each cut out of a picture of its own with what is around it, enlarged, turned, mirrored
        and put anywhere (an eighth of a person's size may stick out), the later over the earlier; the sample's own
        person comes last, so that in every epoch each is seen once with nobody before it. The background is another
        picture, so blurred that nobody can be made out. One who is alone has all of the picture around. A joint that
        lies in a later person's rectangle cannot be seen, and is no label. Only pictures with one person are taken.

    Parameters
    ----------
    side : int
        Of the scenes in pixels, S; a multiple of ``stride``.
    smallest, largest : float
        A person's size as a share of the side: the longer side of the box, in photographs its height. With n people in
        a composed scene the largest is divided by the cubic root of n.
    early, early_side
        In this share of the epochs, the first ones, scenes have that side instead; ``progress`` counts each of the two
        parts for itself.
    rotate : float
        Degrees either way. flip : mirror half of them; left and right joints change places.
    most : int
        People in a composed scene.
    stride : int
        Pixels of a cell.
    rank, world : int
        As in `Batches`.

    Raises
    ------
    DataError
        No picture can be used.
    """

    people: KeypointSet
    kind: Kind
    batch_size: int
    epochs: int
    seed: int
    side: int
    smallest: float = 0.25
    largest: float = 0.9
    rotate: float = 40.0
    flip: bool = True
    most: int = 6
    stride: int = 8
    early: float = 0.0
    early_side: int = 0
    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        self._stage = self._made(self.side)

    @property
    def samples(self) -> int:
        """Samples in an epoch."""
        return len(self._stage.used)

    def side_in(self, epoch: int) -> int:
        """Side of an epoch's scenes in pixels."""
        return self.early_side if epoch < self.early_epochs else self.side

    def get(self, epoch: int, index: int) -> SceneBatch:
        """The share of this process in one batch."""
        whole = self.ids(epoch, index)
        ids = whole[self.rank :: self.world]
        scenes = [self.scene(epoch, int(i)) for i in ids]
        return self._batch(scenes, ids, epoch, index, len(whole), self.world)

    def made(self, epoch: int, ids: NDArray[np.int64], *, side: int | None = None) -> SceneBatch:
        """What is made of the samples of these (N,) numbers in an epoch, as one batch; of another side if given."""
        return self._batch([self.scene(epoch, int(i), side=side) for i in ids], ids, epoch, 0, len(ids), 1)

    def fitted(self, ids: NDArray[np.int64], *, side: int | None = None) -> SceneBatch:
        """The photographs of the samples of these (N,) numbers as they are, in the middle of the square, on grey."""
        stage = self._staged(side or self.side)
        return self._batch([stage.fitted(int(i)) for i in ids], ids, 0, 0, len(ids), 1)

    def scene(self, epoch: int, sample: int, *, side: int | None = None) -> Scene:
        """What is made of a sample in an epoch; of another side if given."""
        slots = PER_SCENE + PER_PERSON * self.most
        numbers = sample * slots + np.arange(slots, dtype=np.int64)
        draws = uniform(numbers, seed=self.seed, epoch=epoch, stream=STREAM)
        return self._staged(side or self.side_in(epoch)).scene(sample, draws)

    def _staged(self, side: int) -> SceneComposer:
        """Where scenes of that side are made; pictures are kept for one side at a time."""
        if self._stage.side != side:
            self._stage = self._made(side)
        return self._stage

    def _made(self, side: int) -> SceneComposer:
        return SceneComposer(
            self.people, self.kind, side=side, smallest=self.smallest, largest=self.largest, rotate=self.rotate,
            flip=self.flip, most=self.most, stride=self.stride,
        )  # fmt: skip

    def _batch(
        self, scenes: list[Scene], ids: NDArray[np.int64], epoch: int, index: int, whole: int, world: int
    ) -> SceneBatch:
        most = max((len(scene.areas) for scene in scenes), default=0)

        def filled(name: str, dtype: torch.dtype) -> Tensor:
            arrays = [getattr(scene, name) for scene in scenes]
            wide = [np.pad(a, [(0, most - len(a)), *[(0, 0)] * (a.ndim - 1)]) for a in arrays]
            return torch.from_numpy(np.stack(wide)).to(self.device, dtype)

        images = torch.from_numpy(np.stack([scene.image for scene in scenes])).permute(0, 3, 1, 2)
        return SceneBatch(
            images=images.to(self.device), keypoints=filled("keypoints", self.dtype),
            visible=filled("visible", torch.bool), boxes=filled("boxes", self.dtype),
            areas=filled("areas", self.dtype),
            counts=torch.from_numpy(np.stack([scene.counts for scene in scenes])).to(self.device),
            ids=ids, epoch=epoch, index=index, global_size=whole, world=world,
            progress=self.progress(epoch, index),
        )  # fmt: skip
