"""SimpleBaseline (Xiao, Wu and Wei 2018, "Simple baselines for human pose estimation and tracking").

The paper asks how good a simple method can be. A ResNet without its classifier is followed by three transposed
convolutions, which upsample from 1/32 to 1/4 of the image size, and a 1x1 convolution to one heatmap per joint.

Differs from the paper: nothing in the network. Bottleneck blocks have their stride in the 3x3 convolution, as in the
published code, whose parameter names are kept. The input differs: like all pose networks of this package it takes BGR,
(pixel - 128) / 256, where that code takes RGB, normalized as for ImageNet.

Size for 17 joints (parameters, multiply-accumulates at 3x256x192): resnet18 15,376,721, 2.90 G; resnet50 33,999,697,
5.43 G. The published 8.9 GFLOPs of the latter are 8.99 in units of 1024 cubed: its code counts all 16 weights of a
transposed convolution at every output position, where only four of them contribute.
"""

import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
"""Number of blocks in each of the four stages, by depth."""
DECONVOLUTIONS = 3
"""Number of transposed convolutions."""
CHANNELS = 256
"""Output channels of the transposed convolutions."""


def shortcut(channels_in: int, channels: int, stride: int) -> nn.Sequential | None:
    """Return a 1x1 convolution with batch norm if the block changes the shape, None for the identity."""
    if stride == 1 and channels_in == channels:
        return None
    return nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(channels_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, width, H/stride, W/stride) for an input (N, channels_in, H, W)."""
        branch = F.relu(self.bn1(self.conv1(x)))  # (N, width, H/stride, W/stride)
        branch = self.bn2(self.conv2(branch))  # (N, width, H/stride, W/stride)
        x = x if self.downsample is None else self.downsample(x)  # (N, width, H/stride, W/stride)
        return F.relu(branch + x)  # (N, width, H/stride, W/stride)


class Bottleneck(nn.Module):
    """Residual block of 1x1, 3x3 and 1x1 convolutions; the last one has four times the channels of the others."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = shortcut(channels_in, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, 4 * width, H/stride, W/stride) for an input (N, channels_in, H, W)."""
        branch = F.relu(self.bn1(self.conv1(x)))  # (N, width, H, W)
        branch = F.relu(self.bn2(self.conv2(branch)))  # (N, width, H/stride, W/stride)
        branch = self.bn3(self.conv3(branch))  # (N, 4*width, H/stride, W/stride)
        x = x if self.downsample is None else self.downsample(x)  # (N, 4*width, H/stride, W/stride)
        return F.relu(branch + x)  # (N, 4*width, H/stride, W/stride)


class SimpleBaseline(nn.Module):
    """ResNet of 18 or 50 layers, three transposed convolutions, and a heatmap for each of ``joints``."""

    def __init__(self, *, layers: int, joints: int) -> None:
        super().__init__()
        block = BasicBlock if layers == 18 else Bottleneck
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        stages: list[nn.Sequential] = []
        for width, count in zip((64, 128, 256, 512), BLOCKS[layers], strict=True):
            blocks: list[nn.Module] = []
            for index in range(count):
                blocks.append(block(channels, width, stride=2 if stages and index == 0 else 1))
                channels = width * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.width = channels
        deconv_layers: list[nn.Module] = []
        for _ in range(DECONVOLUTIONS):
            deconv_layers.append(nn.ConvTranspose2d(channels, CHANNELS, 4, 2, 1, bias=False))
            deconv_layers += [nn.BatchNorm2d(CHANNELS), nn.ReLU()]
            channels = CHANNELS
        self.deconv_layers = nn.Sequential(*deconv_layers)
        self.final_layer = nn.Conv2d(CHANNELS, joints, 1)
        self.apply(init_weights)
        nn.init.normal_(self.final_layer.weight, std=0.001)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return a list with the heatmaps (N, joints, H/4, W/4).

        The input is (N, 3, H, W), BGR, (pixel - 128) / 256; H and W are multiples of 32.
        """
        x = F.relu(self.bn1(self.conv1(images)))  # (N, 64, H/2, W/2)
        x = F.max_pool2d(x, 3, 2, 1)  # (N, 64, H/4, W/4)
        x = self.layer1(x)  # (N, width/8, H/4, W/4)
        x = self.layer2(x)  # (N, width/4, H/8, W/8)
        x = self.layer3(x)  # (N, width/2, H/16, W/16)
        x = self.layer4(x)  # (N, width, H/32, W/32)
        x = self.deconv_layers(x)  # (N, 256, H/4, W/4)
        x = self.final_layer(x)  # (N, joints, H/4, W/4)
        return [x]


def init_weights(module: nn.Module) -> None:
    """Initialize convolutions as in He 2015, and transposed ones with a standard deviation of 0.001 (Xiao 2018)."""
    if isinstance(module, nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=0.001)
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def simple_baseline_resnet18(*, joints: int = 17) -> SimpleBaseline:
    """Return SimpleBaseline with a ResNet-18."""
    return SimpleBaseline(layers=18, joints=joints)


def simple_baseline_resnet50(*, joints: int = 17) -> SimpleBaseline:
    """Return SimpleBaseline with a ResNet-50."""
    return SimpleBaseline(layers=50, joints=joints)
