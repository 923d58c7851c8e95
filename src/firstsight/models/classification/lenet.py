"""LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition").

Two rounds of convolution and subsampling reduce an image to 16 small feature maps, and three linear layers classify
them. It was the first network that read handwriting at scale, and it is still the shortest complete convolutional
network.

Differs from the paper: max pooling, where the paper subsamples with a trained scale and bias; ReLU, where it has a
scaled tanh; each map of the second convolution sees all six input maps, where the paper connects them by a table; a
linear output with cross entropy, where it has radial basis units. As in the paper, the nonlinearity follows the
subsampling. For ReLU and max pooling the order does not change the result, and this one needs a quarter of the work.

Size: 61,706 parameters and 416,520 multiply-accumulates for one 1x32x32 image and 10 classes.
Measured: see the recipes ``lenet-digits`` and ``lenet-fashion``.
"""

import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn


@torch.fx.wrap  # torch.fx records the call: a symbolic trace has no sizes
def check_size(images: Tensor) -> None:
    """Raise ValueError unless images (N, C, H, W) have 32x32 pixels."""
    height, width = images.shape[-2:]
    if not torch.jit.is_tracing() and (height != 32 or width != 32):  # type: ignore[attr-defined]
        raise ValueError(f"lenet needs images of 32x32 pixels; got {height}x{width} (resize them, or use convnet)")


class LeNet(nn.Module):
    """LeNet-5 in its modern form, for 32x32 images."""

    def __init__(self, *, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, kernel_size=5)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for normalized images (N, C, 32, 32)."""
        check_size(images)
        x = F.relu(F.max_pool2d(self.conv1(images), 2))  # (N, 6, 14, 14)
        x = F.relu(F.max_pool2d(self.conv2(x), 2))  # (N, 16, 5, 5)
        x = x.flatten(1)  # (N, 400)
        x = F.relu(self.fc1(x))  # (N, 120)
        x = F.relu(self.fc2(x))  # (N, 84)
        return self.fc3(x)  # (N, num_classes)


def lenet(*, num_classes: int = 10, in_channels: int = 1) -> LeNet:
    """Return LeNet-5 for 32x32 images."""
    return LeNet(num_classes=num_classes, in_channels=in_channels)
