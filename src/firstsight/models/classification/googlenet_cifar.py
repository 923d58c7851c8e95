"""GoogLeNet for small images (Szegedy et al. 2014, "Going deeper with convolutions").

The nine inception blocks of the paper with their channels, and its two auxiliary classifiers. The stem reduces 32x32
pixels to 16x16 instead of 224x224 to 28x28: the first convolution is 3x3 with stride 1, and there is one pooling
instead of two. The blocks 3, 4 and 5 have feature maps of 16x16, 8x8 and 4x4.

Two variants for the experiment: "auxiliary" and "no-auxiliary", without the auxiliary classifiers. They are used in
training only, so both variants have the same size at test time.

Differs from the paper: the stem, batch norm after every convolution, no local response normalization, Kaiming
initialization. Differs from other networks of this name for CIFAR-10: many of these have no pooling in the stem, four
times the multiply-accumulates and no auxiliary classifiers.

Size for 10 classes: 5,983,402 parameters for 3 channels without the auxiliary classifiers, 7,188,158 with them; 391.6
M multiply-accumulates at 3x32x32.
Measured: see the recipe ``googlenet-fashion``.
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Variant = Literal["auxiliary", "no-auxiliary"]


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
"""Table 1 of the paper."""


def conv_norm(channels_in: int, channels: int, kernel_size: int) -> nn.Sequential:
    """Return a convolution with batch norm and ReLU that keeps the size."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class Inception(nn.Module):
    """Four parallel branches, concatenated."""

    def __init__(self, c: InceptionChannels) -> None:
        super().__init__()
        self.branch1 = conv_norm(c.inputs, c.conv1x1, 1)
        self.branch2 = nn.Sequential(conv_norm(c.inputs, c.reduce3x3, 1), conv_norm(c.reduce3x3, c.conv3x3, 3))
        self.branch3 = nn.Sequential(conv_norm(c.inputs, c.reduce5x5, 1), conv_norm(c.reduce5x5, c.conv5x5, 5))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv_norm(c.inputs, c.pool_proj, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, conv1x1 + conv3x3 + conv5x5 + pool_proj, H, W) for an input (N, inputs, H, W)."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class AuxiliaryClassifier(nn.Module):
    """Classifier on intermediate feature maps; they are averaged to 2x2, so images may have any size."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = conv_norm(channels, 128, 1)
        self.fc1 = nn.Linear(128 * 2 * 2, 1024)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) for feature maps (N, channels, H, W)."""
        x = F.adaptive_avg_pool2d(x, 2)  # (N, channels, 2, 2)
        x = self.conv(x)  # (N, 128, 2, 2)
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 1024)
        return self.fc2(F.dropout(x, 0.7, self.training))  # (N, num_classes)


class GoogLeNetOutputs(NamedTuple):
    """Logits in training; the loss is that of ``logits`` plus 0.3 times the losses of ``aux1`` and ``aux2``."""

    logits: Tensor
    aux2: Tensor
    aux1: Tensor


class CifarGoogLeNet(nn.Module):
    """Stem, nine inception blocks, global average pooling, linear layer."""

    def __init__(self, *, num_classes: int, in_channels: int, variant: Variant) -> None:
        super().__init__()
        self.conv1 = conv_norm(in_channels, 64, 3)
        self.conv2 = conv_norm(64, 64, 1)
        self.conv3 = conv_norm(64, 192, 3)
        self.inception3a = Inception(BLOCKS["3a"])
        self.inception3b = Inception(BLOCKS["3b"])
        self.inception4a = Inception(BLOCKS["4a"])
        self.inception4b = Inception(BLOCKS["4b"])
        self.inception4c = Inception(BLOCKS["4c"])
        self.inception4d = Inception(BLOCKS["4d"])
        self.inception4e = Inception(BLOCKS["4e"])
        self.inception5a = Inception(BLOCKS["5a"])
        self.inception5b = Inception(BLOCKS["5b"])
        self.aux1 = AuxiliaryClassifier(512, num_classes) if variant == "auxiliary" else None
        self.aux2 = AuxiliaryClassifier(528, num_classes) if variant == "auxiliary" else None
        self.fc = nn.Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor | GoogLeNetOutputs:
        """Return logits (N, num_classes) for images (N, C, H, W); in training with auxiliaries, `GoogLeNetOutputs`."""
        x = pool(self.conv1(images))  # (N, 64, H/2, W/2)
        x = self.conv3(self.conv2(x))  # (N, 192, H/2, W/2)
        x = self.inception3b(self.inception3a(x))  # (N, 480, H/2, W/2)
        x = self.inception4a(pool(x))  # (N, 512, H/4, W/4)
        aux1 = self.aux1(x) if self.training and self.aux1 is not None else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))  # (N, 528, H/4, W/4)
        aux2 = self.aux2(x) if self.training and self.aux2 is not None else None
        x = self.inception4e(x)  # (N, 832, H/4, W/4)
        x = self.inception5b(self.inception5a(pool(x)))  # (N, 1024, H/8, W/8)
        x = F.dropout(x.mean((2, 3)), 0.4, self.training)  # (N, 1024)
        x = self.fc(x)  # (N, num_classes)
        if aux1 is not None and aux2 is not None:
            return GoogLeNetOutputs(x, aux2, aux1)
        return x


def pool(x: Tensor) -> Tensor:
    """Apply 3x3 max pooling of stride 2 that keeps the last row; (N, C, H, W) to (N, C, H // 2, W // 2)."""
    return F.max_pool2d(x, 3, stride=2, ceil_mode=True)


def googlenet_cifar(*, num_classes: int = 10, in_channels: int = 3, variant: Variant = "auxiliary") -> CifarGoogLeNet:
    """Return GoogLeNet for small images."""
    return CifarGoogLeNet(num_classes=num_classes, in_channels=in_channels, variant=variant)
