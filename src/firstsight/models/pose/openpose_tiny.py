"""OpenPose with a small U-shaped backbone, to be trained from scratch on two CPU cores.

The published networks start from a backbone pretrained on ImageNet and keep the maps at 1/8 of the image size. This
backbone learns from poses alone, in two hours. It goes down to 1/32, where a whole person covers a few cells, and back
up to 1/8, where joints are distinguished (feature pyramid, Lin 2017). It has plain 3x3 convolutions, because depthwise
ones are slow to train on CPUs, and batch norm between each convolution and its activation.

There are two sizes: ``openpose_tiny`` for scenes of athletes, and ``openpose_small`` with more channels for whole
photographs, in which people sit, are cut off or hidden, and animals and furniture must not be taken for people.

Differs from Cao 2017: the backbone; one trunk for heatmaps and part affinity fields, as in Osokin 2018; one residual
block per refinement stage instead of five or seven convolutions; batch norm. The input is BGR, (pixel - 128) / 256.

Size with one refinement stage: tiny, for 14 joints and 13 limbs, 951,850 parameters; small, for 18 joints and 19 limbs,
1,755,730 parameters and 0.92 G multiply-accumulates at 3x256x256.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TINY = (24, 32, 64, 96, 128)
"""Channels of the tiny backbone at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image size. The stages have those at 1/8."""
SMALL = (32, 48, 96, 128, 160)
"""Channels of the small backbone."""
HIDDEN = 96
"""Hidden channels of the branches of a stage."""


def conv_norm(channels_in: int, channels: int, kernel_size: int = 3, *, stride: int = 1) -> nn.Sequential:
    """Return a convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel_size, stride, kernel_size // 2, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
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


class Stage(nn.Module):
    """Trunk with two branches of two 1x1 convolutions, for heatmaps and part affinity fields."""

    def __init__(self, trunk: nn.Module, channels: int, heatmaps: int, pafs: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.heatmaps = nn.Sequential(conv_norm(channels, HIDDEN, 1), nn.Conv2d(HIDDEN, heatmaps, 1))
        self.pafs = nn.Sequential(conv_norm(channels, HIDDEN, 1), nn.Conv2d(HIDDEN, pafs, 1))
        for branch in (self.heatmaps, self.pafs):
            last = branch[-1]
            assert isinstance(last, nn.Conv2d)
            nn.init.normal_(last.weight, std=0.01)  # initial maps are near zero

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return heatmaps (N, joints + 1, H, W) and fields (N, 2 limbs, H, W) for features (N, C, H, W)."""
        x = self.trunk(x)  # (N, channels, H, W)
        return self.heatmaps(x), self.pafs(x)


class OpenPoseTiny(nn.Module):
    """Backbone down to 1/32 and up to 1/8, an initial stage, and refinement stages.

    Parameters
    ----------
    joints : int
        Number of joints of the skeleton. One more heatmap is for the background.
    limbs : int
        Number of limbs of the skeleton; each has a field of two maps.
    stages : int
        Number of refinement stages.
    widths : tuple[int, int, int, int, int]
        Channels of the backbone, `TINY` or `SMALL`.
    """

    def __init__(self, *, joints: int, limbs: int, stages: int, widths: tuple[int, int, int, int, int] = TINY) -> None:
        super().__init__()
        c2, c4, c8, c16, c32 = widths
        self.to_quarter = nn.Sequential(conv_norm(3, c2, stride=2), Block(c2, c4, stride=2))
        self.to_eighth = Block(c4, c8, stride=2)
        self.to_sixteenth = nn.Sequential(Block(c8, c16, stride=2), Block(c16, c16))
        self.to_least = Block(c16, c32, stride=2)
        self.from_least = nn.Conv2d(c32, c16, 1)
        self.at_sixteenth = conv_norm(c16, c16)
        self.from_sixteenth = nn.Conv2d(c16, c8, 1)
        self.from_eighth = nn.Conv2d(c8, c8, 1)
        self.at_eighth = conv_norm(c8, c8)
        heatmaps, pafs = joints + 1, 2 * limbs
        self.initial_stage = Stage(conv_norm(c8, c8), c8, heatmaps, pafs)
        self.refinement_stages = nn.ModuleList()
        for _ in range(stages):
            trunk = nn.Sequential(conv_norm(c8 + heatmaps + pafs, c8, 1), Block(c8, c8))
            self.refinement_stages.append(Stage(trunk, c8, heatmaps, pafs))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return heatmaps (N, joints + 1, H/8, W/8) and fields (N, 2 limbs, H/8, W/8), in turn, of every stage.

        The input is (N, 3, H, W), BGR, (pixel - 128) / 256. The comments have the channels of `TINY`.
        """
        x4 = self.to_quarter(images)  # (N, 32, H/4, W/4)
        x8 = self.to_eighth(x4)  # (N, 64, H/8, W/8)
        x16 = self.to_sixteenth(x8)  # (N, 96, H/16, W/16)
        x = self.to_least(x16)  # (N, 128, H/32, W/32)
        x = self.at_sixteenth(upsample_add(self.from_least(x), x16))  # (N, 96, H/16, W/16)
        x = self.at_eighth(upsample_add(self.from_sixteenth(x), self.from_eighth(x8)))  # (N, 64, H/8, W/8)
        heatmaps, pafs = self.initial_stage(x)
        outputs = [heatmaps, pafs]
        for stage in self.refinement_stages:
            heatmaps, pafs = stage(torch.cat([x, heatmaps, pafs], dim=1))
            outputs += [heatmaps, pafs]
        return outputs


def upsample_add(coarse: Tensor, fine: Tensor) -> Tensor:
    """Upsample ``coarse`` (N, C, h, w) by 2, without the last row or column if H or W of ``fine`` is odd; add both."""
    return fine + F.interpolate(coarse, size=fine.shape[2:], mode="nearest")


def openpose_tiny(*, joints: int = 14, limbs: int = 13, stages: int = 1) -> OpenPoseTiny:
    """Return OpenPose with the small backbone."""
    return OpenPoseTiny(joints=joints, limbs=limbs, stages=stages)


def openpose_small(*, joints: int = 18, limbs: int = 19, stages: int = 1) -> OpenPoseTiny:
    """Return OpenPose with the backbone for photographs."""
    return OpenPoseTiny(joints=joints, limbs=limbs, stages=stages, widths=SMALL)
