"""SimpleBaseline (Xiao, Wu and Wei 2018, "Simple baselines for human pose estimation and tracking").

How good can a plain method be? ResNet without its last layer, then three transposed convolutions that bring a
thirty-second of the picture's size back to a quarter, then one 1x1 convolution to a heatmap for each joint.

Differs from the paper: nothing in the network; bottleneck blocks stride in their 3x3 convolution, as in the published
code, whose names of parameters these are. The input differs: as for every pose network of this package it is blue,
green, red, (pixel - 128) / 256, where that code takes red, green, blue, normalised as ImageNet.

Size for 17 joints (parameters, multiply-accumulates at 3x256x192): resnet18 15,376,721, 2.90 G; resnet50 33,999,697,
5.43 G. The published 8.9 GFLOPs of the latter are 8.99 of 1024 cubed: its counting takes all 16 weights of a transposed
convolution at every place of its output, of which four meet one.
"""

import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
"""Blocks in each of the four stages."""
DECONVOLUTIONS, CHANNELS = 3, 256


def shortcut(channels_in: int, channels: int, stride: int) -> nn.Sequential | None:
    """The way around a block: nothing at all, or a 1x1 convolution where the shape changes."""
    if stride == 1 and channels_in == channels:
        return None
    return nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels_in, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.downsample = shortcut(channels_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, width, H / stride, W / stride)."""
        branch = F.relu(self.bn1(self.conv1(x)))
        branch = self.bn2(self.conv2(branch))
        return F.relu(branch + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1 to narrow, 3x3, 1x1 to widen fourfold, around a shortcut."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels_in, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = shortcut(channels_in, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, 4 width, H / stride, W / stride)."""
        branch = F.relu(self.bn1(self.conv1(x)))
        branch = F.relu(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.conv3(branch))
        return F.relu(branch + (x if self.downsample is None else self.downsample(x)))


class SimpleBaseline(nn.Module):
    """ResNet of ``layers`` 18 or 50, three transposed convolutions, a map for each of ``joints``."""

    def __init__(self, *, layers: int, joints: int) -> None:
        super().__init__()
        block = BasicBlock if layers == 18 else Bottleneck
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        channels, stages = 64, list[nn.Sequential]()
        for width, count in zip((64, 128, 256, 512), BLOCKS[layers], strict=True):
            rows: list[nn.Module] = []
            for place in range(count):
                rows.append(block(channels, width, stride=2 if stages and place == 0 else 1))
                channels = width * block.expansion
            stages.append(nn.Sequential(*rows))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        ups: list[nn.Module] = []
        for _ in range(DECONVOLUTIONS):
            ups += [
                nn.ConvTranspose2d(channels, CHANNELS, 4, 2, 1, bias=False), nn.BatchNorm2d(CHANNELS), nn.ReLU()
            ]  # fmt: skip
            channels = CHANNELS
        self.deconv_layers = nn.Sequential(*ups)
        self.final_layer = nn.Conv2d(CHANNELS, joints, 1)
        self.apply(initialise)
        nn.init.normal_(self.final_layer.weight, std=0.001)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) normalised images, sides multiples of 32, to one list entry: (N, joints, H/4, W/4) maps."""
        x = F.relu(self.bn1(self.conv1(images)))  # (N, 64, H/2, W/2)
        x = F.max_pool2d(x, 3, 2, 1)  # (N, 64, H/4, W/4)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (N, 512 or 2048, H/32, W/32)
        x = self.deconv_layers(x)  # (N, 256, H/4, W/4)
        return [self.final_layer(x)]


def initialise(module: nn.Module) -> None:
    """The backbone's convolutions as He 2015 has them, the transposed ones near zero (Xiao 2018)."""
    if isinstance(module, nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=0.001)
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def simple_baseline_resnet18(*, joints: int = 17) -> SimpleBaseline:
    """SimpleBaseline on ResNet-18."""
    return SimpleBaseline(layers=18, joints=joints)


def simple_baseline_resnet50(*, joints: int = 17) -> SimpleBaseline:
    """SimpleBaseline on ResNet-50."""
    return SimpleBaseline(layers=50, joints=joints)
