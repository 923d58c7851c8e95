"""Top-down pose networks at work: from a photograph and the boxes of its people to their joints."""

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from firstsight.data.image_input import ImageLike, image_name, to_pil
from firstsight.data.keypoints.crop import crop_matrices, crop_regions, inverse, transform_points, warp
from firstsight.engine.device import choose_device, device_of
from firstsight.errors import UsageError
from firstsight.models.pose.heads import Refine
from firstsight.pose.oks import oks_nms
from firstsight.pose.parts import Pose
from firstsight.pose.skeleton import Skeleton
from firstsight.tasks.load import read_kind
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
from firstsight.tasks.pose.boxes import Floats, boxes_of_poses, drop_fragments, validate_boxes
from firstsight.tasks.pose.result import PoseResult
from firstsight.tasks.pose.top_down.evaluate import crop_input, person_scores
from firstsight.tasks.pose.top_down.network import TopDownNetwork, load_network
from firstsight.weights.io import WeightsFile
from firstsight.weights.resolve import resolve

PADDING = 1.25
ALIKE = 0.9
"""Of two poses that are more similar than this the less sure is dropped."""


class TopDownEstimator:
    """Finds joints, one person at a time: ``poses = TopDownEstimator("run")("photo.jpg", boxes=[[10, 20, 80, 160]])``.

    Parameters
    ----------
    model : str | Path | TopDownNetwork
        A `TopDownNetwork`, or what `load_top_down` takes: a run directory, a file.
    detector : PoseEstimator | None
        Finds the people where no boxes are given: a bottom-up `PoseEstimator`. If None, all of the picture is taken as
        one person.
    flip : bool
        Also show the mirror image, and average.
    refine : Refine
        Joints between the cells: "dark", "quarter" or "none".
    batch : int
        So many people are looked at together; memory grows with it, not with the people.

    Raises
    ------
    UsageError
        Unknown weights, or an impossible batch.
    WeightsError
        The weights cannot be used.
    """

    method = "top-down"
    task: ClassVar[str] = "top-down"

    def __init__(
        self, model: str | Path | TopDownNetwork, *, detector: PoseEstimator | None = None, flip: bool = False,
        refine: Refine = "dark", batch: int = 32,
    ) -> None:  # fmt: skip
        if batch < 1:
            raise UsageError(f"a batch holds at least one person; got {batch}")
        self.network = model if isinstance(model, TopDownNetwork) else find_network(model)
        self.detector, self.flip, self.refine, self.batch = detector, flip, refine, batch

    @property
    def skeleton(self) -> Skeleton:
        """Keypoints and limbs of the poses."""
        return self.network.skeleton

    @property
    def card(self) -> dict[str, Any]:
        """Metadata of the weights."""
        return self.network.card

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (3, H, W) of one input of the network."""
        return 3, *self.network.size

    @property
    def source(self) -> str:
        """Weights file."""
        return self.network.source

    def to(self, device: str) -> Self:
        """Move the networks to a device ("cpu", "cuda", "mps", or "auto"); return the estimator itself.

        Raises
        ------
        UsageError
            If this machine has no such device.
        """
        self.network.model.to(choose_device(device))
        if self.detector is not None:
            self.detector.to(device)
        return self

    def __repr__(self) -> str:
        height, width = self.network.size
        return (
            f"TopDownEstimator({self.network.name}: {len(self.skeleton)} keypoints ({self.skeleton.name}),"
            f" input {height}x{width}, detector={self.detector!r})"
        )

    @property
    def height(self) -> int:
        """Of the network's input, in pixels."""
        return self.network.size[0]

    def __call__(self, image: ImageLike, boxes: Any = None, *, bgr: bool = False) -> list[Pose]:
        """Estimate the poses of the people in an image.

        Parameters
        ----------
        image : ImageLike
            Image of any form, see `firstsight.data.image_input.to_pil`.
        boxes : Any
            (N, 4) x and y of the corner, width, height in pixels; None for the boxes of the detector.
        bgr : bool
            Channels of an array are blue, green, red (OpenCV).

        Returns
        -------
        list[Pose]
            Keypoints and boxes in pixels of the image, pixel centers at integers.

        Raises
        ------
        DataError
            If the image cannot be read, or a box cannot be used.
        """
        return self.infer(image, boxes=boxes, bgr=bgr).poses

    @torch.inference_mode()
    def infer(self, image: ImageLike, *, name: str | Path = "", boxes: Any = None, bgr: bool = False) -> PoseResult:
        """Estimate poses; return also the timings.

        Parameters
        ----------
        image : ImageLike
            See `__call__`.
        name : str | Path
            Name of the image in error messages.
        boxes : Any
            See `__call__`.
        bgr : bool
            See `__call__`.

        Raises
        ------
        DataError
            See `__call__`.
        """
        start = perf_counter()
        pil = to_pil(image, bgr=bgr)
        read = perf_counter()
        found_boxes, confidences = self._where(pil, boxes, name or image_name(image))
        detected = perf_counter()
        pixels = torch.from_numpy(np.array(pil.convert("RGB"))).permute(2, 0, 1)
        chunks = [self._joints(pixels, regions_of_batch) for regions_of_batch in self._batches(found_boxes)]
        keypoints = np.concatenate(chunks) if chunks else np.zeros((0, len(self.skeleton), 3))
        computed = perf_counter()
        scores = person_scores(keypoints) * confidences
        kept = oks_nms(keypoints, scores, self.skeleton.sigmas, threshold=ALIKE)
        poses = [_pose(keypoints[i], float(scores[i])) for i in kept]
        timings = {
            "read": read - start,
            "detect": detected - read,
            "network": computed - detected,
            "decode": perf_counter() - computed,
        }
        return PoseResult(poses, self.skeleton, pil, timings, [pose.score for pose in poses])

    def _where(self, picture: Image.Image, boxes: Any, name: str | Path) -> tuple[Floats, Floats]:
        """Boxes (N, 4) and how sure they are (N,)."""
        if boxes is not None:
            found = validate_boxes(boxes, picture.size, name)
            return found, np.ones(len(found))
        if self.detector is not None:
            poses = drop_fragments(self.detector.infer(picture, name=name).poses)
            return boxes_of_poses(poses), np.array([pose.score for pose in poses])
        width, height = picture.size
        inner = np.array([width, height]) / PADDING  # grown again, it is the picture
        return np.concatenate([(picture.size - inner) / 2, inner])[None], np.ones(1)

    def _batches(self, boxes: Floats) -> Iterator[Tensor]:
        """Regions (N, 4) of the boxes, some at a time, pixel centres at integers."""
        height, width = self.network.size
        centred = torch.from_numpy(boxes - np.array([0.5, 0.5, 0, 0]))
        yield from crop_regions(centred, aspect=width / height, padding=PADDING).split(self.batch) if len(boxes) else ()

    def _joints(self, pixels: Tensor, areas: Tensor) -> Floats:
        matrices = crop_matrices(areas, size=self.network.size)
        crops = crop_input(warp([pixels] * len(areas), matrices.float(), size=self.network.size))
        flip = self.skeleton.flip if self.flip else None
        model = self.network.model
        joints = model.joints(crops.to(device_of(model)), flip=flip, refine=self.refine).cpu().double()
        found: Floats = torch.cat([transform_points(joints[..., :2], inverse(matrices)), joints[..., 2:]], 2).numpy()
        return found


def _pose(keypoints: Floats, score: float) -> Pose:
    (left, top), (right, bottom) = keypoints[:, :2].min(0).tolist(), keypoints[:, :2].max(0).tolist()
    return Pose(keypoints, score, (left, top, right - left, bottom - top))


def find_network(name_or_path: str | Path) -> TopDownNetwork:
    """Load a top-down network by the name of its weights, a run directory or a file, see `firstsight.load`."""
    return load_network(read_kind(resolve(name_or_path), "top-down"))


def load_estimator(weights: WeightsFile) -> TopDownEstimator:
    """Return the estimator of a weights file, without a detector."""
    return TopDownEstimator(load_network(weights))
