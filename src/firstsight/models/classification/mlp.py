"""Multilayer perceptron (MLP) with one hidden layer: the network of the chapter on tensors.

Every hidden unit is connected to every pixel, so the network has no notion of neighboring pixels. If the pixels of all
images are shuffled in the same way, it learns equally well. Convolution adds this locality.

Size: 103,510 parameters for one 1x32x32 image, 100 hidden units and 10 classes.
Measured: see the recipe ``mlp-digits``.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class MLP(nn.Module):
    """Two linear layers with a ReLU between them."""

    def __init__(self, *, num_classes: int = 10, in_channels: int = 1, image_size: int = 32, hidden: int = 100) -> None:
        super().__init__()
        self.input_shape = (in_channels, image_size, image_size)
        self.fc1 = nn.Linear(in_channels * image_size * image_size, hidden)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for normalized images (N, C, H, W) of the size given to the constructor."""
        if tuple(images.shape[1:]) != self.input_shape:
            expected, got = ("x".join(map(str, shape)) for shape in (self.input_shape, images.shape[1:]))
            raise ValueError(
                f"this mlp was built for images of {expected}; got {got} (resize them, or build an mlp for this size)"
            )
        x = images.flatten(1)  # (N, C*H*W)
        x = F.relu(self.fc1(x))  # (N, hidden)
        return self.fc2(x)  # (N, num_classes)


def mlp(*, num_classes: int = 10, in_channels: int = 1, image_size: int = 32) -> MLP:
    """Return an MLP with 100 hidden units for images of ``image_size`` x ``image_size`` pixels."""
    return MLP(num_classes=num_classes, in_channels=in_channels, image_size=image_size)
