"""ResNet (He, Zhang, Ren and Sun 2015, "Deep residual learning for image recognition").

A residual block adds the output of its branch to its input: relu(branch(x) + shortcut(x)). If additional layers are not
needed, their branch can become zero, so depth does not harm, and the gradient always flows through the shortcut. Where
a block changes the shape, the shortcut is a 1x1 convolution with batch norm (option B of the paper).

Differs from the paper: bottleneck blocks have their stride in the 3x3 convolution, not in the first 1x1 (torchvision's
"v1.5": the same parameters, slightly more multiply-accumulates). Differs from torchvision: nothing; parameter names and
values are the same, so its weights load unchanged.

Size for 1000 classes (parameters, multiply-accumulates at 3x224x224): resnet18 11,689,512, 1.814 G; resnet34
21,797,672, 3.664 G; resnet50 25,557,032, 4.089 G; resnet101 44,549,160, 7.801 G; resnet152 60,192,808, 11.514 G.
"""

import torch.nn.functional as F
from torch import Tensor, nn

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Number of blocks in each of the four stages, by depth (Table 1 of the paper)."""


def conv_norm(
    channels_in: int, channels: int, kernel_size: int, *, stride: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Return a convolution with padding ``kernel_size // 2``, and the batch norm that follows it."""
    conv = nn.Conv2d(channels_in, channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
    return conv, nn.BatchNorm2d(channels)


def shortcut(channels_in: int, channels: int, stride: int) -> nn.Sequential:
    """Return the shortcut of a block: the identity, or a 1x1 convolution with batch norm where the shape changes."""
    if stride == 1 and channels_in == channels:
        return nn.Sequential()
    return nn.Sequential(*conv_norm(channels_in, channels, 1, stride=stride))


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(channels_in, width, 3, stride=stride)
        self.conv2, self.bn2 = conv_norm(width, width, 3)
        self.downsample = shortcut(channels_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, width, H/stride, W/stride) for an input (N, channels_in, H, W)."""
        branch = F.relu(self.bn1(self.conv1(x)))  # (N, width, H/stride, W/stride)
        branch = self.bn2(self.conv2(branch))  # (N, width, H/stride, W/stride)
        return F.relu(branch + self.downsample(x))  # (N, width, H/stride, W/stride)


class Bottleneck(nn.Module):
    """Residual block of 1x1, 3x3 and 1x1 convolutions; the last one has four times the channels of the others."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(channels_in, width, 1)
        self.conv2, self.bn2 = conv_norm(width, width, 3, stride=stride)
        self.conv3, self.bn3 = conv_norm(width, 4 * width, 1)
        self.downsample = shortcut(channels_in, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, 4 * width, H/stride, W/stride) for an input (N, channels_in, H, W)."""
        branch = F.relu(self.bn1(self.conv1(x)))  # (N, width, H, W)
        branch = F.relu(self.bn2(self.conv2(branch)))  # (N, width, H/stride, W/stride)
        branch = self.bn3(self.conv3(branch))  # (N, 4*width, H/stride, W/stride)
        return F.relu(branch + self.downsample(x))  # (N, 4*width, H/stride, W/stride)


class ResNet(nn.Module):
    """Stem, four stages of residual blocks, global average pooling, linear layer."""

    def __init__(
        self, block: type[BasicBlock | Bottleneck], blocks: tuple[int, ...], *, num_classes: int, in_channels: int
    ) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(in_channels, 64, 7, stride=2)
        self.layer1 = make_stage(block, 64, 64, blocks[0], stride=1)
        self.layer2 = make_stage(block, 64 * block.expansion, 128, blocks[1], stride=2)
        self.layer3 = make_stage(block, 128 * block.expansion, 256, blocks[2], stride=2)
        self.layer4 = make_stage(block, 256 * block.expansion, 512, blocks[3], stride=2)
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        self.width = 512 * block.expansion
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, "Delving deep into rectifiers"
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for normalized images (N, C, H, W) of at least 32x32 pixels."""
        x = F.relu(self.bn1(self.conv1(images)))  # (N, 64, H/2, W/2)
        x = F.max_pool2d(x, 3, stride=2, padding=1)  # (N, 64, H/4, W/4)
        x = self.layer1(x)  # (N, width/8, H/4, W/4)
        x = self.layer2(x)  # (N, width/4, H/8, W/8)
        x = self.layer3(x)  # (N, width/2, H/16, W/16)
        x = self.layer4(x)  # (N, width, H/32, W/32)
        x = x.mean((2, 3))  # (N, width)
        return self.fc(x)  # (N, num_classes)


def make_stage(
    block: type[BasicBlock | Bottleneck], channels_in: int, width: int, count: int, *, stride: int
) -> nn.Sequential:
    """Return ``count`` blocks of one width; the first one has the stride."""
    first = block(channels_in, width, stride=stride)
    return nn.Sequential(first, *(block(width * block.expansion, width) for _ in range(count - 1)))


def resnet18(*, num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """Return ResNet with 18 layers."""
    return ResNet(BasicBlock, STAGES[18], num_classes=num_classes, in_channels=in_channels)


def resnet34(*, num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """Return ResNet with 34 layers."""
    return ResNet(BasicBlock, STAGES[34], num_classes=num_classes, in_channels=in_channels)


def resnet50(*, num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """Return ResNet with 50 layers."""
    return ResNet(Bottleneck, STAGES[50], num_classes=num_classes, in_channels=in_channels)


def resnet101(*, num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """Return ResNet with 101 layers."""
    return ResNet(Bottleneck, STAGES[101], num_classes=num_classes, in_channels=in_channels)


def resnet152(*, num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """Return ResNet with 152 layers."""
    return ResNet(Bottleneck, STAGES[152], num_classes=num_classes, in_channels=in_channels)
