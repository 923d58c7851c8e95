"""The two-layer network of the tensor lesson: linear, ReLU, linear.

Every pixel is an input, a hundred hidden units look at all of them at once. It knows nothing of neighbourhood: shuffle
the pixels of all images alike and it learns as well as before. What it lacks is what convolution adds.

Size: 103,510 parameters for one 1x32x32 image, 100 hidden units and 10 classes.
Measured: see the recipe ``mlp-digits``.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class MLP(nn.Module):
    """Linear, ReLU, linear, on all pixels."""

    def __init__(self, *, num_classes: int = 10, in_channels: int = 1, image_size: int = 32, hidden: int = 100) -> None:
        super().__init__()
        self.inputs = (in_channels, image_size, image_size)
        self.fc1 = nn.Linear(in_channels * image_size * image_size, hidden)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised images of the size the network was built for, to (N, num_classes) logits."""
        if tuple(images.shape[1:]) != self.inputs:
            built, got = ("x".join(map(str, shape)) for shape in (self.inputs, images.shape[1:]))
            raise ValueError(f"this mlp was built for images of {built}; got {got} (resize them, or build another)")
        x = images.flatten(1)  # (N, C*H*W)
        x = F.relu(self.fc1(x))  # (N, hidden)
        return self.fc2(x)  # (N, num_classes)


def mlp(*, num_classes: int = 10, in_channels: int = 1, image_size: int = 32) -> MLP:
    """The two-layer network with 100 hidden units, for images of ``image_size`` pixels a side."""
    return MLP(num_classes=num_classes, in_channels=in_channels, image_size=image_size)
