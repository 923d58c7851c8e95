"""MobileNet (Howard et al. 2017, "MobileNets: efficient convolutional neural networks for mobile vision
applications").

A convolution is parted in two: depthwise (one 3x3 filter a channel, which looks around) and pointwise (1x1, which
mixes the channels). That costs an eighth to a ninth of the whole convolution by the paper's count, and loses little.

Differs from the paper: nothing that a forward pass shows (width multiplier 1, 224 pixels). The pose networks use
its first eleven blocks as their backbone, with a dilation for the last ones.

Size for 1000 classes at 3x224x224: 4,231,976 parameters, 0.569 G multiply-accumulates.
"""

from torch import Tensor, nn

BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
"""Table 1 of the paper: output channels and stride of the thirteen depthwise separable convolutions."""


def conv_norm(channels_in: int, channels: int, kernel_size: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    padding = kernel_size // 2
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel_size, stride=stride, padding=padding, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class Separable(nn.Module):
    """A 3x3 filter for each channel, then a 1x1 convolution over all of them."""

    def __init__(self, channels_in: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.depthwise = conv_norm(channels_in, channels_in, 3, stride=stride, groups=channels_in)
        self.pointwise = conv_norm(channels_in, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, channels, H/stride, W/stride)."""
        x = self.depthwise(x)
        return self.pointwise(x)


class MobileNet(nn.Module):
    """A convolution, thirteen separable ones, average, one linear layer."""

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.stem = conv_norm(in_channels, 32, 3, stride=2)
        channels, blocks = 32, []
        for width, stride in BLOCKS:
            blocks.append(Separable(channels, width, stride=stride))
            channels = width
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised images to (N, num_classes) logits."""
        x = self.stem(images)  # (N, 32, H/2, W/2)
        x = self.blocks(x)  # (N, 1024, H/32, W/32)
        x = x.mean((2, 3))  # (N, 1024)
        return self.fc(x)  # (N, num_classes)


def mobilenet(*, num_classes: int = 1000, in_channels: int = 3) -> MobileNet:
    """MobileNet, version 1."""
    return MobileNet(num_classes=num_classes, in_channels=in_channels)
