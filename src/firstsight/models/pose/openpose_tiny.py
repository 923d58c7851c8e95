"""OpenPose for two cores, to be trained from nothing: its maps and its stages on a small U-shaped backbone.

The published networks began with a backbone that knew ImageNet, and keep to an eighth of the picture's size all the
way. What this one learns it learns from poses alone, in two hours: it goes down to a thirty-second, where a whole
person lies under a few cells, and comes back up to an eighth, where joints are told apart (feature pyramid, Lin 2017).
Plain 3x3 convolutions, for depthwise ones are slow to train on CPUs; batch norm between each and its activation.

Differs from Cao 2017: the backbone; one trunk for heatmaps and fields, as Osokin 2018 has it; one residual block where
a refinement stage has five or seven convolutions; batch norm. Its input is blue, green, red, (pixel - 128) / 256.

Size for 14 joints and 13 limbs, one refinement stage: 951,850 parameters.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (24, 32, 64, 96, 128)
"""Channels at a half, a quarter, an eighth, a sixteenth and a thirty-second of the picture's size."""
CHANNELS = 64
"""Of the stages."""
HIDDEN = 96
"""Of their branches."""


def conv(channels_in: int, channels: int, kernel_size: int = 3, *, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel_size, stride, kernel_size // 2, bias=False),
        nn.BatchNorm2d(channels), nn.ReLU(),
    )  # fmt: skip


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut (He 2016); where sizes or channels change, the shortcut is 1x1."""

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


class SceneComposer(nn.Module):
    """A trunk, and a branch of two 1x1 convolutions each for heatmaps and fields."""

    def __init__(self, trunk: nn.Module, heatmaps: int, pafs: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.heatmaps = nn.Sequential(conv(CHANNELS, HIDDEN, 1), nn.Conv2d(HIDDEN, heatmaps, 1))
        self.pafs = nn.Sequential(conv(CHANNELS, HIDDEN, 1), nn.Conv2d(HIDDEN, pafs, 1))
        for branch in (self.heatmaps, self.pafs):
            last = branch[-1]
            assert isinstance(last, nn.Conv2d)
            nn.init.normal_(last.weight, std=0.01)  # maps begin near zero

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features to (N, joints + 1, H, W) heatmaps and (N, 2 limbs, H, W) fields."""
        x = self.trunk(x)
        return self.heatmaps(x), self.pafs(x)


class OpenPoseTiny(nn.Module):
    """Down to a thirty-second, up to an eighth, an initial stage, and stages that make its maps better.

    Parameters
    ----------
    joints, limbs : int
        Of the skeleton; there is one heatmap more, for the background.
    stages : int
        Refinement stages.
    """

    def __init__(self, *, joints: int, limbs: int, stages: int) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth, least = WIDTHS
        self.to_quarter = nn.Sequential(conv(3, half, stride=2), Block(half, quarter, stride=2))
        self.to_eighth = Block(quarter, eighth, stride=2)
        self.to_sixteenth = nn.Sequential(Block(eighth, sixteenth, stride=2), Block(sixteenth, sixteenth))
        self.to_least = Block(sixteenth, least, stride=2)
        self.from_least = nn.Conv2d(least, sixteenth, 1)
        self.at_sixteenth = conv(sixteenth, sixteenth)
        self.from_sixteenth = nn.Conv2d(sixteenth, CHANNELS, 1)
        self.from_eighth = nn.Conv2d(eighth, CHANNELS, 1)
        self.at_eighth = conv(CHANNELS, CHANNELS)
        heatmaps, pafs = joints + 1, 2 * limbs
        self.initial_stage = SceneComposer(conv(CHANNELS, CHANNELS), heatmaps, pafs)
        self.refinement_stages = nn.ModuleList()
        for _ in range(stages):
            trunk = nn.Sequential(conv(CHANNELS + heatmaps + pafs, CHANNELS, 1), Block(CHANNELS, CHANNELS))
            self.refinement_stages.append(SceneComposer(trunk, heatmaps, pafs))

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(N, 3, H, W) normalised images to heatmaps and fields of every stage, each (N, ..., H/8, W/8)."""
        eighth = self.to_eighth(self.to_quarter(images))  # (N, 64, H/8, W/8)
        sixteenth = self.to_sixteenth(eighth)  # (N, 96, H/16, W/16)
        least = self.to_least(sixteenth)  # (N, 128, H/32, W/32)
        x = self.at_sixteenth(doubled(self.from_least(least), sixteenth))
        x = self.at_eighth(doubled(self.from_sixteenth(x), self.from_eighth(eighth)))  # (N, 64, H/8, W/8)
        maps = [self.initial_stage(x)]
        for stage in self.refinement_stages:
            heatmaps, pafs = maps[-1]
            maps.append(stage(torch.cat([x, heatmaps, pafs], dim=1)))
        return maps


def doubled(coarse: Tensor, fine: Tensor) -> Tensor:
    """The finer maps, (N, C, H, W), plus the coarser ones twice as large; what sticks out at odd sizes is cut off."""
    height, width = fine.shape[2:]
    return fine + F.interpolate(coarse, scale_factor=2.0, mode="nearest")[..., :height, :width]


def openpose_tiny(*, joints: int = 14, limbs: int = 13, stages: int = 1) -> OpenPoseTiny:
    """The network with fresh weights."""
    return OpenPoseTiny(joints=joints, limbs=limbs, stages=stages)
