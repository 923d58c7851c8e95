"""A network that finds joints drawn as blobs, whose color says which joint of which person they are.

The code under test resizes, pads and mirrors the image; the network answers with the ground-truth maps of the blobs
where they then are. A blob of joint k of person p has green 200, and red in a ratio to green that encodes both; blue
grows to the right, so that the network recognizes a mirrored image, in which left is right.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from firstsight.pose.skeleton import LSP_14, Skeleton
from firstsight.pose.targets import heatmap_targets, paf_targets
from firstsight.weights.pose import PoseNetwork

GREEN = 200
STICK = {
    "head_top": (0, -100), "neck": (0, -70), "nose": (0, -85), "right_eye": (-14, -97), "left_eye": (14, -97),
    "right_ear": (-30, -90), "left_ear": (30, -90), "right_shoulder": (-28, -66), "left_shoulder": (26, -62),
    "right_elbow": (-50, -30), "left_elbow": (52, -40), "right_wrist": (-70, 4), "left_wrist": (58, 0),
    "right_hip": (-17, 8), "left_hip": (18, 10), "right_knee": (-24, 58), "left_knee": (30, 60),
    "right_ankle": (-30, 108), "left_ankle": (36, 112),
}  # fmt: skip
"""Joints of a person of about 210 pixels who stands; the right side is on the left of the image, as from the front."""


def stick(x: float, y: float, *, skeleton: Skeleton = LSP_14, size: float = 210) -> NDArray[np.float64]:
    """Return the (K, 2) joints of a person around a point."""
    return np.array([STICK[name] for name in skeleton.joints]) * size / 210 + (x, y)


def scene(people: list[NDArray[np.float64]], *, size: tuple[int, int], radius: int = 6) -> Image.Image:
    """Draw an image of (width, height) with a blob at every joint, centered to a pixel."""
    width, height = size
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 2] = np.linspace(20, 220, width)
    ys, xs = np.mgrid[:height, :width]
    joints = len(people[0])
    for p, person in enumerate(people):
        for k, (x, y) in enumerate(np.rint(person)):
            blob = (xs - x) ** 2 + (ys - y) ** 2 <= radius**2
            pixels[blob, 0], pixels[blob, 1] = round(GREEN * ratio(p * joints + k)), GREEN
    return Image.fromarray(pixels)


def ratio(number: int) -> float:
    return (number + 1) / 50


class Seeing(nn.Module):
    """Images (N, 3, H, W) to one stage of maps, those of the blobs."""

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.shown: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        self.shown.append(tuple(images.shape))
        keypoints, visible = zip(*(self.find(image) for image in images), strict=True)
        size = (images.shape[2] // 8, images.shape[3] // 8)
        places, seen = torch.stack(keypoints), torch.stack(visible)
        heatmaps = heatmap_targets(places, seen, size=size).float()
        return [(heatmaps, paf_targets(places, seen, self.skeleton, size=size).float())]

    def find(self, image: Tensor) -> tuple[Tensor, Tensor]:
        blue, green, red = (image * 256 + 128).double().numpy()
        joints = len(self.skeleton)
        places, seen = torch.zeros(3, joints, 2, dtype=torch.float64), torch.zeros(3, joints, dtype=torch.bool)
        inside = (blue != 128) | (green != 128)
        columns = np.flatnonzero(inside.any(0))
        row = blue[inside.any(1)][0]
        mirrored = len(columns) > 2 and row[columns[0]] > row[columns[-1]]
        numbers = np.rint(50 * red / np.maximum(green, 1)) - 1
        for number in range(3 * joints):
            y, x = np.nonzero((green > 120) & (numbers == number) & inside)
            if len(x):
                p, k = divmod(number, joints)
                k = self.skeleton.flip[k] if mirrored else k
                top, left = max(y.min() - 2, 0), max(x.min() - 2, 0)  # a frame around the pixels that are certain
                blob = green[top : y.max() + 3, left : x.max() + 3] * inside[top : y.max() + 3, left : x.max() + 3]
                down, across = np.indices(blob.shape)
                places[p, k] = torch.tensor(
                    [left + np.average(across, weights=blob), top + np.average(down, weights=blob)]
                )
                seen[p, k] = True
        return places, seen


def seeing(skeleton: Skeleton = LSP_14, *, height: int = 256) -> PoseNetwork:
    return PoseNetwork(Seeing(skeleton).eval(), skeleton, height, {"model": "seeing"}, "a test", "seeing")
