"""People drawn in colors, and a weights file of ``openpose-tiny`` that detects them: its weights are set by hand.

Each joint is a disk in a different color, a corner of the color cube; limbs are white lines; the background is gray.
The first convolution separates the colors, the others average, so that a joint's heatmap is a bump at its disk. The
field of a limb has one direction, that of an upright person, wherever something is drawn.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from firstsight.data.video import VideoWriter
from firstsight.models.pose import create_bottom_up
from firstsight.pose.skeleton import Skeleton
from firstsight.weights.io import write_weights
from helpers.cards import bottom_up_card

Floats = NDArray[np.float64]
BODY = Skeleton(
    name="body",
    joints=("head", "left_shoulder", "right_shoulder", "left_hip", "right_hip"),
    limbs=((0, 1), (0, 2), (1, 3), (2, 4)),
    flip_pairs=((1, 2), (3, 4)),
    sigmas=(0.08,) * 5,
)
UPRIGHT = np.array([[0, -45], [24, -12], [-24, -12], [16, 44], [-16, 44]], dtype=float)
"""Joints of a person of 90 pixels around a point."""
COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))
"""Red, green, blue of each joint."""
GRAY, WHITE = (96, 96, 96), (255, 255, 255)
SIZE = (320, 192)
"""Width and height of the images in pixels; the network does not resize them."""
RADIUS = 7


def person(x: float, y: float, *, swing: float = 0) -> Floats:
    """Return the (5, 2) joints of a person around a point, in whole pixels; shoulders and hips are shifted."""
    joints: Floats = np.rint(UPRIGHT + np.array([x, y]) + np.outer([0, 1, -1, -1, 1], [swing, 0]))
    return joints


def draw(people: Sequence[Floats], *, size: tuple[int, int] = SIZE) -> Image.Image:
    """Draw people; a joint with a negative coordinate is left out, with its limbs."""
    image = Image.new("RGB", size, GRAY)
    canvas = ImageDraw.Draw(image)
    for joints in people:
        for a, b in BODY.limbs:
            if joints[[a, b]].min() >= 0:
                canvas.line([*joints[a], *joints[b]], fill=WHITE, width=5)
        for (x, y), color in zip(joints, COLORS, strict=True):
            if min(x, y) >= 0:
                canvas.ellipse([x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS], fill=color)
    return image


def film(path: Path, people: Callable[[int], Sequence[Floats]], *, frames: int) -> Path:
    """Write a video of 25 frames per second; ``people`` returns the people of a frame."""
    with VideoWriter(path, frames_per_second=25) as out:
        for number in range(frames):
            out.add(draw(people(number)))
    return path


def crossing(number: int) -> list[Floats]:
    """Return two people who walk toward each other by 8 pixels a frame; they meet at frame 25."""
    swing = 4 * np.sin(0.3 * number)
    return [person(60 + 4 * number, 84, swing=swing), person(260 - 4 * number, 102, swing=-swing)]


@torch.no_grad()
def color_weights(path: Path) -> Path:
    """Write the weights file."""
    net = create_bottom_up("openpose-tiny", skeleton=BODY, stages=0)
    for parameter in net.parameters():
        parameter.zero_()
    part = {name: module for name, module in net.named_modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)}
    for module in part.values():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.fill_(1)
    joints, line = range(len(COLORS)), len(COLORS)
    # colors: 1 in the middle of a disk, 0 halfway to the nearest other color
    for channel, color in enumerate((*COLORS, WHITE)):
        blue_green_red = torch.tensor([1.0 if value else -1.0 for value in color[::-1]])
        part["to_quarter.0.0"].weight[channel] = 2 * blue_green_red[:, None, None] * MEAN_OF_FOUR
        part["to_quarter.0.1"].bias[channel] = -2
    # means of 8x8 pixels
    for block in ("to_quarter.1", "to_eighth"):
        for channel in (*joints, line):
            part[f"{block}.conv1"].weight[channel, channel] = MEAN_OF_FOUR
            part[f"{block}.conv2"].weight[channel, channel, 1, 1] = 1
    # bumps at joints; channel `line` is where anything is drawn
    for channel in joints:
        part["at_eighth.0"].weight[channel, channel] = BINOMIAL
        part["initial_stage.trunk.0"].weight[channel, channel] = BINOMIAL
        part["initial_stage.heatmaps.1"].weight[channel, channel] = 3
        part["initial_stage.heatmaps.1"].weight[len(joints), channel] = -3
    part["initial_stage.heatmaps.1"].bias[len(joints)] = 1
    part["at_eighth.0"].weight[line, : line + 1, 1, 1] = 2
    part["initial_stage.trunk.0"].weight[line, line, 1, 1] = 1
    for channel in (*joints, line):
        part["from_eighth"].weight[channel, channel] = 1
        part["initial_stage.heatmaps.0.0"].weight[channel, channel] = 1
        part["initial_stage.pafs.0.0"].weight[channel, channel] = 1
    for (a, b), channel in zip(BODY.limbs, BODY.paf_channels, strict=True):
        along = torch.from_numpy(UPRIGHT[b] - UPRIGHT[a]).float()
        part["initial_stage.pafs.1"].weight[channel : channel + 2, line, 0, 0] = along / along.norm()
    card = bottom_up_card(skeleton=BODY, stages=0, height=SIZE[1], about={"data": "drawn"})
    write_weights(path, net.state_dict(), card)
    return path


MEAN_OF_FOUR = torch.tensor([[0, 0, 0], [0, 1, 1], [0, 1, 1]]) / 4
"""Kernel: with a stride of 2 and a padding of 1, each output is the mean of 2x2 inputs."""
BINOMIAL: Tensor = torch.tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
