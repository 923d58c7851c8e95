"""The ResNet for small pictures (He, Zhang, Ren and Sun 2015, section 4.2: CIFAR-10).

A 3x3 convolution, then three stages of n blocks at 32x32, 16x16 and 8x8 pixels with 16, 32 and 64 channels: 6n + 2
layers. Where a stage changes the shape, the shortcut takes every second pixel and fills the new channels with zeros
(option A of the paper): it has no parameters.

Differs from the paper: nothing that a forward pass shows.

Size for 10 classes (parameters, multiply-accumulates at 3x32x32): resnet20 269,722, 40.6 M; resnet32 464,154, 68.9
M; resnet44 658,586, 97.2 M; resnet56 853,018, 125.5 M.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut without parameters."""

    def __init__(self, channels_in: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.new = stride, channels - channels_in

    def shortcut(self, x: Tensor) -> Tensor:
        """Every ``stride``-th pixel, zeros for the new channels; (N, C, H, W) to the shape of the branch."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, channels, H/stride, W/stride)."""
        branch = F.relu(self.bn1(self.conv1(x)))
        branch = self.bn2(self.conv2(branch))
        return F.relu(branch + self.shortcut(x))


class CifarResNet(nn.Module):
    """A convolution, three stages of n blocks, average, one linear layer."""

    def __init__(self, n: int, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.stage1 = nn.Sequential(*(Block(16, 16, stride=1) for _ in range(n)))
        self.stage2 = nn.Sequential(Block(16, 32, stride=2), *(Block(32, 32, stride=1) for _ in range(n - 1)))
        self.stage3 = nn.Sequential(Block(32, 64, stride=2), *(Block(64, 64, stride=1) for _ in range(n - 1)))
        self.fc = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised images to (N, num_classes) logits."""
        x = F.relu(self.bn1(self.conv1(images)))  # (N, 16, H, W)
        x = self.stage1(x)  # (N, 16, H, W)
        x = self.stage2(x)  # (N, 32, H/2, W/2)
        x = self.stage3(x)  # (N, 64, H/4, W/4)
        x = x.mean((2, 3))  # (N, 64)
        return self.fc(x)  # (N, num_classes)


def resnet20(*, num_classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """ResNet with 20 layers for small pictures."""
    return CifarResNet(3, num_classes=num_classes, in_channels=in_channels)


def resnet32(*, num_classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """ResNet with 32 layers for small pictures."""
    return CifarResNet(5, num_classes=num_classes, in_channels=in_channels)


def resnet44(*, num_classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """ResNet with 44 layers for small pictures."""
    return CifarResNet(7, num_classes=num_classes, in_channels=in_channels)


def resnet56(*, num_classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """ResNet with 56 layers for small pictures."""
    return CifarResNet(9, num_classes=num_classes, in_channels=in_channels)
