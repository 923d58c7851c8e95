"""AlexNet (Krizhevsky, Sutskever and Hinton 2012, "ImageNet classification with deep convolutional neural networks").

Five convolutions and three linear layers with ReLU and dropout, trained on two GPUs. It won ImageNet 2012 and made deep
convolutional networks popular. The linear layers hold 96 % of the parameters; the convolutions need 92 % of the
multiply-accumulates.

Two variants. "paper": 96-256-384-384-256 channels in two towers, one per GPU. The second, fourth and fifth convolution
see only the channels of one tower (groups=2). Local response normalization follows the first two convolutions, and
dropout the first two linear layers. "torchvision": one tower with the later widths 64-192-384-256-256 ("One weird
trick", Krizhevsky 2014), no normalization, dropout before the first two linear layers. Parameter names and values are
torchvision's, so its weights load unchanged.

Differs from the paper: the paper gives a side of 224 pixels, but its arithmetic requires 227. Here 224 is padded by 2,
and average pooling to 6x6 admits other sizes.

Size for 1000 classes: "torchvision" 61,100,840 parameters, 0.714 G multiply-accumulates at 3x224x224; "paper"
60,965,224 parameters, 0.724 G.
"""

from typing import Literal

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn


@torch.fx.wrap  # torch.fx records the call: a symbolic trace has no types
def upcast(x: Tensor) -> Tensor:
    """Convert half precision to single precision; tensors of any shape."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


class LocalResponseNorm(nn.LocalResponseNorm):
    """Local response normalization; half precision is computed in float32, because PyTorch has it on GPUs only."""

    def forward(self, x: Tensor) -> Tensor:
        """Return normalized feature maps (N, C, H, W) for an input (N, C, H, W), of the same type."""
        return F.local_response_norm(upcast(x), self.size, self.alpha, self.beta, self.k).to(x.dtype)


def build_paper_features(in_channels: int) -> nn.Sequential:
    """Return the five convolutions of the paper; groups=2 stands for the two towers."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 96, kernel_size=11, stride=4, padding=2),
        nn.ReLU(),
        LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=2),
        nn.ReLU(),
        LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(256, 384, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 384, kernel_size=3, padding=1, groups=2),
        nn.ReLU(),
        nn.Conv2d(384, 256, kernel_size=3, padding=1, groups=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
    )


def build_torchvision_features(in_channels: int) -> nn.Sequential:
    """Return the five convolutions of torchvision's AlexNet."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 64, kernel_size=11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
    )


@torch.fx.wrap  # torch.fx records the call: a symbolic trace has no sizes
def check_size(images: Tensor) -> None:
    """Raise ValueError unless images (N, C, H, W) have at least 63x63 pixels."""
    height, width = images.shape[-2:]
    if not torch.jit.is_tracing() and (height < 63 or width < 63):  # type: ignore[attr-defined]
        raise ValueError(
            f"alexnet needs images of at least 63x63 pixels; got {height}x{width}"
            " (resize them, or use convnet or resnet20)"
        )


class AlexNet(nn.Module):
    """Five convolutions and three linear layers."""

    def __init__(self, *, num_classes: int, in_channels: int, variant: Literal["paper", "torchvision"]) -> None:
        super().__init__()
        if variant == "paper":
            self.features = build_paper_features(in_channels)
            self.classifier = nn.Sequential(
                nn.Linear(256 * 6 * 6, 4096),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(4096, 4096),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(4096, num_classes),
            )
            init_weights(self)
        else:
            self.features = build_torchvision_features(in_channels)
            self.classifier = nn.Sequential(
                nn.Dropout(),
                nn.Linear(256 * 6 * 6, 4096),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(4096, 4096),
                nn.ReLU(),
                nn.Linear(4096, num_classes),
            )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for normalized images (N, C, H, W) of at least 63x63 pixels."""
        check_size(images)
        x = self.features(images)  # (N, 256, H/32-1, W/32-1)
        x = F.adaptive_avg_pool2d(x, 6)  # (N, 256, 6, 6)
        x = x.flatten(1)  # (N, 9216)
        return self.classifier(x)  # (N, num_classes)


def init_weights(net: nn.Module) -> None:
    """Initialize the layers as in Section 5 of the paper.

    Weights have a standard deviation of 0.01. Biases are 1 in convolutions 2, 4 and 5 and in the hidden linear layers,
    and 0 elsewhere.
    """
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    for number, layer in enumerate(layers, 1):
        nn.init.normal_(layer.weight, std=0.01)
        assert layer.bias is not None
        nn.init.constant_(layer.bias, 1.0 if number in (2, 4, 5, 6, 7) else 0.0)


def alexnet(
    *, num_classes: int = 1000, in_channels: int = 3, variant: Literal["paper", "torchvision"] = "torchvision"
) -> AlexNet:
    """Return AlexNet as in torchvision or as in the paper."""
    return AlexNet(num_classes=num_classes, in_channels=in_channels, variant=variant)
