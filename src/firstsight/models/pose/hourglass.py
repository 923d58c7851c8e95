"""Stacked hourglass (Newell, Yang and Deng 2016, "Stacked hourglass networks for human pose estimation").

An hourglass looks at a picture from near and from far: four times it halves its maps, then four times it doubles them,
and adds at each size what it saw there on the way down. Several stand in a row; each gives heatmaps, all are trained,
and the next is shown features and heatmaps of the one before, and can change its mind.

Differs from the paper: nothing in the network; eight stacks are the paper's. Its input is blue,
green, red, (pixel - 128) / 256.

Size for 16 joints (parameters): 1 stack 3,586,960, 2 stacks 6,730,912, 8 stacks 25,594,624.
"""

import torch.nn.functional as F
from torch import Tensor, nn

FEATURES, DEPTH = 256, 4
MOST_STACKS = 8


class Residual(nn.Module):
    """1x1 to half the channels, 3x3, 1x1, each after batch norm and ReLU, around a shortcut (He 2016)."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.bn1, self.conv1 = nn.BatchNorm2d(channels_in), nn.Conv2d(channels_in, half, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(half), nn.Conv2d(half, half, 3, padding=1)
        self.bn3, self.conv3 = nn.BatchNorm2d(half), nn.Conv2d(half, channels, 1)
        self.shortcut = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, channels, H, W)."""
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.conv2(F.relu(self.bn2(y)))
        y = self.conv3(F.relu(self.bn3(y)))
        return y + (x if self.shortcut is None else self.shortcut(x))


class Hourglass(nn.Module):
    """Down ``depth`` times and up again."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.beside, self.down, self.up = (Residual(FEATURES, FEATURES) for _ in range(3))
        self.inner = Hourglass(depth - 1) if depth > 1 else Residual(FEATURES, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 256, H, W) to the same shape."""
        low = self.down(F.max_pool2d(x, 2))  # (N, 256, H/2, W/2)
        low = self.up(self.inner(low))
        return self.beside(x) + F.interpolate(low, scale_factor=2.0, mode="nearest")


class Stack(nn.Module):
    """An hourglass, its features and its heatmaps; both on the way to the next one, if there is one."""

    def __init__(self, joints: int, *, last: bool) -> None:
        super().__init__()
        self.hourglass = Hourglass(DEPTH)
        self.features = nn.Sequential(
            Residual(FEATURES, FEATURES), nn.Conv2d(FEATURES, FEATURES, 1), nn.BatchNorm2d(FEATURES), nn.ReLU()
        )
        self.heatmaps = nn.Conv2d(FEATURES, joints, 1)
        self.hand_on = None if last else nn.Conv2d(FEATURES, FEATURES, 1)
        self.hand_back = None if last else nn.Conv2d(joints, FEATURES, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 256, H, W) to what the next one is shown, and (N, joints, H, W) heatmaps."""
        features = self.features(self.hourglass(x))
        heatmaps = self.heatmaps(features)
        if self.hand_on is None or self.hand_back is None:
            return x, heatmaps
        return x + self.hand_on(features) + self.hand_back(heatmaps), heatmaps


class StackedHourglass(nn.Module):
    """A stem, and ``stacks`` hourglasses in a row (1 to 8)."""

    def __init__(self, *, joints: int, stacks: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), Residual(64, 128), nn.MaxPool2d(2),
            Residual(128, 256), Residual(256, FEATURES),
        )  # fmt: skip
        self.stacks = nn.ModuleList(Stack(joints, last=number == stacks - 1) for number in range(stacks))

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) normalised images, sides multiples of 64, to (N, joints, H/4, W/4) maps of every stack."""
        x = self.stem(images)  # (N, 256, H/4, W/4)
        answers = []
        for stack in self.stacks:
            x, heatmaps = stack(x)
            answers.append(heatmaps)
        return answers


def hourglass(*, joints: int = 16, stacks: int = 2) -> StackedHourglass:
    """The network with fresh weights."""
    return StackedHourglass(joints=joints, stacks=stacks)
