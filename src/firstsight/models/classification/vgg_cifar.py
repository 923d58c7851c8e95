"""VGG for small images (Simonyan and Zisserman 2014), in the form that is widely used for CIFAR-10 (Zagoruyko 2015).

The convolutions of VGG-11 and VGG-16 are unchanged. Five poolings reduce 32x32 pixels to one, so a single linear layer
follows, where VGG has three with 120 million parameters. A comparison of the networks with 11 and 16 layers, with and
without batch norm, shows what depth and batch norm do.

Differs from the paper: one linear layer instead of three, so there is no dropout; Kaiming initialization (fan-out);
batch norm in `vgg11_bn_cifar` and `vgg16_bn_cifar`. The number in the name is that of the paper's network, which counts
all three linear layers.

Size for 10 classes (parameters, multiply-accumulates at 3x32x32): vgg11_cifar 9,225,610, 152.8 M; vgg16_cifar
14,719,818, 313.2 M. Batch norm has two parameters per channel in place of the bias.
Measured: see the recipes ``vgg11-cifar10``, ``vgg11-bn-cifar10``, ``vgg16-cifar10`` and ``vgg16-bn-cifar10``.
"""

from torch import Tensor, nn

GROUPS: dict[int, tuple[tuple[int, ...], ...]] = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
}
"""Output channels of the convolutions in the five groups, by depth (Table 1 of the paper: A, D)."""


class CifarVGG(nn.Module):
    """Five groups of 3x3 convolutions, each with max pooling at its end, and one linear layer."""

    def __init__(self, depth: int, *, num_classes: int, in_channels: int, norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for group in GROUPS[depth]:
            for channels in group:
                layers.append(nn.Conv2d(in_channels, channels, kernel_size=3, padding=1, bias=not norm))
                if norm:
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU(inplace=True))
                in_channels = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(512, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for normalized images (N, C, H, W) of at least 32x32 pixels."""
        x = self.features(images)  # (N, 512, H/32, W/32)
        x = x.mean((2, 3))  # (N, 512)
        return self.fc(x)  # (N, num_classes)


def vgg11_cifar(*, num_classes: int = 10, in_channels: int = 3) -> CifarVGG:
    """Return VGG-11 for small images."""
    return CifarVGG(11, num_classes=num_classes, in_channels=in_channels, norm=False)


def vgg11_bn_cifar(*, num_classes: int = 10, in_channels: int = 3) -> CifarVGG:
    """Return VGG-11 for small images, with batch norm."""
    return CifarVGG(11, num_classes=num_classes, in_channels=in_channels, norm=True)


def vgg16_cifar(*, num_classes: int = 10, in_channels: int = 3) -> CifarVGG:
    """Return VGG-16 for small images."""
    return CifarVGG(16, num_classes=num_classes, in_channels=in_channels, norm=False)


def vgg16_bn_cifar(*, num_classes: int = 10, in_channels: int = 3) -> CifarVGG:
    """Return VGG-16 for small images, with batch norm."""
    return CifarVGG(16, num_classes=num_classes, in_channels=in_channels, norm=True)
