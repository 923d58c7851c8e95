"""The five-stage network of the course: five times (convolution, batch norm, ReLU, maximum pooling), then linear.

Each stage halves the picture, so that a unit of the fifth stage has seen all of a 32x32 image; what is left of the maps
is averaged, so that any image size will do (a side that is odd keeps its last row: 28, 14, 7, 4, 2, 1).

Differs from the course's notebook: batch norm after each convolution (Ioffe and Szegedy 2015), and the average before
the linear layer, which there is tied to one image size.

Size: 84,010 parameters for one channel and 10 classes.
Measured: see the recipes ``convnet-digits`` and ``convnet-fashion``.
"""

import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (32, 64, 64, 32, 32)


class SceneComposer(nn.Module):
    """Convolution 3x3, batch norm, maximum over 2x2, ReLU; ReLU and maximum commute."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, channels, ceil(H/2), ceil(W/2))."""
        return F.relu(F.max_pool2d(self.norm(self.conv(x)), 2, ceil_mode=True))


class ConvNet(nn.Module):
    """Five halving stages, the average over what is left, one linear layer."""

    def __init__(self, *, num_classes: int = 10, in_channels: int = 1, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stage1 = SceneComposer(in_channels, widths[0])
        self.stage2 = SceneComposer(widths[0], widths[1])
        self.stage3 = SceneComposer(widths[1], widths[2])
        self.stage4 = SceneComposer(widths[2], widths[3])
        self.stage5 = SceneComposer(widths[3], widths[4])
        self.classifier = nn.Linear(widths[4], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised images of any size to (N, num_classes) logits."""
        x = self.stage1(images)  # (N, 32, H/2, W/2)
        x = self.stage2(x)  # (N, 64, H/4, W/4)
        x = self.stage3(x)  # (N, 64, H/8, W/8)
        x = self.stage4(x)  # (N, 32, H/16, W/16)
        x = self.stage5(x)  # (N, 32, H/32, W/32)
        x = x.mean((2, 3))  # (N, 32)
        return self.classifier(x)  # (N, num_classes)


def convnet(*, num_classes: int = 10, in_channels: int = 1) -> ConvNet:
    """The five-stage network, for images of any size."""
    return ConvNet(num_classes=num_classes, in_channels=in_channels)
