"""AlexNet for small images (Krizhevsky, Sutskever and Hinton 2012), in the form that is widely used for 32x32 pixels.

The five convolutions and three linear layers of AlexNet, with three overlapping max poolings, ReLU and dropout. A first
convolution of 11x11 with stride 4 would leave nothing of a small image, so it is 3x3 with stride 1, and so is the
second one, which is 5x5 in the paper.

Three variants for the paper's experiments: "relu"; "tanh", with tanh in place of every ReLU (Section 3.1 and Figure 1
of the paper); and "no-dropout", without the dropout of Section 4.2.

Differs from the paper: 3x3 filters in the first two convolutions, one tower with the channels of Krizhevsky 2014
(64-192-384-256-256), linear layers of 1024 instead of 4096, no local response normalization, Kaiming initialization
instead of a standard deviation of 0.01.

Size for 10 classes: 5,671,754 parameters for 3 channels, 134.8 M multiply-accumulates at 3x32x32.
Measured: see the recipe ``alexnet-fashion``.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

Variant = Literal["relu", "tanh", "no-dropout"]


class CifarAlexNet(nn.Module):
    """Five convolutions with three max poolings, and three linear layers with dropout.

    Parameters
    ----------
    num_classes : int
        Number of classes.
    in_channels : int
        Number of input channels C.
    variant : Literal['relu', 'tanh', 'no-dropout']
        Activation function, or no dropout.
    """

    def __init__(self, *, num_classes: int, in_channels: int, variant: Variant) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(64, 192, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(192, 384, kernel_size=3, padding=1)
        self.conv4 = nn.Conv2d(384, 256, kernel_size=3, padding=1)
        self.conv5 = nn.Conv2d(256, 256, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(256 * 3 * 3, 1024)
        self.fc2 = nn.Linear(1024, 1024)
        self.fc3 = nn.Linear(1024, num_classes)
        self.activation = nn.Tanh() if variant == "tanh" else nn.ReLU()
        self.dropout = nn.Dropout(0.0 if variant == "no-dropout" else 0.5)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="tanh" if variant == "tanh" else "relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for normalized images (N, C, H, W) of at least 15x15 pixels."""
        x = self.activation(self.conv1(images))  # (N, 64, H, W)
        x = F.max_pool2d(x, 3, stride=2)  # (N, 64, H/2-1, W/2-1)
        x = self.activation(self.conv2(x))  # (N, 192, H/2-1, W/2-1)
        x = F.max_pool2d(x, 3, stride=2)  # (N, 192, H/4-1, W/4-1)
        x = self.activation(self.conv3(x))  # (N, 384, H/4-1, W/4-1)
        x = self.activation(self.conv4(x))  # (N, 256, H/4-1, W/4-1)
        x = self.activation(self.conv5(x))  # (N, 256, H/4-1, W/4-1)
        x = pool_to_3x3(x)  # (N, 256, 3, 3)
        x = x.flatten(1)  # (N, 2304)
        x = self.dropout(self.activation(self.fc1(x)))  # (N, 1024)
        x = self.dropout(self.activation(self.fc2(x)))  # (N, 1024)
        return self.fc3(x)  # (N, num_classes)


def pool_to_3x3(x: Tensor) -> Tensor:
    """Apply max pooling with the stride that leaves 3x3 cells; (N, C, H, W) to (N, C, 3, 3).

    For maps of 7x7 (images of 32x32), it is pooling of 3x3 with stride 2.
    """
    stride = x.shape[2] // 3, x.shape[3] // 3
    kernel_size = x.shape[2] - 2 * stride[0], x.shape[3] - 2 * stride[1]
    return F.max_pool2d(x, kernel_size, stride)


def alexnet_cifar(*, num_classes: int = 10, in_channels: int = 3, variant: Variant = "relu") -> CifarAlexNet:
    """Return AlexNet for small images."""
    return CifarAlexNet(num_classes=num_classes, in_channels=in_channels, variant=variant)
