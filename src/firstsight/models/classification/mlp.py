"""Multilayer perceptron (MLP) with one hidden layer: the network of the chapter on tensors.

Every hidden unit is connected to every pixel, so the network has no notion of neighboring pixels. If the pixels of all
images are shuffled in the same way, it learns equally well. Convolution adds this locality.

Size: 103,510 parameters for one 1x32x32 image, 100 hidden units and 10 classes.
Measured: see the recipe ``mlp-digits``.
"""

import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn


@torch.fx.wrap  # torch.fx records the call: a symbolic trace has no sizes
def check_shape(images: Tensor, shape: tuple[int, int, int]) -> None:
    """Raise ValueError unless images (N, C, H, W) have the ``shape`` (C, H, W)."""
    c, h, w = shape
    if not torch.jit.is_tracing() and images.shape[1:] != torch.Size([c, h, w]):  # type: ignore[attr-defined]
        got = "x".join([str(size) for size in images.shape[1:]])
        raise ValueError(
            f"this mlp was built for images of {c}x{h}x{w}; got {got} (resize them, or build an mlp for this size)"
        )


class MLP(nn.Module):
    """Two linear layers with a ReLU between them."""

    def __init__(self, *, num_classes: int = 10, in_channels: int = 1, image_size: int = 32, hidden: int = 100) -> None:
        super().__init__()
        self.input_shape = (in_channels, image_size, image_size)
        self.fc1 = nn.Linear(in_channels * image_size * image_size, hidden)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for normalized images (N, C, H, W) of the size given to the constructor."""
        check_shape(images, self.input_shape)
        x = images.flatten(1)  # (N, C*H*W)
        x = F.relu(self.fc1(x))  # (N, hidden)
        return self.fc2(x)  # (N, num_classes)


def mlp(*, num_classes: int = 10, in_channels: int = 1, image_size: int = 32) -> MLP:
    """Return an MLP with 100 hidden units for images of ``image_size`` x ``image_size`` pixels."""
    return MLP(num_classes=num_classes, in_channels=in_channels, image_size=image_size)
