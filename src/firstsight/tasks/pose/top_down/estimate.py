"""Top-down pose estimation: from an image and the boxes of people to their poses."""

from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from firstsight.arguments import ModelSource, check_arguments
from firstsight.data.image_input import ImageLike, image_name, to_pil
from firstsight.data.keypoints.crop import GRAY, crop_matrices, crop_regions, inverse, transform_points, warp
from firstsight.engine.device import device_of
from firstsight.errors import UsageError
from firstsight.models.pose.heads import Refine
from firstsight.pose.oks import oks_nms
from firstsight.pose.parts import Pose, bound_scores, bounding_box
from firstsight.tasks.load import read_kind, read_resolved
from firstsight.tasks.pose.base_estimator import BaseEstimator
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
from firstsight.tasks.pose.boxes import Floats, boxes_from_poses, drop_fragments, validate_boxes
from firstsight.tasks.pose.result import PoseResult
from firstsight.tasks.pose.top_down import published
from firstsight.tasks.pose.top_down.evaluate import crop_input, person_scores
from firstsight.tasks.pose.top_down.network import TopDownNetwork, load_network
from firstsight.weights.io import WeightsFile, not_finite

PADDING = 1.25
"""Factor by which boxes are enlarged before cropping."""
WHOLE_IMAGE = "the whole image is taken as one person; `boxes` or `detector` give the people"
NMS_THRESHOLD = 0.9
"""If two poses have a higher OKS, the less confident one is dropped."""


