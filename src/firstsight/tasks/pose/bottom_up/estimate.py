"""Bottom-up pose estimation: from an image to the poses of all people."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from firstsight.arguments import ModelSource, check_arguments
from firstsight.data.image_input import ImageLike, image_name, to_pil
from firstsight.engine.device import device_of
from firstsight.errors import DataError, UsageError
from firstsight.pose.decode import METHODS, DecodeResult, Method, decode_steps
from firstsight.pose.flip import flip_limbs, unflip_maps
from firstsight.pose.letterbox import UPSAMPLING, Letterbox, align_maps
from firstsight.pose.parts import MIN_JOINTS, Pose, bound_scores, bounding_box
from firstsight.pose.score import remove_duplicates
from firstsight.pose.skeleton import COCO_17, Skeleton
from firstsight.tasks.load import read_kind, read_resolved
from firstsight.tasks.pose.base_estimator import BaseEstimator
from firstsight.tasks.pose.bottom_up.network import (
    MAX_HEIGHT,
    MIN_HEIGHT,
    BottomUpNetwork,
    default_weights,
    load_network,
)
from firstsight.tasks.pose.result import PoseIntermediates, PoseResult
from firstsight.weights.io import WeightsFile, not_finite

MAX_PIXELS = 2_000_000
"""Maximum number of pixels of a network's input; an image that is very wide for its height exceeds it."""
MIN_SCALE, MAX_SCALE = 0.1, 4.0


