"""Top-down pose networks at work: from a photograph and the boxes of its people to their joints."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from firstsight.data.image_io import load_image
from firstsight.data.keypoints.crop import crop_matrices, inverse, moved, regions, warp
from firstsight.engine.device import device_of
from firstsight.errors import UsageError
from firstsight.models.pose.heads import Refine
from firstsight.pose.decode import Method
from firstsight.pose.oks import oks_nms
from firstsight.pose.parts import Pose
from firstsight.pose.skeleton import Skeleton
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator, PoseResult
from firstsight.tasks.pose.boxes import Floats, boxes_of_poses, drop_fragments, validate_boxes
from firstsight.tasks.pose.top_down.evaluate import crop_input, person_scores
from firstsight.weights.classifier import kind_of
from firstsight.weights.pose import PoseNetwork, load_pose
from firstsight.weights.top_down import TopDownNetwork, load_top_down

PADDING = 1.25
ALIKE = 0.9
"""Of two poses that are more similar than this the less sure is dropped."""


Estimator: TypeAlias = "PoseEstimator | TopDownEstimator"


def estimator_for(
    model: str | Path | PoseNetwork | TopDownNetwork, *, height: int | None = None, method: Method | None = None,
    scales: Sequence[float] = (1.0,), flip: bool = False, min_joints: int | None = None,
    detector: PoseEstimator | None = None, notify: Callable[[str], None] = lambda line: None,
) -> Estimator:  # fmt: skip
    """What finds people with these weights: a `PoseEstimator`, or a `TopDownEstimator`, whichever they are of.

    Parameters
    ----------
    height, method, scales, min_joints
        For bottom-up weights, see `PoseEstimator`.
    detector : PoseEstimator | None
        For weights of one person at a time, see `TopDownEstimator`.
    notify : Callable[[str], None]
        Called with a line for what was not as usual.

    Raises
    ------
    UsageError
        Unknown weights, or something is set that is for the other kind.
    WeightsError
        The weights cannot be used.
    """
    if isinstance(model, str | Path):
        model = load_network(model, notify)
    if isinstance(model, PoseNetwork):
        if detector is not None:
            raise UsageError(f"--detector is for a network that looks at one person at a time; {model.name} finds all")
        return PoseEstimator(
            model, height=height, method=method or "fast", scales=scales, flip=flip, min_joints=min_joints
        )
    others = {"height": height, "method": method, "scales": tuple(scales) != (1.0,), "min-joints": min_joints}
    for option, given in others.items():
        if given:
            raise UsageError(f"--{option} is for bottom-up networks; {model.name} looks at one person at a time")
    return TopDownEstimator(model, detector=detector, flip=flip)


def load_network(model: str | Path, notify: Callable[[str], None]) -> PoseNetwork | TopDownNetwork:
    """Trained weights of either kind; as `load_pose` and `load_top_down`."""
    if kind_of(model, notify) == "top-down":
        return load_top_down(model, notify=notify)
    return load_pose(model, notify=notify)


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

    def __init__(
        self, model: str | Path | TopDownNetwork, *, detector: PoseEstimator | None = None, flip: bool = False,
        refine: Refine = "dark", batch: int = 32,
    ) -> None:  # fmt: skip
        if batch < 1:
            raise UsageError(f"a batch holds at least one person; got {batch}")
        self.network = model if isinstance(model, TopDownNetwork) else load_top_down(model)
        self.detector, self.flip, self.refine, self.batch = detector, flip, refine, batch

    @property
    def skeleton(self) -> Skeleton:
        """Whose joints the poses have."""
        return self.network.skeleton

    @property
    def height(self) -> int:
        """Of the network's input, in pixels."""
        return self.network.size[0]

    def __call__(self, image: str | Path | Image.Image, boxes: Any = None) -> list[Pose]:
        """People in a picture: keypoints and boxes in its pixels, pixel centres at integers.

        Parameters
        ----------
        image : str | Path | Image.Image
            A path, or a picture in memory; of any size and mode.
        boxes : Any
            (N, 4) x, y of the first corner, width, height, in pixels; if None, see ``detector``.

        Raises
        ------
        DataError
            The picture cannot be read, or a box not used.
        """
        return self.steps(image, boxes=boxes).poses

    @torch.inference_mode()
    def steps(self, image: str | Path | Image.Image, *, name: str | Path = "", boxes: Any = None) -> PoseResult:
        """The same with the picture and the seconds; ``name`` is for errors."""
        start = perf_counter()
        picture = load_image(image)
        display_name = name or (image if isinstance(image, str | Path) else "picture")
        read = perf_counter()
        where, sure = self._where(picture, boxes, display_name)
        looked = perf_counter()
        pixels = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
        found = [self._joints(pixels, some) for some in self._batches(where)]
        keypoints = np.concatenate(found) if found else np.zeros((0, len(self.skeleton), 3))
        answered = perf_counter()
        scores = person_scores(keypoints) * sure
        kept = oks_nms(keypoints, scores, self.skeleton.sigmas, threshold=ALIKE)
        poses = [_pose(keypoints[i], float(scores[i])) for i in kept]
        seconds = {
            "read": read - start, "detect": looked - read, "network": answered - looked,
            "decode": perf_counter() - answered,
        }  # fmt: skip
        return PoseResult(poses, picture, seconds, [pose.score for pose in poses])

    def _where(self, picture: Image.Image, boxes: Any, name: str | Path) -> tuple[Floats, Floats]:
        """Boxes (N, 4) and how sure they are (N,)."""
        if boxes is not None:
            found = validate_boxes(boxes, picture.size, name)
            return found, np.ones(len(found))
        if self.detector is not None:
            poses = drop_fragments(self.detector.steps(picture, name=name).poses)
            return boxes_of_poses(poses), np.array([pose.score for pose in poses])
        width, height = picture.size
        inner = np.array([width, height]) / PADDING  # grown again, it is the picture
        return np.concatenate([(picture.size - inner) / 2, inner])[None], np.ones(1)

    def _batches(self, boxes: Floats) -> Iterator[Tensor]:
        """Regions (N, 4) of the boxes, some at a time, pixel centres at integers."""
        height, width = self.network.size
        centred = torch.from_numpy(boxes - np.array([0.5, 0.5, 0, 0]))
        yield from regions(centred, aspect=width / height, padding=PADDING).split(self.batch) if len(boxes) else ()

    def _joints(self, pixels: Tensor, areas: Tensor) -> Floats:
        matrices = crop_matrices(areas, size=self.network.size)
        crops = crop_input(warp([pixels] * len(areas), matrices.float(), size=self.network.size))
        flip = self.skeleton.flip if self.flip else None
        model = self.network.model
        joints = model.joints(crops.to(device_of(model)), flip=flip, refine=self.refine).cpu().double()
        found: Floats = torch.cat([moved(joints[..., :2], inverse(matrices)), joints[..., 2:]], 2).numpy()
        return found


def _pose(keypoints: Floats, score: float) -> Pose:
    (left, top), (right, bottom) = keypoints[:, :2].min(0).tolist(), keypoints[:, :2].max(0).tolist()
    return Pose(keypoints, score, (left, top, right - left, bottom - top))
