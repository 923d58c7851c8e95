"""Pose networks at work: from a photograph to people and their joints."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from firstsight.data.image_io import load_image
from firstsight.engine.device import device_of
from firstsight.errors import DataError, UsageError
from firstsight.pose.decode import METHODS, Decoded, Method, decode_steps
from firstsight.pose.frame import UPSAMPLING, Frame, aligned
from firstsight.pose.mirror import mirrored_limbs, unmirrored
from firstsight.pose.parts import FEWEST, Pose
from firstsight.pose.skeleton import COCO_17, Skeleton
from firstsight.weights.pose import LEAST_HEIGHT, MOST_HEIGHT, PoseNetwork, load_pose, usual

MAX_PIXELS = 2_000_000
"""Of a network's input; a picture that is very long for its height would need more."""
LEAST_SCALE, MOST_SCALE = 0.1, 4.0


@dataclass(frozen=True)
class PoseResult:
    """People in a picture, whatever found them.

    Parameters
    ----------
    poses : list[Pose]
        Keypoints and boxes in pixels of the picture, pixel centres at integers.
    picture : Image.Image
        As it was read, "L" or "RGB".
    seconds : dict[str, float]
        "read" (the file, resizing), "network" (with averaging over scales and mirror images), "decode"; of a network
        that looks at one person at a time also "detect".
    scores : list[float]
        Of each pose for COCO's evaluation, where the surest counts first.
    """

    poses: list[Pose]
    picture: Image.Image
    seconds: dict[str, float]
    scores: list[float]


@dataclass(frozen=True)
class PoseIntermediates(PoseResult):
    """People in a picture, and what was seen on the way to them.

    Parameters
    ----------
    poses, picture, seconds
        As of `PoseResult`. scores : of a pose its own times its joints but one, as published.
    heatmaps, pafs : Tensor
        (K + 1, h, w) and (2 limbs, h, w), the network's own.
    decoded : Decoded
        Peaks, limbs and people in pixels of the maps that were decoded: of ``heatmaps`` with the method "fast", of maps
        enlarged fourfold with "exact".
    frame : Frame
        Where the picture lies in the maps.
    """

    heatmaps: Tensor
    pafs: Tensor
    decoded: Decoded
    frame: Frame


