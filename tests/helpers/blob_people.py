"""Network that detects joints drawn as blobs, whose color encodes the joint and the person.

The code under test resizes, pads and flips the image; the network returns the ground-truth maps for the blobs in its
input. A blob of joint k of person p has green 200, and red in a ratio to green that encodes both. Blue increases to the
right, so that the network recognizes a flipped image, in which left and right joints are swapped.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from firstsight.pose.skeleton import LSP_14, Skeleton
from firstsight.pose.targets import heatmap_targets, paf_targets
from firstsight.tasks.pose.bottom_up.network import BottomUpNetwork

GREEN = 200
STICK = {
    "head_top": (0, -100),
    "neck": (0, -70),
    "nose": (0, -85),
    "right_eye": (-14, -97),
    "left_eye": (14, -97),
    "right_ear": (-30, -90),
    "left_ear": (30, -90),
    "right_shoulder": (-28, -66),
    "left_shoulder": (26, -62),
    "right_elbow": (-50, -30),
    "left_elbow": (52, -40),
    "right_wrist": (-70, 4),
    "left_wrist": (58, 0),
    "right_hip": (-17, 8),
    "left_hip": (18, 10),
    "right_knee": (-24, 58),
    "left_knee": (30, 60),
    "right_ankle": (-30, 108),
    "left_ankle": (36, 112),
}
"""Joints of a standing person of about 210 pixels, seen from the front: the right side is on the left of the image."""


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


class BlobNetwork(nn.Module):
    """Images (N, 3, H, W) to one stage of maps, the ground truth of the blobs."""

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.input_shapes: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> list[Tensor]:
        self.input_shapes.append(tuple(images.shape))
        keypoints, visible = zip(*(self.find(image) for image in images), strict=True)
        size = (images.shape[2] // 8, images.shape[3] // 8)
        joints = torch.stack(keypoints), torch.stack(visible)
        heatmaps = heatmap_targets(*joints, size=size).float()
        return [heatmaps, paf_targets(*joints, self.skeleton, size=size).float()]

    def find(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keypoints (3, K, 2) of an input (3, H, W), and which of them (3, K) are visible."""
        blue, green, red = (image * 256 + 128).double().numpy()
        joints = len(self.skeleton)
        keypoints = torch.zeros(3, joints, 2, dtype=torch.float64)
        visible = torch.zeros(3, joints, dtype=torch.bool)
        inside = (blue != 128) | (green != 128)
        columns = np.flatnonzero(inside.any(0))
        row = blue[inside.any(1)][0]
        is_flipped = len(columns) > 2 and row[columns[0]] > row[columns[-1]]
        numbers = np.rint(50 * red / np.maximum(green, 1)) - 1
        for number in range(3 * joints):
            y, x = np.nonzero((green > 120) & (numbers == number) & inside)
            if len(x):
                p, k = divmod(number, joints)
                k = self.skeleton.flip[k] if is_flipped else k
                top, left = max(y.min() - 2, 0), max(x.min() - 2, 0)  # the edge of the blob is blurred
                blob = green[top : y.max() + 3, left : x.max() + 3] * inside[top : y.max() + 3, left : x.max() + 3]
                rows, columns = np.indices(blob.shape)
                center = [left + np.average(columns, weights=blob), top + np.average(rows, weights=blob)]
                keypoints[p, k] = torch.tensor(center)
                visible[p, k] = True
        return keypoints, visible


def blob_network(skeleton: Skeleton = LSP_14, *, height: int = 256) -> BottomUpNetwork:
    return BottomUpNetwork(
        BlobNetwork(skeleton).eval(), skeleton, height, {"model": "blob_network"}, "a test", "blob_network"
    )
