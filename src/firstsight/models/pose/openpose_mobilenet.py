"""Lightweight OpenPose (Osokin 2018, "Real-time 2D multi-person pose estimation on CPU: Lightweight OpenPose").

OpenPose predicts two kinds of maps: a heatmap for each joint, and a part affinity field for each limb, two maps with
the direction of the limb at every position on it. Joints are the peaks of the heatmaps, and the fields show which of
them belong together. This network is a cheaper version. Its backbone is MobileNet, with dilation in place of its last
strides, so that the maps have 1/8 of the image size. Heatmaps and fields have a common trunk. Refinement stages have
1x1 and 3x3 convolutions in place of OpenPose's 7x7 ones.

Differs from the paper: nothing; parameter names are the published checkpoint's. The input is BGR, (pixel - 128) / 256.

Size for 18 joints and 19 limbs, one refinement stage: 4,091,698 parameters, 8.88 G multiply-accumulates at 3x368x368.
"""

from typing import Literal, get_args

from torch import Tensor, cat, nn

BridgeVariant = Literal["relu", "elu"]
BRIDGES: tuple[BridgeVariant, ...] = get_args(BridgeVariant)
BLOCKS = (
    (64, 1, 1), (128, 2, 1), (128, 1, 1), (256, 2, 1), (256, 1, 1), (512, 1, 1),
    (512, 1, 2), (512, 1, 1), (512, 1, 1), (512, 1, 1), (512, 1, 1),
)  # fmt: skip
"""Output channels, stride and dilation of the backbone's separable convolutions."""
CHANNELS = 128
"""Channels of the stages."""


def separable(channels_in: int, channels: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return a depthwise 3x3 and a pointwise 1x1 convolution, each with batch norm and ReLU."""
    depthwise = nn.Conv2d(channels_in, channels_in, 3, stride, dilation, dilation, groups=channels_in, bias=False)
    pointwise = nn.Conv2d(channels_in, channels, 1, bias=False)
    layers = depthwise, nn.BatchNorm2d(channels_in), nn.ReLU(), pointwise, nn.BatchNorm2d(channels), nn.ReLU()
    return nn.Sequential(*layers)


def separable_elu(channels: int, *, bias: bool = False) -> nn.Sequential:
    """Return a depthwise 3x3 and a pointwise 1x1 convolution, each with ELU and without batch norm."""
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=bias)
    return nn.Sequential(depthwise, nn.ELU(), nn.Conv2d(channels, channels, 1, bias=bias), nn.ELU())


def conv(channels_in: int, channels: int, kernel_size: int, *, activation: bool = True) -> nn.Sequential:
    """Return a convolution with bias, followed by ReLU unless ``activation`` is False."""
    layer = nn.Conv2d(channels_in, channels, kernel_size, padding=kernel_size // 2)
    return nn.Sequential(layer, nn.ReLU()) if activation else nn.Sequential(layer)


def conv_norm(channels: int, *, dilation: int = 1) -> nn.Sequential:
    """Return a 3x3 convolution with bias, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation), nn.BatchNorm2d(channels), nn.ReLU()
    )


