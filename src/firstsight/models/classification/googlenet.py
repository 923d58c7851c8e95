"""GoogLeNet (Szegedy et al. 2014, "Going deeper with convolutions").

An inception block concatenates 1x1, 3x3 and 5x5 convolutions and a pooling of the same input. 1x1 convolutions reduce
the channels first, so 22 layers have a ninth of AlexNet's parameters. Auxiliary classifiers are used in training only.

Differs from the paper: batch norm follows every convolution, in place of biases and of local response norms after the
first and before the second max pooling. Images may have any size from 32 pixels; adaptive pooling gives the auxiliary
classifiers the 4x4 cells that images of 224 pixels have. The variant "torchvision" also has 3x3 convolutions (not 5x5),
2x2 max pooling after 4e (not 3x3), only adaptive pooling in the auxiliary classifiers (not 5x5 with stride 3), and 20 %
dropout (not 40 %).
Parameter names and initial weights are torchvision's, so its weights load unchanged; they expect images in [-1, 1].

Size for 1000 classes (parameters, multiply-accumulates at 3x224x224): "torchvision" 6,624,904, 1.498 G, with the
auxiliary classifiers 13,004,888; "paper" 7,005,832, 1.583 G, with them 13,385,816.
"""

from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor, cat, nn

Variant = Literal["paper", "torchvision"]


class InceptionChannels(NamedTuple):
    """Channels of the convolutions in an inception block, named as in the paper."""

    inputs: int
    conv1x1: int
    reduce3x3: int
    conv3x3: int
    reduce5x5: int
    conv5x5: int
    pool_proj: int


BLOCKS = {
    "3a": InceptionChannels(192, 64, 96, 128, 16, 32, 32),
    "3b": InceptionChannels(256, 128, 128, 192, 32, 96, 64),
    "4a": InceptionChannels(480, 192, 96, 208, 16, 48, 64),
    "4b": InceptionChannels(512, 160, 112, 224, 24, 64, 64),
    "4c": InceptionChannels(512, 128, 128, 256, 24, 64, 64),
    "4d": InceptionChannels(512, 112, 144, 288, 32, 64, 64),
    "4e": InceptionChannels(528, 256, 160, 320, 32, 128, 128),
    "5a": InceptionChannels(832, 256, 160, 320, 32, 128, 128),
    "5b": InceptionChannels(832, 384, 192, 384, 48, 128, 128),
}
"""Inception blocks by name (Table 1 of the paper)."""


class ConvNorm(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels: int, kernel_size: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, channels, H/stride, W/stride) for an input (N, channels_in, H, W)."""
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four parallel branches, concatenated; ``large`` is the kernel size of the branch that is 5x5 in the paper."""

    def __init__(self, c: InceptionChannels, *, large: int) -> None:
        super().__init__()
        self.branch1 = ConvNorm(c.inputs, c.conv1x1, 1)
        self.branch2 = nn.Sequential(ConvNorm(c.inputs, c.reduce3x3, 1), ConvNorm(c.reduce3x3, c.conv3x3, 3))
        self.branch3 = nn.Sequential(ConvNorm(c.inputs, c.reduce5x5, 1), ConvNorm(c.reduce5x5, c.conv5x5, large))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), ConvNorm(c.inputs, c.pool_proj, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, conv1x1 + conv3x3 + conv5x5 + pool_proj, H, W) for an input (N, inputs, H, W)."""
        return cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class AuxiliaryClassifier(nn.Module):
    """Classifier on intermediate feature maps; those of the paper have 14x14 cells."""

    def __init__(self, channels: int, num_classes: int, *, variant: Variant) -> None:
        super().__init__()
        self.is_paper = variant == "paper"
        self.conv = ConvNorm(channels, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) for feature maps (N, channels, H, W)."""
        if self.is_paper and min(x.shape[2:]) >= 14:
            x = F.avg_pool2d(x, 5, stride=3)  # to 4x4 cells, for images of 224 pixels
        x = self.conv(F.adaptive_avg_pool2d(x, 4))  # (N, 128, 4, 4)
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 1024)
        return self.fc2(F.dropout(x, 0.7, self.training))  # (N, num_classes)


