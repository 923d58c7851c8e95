"""Pose networks at work: from a photograph to people and their joints."""

from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from firstsight.data.image_input import ImageLike, image_name, to_pil
from firstsight.engine.device import choose_device, device_of
from firstsight.errors import DataError, UsageError
from firstsight.pose.decode import METHODS, DecodeResult, Method, decode_steps
from firstsight.pose.flip import flip_limbs, unflip_maps
from firstsight.pose.letterbox import UPSAMPLING, Letterbox, align_maps
from firstsight.pose.parts import MIN_JOINTS, Pose
from firstsight.pose.skeleton import COCO_17, Skeleton
from firstsight.tasks.load import read_kind
from firstsight.tasks.pose.result import PoseIntermediates, PoseResult
from firstsight.tasks.pose.bottom_up.network import (
    MAX_HEIGHT,
    MIN_HEIGHT,
    BottomUpNetwork,
    default_weights,
    load_network,
)
from firstsight.weights.io import WeightsFile
from firstsight.weights.resolve import resolve

MAX_PIXELS = 2_000_000
"""Of a network's input; a picture that is very long for its height would need more."""
MIN_SCALE, MAX_SCALE = 0.1, 4.0


class PoseEstimator:
    """Finds people in photographs with a bottom-up network: ``poses = PoseEstimator("weights.pth")("photo.jpg")``.

    Parameters
    ----------
    model : str | Path | BottomUpNetwork | None
        A `BottomUpNetwork`, or what `load_pose` takes: a name, a run directory, a file. If None, the weights that come
        along.
    height : int | None
        What pictures are resized to, in pixels; the network's own if None. Small people need more.
    method : Method
        "fast" or "exact", see `firstsight.pose.decode`.
    scales : Sequence[float]
        Pictures are shown in each, as a multiple of ``height``, and the maps averaged.
    flip : bool
        Also show the mirror image, and average.
    min_joints : int | None
        People of whom fewer joints were found are left out; those of less than `MIN_JOINTS` always are.

    Raises
    ------
    UsageError
        An impossible height, scale or number of joints, an unknown method, or unknown weights.
    DataError
        To flip, and a limb of the skeleton has no mirror image.
    WeightsError
        The weights cannot be used.
    """

    def __init__(
        self, model: str | Path | BottomUpNetwork | None = None, *, height: int | None = None, method: Method = "fast",
        scales: Sequence[float] = (1.0,), flip: bool = False, min_joints: int | None = None,
    ) -> None:  # fmt: skip
        if height is not None and not MIN_HEIGHT <= height <= MAX_HEIGHT:
            raise UsageError(f"--height must lie between {MIN_HEIGHT} and {MAX_HEIGHT:,} pixels; got {height}")
        if method not in METHODS:
            raise UsageError(f"--method must be {' or '.join(METHODS)}; got {method}")
        if not scales or not all(MIN_SCALE <= scale <= MAX_SCALE for scale in scales):
            got = ", ".join(f"{scale:g}" for scale in scales) or "none"
            raise UsageError(f"--scales must lie between {MIN_SCALE:g} and {MAX_SCALE:g}; got {got}")
        self.network = model if isinstance(model, BottomUpNetwork) else find_network(model or default_weights())
        self.height, self.method, self.scales, self.flip = height or self.network.height, method, tuple(scales), flip
        if min_joints is not None and not MIN_JOINTS <= min_joints <= len(self.skeleton):
            most = len(self.skeleton)
            raise UsageError(f"--min-joints must lie between {MIN_JOINTS} and {most}, all joints; got {min_joints}")
        self.min_joints = min_joints or MIN_JOINTS
        if flip:
            flip_limbs(self.skeleton)

    task: ClassVar[str] = "bottom-up"

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
        """Shape (3, H, W) of one input of the network; other sizes are possible."""
        return 3, self.height, self.height

    @property
    def source(self) -> str:
        """Weights file."""
        return self.network.source

    def to(self, device: str) -> Self:
        """Move the network to a device ("cpu", "cuda", "mps", or "auto"); return the estimator itself.

        Raises
        ------
        UsageError
            If this machine has no such device.
        """
        self.network.model.to(choose_device(device))
        return self

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
            Channels of an array are blue, green, red (OpenCV).

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
        self._check(letterboxes, name or image_name(image))
        inputs = [letterbox.network_input(resized(pil, letterbox)) for letterbox in letterboxes]
        read = perf_counter()
        letterbox = letterboxes[0] if len(letterboxes) == 1 else Letterbox.for_image(pil.size, height=self.height)
        heatmaps, pafs = self._maps(inputs, letterboxes, letterbox)
        computed = perf_counter()
        decoded = self._decode(heatmaps, pafs)
        is_complete = ((decoded.people.joints >= 0).sum(1) >= self.min_joints).tolist()
        poses = [self._placed(pose, letterbox) for pose in compress(decoded.poses, is_complete)]
        timings = {"read": read - start, "network": computed - read, "decode": perf_counter() - computed}
        counts = compress(decoded.people.counts.tolist(), is_complete)
        scores = [pose.score * max(0, count - 1) for pose, count in zip(poses, counts, strict=True)]
        return PoseIntermediates(poses, self.skeleton, pil, timings, scores, heatmaps, pafs, decoded, letterbox)

    def _check(self, letterboxes: Sequence[Letterbox], name: str | Path) -> None:
        largest = max(letterboxes, key=lambda letterbox: letterbox.resized_width * letterbox.resized_height)
        if largest.resized_width * largest.resized_height > MAX_PIXELS:
            raise DataError(
                f"{name}: {largest.width}x{largest.height} pixels would be"
                f" {largest.resized_width}x{largest.resized_height} for the network; at most {MAX_PIXELS // 1_000_000} million pixels are taken (choose a smaller --height)"
            )

    def _maps(
        self, inputs: Sequence[Tensor], letterboxes: Sequence[Letterbox], letterbox: Letterbox
    ) -> tuple[Tensor, Tensor]:
        """Heatmaps and fields of the last stage, averaged over scales and mirror images, in ``letterbox``."""
        found = [self._answer(shown) for shown in inputs]
        if len(found) > 1:
            found = [
                (align_maps(heatmaps, own, letterbox), align_maps(pafs, own, letterbox))
                for (heatmaps, pafs), own in zip(found, letterboxes, strict=True)
            ]
        heatmaps, pafs = (torch.stack(maps).mean(0) if len(maps) > 1 else maps[0] for maps in zip(*found, strict=True))
        return heatmaps[0], pafs[0]

    def _answer(self, shown: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (1, ..., h, w) of one input."""
        model = self.network.model
        if self.flip:
            shown = torch.cat([shown, shown.flip(3)]).contiguous(memory_format=torch.channels_last)
        heatmaps, pafs = (maps.cpu() for maps in model(shown.to(device_of(model)))[-1])
        if not self.flip:
            return heatmaps, pafs
        other, other_pafs = unflip_maps(heatmaps[1:], pafs[1:], self.skeleton)
        return (heatmaps[:1] + other) / 2, (pafs[:1] + other_pafs) / 2

    def _decode(self, heatmaps: Tensor, pafs: Tensor) -> DecodeResult:
        maps = (heatmaps[: len(self.skeleton)], pafs)
        if self.method == "exact":
            maps = (enlarged(maps[0]), enlarged(maps[1]))
        return decode_steps(*maps, self.skeleton, method=self.method)

    def _placed(self, pose: Pose, letterbox: Letterbox) -> Pose:
        """From pixels of the maps to those of the picture."""
        place = letterbox.upsampled_to_image if self.method == "exact" else letterbox.cells_to_image
        keypoints, there = pose.keypoints.copy(), pose.keypoints[:, 2] >= 0
        keypoints[there, :2] = place(keypoints[there, :2])
        (left, top), (right, bottom) = keypoints[there, :2].min(0).tolist(), keypoints[there, :2].max(0).tolist()
        return Pose(keypoints, pose.score, (left, top, right - left, bottom - top))


def find_network(name_or_path: str | Path) -> BottomUpNetwork:
    """Load a bottom-up network by the name of its weights, a run directory or a file, see `firstsight.load`."""
    return load_network(read_kind(resolve(name_or_path), "bottom-up"))


def load_estimator(weights: WeightsFile) -> PoseEstimator:
    """Return the estimator of a weights file, with default options."""
    return PoseEstimator(load_network(weights))


def resized(picture: Image.Image, letterbox: Letterbox) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture at its size in a letterbox, bilinear with antialiasing: (high, wide, 3), red, green, blue."""
    size = (letterbox.resized_width, letterbox.resized_height)
    small = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(small.convert("RGB"))


def enlarged(maps: Tensor) -> Tensor:
    """Maps (C, h, w) four times as fine: bicubic, A = -0.75, half-pixel centres."""
    return F.interpolate(maps[None].contiguous(), scale_factor=UPSAMPLING, mode="bicubic", align_corners=False)[0]


def coco_results(
    steps: PoseResult, skeleton: Skeleton, *, image_id: int, joints: Skeleton | None = None, category_id: int = 1
) -> list[dict[str, Any]]:
    """The people of a picture as COCO's keypoint results.

    Parameters
    ----------
    skeleton : Skeleton
        Of the poses.
    image_id : int
        What COCO calls the picture.
    joints : Skeleton | None
        Whose joints are wanted, by name: those that ``skeleton`` lacks were not found, and a pose with none of them is
        left out. COCO's if None, where ``skeleton`` has all of them; else its own.
    category_id : int
        What COCO calls people.

    Returns
    -------
    list[dict[str, Any]]
        For each person "keypoints", flat, x and y plus half a pixel (COCO counts from the corner) and 1, or three zeros
        for a joint that was not found; and "score", see `PoseResult`.
    """
    if joints is None:
        joints = COCO_17 if set(COCO_17.joints) <= set(skeleton.joints) else skeleton
    order = np.array(joints.indices_in(skeleton))
    results = []
    for pose, score in zip(steps.poses, steps.scores, strict=True):
        keypoints = pose.keypoints[order]
        there = (keypoints[:, 2:] >= 0) & (order >= 0)[:, None]
        if not there.any():
            continue
        flat = np.where(there, np.concatenate([keypoints[:, :2] + 0.5, np.ones_like(there, dtype=float)], 1), 0)
        results.append(
            {
                "image_id": image_id, "category_id": category_id, "keypoints": np.round(flat, 3).ravel().tolist(),
                "score": score,
            }
        )  # fmt: skip
    return results
