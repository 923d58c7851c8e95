"""ResNet for small images (He, Zhang, Ren and Sun 2015, "Deep residual learning for image recognition", Section 4.2).

A 3x3 convolution is followed by three stages of n blocks, which makes 6n + 2 layers. On 32x32 images (CIFAR-10 in the
paper) the stages have 16, 32 and 64 channels and maps of 32x32, 16x16 and 8x8. Where a stage changes the shape, the
shortcut takes every second pixel and fills the new channels with zeros (option A of the paper), so it has no
parameters.

The plain networks `plain20` and `plain56` are the same without shortcuts. Their parameters and multiply-accumulates are
equal, so a comparison shows what the shortcuts do (Figure 6 of the paper): the training loss of a plain network with 56
layers is higher than that of one with 20, the degradation problem.

Differs from the paper: nothing in the forward pass.

Size for 10 classes (parameters, multiply-accumulates at 3x32x32): resnet20 269,722, 40.6 M; resnet32 464,154, 68.9
M; resnet44 658,586, 97.2 M; resnet56 853,018, 125.5 M.
Measured: see the recipes ``resnet20-cifar10`` and ``plain20-cifar10``.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Residual block of two 3x3 convolutions; its shortcut has no parameters. A plain block has no shortcut."""

    def __init__(self, channels_in: int, channels: int, *, stride: int, is_plain: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride = stride
        self.is_plain = is_plain
        self.new_channels = channels - channels_in

    def shortcut(self, x: Tensor) -> Tensor:
        """Subsample (N, channels_in, H, W) by ``stride`` and pad it with zero channels to the shape of the branch."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, channels, H/stride, W/stride) for an input (N, channels_in, H, W)."""
        branch = F.relu(self.bn1(self.conv1(x)))  # (N, channels, H/stride, W/stride)
        branch = self.bn2(self.conv2(branch))  # (N, channels, H/stride, W/stride)
        if not self.is_plain:
            branch = branch + self.shortcut(x)  # (N, channels, H/stride, W/stride)
        return F.relu(branch)  # (N, channels, H/stride, W/stride)


def make_stage(n: int, channels_in: int, channels: int, *, stride: int, is_plain: bool) -> nn.Sequential:
    """Return n blocks; the first one has the stride."""
    first = Block(channels_in, channels, stride=stride, is_plain=is_plain)
    return nn.Sequential(first, *(Block(channels, channels, stride=1, is_plain=is_plain) for _ in range(n - 1)))


class CifarResNet(nn.Module):
    """Stem convolution, three stages of n blocks, global average pooling, linear layer."""

    def __init__(self, n: int, *, num_classes: int, in_channels: int, is_plain: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.stage1 = make_stage(n, 16, 16, stride=1, is_plain=is_plain)
        self.stage2 = make_stage(n, 16, 32, stride=2, is_plain=is_plain)
        self.stage3 = make_stage(n, 32, 64, stride=2, is_plain=is_plain)
        self.fc = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for normalized images (N, C, H, W)."""
        x = F.relu(self.bn1(self.conv1(images)))  # (N, 16, H, W)
        x = self.stage1(x)  # (N, 16, H, W)
        x = self.stage2(x)  # (N, 32, H/2, W/2)
        x = self.stage3(x)  # (N, 64, H/4, W/4)
        x = x.mean((2, 3))  # (N, 64)
        return self.fc(x)  # (N, num_classes)


def resnet20(*, num_classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """Return the ResNet with 20 layers for small images."""
    return CifarResNet(3, num_classes=num_classes, in_channels=in_channels)


def resnet32(*, num_classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """Return the ResNet with 32 layers for small images."""
    return CifarResNet(5, num_classes=num_classes, in_channels=in_channels)


def resnet44(*, num_classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """Return the ResNet with 44 layers for small images."""
    return CifarResNet(7, num_classes=num_classes, in_channels=in_channels)


def resnet56(*, num_classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """Return the ResNet with 56 layers for small images."""
    return CifarResNet(9, num_classes=num_classes, in_channels=in_channels)


def plain20(*, num_classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """Return the network with 20 layers for small images, without shortcuts."""
    return CifarResNet(3, num_classes=num_classes, in_channels=in_channels, is_plain=True)


def plain56(*, num_classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """Return the network with 56 layers for small images, without shortcuts."""
    return CifarResNet(9, num_classes=num_classes, in_channels=in_channels, is_plain=True)