class TopDownEstimator(BaseEstimator[TopDownNetwork]):
    """Top-down pose estimator: ``poses = TopDownEstimator("run")("photo.jpg", boxes=[[10, 20, 80, 160]])``.

    Parameters
    ----------
    model : ModelSource | TopDownNetwork
        A network; or the name of its weights, a run directory or a file, see `firstsight.load`.
    detector : PoseEstimator | None
        Bottom-up estimator that finds the people if no boxes are given; None takes the image as one person.
    flip : bool
        Average with the horizontally flipped image, as published evaluations do; it doubles the time.
    refine : Refine | None
        Subpixel refinement: "dark", "quarter" or "none", see `firstsight.models.pose.heads.locate_peaks`. None for
        "quarter" with the published SimpleBaseline, and "dark" with all other networks.
    batch : int
        Number of people that are processed at once. Memory grows with it, but not with the number of people.

    Raises
    ------
    UsageError
        If ``batch`` is below 1, or the weights are unknown.
    WeightsError
        If the weights cannot be used.
    """

    method = "top-down"
    task: ClassVar[str] = "top-down"

    def __init__(
        self,
        model: ModelSource | TopDownNetwork,
        *,
        detector: PoseEstimator | None = None,
        flip: bool = True,
        refine: Refine | None = None,
        batch: int = 32,
    ) -> None:
        check_arguments(TopDownEstimator.__init__, locals())
        if batch < 1:
            raise UsageError(f"`batch` must be at least 1; got {batch}")
        self.network = model if isinstance(model, TopDownNetwork) else find_network(model)
        self.detector = detector
        self.flip = flip
        self.refine: Refine = refine or ("quarter" if self.network.is_published else "dark")
        self.batch = batch

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (3, H, W) of one input of the network."""
        return 3, *self.network.size

    def to(self, device: str | torch.device) -> Self:
        """Move the networks to a device ("cpu", "cuda", "mps", or "auto"); return the estimator itself.

        Raises
        ------
        UsageError
            If this machine has no such device.
        """
        super().to(device)
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
        """Height of the network's input in pixels."""
        return self.network.size[0]

    def __call__(self, image: ImageLike, boxes: Any = None, *, bgr: bool = False) -> list[Pose]:
        """Estimate the poses of the people in an image.

        Parameters
        ----------
        image : ImageLike
            Image of any form, see `firstsight.data.image_input.to_pil`.
        boxes : Any
            (N, 4) x and y of the corner, width, height in pixels; None for the boxes of the detector. Without a
            detector, the whole image is taken as one person.
        bgr : bool
            Channels of an array or a tensor are blue, green, red (OpenCV); images of other forms are not changed.

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
        people_boxes, confidences = self._find_boxes(pil, boxes, name or image_name(image))
        detected = perf_counter()
        pixels = torch.from_numpy(np.array(pil.convert("RGB"))).permute(2, 0, 1)
        batches = torch.from_numpy(people_boxes).split(self.batch) if len(people_boxes) else ()
        chunks = [self._predict(pixels, batch) for batch in batches]
        keypoints = np.concatenate(chunks) if chunks else np.zeros((0, len(self.skeleton), 3))
        computed = perf_counter()
        scores = person_scores(keypoints) * confidences
        kept = oks_nms(keypoints, scores, self.skeleton.sigmas, threshold=NMS_THRESHOLD)
        poses = [bound_scores(Pose(keypoints[i], float(scores[i]), bounding_box(keypoints[i]))) for i in kept]
        timings = {
            "read": read - start,
            "detect": detected - read,
            "network": computed - detected,
            "decode": perf_counter() - computed,
        }
        notes = (WHOLE_IMAGE,) if boxes is None and self.detector is None else ()
        return PoseResult(poses, self.skeleton, pil, timings, notes=notes)

    def _find_boxes(self, image: Image.Image, boxes: Any, name: str | Path) -> tuple[Floats, Floats]:
        """Return boxes (N, 4) and their confidences (N,): as given, as detected, or the image as one person."""
        if boxes is not None:
            array = validate_boxes(boxes, image.size, name)
            return array, np.ones(len(array))
        if self.detector is not None:
            poses = drop_fragments(self.detector.infer(image, name=name).poses)
            return boxes_from_poses(poses), np.array([pose.score for pose in poses])
        return self.whole_image(image), np.ones(1)

    @staticmethod
    def whole_image(image: Image.Image) -> Floats:
        """Return the box (1, 4) that covers an image after it is padded."""
        inner = np.array(image.size) / PADDING
        box: Floats = np.concatenate([(image.size - inner) / 2, inner])[None]
        return box

    def make_inputs(self, pixels: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the crops of boxes as RGB images, as inputs of the network, and the matrices of the crops.

        Parameters
        ----------
        pixels : Tensor
            (3, H, W) uint8 RGB image.
        boxes : Tensor
            (N, 4) x and y of the corner, width, height in pixels.
        """
        size = self.network.size
        height, width = size
        if self.network.is_published:
            matrices, fill = published.crop_matrices(boxes, size=size, padding=PADDING), published.FILL
        else:
            shifted = boxes - boxes.new_tensor([0.5, 0.5, 0, 0])  # pixel centers at integers
            regions = crop_regions(shifted, aspect=width / height, padding=PADDING)
            matrices, fill = crop_matrices(regions, size=size), GRAY
        crops = warp([pixels] * len(boxes), matrices.float(), size=size, fill=fill)
        inputs = published.crop_input(crops) if self.network.is_published else crop_input(crops)
        return crops, inputs, matrices

    def _predict(self, pixels: Tensor, boxes: Tensor) -> Floats:
        """Return the joints (N, K, 3) in boxes (N, 4) of an image (3, H, W), in pixels of the image."""
        model = self.network.model
        _, inputs, matrices = self.make_inputs(pixels, boxes)
        flip = self.skeleton.flip if self.flip else None
        joints = model.joints(inputs.to(device_of(model)), flip=flip, refine=self.refine).cpu().double()
        if not bool(joints.isfinite().all()):
            raise not_finite(self.source, "joints")
        xy = transform_points(joints[..., :2], inverse(matrices))
        if self.network.is_published:
            xy -= published.COORDINATE_OFFSET
        keypoints: Floats = torch.cat([xy, joints[..., 2:]], 2).numpy()
        return keypoints


def find_network(name_or_path: ModelSource) -> TopDownNetwork:
    """Load a top-down network by the name of its weights, a run directory or a file, see `firstsight.load`."""
    return load_network(read_resolved(name_or_path, lambda path: read_kind(path, "top-down")))


def load_estimator(weights: WeightsFile) -> TopDownEstimator:
    """Return the estimator of a weights file, without a detector."""
    return TopDownEstimator(load_network(weights))
