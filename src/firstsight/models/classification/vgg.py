"""VGG (Simonyan and Zisserman 2014, "Very deep convolutional networks for large-scale image recognition").

VGG stacks 3x3 convolutions only. Two of them have a receptive field of 5x5 and three of 7x7, with fewer weights and
more nonlinearities than one large convolution. Each of the five groups ends with max pooling, which halves the feature
map. Three linear layers follow, which hold nine tenths of the parameters.

Differs from the paper: Kaiming initialization (fan-out), where the paper first trains a shallow network; without it the
deep networks do not train from scratch. The variants with batch norm (`vgg11_bn` ...) are those of torchvision, not of
the paper. Differs from torchvision: nothing; parameter names and values are the same, so its weights load unchanged.

Size for 1000 classes (parameters, multiply-accumulates at 3x224x224): vgg11 132,863,336, 7.609 G; vgg13
133,047,848, 11.308 G; vgg16 138,357,544, 15.470 G; vgg19 143,667,240, 19.632 G. Batch norm adds two parameters per
channel.
"""

import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS: dict[int, tuple[tuple[int, ...], ...]] = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    13: ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
    19: ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512)),
}
"""Output channels of the convolutions in the five groups, by depth (Table 1 of the paper: A, B, D, E)."""


@torch.fx.wrap  # torch.fx records the call: a symbolic trace has no sizes
def check_size(images: Tensor) -> None:
    """Raise ValueError unless images (N, C, H, W) have at least 32x32 pixels."""
    height, width = images.shape[-2:]
    if not torch.jit.is_tracing() and (height < 32 or width < 32):  # type: ignore[attr-defined]
        raise ValueError(f"vgg needs images of at least 32x32 pixels; got {height}x{width} (resize them)")


class VGG(nn.Module):
    """Five groups of 3x3 convolutions and three linear layers."""

    def __init__(self, depth: int, *, num_classes: int, in_channels: int, norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for group in GROUPS[depth]:
            for channels in group:
                layers.append(nn.Conv2d(in_channels, channels, kernel_size=3, padding=1))
                if norm:
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU(inplace=True))
                in_channels = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, num_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for normalized images (N, C, H, W) of at least 32x32 pixels."""
        check_size(images)
        x = self.features(images)  # (N, 512, H/32, W/32)
        x = F.adaptive_avg_pool2d(x, 7)  # (N, 512, 7, 7)
        x = x.flatten(1)  # (N, 25088)
        return self.classifier(x)  # (N, num_classes)


def vgg11(*, num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """Return VGG with 11 layers."""
    return VGG(11, num_classes=num_classes, in_channels=in_channels, norm=False)


def vgg11_bn(*, num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """Return VGG with 11 layers and batch norm."""
    return VGG(11, num_classes=num_classes, in_channels=in_channels, norm=True)


def vgg13(*, num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """Return VGG with 13 layers."""
    return VGG(13, num_classes=num_classes, in_channels=in_channels, norm=False)


def vgg13_bn(*, num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """Return VGG with 13 layers and batch norm."""
    return VGG(13, num_classes=num_classes, in_channels=in_channels, norm=True)


def vgg16(*, num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """Return VGG with 16 layers."""
    return VGG(16, num_classes=num_classes, in_channels=in_channels, norm=False)


def vgg16_bn(*, num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """Return VGG with 16 layers and batch norm."""
    return VGG(16, num_classes=num_classes, in_channels=in_channels, norm=True)


def vgg19(*, num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """Return VGG with 19 layers."""
    return VGG(19, num_classes=num_classes, in_channels=in_channels, norm=False)


def vgg19_bn(*, num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """Return VGG with 19 layers and batch norm."""
    return VGG(19, num_classes=num_classes, in_channels=in_channels, norm=True)
