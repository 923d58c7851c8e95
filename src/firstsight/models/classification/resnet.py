"""ResNet (He, Zhang, Ren and Sun 2015, "Deep residual learning for image recognition").

A block adds what its branch computes to what came in: relu(branch(x) + shortcut(x)). To do nothing, a branch has
only to become zero, so depth does not harm, and the gradient always finds a way around. Where a block changes the
shape, the shortcut is a 1x1 convolution with batch norm (option B of the paper).

Differs from the paper: bottleneck blocks stride in their 3x3 convolution, not in the first 1x1 (the widely used
port's "v1.5"; the same parameters, a little more work). Differs from the port: nothing; names and numbers are
torchvision's, so its weights load as they are.

Size for 1000 classes (parameters, multiply-accumulates at 3x224x224): resnet18 11,689,512, 1.814 G; resnet34
21,797,672, 3.664 G; resnet50 25,557,032, 4.089 G; resnet101 44,549,160, 7.801 G; resnet152 60,192,808, 11.514 G.
"""

import torch.nn.functional as F
from torch import Tensor, nn

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks in each of the four stages (table 1 of the paper)."""


def conv_norm(
    channels_in: int, channels: int, kernel_size: int, *, stride: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A convolution that keeps the size (but for its stride), and the batch norm after it."""
    conv = nn.Conv2d(channels_in, channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
    return conv, nn.BatchNorm2d(channels)


def shortcut(channels_in: int, channels: int, stride: int) -> nn.Sequential:
    """The way around a block: nothing at all, or a 1x1 convolution where the shape changes."""
    if stride == 1 and channels_in == channels:
        return nn.Sequential()
    return nn.Sequential(*conv_norm(channels_in, channels, 1, stride=stride))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut: relu(branch(x) + shortcut(x))."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(channels_in, width, 3, stride=stride)
        self.conv2, self.bn2 = conv_norm(width, width, 3)
        self.downsample = shortcut(channels_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, width, H/stride, W/stride)."""
        branch = F.relu(self.bn1(self.conv1(x)))
        branch = self.bn2(self.conv2(branch))
        return F.relu(branch + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1 to narrow, 3x3, 1x1 to widen fourfold, around a shortcut."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(channels_in, width, 1)
        self.conv2, self.bn2 = conv_norm(width, width, 3, stride=stride)
        self.conv3, self.bn3 = conv_norm(width, 4 * width, 1)
        self.downsample = shortcut(channels_in, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, 4 * width, H/stride, W/stride)."""
        branch = F.relu(self.bn1(self.conv1(x)))
        branch = F.relu(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.conv3(branch))
        return F.relu(branch + self.downsample(x))


class ResNet(nn.Module):
    """Stem, four stages of blocks, average, one linear layer."""

    def __init__(
        self, block: type[BasicBlock | Bottleneck], blocks: tuple[int, ...], *, num_classes: int, in_channels: int
    ) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64)
        self.layer1 = stage(block, 64, 64, blocks[0], stride=1)
        self.layer2 = stage(block, 64 * block.expansion, 128, blocks[1], stride=2)
        self.layer3 = stage(block, 128 * block.expansion, 256, blocks[2], stride=2)
        self.layer4 = stage(block, 256 * block.expansion, 512, blocks[3], stride=2)
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        self.width = 512 * block.expansion
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, "Delving deep into rectifiers"
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised images of at least 32x32 to (N, num_classes) logits."""
        x = F.relu(self.bn1(self.conv1(images)))  # (N, 64, H/2, W/2)
        x = F.max_pool2d(x, 3, stride=2, padding=1)  # (N, 64, H/4, W/4)
        x = self.layer1(x)  # (N, width/8, H/4, W/4)
        x = self.layer2(x)  # (N, width/4, H/8, W/8)
        x = self.layer3(x)  # (N, width/2, H/16, W/16)
        x = self.layer4(x)  # (N, width, H/32, W/32)
        x = x.mean((2, 3))  # (N, width)
        return self.fc(x)  # (N, num_classes)


def stage(
    block: type[BasicBlock | Bottleneck], channels_in: int, width: int, count: int, *, stride: int
) -> nn.Sequential:
    """Blocks of one width; the first one strides."""
    first = block(channels_in, width, stride=stride)
    return nn.Sequential(first, *(block(width * block.expansion, width) for _ in range(count - 1)))


def resnet18(*, num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet with 18 layers."""
    return ResNet(BasicBlock, STAGES[18], num_classes=num_classes, in_channels=in_channels)


def resnet34(*, num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet with 34 layers."""
    return ResNet(BasicBlock, STAGES[34], num_classes=num_classes, in_channels=in_channels)


def resnet50(*, num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet with 50 layers."""
    return ResNet(Bottleneck, STAGES[50], num_classes=num_classes, in_channels=in_channels)


def resnet101(*, num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet with 101 layers."""
    return ResNet(Bottleneck, STAGES[101], num_classes=num_classes, in_channels=in_channels)


def resnet152(*, num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet with 152 layers."""
    return ResNet(Bottleneck, STAGES[152], num_classes=num_classes, in_channels=in_channels)