class PoseEstimator(BaseEstimator[BottomUpNetwork]):
    """Bottom-up pose estimator: ``poses = PoseEstimator("weights.pth")("photo.jpg")``.

    Parameters
    ----------
    model : ModelSource | BottomUpNetwork | None
        A network; or the name of its weights, a run directory or a file, see `firstsight.load`; None for the bundled
        weights.
    height : int | None
        Height in pixels that images are resized to; None for that of the network. Small people need more.
    method : Method
        "fast" or "exact" decoding, see `firstsight.pose.decode`.
    scales : Sequence[float]
        Multiples of ``height`` whose maps are averaged.
    flip : bool
        Average with the horizontally flipped image.
    min_joints : int | None
        Minimum number of detected keypoints of a person; None for `firstsight.pose.parts.MIN_JOINTS`.
    min_score : float | None
        Minimum score of a person, in [0, 1]; None for that of the weights, 0 for all people.
    min_joint_score : float
        Minimum score of a keypoint, in [0, 1]; others count as not detected.

    Raises
    ------
    UsageError
        If an option is out of range, or the weights are unknown.
    DataError
        If ``flip`` is set, and the horizontal flip of a limb is not a limb of the skeleton.
    WeightsError
        If the weights cannot be used.
    """

    task: ClassVar[str] = "bottom-up"

    def __init__(
        self,
        model: ModelSource | BottomUpNetwork | None = None,
        *,
        height: int | None = None,
        method: Method = "fast",
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        min_joints: int | None = None,
        min_score: float | None = None,
        min_joint_score: float = 0.0,
    ) -> None:
        check_arguments(PoseEstimator.__init__, locals())
        if height is not None and not MIN_HEIGHT <= height <= MAX_HEIGHT:
            raise UsageError(f"`height` must be between {MIN_HEIGHT} and {MAX_HEIGHT:,} pixels; got {height}")
        if method not in METHODS:
            raise UsageError(f"`method` must be {' or '.join(METHODS)}; got {method}")
        if not scales or not all(MIN_SCALE <= scale <= MAX_SCALE for scale in scales):
            values = ", ".join(f"{scale:g}" for scale in scales) or "none"
            raise UsageError(f"`scales` must be between {MIN_SCALE:g} and {MAX_SCALE:g}; got {values}")
        for option, value in (("min_score", min_score), ("min_joint_score", min_joint_score)):
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"`{option}` must be between 0 and 1; got {value:g}")
        self.network = model if isinstance(model, BottomUpNetwork) else find_network(model or default_weights())
        self.height = height or self.network.height
        self.method = method
        self.scales = tuple(scales)
        self.flip = flip
        num_joints = len(self.skeleton)
        if min_joints is not None and not MIN_JOINTS <= min_joints <= num_joints:
            raise UsageError(
                f"`min_joints` must be between {MIN_JOINTS} and {num_joints}, the number of keypoints; got {min_joints}"
            )
        self.min_joints = min_joints or MIN_JOINTS
        self.min_score = self.network.calibration.min_score if min_score is None else min_score
        self.min_joint_score = min_joint_score
        if flip:
            flip_limbs(self.skeleton)  # raises if the skeleton is asymmetric

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (3, H, W) of one input of the network; other sizes are possible."""
        return 3, self.height, self.height

    def __repr__(self) -> str:
        return (
            f"PoseEstimator({self.network.name}: {len(self.skeleton)} keypoints ({self.skeleton.name}),"
            f" height={self.height}, method='{self.method}')"
        )

    def __call__(self, image: ImageLike, *, bgr: bool = False) -> list[Pose]:
        """Estimate the poses of the people in an image.

        Parameters
        ----------
        image : ImageLike
            Image of any form, see `firstsight.data.image_input.to_pil`.
        bgr : bool
            Channels of an array or a tensor are blue, green, red (OpenCV); images of other forms are not changed.

        Returns
        -------
        list[Pose]
            Keypoints and boxes in pixels of the image, pixel centers at integers.

        Raises
        ------
        DataError
            If the image cannot be read, or is too wide for its height.
        """
        return self.infer(image, bgr=bgr).poses

    @torch.inference_mode()
    def infer(self, image: ImageLike, *, name: str | Path = "", bgr: bool = False) -> PoseIntermediates:
        """Estimate poses; return also the maps of the network, the decoded parts and the timings.

        Parameters
        ----------
        image : ImageLike
            See `__call__`.
        name : str | Path
            Name of the image in error messages.
        bgr : bool
            See `__call__`.

        Raises
        ------
        DataError
            See `__call__`.
        """
        start = perf_counter()
        pil = to_pil(image, bgr=bgr)
        letterboxes = [Letterbox.for_image(pil.size, height=self.height * scale) for scale in self.scales]
        _check_size(letterboxes, name or image_name(image))
        inputs = [letterbox.network_input(resize_image(pil, letterbox)) for letterbox in letterboxes]
        read = perf_counter()
        letterbox = letterboxes[0] if len(letterboxes) == 1 else Letterbox.for_image(pil.size, height=self.height)
        heatmaps, pafs = self._average_maps(inputs, letterboxes, letterbox)
        if not bool(heatmaps.isfinite().all() and pafs.isfinite().all()):
            raise not_finite(self.source, "maps")
        computed = perf_counter()
        decoded = self._decode(heatmaps, pafs)
        poses = self._select(decoded, letterbox)
        timings = {"read": read - start, "network": computed - read, "decode": perf_counter() - computed}
        return PoseIntermediates(poses, self.skeleton, pil, timings, heatmaps, pafs, decoded, letterbox)

    def make_input(self, image: Image.Image) -> Tensor:
        """Return an image as input of the network: (1, 3, H, W) BGR, (pixel - 128) / 256.

        Raises
        ------
        DataError
            If the image is too wide for its height.
        """
        letterbox = Letterbox.for_image(image.size, height=self.height)
        _check_size([letterbox], "image")
        return letterbox.network_input(resize_image(image, letterbox))

    def _select(self, decoded: DecodeResult, letterbox: Letterbox) -> list[Pose]:
        """Return the poses in pixels of the image that have enough keypoints and a sufficient score."""
        counts = decoded.people.counts.tolist()
        raw = [pose.score * max(0, count - 1) for pose, count in zip(decoded.poses, counts, strict=True)]
        scores = self.network.calibration(raw).tolist()
        poses = [
            self._to_image(pose, letterbox, score)
            for pose, score in zip(decoded.poses, scores, strict=True)
            if score >= self.min_score
        ]
        poses = [pose for pose in poses if (pose.keypoints[:, 2] >= 0).sum() >= self.min_joints]
        poses = remove_duplicates(poses, self.skeleton) if self.method == "fast" else poses
        return [bound_scores(pose) for pose in poses]

    def _average_maps(
        self, inputs: Sequence[Tensor], letterboxes: Sequence[Letterbox], target: Letterbox
    ) -> tuple[Tensor, Tensor]:
        """Return the heatmaps and fields of the last stage, averaged over the scales, in the geometry of ``target``."""
        maps = [self._predict(images) for images in inputs]
        if len(maps) > 1:
            maps = [
                (align_maps(heatmaps, letterbox, target), align_maps(pafs, letterbox, target))
                for (heatmaps, pafs), letterbox in zip(maps, letterboxes, strict=True)
            ]
        heatmaps, pafs = (torch.stack(each).mean(0) if len(each) > 1 else each[0] for each in zip(*maps, strict=True))
        return heatmaps[0], pafs[0]

    def _predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps (1, C, h, w) of one input (1, 3, H, W), averaged with its horizontal flip if requested."""
        model = self.network.model
        if self.flip:
            images = torch.cat([images, images.flip(3)]).contiguous(memory_format=torch.channels_last)
        heatmaps, pafs = (maps.cpu().float() for maps in model(images.to(device_of(model)))[-2:])
        if not self.flip:
            return heatmaps, pafs
        unflipped_heatmaps, unflipped_pafs = unflip_maps(heatmaps[1:], pafs[1:], self.skeleton)
        return (heatmaps[:1] + unflipped_heatmaps) / 2, (pafs[:1] + unflipped_pafs) / 2

    def _decode(self, heatmaps: Tensor, pafs: Tensor) -> DecodeResult:
        maps = (heatmaps[: len(self.skeleton)], pafs)
        if self.method == "exact":
            maps = (upsample_maps(maps[0]), upsample_maps(maps[1]))
        return decode_steps(*maps, self.skeleton, method=self.method)

    def _to_image(self, pose: Pose, letterbox: Letterbox, score: float) -> Pose:
        """Convert a pose from pixels of the decoded maps to pixels of the image, with another score."""
        convert = letterbox.upsampled_to_image if self.method == "exact" else letterbox.cells_to_image
        keypoints = pose.keypoints.copy()
        keypoints[keypoints[:, 2] < self.min_joint_score] = -1
        is_detected = keypoints[:, 2] >= 0
        keypoints[is_detected, :2] = convert(keypoints[is_detected, :2])
        return Pose(keypoints, score, bounding_box(keypoints))


