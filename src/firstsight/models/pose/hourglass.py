"""Stacked hourglass network (Newell, Yang and Deng 2016, "Stacked hourglass networks for human pose estimation").

An hourglass halves its feature maps four times and then doubles them four times; at each size it adds the features from
the way down, so it sees the image at all scales. Several hourglasses follow each other. Each predicts heatmaps, which
are all trained (intermediate supervision), and passes features and heatmaps to the next one, which can correct them.

Differs from the paper: nothing in the network; the paper has eight stacks. The input is BGR, (pixel - 128) / 256.

Size for 16 joints (parameters): 1 stack 3,426,448, 2 stacks 6,570,400, 8 stacks 25,434,112.
"""

import torch.nn.functional as F
from torch import Tensor, nn

FEATURES = 256
"""Channels of the hourglasses."""
DEPTH = 4
"""Number of times that an hourglass halves its feature maps."""


class Residual(nn.Module):
    """Pre-activation residual block: 1x1 to half the channels, 3x3, 1x1, each after batch norm and ReLU (He 2016)."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, half, 1)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, channels, 1)
        self.shortcut = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else None

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, channels, H, W) for an input (N, channels_in, H, W)."""
        branch = self.conv1(F.relu(self.bn1(x)))  # (N, channels/2, H, W)
        branch = self.conv2(F.relu(self.bn2(branch)))  # (N, channels/2, H, W)
        branch = self.conv3(F.relu(self.bn3(branch)))  # (N, channels, H, W)
        return branch + (x if self.shortcut is None else self.shortcut(x))  # (N, channels, H, W)


class Hourglass(nn.Module):
    """Hourglass that halves and doubles its input ``depth`` times, with a skip connection at each size."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.beside = Residual(FEATURES, FEATURES)  # the skip connection
        self.down = Residual(FEATURES, FEATURES)
        self.up = Residual(FEATURES, FEATURES)
        self.inner = Hourglass(depth - 1) if depth > 1 else Residual(FEATURES, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, 256, H, W) for an input of the same shape."""
        low = F.max_pool2d(x, 2)  # (N, 256, H/2, W/2)
        low = self.up(self.inner(self.down(low)))  # (N, 256, H/2, W/2)
        return self.beside(x) + F.interpolate(low, scale_factor=2.0, mode="nearest")  # (N, 256, H, W)


class Stack(nn.Module):
    """Hourglass with its features and heatmaps; all but the last stack pass both to the next one."""

    def __init__(self, joints: int, *, last: bool) -> None:
        super().__init__()
        self.hourglass = Hourglass(DEPTH)
        self.features = nn.Sequential(
            Residual(FEATURES, FEATURES), nn.Conv2d(FEATURES, FEATURES, 1), nn.BatchNorm2d(FEATURES), nn.ReLU()
        )
        self.heatmaps = nn.Conv2d(FEATURES, joints, 1)
        # 1x1 convolutions that bring features and heatmaps to the input of the next stack
        self.hand_on = None if last else nn.Conv2d(FEATURES, FEATURES, 1)
        self.hand_back = None if last else nn.Conv2d(joints, FEATURES, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input (N, 256, H, W) of the next stack and heatmaps (N, joints, H, W) for ``x`` (N, 256, H, W)."""
        features = self.features(self.hourglass(x))  # (N, 256, H, W)
        heatmaps = self.heatmaps(features)  # (N, joints, H, W)
        if self.hand_on is None or self.hand_back is None:
            return x, heatmaps
        return x + self.hand_on(features) + self.hand_back(heatmaps), heatmaps


class StackedHourglass(nn.Module):
    """Stem and ``stacks`` hourglasses (1 to 8)."""

    def __init__(self, *, joints: int, stacks: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            Residual(64, 128),
            nn.MaxPool2d(2),
            Residual(128, 128),
            Residual(128, FEATURES),
        )
        self.stacks = nn.ModuleList(Stack(joints, last=number == stacks - 1) for number in range(stacks))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return heatmaps (N, joints, H/4, W/4) of every stack.

        The input is (N, 3, H, W), BGR, (pixel - 128) / 256; H and W are multiples of 64.
        """
        x = self.stem(images)  # (N, 256, H/4, W/4)
        outputs = []
        for stack in self.stacks:
            x, heatmaps = stack(x)
            outputs.append(heatmaps)
        return outputs


def hourglass(*, joints: int = 16, stacks: int = 2) -> StackedHourglass:
    """Return a stacked hourglass network."""
    return StackedHourglass(joints=joints, stacks=stacks)
