"""Videos of people whose joints are blobs with a hue each, and a network that detects them.

Like `blob_people.BlobNetwork`, but hues survive video compression. The network knows which hues belong to one person,
for its fields; its maps contain neither the order nor the identity of people.
"""

import colorsys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from firstsight.data.video import VideoWriter
from firstsight.pose.skeleton import Skeleton
from firstsight.tasks.pose.bottom_up.network import BottomUpNetwork
from helpers.blob_people import BlobNetwork

Floats = NDArray[np.float64]
BODY = Skeleton(
    name="body",
    joints=("head", "left_hand", "right_hand", "left_foot", "right_foot"),
    limbs=((0, 1), (0, 2), (1, 3), (2, 4)),
    flip_pairs=((1, 2), (3, 4)),
    sigmas=(0.08,) * 5,
)
SIZE = (320, 192)
PEOPLE, HUES = 2, 10


def body(x: float, y: float, *, swing: float = 0) -> Floats:
    """Return the (5, 2) joints of a person of 90 pixels around a point; hands and feet are shifted by ``swing``."""
    still = np.array([[0, -45], [24, -12], [-24, -12], [16, 44], [-16, 44]], dtype=float)
    return still + np.array([x, y]) + np.outer([0, 1, -1, -1, 1], [swing, 0])


def draw(people: list[Floats | None]) -> Image.Image:
    """Draw people on gray; None is a hidden person."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 96, dtype=np.uint8)
    ys, xs = np.mgrid[: SIZE[1], : SIZE[0]]
    for p, person in enumerate(people):
        for k, (x, y) in enumerate([] if person is None else np.rint(person)):
            color = np.array(colorsys.hsv_to_rgb((PEOPLE * k + p) / HUES, 1, 1)) * 255
            pixels[(xs - x) ** 2 + (ys - y) ** 2 <= 49] = color.astype(np.uint8)
    return Image.fromarray(pixels)


def film(path: Path, people: Callable[[int], list[Floats | None]], *, frames: int, rate: float = 25) -> Path:
    """Write a video; ``people`` returns the people of a frame."""
    with VideoWriter(path, frames_per_second=rate) as out:
        for number in range(frames):
            out.add(draw(people(number)))
    return path


def crossing(number: int) -> list[Floats | None]:
    """Return two people: one walks to the right, one to the left, a little lower; they meet at frame 25."""
    swing = 10 * np.sin(0.3 * number)
    return [body(60 + 4 * number, 84, swing=swing), body(260 - 4 * number, 102, swing=-swing)]


class HueNetwork(BlobNetwork):
    """Images (N, 3, H, W) to one stage of maps, the ground truth of the hues."""

    def __init__(self) -> None:
        super().__init__(BODY)

    def find(self, image: Tensor) -> tuple[Tensor, Tensor]:
        blue, green, red = (image * 256 + 128).double().numpy()
        high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
        chroma = np.maximum(high - low, 1)
        sixth = np.where(high == red, (green - blue) / chroma, np.where(high == green, (blue - red) / chroma + 2, 0))
        sixth = np.where((high == blue) & (high > red) & (high > green), (red - green) / chroma + 4, sixth)
        numbers = np.rint(sixth / 6 * HUES) % HUES
        joints = len(self.skeleton)
        keypoints = torch.zeros(PEOPLE, joints, 2, dtype=torch.float64)
        visible = torch.zeros(PEOPLE, joints, dtype=torch.bool)
        for number in range(HUES):
            y, x = np.nonzero((numbers == number) & (chroma > 120))
            if len(x) > 20:
                k, p = divmod(number, PEOPLE)
                keypoints[p, k], visible[p, k] = torch.tensor([np.median(x), np.median(y)]), True
        return keypoints, visible


def hue_network() -> BottomUpNetwork:
    return BottomUpNetwork(HueNetwork().eval(), BODY, SIZE[1], {"model": "hue_network"}, "a test", "hue_network")
