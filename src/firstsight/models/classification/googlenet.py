"""GoogLeNet (Szegedy et al. 2014, "Going deeper with convolutions").

An inception block looks at its input through four windows at once - 1x1, 3x3, 5x5 and a pooling - and stacks what
they see. 1x1 convolutions narrow the channels first, so that 22 layers have a ninth of AlexNet's parameters. Two
auxiliary classifiers halfway up feed gradient into the middle; they exist in training only.

Two variants, "paper" and "torchvision". Differs from the paper in both: batch norm after every convolution (the
paper has local response normalisation), no 1x1 bias. "torchvision" also has 3x3 where the paper has 5x5 (an old
slip that its published weights keep); names and numbers are its own, so its weights load as they are - they expect
pictures normalised to [-1, 1], not by ImageNet's mean and std.

Size for 1000 classes (parameters, multiply-accumulates at 3x224x224): "torchvision" 6,624,904, 1.498 G, with the
auxiliary classifiers 13,004,888; "paper" 7,005,832.
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = {
    "3a": (192, 64, 96, 128, 16, 32, 32), "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64), "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64), "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128), "5b": (832, 384, 192, 384, 48, 128, 128),
}  # fmt: skip
"""Table 1 of the paper: channels in; 1x1; 3x3 reduction and 3x3; 5x5 reduction and 5x5; after the pooling."""


class ConvNorm(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels: int, kernel_size: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, channels, H/stride, W/stride)."""
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches from the block's input, stacked."""

    def __init__(self, widths: tuple[int, ...], *, large: int) -> None:
        super().__init__()
        channels, one, reduce3, three, reduce5, five, pooled = widths
        self.branch1 = ConvNorm(channels, one, 1)
        self.branch2 = nn.Sequential(ConvNorm(channels, reduce3, 1), ConvNorm(reduce3, three, 3))
        self.branch3 = nn.Sequential(ConvNorm(channels, reduce5, 1), ConvNorm(reduce5, five, large))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), ConvNorm(channels, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels in, H, W) to (N, one + three + five + pooled, H, W)."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class Auxiliary(nn.Module):
    """A classifier on the maps halfway up."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = ConvNorm(channels, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, num_classes) logits."""
        x = self.conv(F.adaptive_avg_pool2d(x, 4)).flatten(1)
        x = F.dropout(F.relu(self.fc1(x)), 0.7, self.training)
        return self.fc2(x)


class Outputs(NamedTuple):
    """What GoogLeNet gives in training: the loss is that of ``logits`` plus 0.3 times those of the two auxiliaries."""

    logits: Tensor
    aux2: Tensor
    aux1: Tensor


class GoogLeNet(nn.Module):
    """Stem, nine inception blocks, average, one linear layer."""

    def __init__(
        self, *, num_classes: int, in_channels: int, variant: Literal["paper", "torchvision"], auxiliary: bool
    ) -> None:
        super().__init__()
        large = 5 if variant == "paper" else 3
        self.conv1 = ConvNorm(in_channels, 64, 7, stride=2)
        self.conv2 = ConvNorm(64, 64, 1)
        self.conv3 = ConvNorm(64, 192, 3)
        for name, widths in BLOCKS.items():
            self.add_module(f"inception{name}", Inception(widths, large=large))
        self.aux1 = Auxiliary(512, num_classes) if auxiliary else None
        self.aux2 = Auxiliary(528, num_classes) if auxiliary else None
        self.fc = nn.Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01)

    def forward(self, images: Tensor) -> Tensor | Outputs:
        """(N, C, H, W) normalised images to (N, num_classes) logits; in training with auxiliaries, to `Outputs`."""
        block = self.get_submodule
        x = pool(self.conv1(images))  # (N, 64, H/4, W/4)
        x = pool(self.conv3(self.conv2(x)))  # (N, 192, H/8, W/8)
        x = block("inception3b")(block("inception3a")(x))  # (N, 480, H/8, W/8)
        x = block("inception4a")(pool(x))  # (N, 512, H/16, W/16)
        aux1 = self.aux1(x) if self.training and self.aux1 is not None else None
        x = block("inception4d")(block("inception4c")(block("inception4b")(x)))  # (N, 528, H/16, W/16)
        aux2 = self.aux2(x) if self.training and self.aux2 is not None else None
        x = block("inception4e")(x)  # (N, 832, H/16, W/16)
        x = F.max_pool2d(x, 2, ceil_mode=True)  # (N, 832, H/32, W/32)
        x = block("inception5b")(block("inception5a")(x))  # (N, 1024, H/32, W/32)
        x = F.dropout(x.mean((2, 3)), 0.2, self.training)  # (N, 1024)
        x = self.fc(x)  # (N, num_classes)
        return x if aux1 is None or aux2 is None else Outputs(x, aux2, aux1)


def pool(x: Tensor) -> Tensor:
    """The stem's pooling: 3x3, stride 2, the last row kept; (N, C, H, W) to (N, C, H // 2, W // 2)."""
    return F.max_pool2d(x, 3, stride=2, ceil_mode=True)


def googlenet(
    *, num_classes: int = 1000, in_channels: int = 3, variant: Literal["paper", "torchvision"] = "torchvision",
    auxiliary: bool = True,
) -> GoogLeNet:  # fmt: skip
    """GoogLeNet with its auxiliary classifiers (used in training only)."""
    return GoogLeNet(num_classes=num_classes, in_channels=in_channels, variant=variant, auxiliary=auxiliary)
