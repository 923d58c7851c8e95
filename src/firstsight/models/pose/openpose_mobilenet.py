"""Lightweight OpenPose (Osokin 2018, "Real-time 2D multi-person pose estimation on CPU").

OpenPose answers with two kinds of maps: a heatmap for each joint, high where one is, and a part affinity field for each
limb, two maps that hold the limb's direction wherever it lies. Joints are found as peaks, and the fields say which of
them belong together. This network makes them cheaply: MobileNet as the backbone, its last stride replaced by a dilation
so that the maps keep an eighth of the picture's size; one trunk for heatmaps and fields together; and refinement stages
of 1x1 and 3x3 convolutions in place of OpenPose's 7x7 ones.

Differs from the paper: nothing; names of parameters are those of the published checkpoint. Its input is blue, green,
red, (pixel - 128) / 256.

Size for 18 joints and 19 limbs, one refinement stage: 4,091,698 parameters, 8.88 G multiply-accumulates at 3x368x368.
"""

from torch import Tensor, cat, nn

STRIDE = 8
BLOCKS = (
    (64, 1, 1), (128, 2, 1), (128, 1, 1), (256, 2, 1), (256, 1, 1), (512, 1, 1),
    (512, 1, 2), (512, 1, 1), (512, 1, 1), (512, 1, 1), (512, 1, 1),
)  # fmt: skip
"""The backbone's separable convolutions: output channels, stride, dilation."""


def separable(channels_in: int, channels: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """A 3x3 filter for each channel, then a 1x1 convolution over all; batch norm and ReLU after each."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_in, 3, stride, dilation, dilation, groups=channels_in, bias=False),
        nn.BatchNorm2d(channels_in), nn.ReLU(),
        nn.Conv2d(channels_in, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
    )  # fmt: skip


def separable_elu(channels: int) -> nn.Sequential:
    """The same without batch norm, with ELU."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False), nn.ELU(),
        nn.Conv2d(channels, channels, 1, bias=False), nn.ELU(),
    )  # fmt: skip


def conv(channels_in: int, channels: int, kernel_size: int, *, activation: bool = True) -> nn.Sequential:
    """Convolution with bias, ReLU unless it is the last of its branch."""
    layers: list[nn.Module] = [nn.Conv2d(channels_in, channels, kernel_size, padding=kernel_size // 2)]
    return nn.Sequential(*layers, *([nn.ReLU()] if activation else []))


def conv_norm(channels: int, *, dilation: int = 1) -> nn.Sequential:
    """3x3 convolution with bias, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation), nn.BatchNorm2d(channels), nn.ReLU()
    )


class Bridge(nn.Module):
    """From the backbone's channels to those of the stages."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.align = conv(channels_in, channels, 1)
        self.trunk = nn.Sequential(*(separable_elu(channels) for _ in range(3)))
        self.conv = conv(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, channels, H, W)."""
        x = self.align(x)
        return self.conv(x + self.trunk(x))


class RefinementBlock(nn.Module):
    """1x1 convolution, then two 3x3 ones (the second dilated) around a shortcut."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.initial = conv(channels_in, channels, 1)
        self.trunk = nn.Sequential(conv_norm(channels), conv_norm(channels, dilation=2))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, channels, H, W)."""
        x = self.initial(x)
        return x + self.trunk(x)


class SceneComposer(nn.Module):
    """A trunk, and a branch of two 1x1 convolutions each for heatmaps and fields."""

    def __init__(self, trunk: nn.Sequential, channels: int, hidden: int, heatmaps: int, pafs: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.heatmaps = nn.Sequential(conv(channels, hidden, 1), conv(hidden, heatmaps, 1, activation=False))
        self.pafs = nn.Sequential(conv(channels, hidden, 1), conv(hidden, pafs, 1, activation=False))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features to (N, joints + 1, H, W) heatmaps and (N, 2 limbs, H, W) fields."""
        x = self.trunk(x)
        return self.heatmaps(x), self.pafs(x)


class OpenPoseMobileNet(nn.Module):
    """MobileNet, a bridge, an initial stage, and stages that see features and maps and make better maps.

    Parameters
    ----------
    joints, limbs : int
        Of the skeleton; there is one heatmap more, for the background.
    stages : int
        Refinement stages.
    width : float
        Of the backbone, as a multiple of MobileNet's; channels : of the stages.
    hidden : int
        Of the initial stage's branches.
    """

    def __init__(
        self, *, joints: int, limbs: int, stages: int = 1, width: float = 1.0, channels: int = 128, hidden: int = 512
    ) -> None:
        super().__init__()
        first = round(32 * width)
        blocks = [nn.Sequential(nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU())]
        for outputs, stride, dilation in BLOCKS:
            wide = round(outputs * width)
            blocks.append(separable(first, wide, stride=stride, dilation=dilation))
            first = wide
        self.model = nn.Sequential(*blocks)
        self.cpm = Bridge(first, channels)
        heatmaps, pafs = joints + 1, 2 * limbs
        trunk = nn.Sequential(*(conv(channels, channels, 3) for _ in range(3)))
        self.initial_stage = SceneComposer(trunk, channels, hidden, heatmaps, pafs)
        self.refinement_stages = nn.ModuleList()
        for _ in range(stages):
            seen = channels + heatmaps + pafs
            trunk = nn.Sequential(*(RefinementBlock(channels if i else seen, channels) for i in range(5)))
            self.refinement_stages.append(SceneComposer(trunk, channels, channels, heatmaps, pafs))

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(N, 3, H, W) normalised images to heatmaps and fields of every stage, each (N, ..., H/8, W/8)."""
        x = self.cpm(self.model(images))  # (N, 128, H/8, W/8)
        maps = [self.initial_stage(x)]
        for stage in self.refinement_stages:
            heatmaps, pafs = maps[-1]
            maps.append(stage(cat([x, heatmaps, pafs], dim=1)))
        return maps


def openpose_mobilenet(*, joints: int = 18, limbs: int = 19, stages: int = 1) -> OpenPoseMobileNet:
    """Lightweight OpenPose as published."""
    return OpenPoseMobileNet(joints=joints, limbs=limbs, stages=stages)
