"""Small convolutional network of the course, for images of any size.

Five stages of convolution, batch norm, max pooling and ReLU are followed by a linear layer. Each stage halves the
feature map, so a unit of the fifth stage sees all of a 32x32 image. Global average pooling before the linear layer
makes the network independent of the image size. The max pooling keeps the last row and column of odd sides: 28, 14, 7,
4, 2, 1.

Differs from the course's notebook: batch norm after each convolution (Ioffe and Szegedy 2015), and global average
pooling, without which the notebook's linear layer fits only one image size.

Size: 84,010 parameters for one channel and 10 classes.
Measured: see the recipes ``convnet-digits`` and ``convnet-fashion``.
"""

import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (32, 64, 64, 32, 32)
"""Output channels of the five stages."""


class Stage(nn.Module):
    """Convolution 3x3, batch norm, max pooling 2x2, ReLU.

    Max pooling and ReLU commute; in this order the ReLU has a quarter of the work.
    """

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, channels, ceil(H/2), ceil(W/2)) for an input (N, channels_in, H, W)."""
        x = self.norm(self.conv(x))  # (N, channels, H, W)
        x = F.max_pool2d(x, 2, ceil_mode=True)  # (N, channels, H/2, W/2)
        return F.relu(x)  # (N, channels, H/2, W/2)


class ConvNet(nn.Module):
    """Five stages, global average pooling, linear layer."""

    def __init__(self, *, num_classes: int = 10, in_channels: int = 1, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stage1 = Stage(in_channels, widths[0])
        self.stage2 = Stage(widths[0], widths[1])
        self.stage3 = Stage(widths[1], widths[2])
        self.stage4 = Stage(widths[2], widths[3])
        self.stage5 = Stage(widths[3], widths[4])
        self.classifier = nn.Linear(widths[4], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for normalized images (N, C, H, W) of any size."""
        x = self.stage1(images)  # (N, 32, H/2, W/2)
        x = self.stage2(x)  # (N, 64, H/4, W/4)
        x = self.stage3(x)  # (N, 64, H/8, W/8)
        x = self.stage4(x)  # (N, 32, H/16, W/16)
        x = self.stage5(x)  # (N, 32, H/32, W/32)
        x = x.mean((2, 3))  # (N, 32)
        return self.classifier(x)  # (N, num_classes)


def convnet(*, num_classes: int = 10, in_channels: int = 1) -> ConvNet:
    """Return the network of five stages, for images of any size."""
    return ConvNet(num_classes=num_classes, in_channels=in_channels)
