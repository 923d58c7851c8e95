"""A small U-shaped network for one person at a time, to be trained on two cores, and from nothing.

It goes down to a thirty-second of the picture's size, where a person lies under a few cells and everything is seen at
once, and comes back up to a quarter, where joints are told apart; on the way up it is shown what it saw on the way down
(U-Net, Ronneberger 2015; feature pyramid, Lin 2017). Nothing of it is published; its training is (Xiao 2018), but for
the loss, see `HeatmapHead`. Its input is blue, green, red, (pixel - 128) / 256.

Size for 14 joints: 1,310,814 parameters, 0.15 G multiply-accumulates at 3x128x128.
"""

import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (32, 48, 96, 128, 192)
"""Channels at a half, a quarter, an eighth, a sixteenth and a thirty-second of the picture's size."""


def conv(channels_in: int, channels: int, *, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut (He 2016), which is a 1x1 convolution where sizes or channels change."""

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
            nn.init.zeros_(self.bn2.weight)  # begins as its shortcut alone

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, channels, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class PoseTiny(nn.Module):
    """Down to a thirty-second, up to a quarter; a map for each of ``joints``."""

    def __init__(self, *, joints: int) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth, least = WIDTHS
        self.to_quarter = nn.Sequential(conv(3, half, stride=2), Block(half, quarter, stride=2))
        self.to_eighth = Block(quarter, eighth, stride=2)
        self.to_sixteenth = nn.Sequential(Block(eighth, sixteenth, stride=2))
        self.to_least = Block(sixteenth, least, stride=2)
        self.from_least, self.at_sixteenth = nn.Conv2d(least, sixteenth, 1), conv(sixteenth, sixteenth)
        self.from_sixteenth, self.at_eighth = nn.Conv2d(sixteenth, eighth, 1), conv(eighth, eighth)
        self.from_eighth, self.at_quarter = nn.Conv2d(eighth, quarter, 1), conv(quarter, quarter)
        self.last = nn.Conv2d(quarter, joints, 1)
        nn.init.normal_(self.last.weight, std=0.01)  # maps begin near zero

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) normalised images, sides multiples of 32, to one list entry: (N, joints, H/4, W/4) maps."""
        quarter = self.to_quarter(images)  # (N, 48, H/4, W/4)
        eighth = self.to_eighth(quarter)  # (N, 96, H/8, W/8)
        sixteenth = self.to_sixteenth(eighth)  # (N, 128, H/16, W/16)
        x = self.to_least(sixteenth)  # (N, 192, H/32, W/32)
        x = self.at_sixteenth(sixteenth + doubled(self.from_least(x)))
        x = self.at_eighth(eighth + doubled(self.from_sixteenth(x)))
        x = self.at_quarter(quarter + doubled(self.from_eighth(x)))
        return [self.last(x)]


def doubled(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, 2 H, 2 W)."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def pose_tiny(*, joints: int = 14) -> PoseTiny:
    """The network with fresh weights."""
    return PoseTiny(joints=joints)
