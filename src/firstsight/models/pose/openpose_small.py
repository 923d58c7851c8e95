"""OpenPose with a U-shaped backbone for photographs, to be trained from scratch on two CPU cores.

It is `openpose_tiny` with about twice the channels and one more residual block at 1/16 of the image size. Whole scenes
need more features than one athlete: people are small and large, sit, are cut off or hidden, and furniture and animals
must not be taken for them.

Differs from Cao 2017: see `openpose_tiny`. The input is BGR, (pixel - 128) / 256.

Size for 18 joints and 19 limbs, one refinement stage: 1,755,730 parameters, 0.92 G multiply-accumulates at 3x256x256.
"""

import torch
from torch import Tensor, nn

from firstsight.models.pose.openpose_tiny import Block, Stage, conv_norm, upsample_add

WIDTHS = (32, 48, 96, 128, 160)
"""Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image size."""
CHANNELS = 96
"""Channels of the stages."""


class OpenPoseSmall(nn.Module):
    """Backbone down to 1/32 and up to 1/8, an initial stage, and refinement stages.

    Parameters
    ----------
    joints : int
        Number of joints of the skeleton. One more heatmap is for the background.
    limbs : int
        Number of limbs of the skeleton; each has a field of two maps.
    stages : int
        Number of refinement stages.
    """

    def __init__(self, *, joints: int, limbs: int, stages: int) -> None:
        super().__init__()
        c2, c4, c8, c16, c32 = WIDTHS
        self.to_quarter = nn.Sequential(conv_norm(3, c2, stride=2), Block(c2, c4, stride=2))
        self.to_eighth = Block(c4, c8, stride=2)
        self.to_sixteenth = nn.Sequential(Block(c8, c16, stride=2), Block(c16, c16))
        self.to_least = Block(c16, c32, stride=2)
        self.from_least = nn.Conv2d(c32, c16, 1)
        self.at_sixteenth = conv_norm(c16, c16)
        self.from_sixteenth = nn.Conv2d(c16, CHANNELS, 1)
        self.from_eighth = nn.Conv2d(c8, CHANNELS, 1)
        self.at_eighth = conv_norm(CHANNELS, CHANNELS)
        heatmaps, pafs = joints + 1, 2 * limbs
        self.initial_stage = Stage(conv_norm(CHANNELS, CHANNELS), heatmaps, pafs, channels=CHANNELS)
        self.refinement_stages = nn.ModuleList()
        for _ in range(stages):
            trunk = nn.Sequential(conv_norm(CHANNELS + heatmaps + pafs, CHANNELS, 1), Block(CHANNELS, CHANNELS))
            self.refinement_stages.append(Stage(trunk, heatmaps, pafs, channels=CHANNELS))

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return heatmaps (N, joints + 1, H/8, W/8) and fields (N, 2 limbs, H/8, W/8) of every stage.

        The input is (N, 3, H, W), BGR, (pixel - 128) / 256.
        """
        x4 = self.to_quarter(images)  # (N, 48, H/4, W/4)
        x8 = self.to_eighth(x4)  # (N, 96, H/8, W/8)
        x16 = self.to_sixteenth(x8)  # (N, 128, H/16, W/16)
        x = self.to_least(x16)  # (N, 160, H/32, W/32)
        x = self.at_sixteenth(upsample_add(self.from_least(x), x16))  # (N, 128, H/16, W/16)
        x = self.at_eighth(upsample_add(self.from_sixteenth(x), self.from_eighth(x8)))  # (N, 96, H/8, W/8)
        outputs = [self.initial_stage(x)]
        for stage in self.refinement_stages:
            heatmaps, pafs = outputs[-1]
            outputs.append(stage(torch.cat([x, heatmaps, pafs], dim=1)))
        return outputs


def openpose_small(*, joints: int = 18, limbs: int = 19, stages: int = 1) -> OpenPoseSmall:
    """Return OpenPose with the U-shaped backbone for photographs."""
    return OpenPoseSmall(joints=joints, limbs=limbs, stages=stages)
