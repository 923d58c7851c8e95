"""MobileNet v1, a network of depthwise separable convolutions.

Paper: Howard et al. 2017, "MobileNets: efficient convolutional neural networks for mobile vision applications".

A depthwise separable convolution replaces each 3x3 convolution. It consists of a depthwise convolution, with one 3x3
filter per channel, and a pointwise 1x1 convolution, which mixes the channels. By the paper's count this costs an eighth
to a ninth of the full convolution and loses little accuracy.

Differs from the paper: nothing in the forward pass (width multiplier 1, 224 pixels). The paper does not state the
initial weights. Here they are Kaiming's by outputs (He 2015), with the outputs of one group: sqrt(2/9) for depthwise
filters. The pose networks use the first eleven blocks as their backbone, with dilation in the last ones.

`mobilenet_cifar` is the form that is widely used for 32x32 images: the first convolution has stride 1.

Size: `mobilenet` with 1000 classes has 4,231,976 parameters and 0.569 G multiply-accumulates at 3x224x224;
`mobilenet_cifar` with 10 classes has 3,217,226 parameters and 46.4 M multiply-accumulates at 3x32x32.
Measured: see the recipe ``mobilenet-cifar10``.
"""

from torch import Tensor, nn

BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
"""Output channels and stride of the thirteen depthwise separable convolutions (Table 1 of the paper)."""


def conv_norm(channels_in: int, channels: int, kernel_size: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Return a convolution with batch norm and ReLU."""
    padding = kernel_size // 2
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel_size, stride=stride, padding=padding, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class SeparableConv(nn.Module):
    """Depthwise 3x3 convolution followed by a pointwise 1x1 convolution."""

    def __init__(self, channels_in: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.depthwise = conv_norm(channels_in, channels_in, 3, stride=stride, groups=channels_in)
        self.pointwise = conv_norm(channels_in, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, channels, H/stride, W/stride) for an input (N, channels_in, H, W)."""
        x = self.depthwise(x)  # (N, channels_in, H/stride, W/stride)
        return self.pointwise(x)  # (N, channels, H/stride, W/stride)


class MobileNet(nn.Module):
    """Stem convolution, thirteen separable convolutions, global average pooling, linear layer."""

    def __init__(self, *, num_classes: int, in_channels: int, stem_stride: int = 2) -> None:
        super().__init__()
        self.stem_stride = stem_stride
        self.stem = conv_norm(in_channels, 32, 3, stride=stem_stride)
        channels_in = 32
        blocks = []
        for channels, stride in BLOCKS:
            blocks.append(SeparableConv(channels_in, channels, stride=stride))
            channels_in = channels
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # outputs that an input value has in its group; torch's fan_out counts those of all groups
                fan_out = module.weight[:, 0].numel() // module.groups
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for normalized images (N, C, H, W)."""
        x = self.stem(images)  # (N, 32, H/stem_stride, W/stem_stride)
        x = self.blocks(x)  # (N, 1024, H/stem_stride/16, W/stem_stride/16)
        x = x.mean((2, 3))  # (N, 1024)
        return self.fc(x)  # (N, num_classes)


def mobilenet(*, num_classes: int = 1000, in_channels: int = 3) -> MobileNet:
    """Return MobileNet v1."""
    return MobileNet(num_classes=num_classes, in_channels=in_channels)


def mobilenet_cifar(*, num_classes: int = 10, in_channels: int = 3) -> MobileNet:
    """Return MobileNet v1 for small images: the first convolution has stride 1."""
    return MobileNet(num_classes=num_classes, in_channels=in_channels, stem_stride=1)