class Bridge(nn.Module):
    """Layers between the backbone and the stages, which reduce the channels.

    ``variant`` is "relu", as in the published checkpoint, or "elu", as in human-pose-estimation-0001: ELU after the
    first convolution, one more 1x1 convolution in the trunk, and biases there.
    """

    def __init__(self, channels_in: int, channels: int, *, variant: BridgeVariant = "relu") -> None:
        super().__init__()
        if variant == "relu":
            self.align = conv(channels_in, channels, 1)
            self.trunk = nn.Sequential(*(separable_elu(channels) for _ in range(3)))
        else:
            self.align = nn.Sequential(nn.Conv2d(channels_in, channels, 1), nn.ELU())
            reduce = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.ELU())
            self.trunk = nn.Sequential(reduce, *(separable_elu(channels, bias=True) for _ in range(3)))
        self.conv = conv(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, channels, H, W) for an input (N, channels_in, H, W)."""
        x = self.align(x)  # (N, channels, H, W)
        return self.conv(x + self.trunk(x))  # (N, channels, H, W)


class RefinementBlock(nn.Module):
    """1x1 convolution, then a residual branch of two 3x3 convolutions, the second one dilated."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.initial = conv(channels_in, channels, 1)
        self.trunk = nn.Sequential(conv_norm(channels), conv_norm(channels, dilation=2))

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, channels, H, W) for an input (N, channels_in, H, W)."""
        x = self.initial(x)  # (N, channels, H, W)
        return x + self.trunk(x)  # (N, channels, H, W)


class Stage(nn.Module):
    """Trunk with two branches of two 1x1 convolutions, for heatmaps and part affinity fields."""

    def __init__(self, trunk: nn.Sequential, hidden: int, heatmaps: int, pafs: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.heatmaps = nn.Sequential(conv(CHANNELS, hidden, 1), conv(hidden, heatmaps, 1, activation=False))
        self.pafs = nn.Sequential(conv(CHANNELS, hidden, 1), conv(hidden, pafs, 1, activation=False))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return heatmaps (N, joints + 1, H, W) and fields (N, 2 limbs, H, W) for features (N, C, H, W)."""
        x = self.trunk(x)  # (N, 128, H, W)
        return self.heatmaps(x), self.pafs(x)


class OpenPoseMobileNet(nn.Module):
    """MobileNet backbone, a bridge, an initial stage, and refinement stages that receive features and maps.

    Parameters
    ----------
    joints : int
        Number of joints of the skeleton. One more heatmap is for the background.
    limbs : int
        Number of limbs of the skeleton; each has a field of two maps.
    stages : int
        Number of refinement stages.
    bridge : {"relu", "elu"}
        Variant of `Bridge`.
    """

    def __init__(self, *, joints: int, limbs: int, stages: int = 1, bridge: BridgeVariant = "relu") -> None:
        super().__init__()
        stem = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        blocks = [nn.Sequential(stem, nn.BatchNorm2d(32), nn.ReLU())]
        channels_in = 32
        for channels, stride, dilation in BLOCKS:
            blocks.append(separable(channels_in, channels, stride=stride, dilation=dilation))
            channels_in = channels
        self.model = nn.Sequential(*blocks)
        self.cpm = Bridge(channels_in, CHANNELS, variant=bridge)
        heatmaps, pafs = joints + 1, 2 * limbs
        self.initial_stage = Stage(nn.Sequential(*(conv(CHANNELS, CHANNELS, 3) for _ in range(3))), 512, heatmaps, pafs)
        self.refinement_stages = nn.ModuleList()
        for _ in range(stages):
            first = RefinementBlock(CHANNELS + heatmaps + pafs, CHANNELS)
            trunk = nn.Sequential(first, *(RefinementBlock(CHANNELS, CHANNELS) for _ in range(4)))
            self.refinement_stages.append(Stage(trunk, CHANNELS, heatmaps, pafs))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return heatmaps (N, joints + 1, H/8, W/8) and fields (N, 2 limbs, H/8, W/8), in turn, of every stage.

        The input is (N, 3, H, W), BGR, (pixel - 128) / 256.
        """
        x = self.cpm(self.model(images))  # (N, 128, H/8, W/8)
        heatmaps, pafs = self.initial_stage(x)
        outputs = [heatmaps, pafs]
        for stage in self.refinement_stages:
            heatmaps, pafs = stage(cat([x, heatmaps, pafs], dim=1))
            outputs += [heatmaps, pafs]
        return outputs


def openpose_mobilenet(
    *, joints: int = 18, limbs: int = 19, stages: int = 1, bridge: BridgeVariant = "relu"
) -> OpenPoseMobileNet:
    """Return lightweight OpenPose as published."""
    return OpenPoseMobileNet(joints=joints, limbs=limbs, stages=stages, bridge=bridge)
