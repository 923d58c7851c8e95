"""LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition").

Two rounds of convolution and subsampling reduce an image to 16 small feature maps, and three linear layers classify
them. It was the first network that read handwriting at scale, and it is still the shortest complete convolutional
network.

Differs from the paper, whose network has 60,000 parameters:

- Max pooling. The paper multiplies the sum of four values by a trained coefficient and adds a trained bias.
- ReLU, once per round, after the pooling. The paper has 1.7159 tanh(2/3 a) after each convolution and again after each
  subsampling. For ReLU and max pooling the order does not change the result; this one needs a quarter of the work.
- Each map of the second convolution reads all six input maps. The paper connects 60 of the 96 pairs by a table.
- The third convolution (C5), whose output has one pixel, is a linear layer. The values are the same for 32x32 pixels.
- A linear output with cross entropy. The paper has radial basis units: squared distances from the 84 outputs of F6 to
  fixed bitmaps of 7x12 pixels, and a loss for these distances.
- Images have mean 0 and standard deviation 1 over the training set. The paper maps the background to -0.1 and the
  foreground to 1.175, for about the same mean and standard deviation.
- Initial weights are PyTorch's, uniform within 1/sqrt(n) for n inputs. The paper has 2.4/n.

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