class GoogLeNetOutputs(NamedTuple):
    """Logits in training; the loss is that of ``logits`` plus 0.3 times the losses of ``aux1`` and ``aux2``."""

    logits: Tensor
    aux2: Tensor
    aux1: Tensor


class GoogLeNet(nn.Module):
    """Stem, nine inception blocks, global average pooling, linear layer."""

    def __init__(self, *, num_classes: int, in_channels: int, variant: Variant, auxiliary: bool) -> None:
        super().__init__()
        self.is_paper = variant == "paper"
        self.conv1 = ConvNorm(in_channels, 64, 7, stride=2)
        self.conv2 = ConvNorm(64, 64, 1)
        self.conv3 = ConvNorm(64, 192, 3)
        large = 5 if self.is_paper else 3
        self.inception3a = Inception(BLOCKS["3a"], large=large)
        self.inception3b = Inception(BLOCKS["3b"], large=large)
        self.inception4a = Inception(BLOCKS["4a"], large=large)
        self.inception4b = Inception(BLOCKS["4b"], large=large)
        self.inception4c = Inception(BLOCKS["4c"], large=large)
        self.inception4d = Inception(BLOCKS["4d"], large=large)
        self.inception4e = Inception(BLOCKS["4e"], large=large)
        self.inception5a = Inception(BLOCKS["5a"], large=large)
        self.inception5b = Inception(BLOCKS["5b"], large=large)
        self.aux1 = AuxiliaryClassifier(512, num_classes, variant=variant) if auxiliary else None
        self.aux2 = AuxiliaryClassifier(528, num_classes, variant=variant) if auxiliary else None
        self.fc = nn.Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01)

    def forward(self, images: Tensor) -> Tensor | GoogLeNetOutputs:
        """Return logits (N, num_classes) for images (N, C, H, W); in training with auxiliaries, `GoogLeNetOutputs`."""
        x = pool(self.conv1(images))  # (N, 64, H/4, W/4)
        x = pool(self.conv3(self.conv2(x)))  # (N, 192, H/8, W/8)
        x = self.inception3b(self.inception3a(x))  # (N, 480, H/8, W/8)
        x = self.inception4a(pool(x))  # (N, 512, H/16, W/16)
        aux1 = self.aux1(x) if self.training and self.aux1 is not None else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))  # (N, 528, H/16, W/16)
        aux2 = self.aux2(x) if self.training and self.aux2 is not None else None
        x = F.max_pool2d(self.inception4e(x), 3 if self.is_paper else 2, 2, ceil_mode=True)  # (N, 832, H/32, W/32)
        x = self.inception5b(self.inception5a(x))  # (N, 1024, H/32, W/32)
        x = self.fc(F.dropout(x.mean((2, 3)), 0.4 if self.is_paper else 0.2, self.training))  # (N, num_classes)
        if aux1 is not None and aux2 is not None:
            return GoogLeNetOutputs(x, aux2, aux1)
        return x


def pool(x: Tensor) -> Tensor:
    """Apply 3x3 max pooling of stride 2 that keeps the last row; (N, C, H, W) to (N, C, H // 2, W // 2)."""
    return F.max_pool2d(x, 3, stride=2, ceil_mode=True)


def googlenet(
    *, num_classes: int = 1000, in_channels: int = 3, variant: Variant = "torchvision", auxiliary: bool = True
) -> GoogLeNet:
    """Return GoogLeNet, with its auxiliary classifiers unless ``auxiliary`` is False."""
    return GoogLeNet(num_classes=num_classes, in_channels=in_channels, variant=variant, auxiliary=auxiliary)