class PoseEstimator:
    """Finds people in photographs with a bottom-up network: ``poses = PoseEstimator("weights.pth")("photo.jpg")``.

    Parameters
    ----------
    model : str | Path | PoseNetwork | None
        A `PoseNetwork`, or what `load_pose` takes: a name, a run directory, a file. If None, the weights that come
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
        People of whom fewer joints were found are left out; those of less than `FEWEST` always are.

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
        self, model: str | Path | PoseNetwork | None = None, *, height: int | None = None, method: Method = "fast",
        scales: Sequence[float] = (1.0,), flip: bool = False, min_joints: int | None = None,
    ) -> None:  # fmt: skip
        if height is not None and not LEAST_HEIGHT <= height <= MOST_HEIGHT:
            raise UsageError(f"--height must lie between {LEAST_HEIGHT} and {MOST_HEIGHT:,} pixels; got {height}")
        if method not in METHODS:
            raise UsageError(f"--method must be {' or '.join(METHODS)}; got {method}")
        if not scales or not all(LEAST_SCALE <= scale <= MOST_SCALE for scale in scales):
            got = ", ".join(f"{scale:g}" for scale in scales) or "none"
            raise UsageError(f"--scales must lie between {LEAST_SCALE:g} and {MOST_SCALE:g}; got {got}")
        self.network = model if isinstance(model, PoseNetwork) else load_pose(model or usual())
        self.height, self.method, self.scales, self.flip = height or self.network.height, method, tuple(scales), flip
        if min_joints is not None and not FEWEST <= min_joints <= len(self.skeleton):
            most = len(self.skeleton)
            raise UsageError(f"--min-joints must lie between {FEWEST} and {most}, all joints; got {min_joints}")
        self.min_joints = min_joints or FEWEST
        if flip:
            mirrored_limbs(self.skeleton)

    @property
    def skeleton(self) -> Skeleton:
        """Whose joints the poses have."""
        return self.network.skeleton

    def __call__(self, image: str | Path | Image.Image) -> list[Pose]:
        """People in a picture: keypoints and boxes in its pixels, pixel centres at integers.

        Parameters
        ----------
        image : str | Path | Image.Image
            A path, or a picture in memory; of any size and mode.

        Raises
        ------
        DataError
            It cannot be read, or is too long for its height.
        """
        return self.steps(image).poses

    @torch.inference_mode()
    def steps(self, image: str | Path | Image.Image, *, name: str | Path = "") -> PoseIntermediates:
        """The same with all that lies between the picture and the people; ``name`` is for errors."""
        start = perf_counter()
        picture = load_image(image)
        frames = [Frame.of(picture.size, height=self.height * scale) for scale in self.scales]
        self._check(frames, name or (image if isinstance(image, str | Path) else "picture"))
        inputs = [frame.network_input(resized(picture, frame)) for frame in frames]
        read = perf_counter()
        frame = frames[0] if len(frames) == 1 else Frame.of(picture.size, height=self.height)
        heatmaps, pafs = self._maps(inputs, frames, frame)
        answered = perf_counter()
        decoded = self._decode(heatmaps, pafs)
        whole = ((decoded.people.joints >= 0).sum(1) >= self.min_joints).tolist()
        poses = [self._placed(pose, frame) for pose in compress(decoded.poses, whole)]
        seconds = {"read": read - start, "network": answered - read, "decode": perf_counter() - answered}
        joints = compress(decoded.people.counts.tolist(), whole)
        scores = [pose.score * max(0, count - 1) for pose, count in zip(poses, joints, strict=True)]
        return PoseIntermediates(poses, picture, seconds, scores, heatmaps, pafs, decoded, frame)

    def _check(self, frames: Sequence[Frame], name: str | Path) -> None:
        largest = max(frames, key=lambda frame: frame.wide * frame.high)
        if largest.wide * largest.high > MAX_PIXELS:
            raise DataError(
                f"{name}: {largest.width}x{largest.height} pixels would be {largest.wide}x{largest.high} for the"
                f" network; at most {MAX_PIXELS // 1_000_000} million pixels are taken (choose a smaller --height)"
            )

    def _maps(self, inputs: Sequence[Tensor], frames: Sequence[Frame], frame: Frame) -> tuple[Tensor, Tensor]:
        """Heatmaps and fields of the last stage, averaged over scales and mirror images, in ``frame``."""
        found = [self._answer(shown) for shown in inputs]
        if len(found) > 1:
            found = [
                (aligned(heatmaps, own, frame), aligned(pafs, own, frame))
                for (heatmaps, pafs), own in zip(found, frames, strict=True)
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
        other, other_pafs = unmirrored(heatmaps[1:], pafs[1:], self.skeleton)
        return (heatmaps[:1] + other) / 2, (pafs[:1] + other_pafs) / 2

    def _decode(self, heatmaps: Tensor, pafs: Tensor) -> Decoded:
        maps = (heatmaps[: len(self.skeleton)], pafs)
        if self.method == "exact":
            maps = (enlarged(maps[0]), enlarged(maps[1]))
        return decode_steps(*maps, self.skeleton, method=self.method)

    def _placed(self, pose: Pose, frame: Frame) -> Pose:
        """From pixels of the maps to those of the picture."""
        place = frame.from_enlarged if self.method == "exact" else frame.from_cells
        keypoints, there = pose.keypoints.copy(), pose.keypoints[:, 2] >= 0
        keypoints[there, :2] = place(keypoints[there, :2])
        (left, top), (right, bottom) = keypoints[there, :2].min(0).tolist(), keypoints[there, :2].max(0).tolist()
        return Pose(keypoints, pose.score, (left, top, right - left, bottom - top))


def resized(picture: Image.Image, frame: Frame) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture at its size in a frame, bilinear with antialiasing: (high, wide, 3), red, green, blue."""
    small = picture.resize((frame.wide, frame.high), Image.Resampling.BILINEAR, reducing_gap=3.0)
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
    order = np.array(joints.places_in(skeleton))
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