def _check_size(letterboxes: Sequence[Letterbox], name: str | Path) -> None:
    """Refuse an image whose largest input has more than `MAX_PIXELS` pixels."""
    largest = max(letterboxes, key=lambda letterbox: letterbox.resized_width * letterbox.resized_height)
    if largest.resized_width * largest.resized_height > MAX_PIXELS:
        raise DataError(
            f"{name}: {largest.width}x{largest.height} pixels would be"
            f" {largest.resized_width}x{largest.resized_height} in the network, which is more than"
            f" {MAX_PIXELS // 1_000_000} million pixels; choose a smaller `height`"
        )


def find_network(name_or_path: ModelSource) -> BottomUpNetwork:
    """Load a bottom-up network by the name of its weights, a run directory or a file, see `firstsight.load`."""
    return load_network(read_resolved(name_or_path, lambda path: read_kind(path, "bottom-up")))


def load_estimator(weights: WeightsFile) -> PoseEstimator:
    """Return the estimator of a weights file, with default options."""
    return PoseEstimator(load_network(weights))


def resize_image(image: Image.Image, letterbox: Letterbox) -> NDArray[np.uint8]:
    """Resize an image to its size in a letterbox, bilinearly with antialiasing.

    Parameters
    ----------
    image : Image.Image
        Image of any size and mode.
    letterbox : Letterbox
        Geometry of the image in the network's input.

    Returns
    -------
    NDArray[np.uint8]
        (resized_height, resized_width, 3) RGB image.
    """
    size = (letterbox.resized_width, letterbox.resized_height)
    resized = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(resized.convert("RGB"))


def upsample_maps(maps: Tensor) -> Tensor:
    """Return maps (C, h, w) upsampled by `UPSAMPLING`: bicubic (A = -0.75), half-pixel centers, (C, 4 h, 4 w)."""
    return F.interpolate(maps[None].contiguous(), scale_factor=UPSAMPLING, mode="bicubic", align_corners=False)[0]


def coco_results(
    result: PoseResult, skeleton: Skeleton, *, image_id: int, joints: Skeleton | None = None, category_id: int = 1
) -> list[dict[str, Any]]:
    """Return the people of an image as COCO keypoint results.

    Parameters
    ----------
    result : PoseResult
        Poses and scores.
    skeleton : Skeleton
        Skeleton of the poses.
    image_id : int
        COCO's id of the image.
    joints : Skeleton | None
        Skeleton of the results, matched by name. Joints that ``skeleton`` lacks count as not detected, and poses
        without any detected joint are left out. None for COCO's skeleton if ``skeleton`` has all of its joints, else
        for ``skeleton``.
    category_id : int
        COCO's id of people.

    Returns
    -------
    list[dict[str, Any]]
        An entry for each person. "keypoints" is a flat list of x, y and 1, or of three zeros for a joint that was not
        detected; COCO measures from the corner of a pixel, so 0.5 is added to x and y. "score" is that of `PoseResult`.
    """
    if joints is None:
        joints = COCO_17 if set(COCO_17.joints) <= set(skeleton.joints) else skeleton
    order = np.array(joints.indices_in(skeleton))
    entries = []
    for pose, score in zip(result.poses, result.scores, strict=True):
        keypoints = pose.keypoints[order]
        is_detected = (keypoints[:, 2:] >= 0) & (order >= 0)[:, None]
        if not is_detected.any():
            continue
        corner_xy = keypoints[:, :2] + 0.5
        flat = np.where(is_detected, np.concatenate([corner_xy, np.ones_like(is_detected, dtype=float)], 1), 0)
        entries.append(
            {
                "image_id": image_id,
                "category_id": category_id,
                "keypoints": np.round(flat, 3).ravel().tolist(),
                "score": score,
            }
        )
    return entries
