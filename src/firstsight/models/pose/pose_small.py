"""Small network for top-down pose estimation on photographs, to be trained from scratch on two CPU cores.

Like `pose_tiny`, the network goes down to 1/32 of the image size, where a person covers a few cells that see the whole
crop, and back up, with the features from the way down added (feature pyramid, Lin 2017). It goes up to 1/8 only: its
maps are the features of a SimCC head (Li 2022), which classifies x and y in steps of half a pixel, so that fine maps
are not needed, and most of the work is at 1/8 and 1/16. The input is BGR, (pixel - 128) / 256.

Differs from published networks: the architecture is not published. The head and its loss are those of SimCC.

Size for 17 joints: 1,344,713 parameters, 0.29 G multiply-accumulates at 3x256x192; with the SimCC head 2,033,737.
"""

from torch import Tensor, nn

from firstsight.models.pose.pose_tiny import Block, conv_norm, upsample

WIDTHS = (24, 32, 72, 144, 208)
"""Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image size."""


class PoseSmall(nn.Module):
    """Network down to 1/32 and up to 1/8 of the image size, with one map for each of ``joints``."""

    stride = 8
    """Input pixels per cell of the maps."""

    def __init__(self, *, joints: int) -> None:
        super().__init__()
        c2, c4, c8, c16, c32 = WIDTHS
        self.to_quarter = nn.Sequential(conv_norm(3, c2, stride=2), Block(c2, c4, stride=2))
        self.to_eighth = Block(c4, c8, stride=2)
        self.to_sixteenth = Block(c8, c16, stride=2)
        self.to_least = Block(c16, c32, stride=2)
        self.from_least = nn.Conv2d(c32, c16, 1)
        self.at_sixteenth = conv_norm(c16, c16)
        self.from_sixteenth = nn.Conv2d(c16, c8, 1)
        self.at_eighth = conv_norm(c8, c8)
        self.last = nn.Conv2d(c8, joints, 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return a list with the maps (N, joints, H/8, W/8).

        The input is (N, 3, H, W), BGR, (pixel - 128) / 256; H and W are multiples of 32.
        """
        x4 = self.to_quarter(images)  # (N, 32, H/4, W/4)
        x8 = self.to_eighth(x4)  # (N, 72, H/8, W/8)
        x16 = self.to_sixteenth(x8)  # (N, 144, H/16, W/16)
        x = self.to_least(x16)  # (N, 208, H/32, W/32)
        x = self.at_sixteenth(x16 + upsample(self.from_least(x)))  # (N, 144, H/16, W/16)
        x = self.at_eighth(x8 + upsample(self.from_sixteenth(x)))  # (N, 72, H/8, W/8)
        x = self.last(x)  # (N, joints, H/8, W/8)
        return [x]


def pose_small(*, joints: int = 17) -> PoseSmall:
    """Return the small network for photographs."""
    return PoseSmall(joints=joints)
