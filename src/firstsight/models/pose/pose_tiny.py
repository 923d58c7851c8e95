"""Small U-shaped network for top-down pose estimation, to be trained from scratch on two CPU cores.

The network goes down to 1/32 of the image size, where a person covers a few cells that see the whole crop, and back up
to 1/4, where joints are distinguished. On the way up it receives the features from the way down (U-Net, Ronneberger
2015; feature pyramid, Lin 2017). The input is BGR, (pixel - 128) / 256.

Differs from published networks: the architecture is not published. The training is that of Xiao 2018 except for the
loss, see `HeatmapHead`.

Size for 14 joints: 1,310,814 parameters, 0.15 G multiply-accumulates at 3x128x128.
"""

import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (32, 48, 96, 128, 192)
"""Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image size."""


def conv_norm(channels_in: int, channels: int, *, stride: int = 1) -> nn.Sequential:
    """Return a 3x3 convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )


class Block(nn.Module):
    """Residual block of two 3x3 convolutions; where the shape changes, the shortcut is a 1x1 convolution."""

    def __init__(self, channels_in: int, channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride > 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        else:
            nn.init.zeros_(self.bn2.weight)  # the block starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, channels, H/stride, W/stride) for an input (N, channels_in, H, W)."""
        branch = F.relu(self.bn1(self.conv1(x)))  # (N, channels, H/stride, W/stride)
        branch = self.bn2(self.conv2(branch))  # (N, channels, H/stride, W/stride)
        return F.relu(branch + self.shortcut(x))  # (N, channels, H/stride, W/stride)


class PoseTiny(nn.Module):
    """Network down to 1/32 and up to 1/4 of the image size, with one heatmap for each of ``joints``."""

    def __init__(self, *, joints: int) -> None:
        super().__init__()
        c2, c4, c8, c16, c32 = WIDTHS
        self.to_quarter = nn.Sequential(conv_norm(3, c2, stride=2), Block(c2, c4, stride=2))
        self.to_eighth = Block(c4, c8, stride=2)
        self.to_sixteenth = nn.Sequential(Block(c8, c16, stride=2))
        self.to_least = Block(c16, c32, stride=2)
        self.from_least = nn.Conv2d(c32, c16, 1)
        self.at_sixteenth = conv_norm(c16, c16)
        self.from_sixteenth = nn.Conv2d(c16, c8, 1)
        self.at_eighth = conv_norm(c8, c8)
        self.from_eighth = nn.Conv2d(c8, c4, 1)
        self.at_quarter = conv_norm(c4, c4)
        self.last = nn.Conv2d(c4, joints, 1)
        nn.init.normal_(self.last.weight, std=0.01)  # initial maps are near zero

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return a list with the heatmaps (N, joints, H/4, W/4).

        The input is (N, 3, H, W), BGR, (pixel - 128) / 256; H and W are multiples of 32.
        """
        x4 = self.to_quarter(images)  # (N, 48, H/4, W/4)
        x8 = self.to_eighth(x4)  # (N, 96, H/8, W/8)
        x16 = self.to_sixteenth(x8)  # (N, 128, H/16, W/16)
        x = self.to_least(x16)  # (N, 192, H/32, W/32)
        x = self.at_sixteenth(x16 + upsample(self.from_least(x)))  # (N, 128, H/16, W/16)
        x = self.at_eighth(x8 + upsample(self.from_sixteenth(x)))  # (N, 96, H/8, W/8)
        x = self.at_quarter(x4 + upsample(self.from_eighth(x)))  # (N, 48, H/4, W/4)
        x = self.last(x)  # (N, joints, H/4, W/4)
        return [x]


def upsample(x: Tensor) -> Tensor:
    """Double the side of feature maps, (N, C, H, W) to (N, C, 2 H, 2 W), by nearest-neighbor interpolation."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def pose_tiny(*, joints: int = 14) -> PoseTiny:
    """Return the small U-shaped network."""
    return PoseTiny(joints=joints)
