"""Network of airbench (Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU"), for small photographs.

The first layer is a 2x2 convolution whose filters whiten the training patches and stay fixed (`AirBench.whiten`). Three
stages follow; each halves the feature map and has 3x3 convolutions with batch norm and GELU. The network learns in few
epochs because of the whitening, convolutions initialized as the identity (Dirac), batch norm without scale and with a
high momentum, and logits scaled down.

Two variants. "airbench94" is the published network: two convolutions per stage. "shortcut" has three, and a shortcut
skips the last two, as in the paper's "96 %" network; its whitening has no bias and amplifies directions of low variance
less (it adds 0.03 to the variances instead of 0.0005).

Differs from the published code: the last max pooling is global, so any image of at least 10x10 pixels is valid. The
bias of the whitening is trained in all epochs, not only in the first three.

Size for 3 channels and 10 classes: "shortcut" 3,190,432 parameters, 2,016 of them fixed (the whitening and the scales
of the batch norms), 160.7 M multiply-accumulates at 3x32x32; "airbench94" 1,972,792 parameters, 118.1 M.
Measured: see the recipe ``airbench-cifar10``.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Variant = Literal["shortcut", "airbench94"]
WIDTHS = (64, 256, 256)
"""Output channels of the three stages."""
LOGIT_SCALE = 1 / 9


def identity_conv(channels_in: int, channels: int) -> nn.Conv2d:
    """Return a 3x3 convolution initialized as the identity; channels beyond the input's have random weights."""
    conv = nn.Conv2d(channels_in, channels, kernel_size=3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(conv.weight[:channels_in])
    return conv


def shift_norm(channels: int) -> nn.BatchNorm2d:
    """Return batch norm with a shift but no scale; its running statistics follow the last few batches."""
    norm = nn.BatchNorm2d(channels, momentum=0.4, eps=1e-12)
    norm.weight.requires_grad_(False)
    return norm


class Stage(nn.Module):
    """Convolution and max pooling 2x2, then a residual branch of two convolutions, each with batch norm and GELU.

    Without a shortcut there is one further convolution instead of the branch.
    """

    def __init__(self, channels_in: int, channels: int, *, has_shortcut: bool = True) -> None:
        super().__init__()
        self.has_shortcut = has_shortcut
        self.conv1 = identity_conv(channels_in, channels)
        self.norm1 = shift_norm(channels)
        self.conv2 = identity_conv(channels, channels)
        self.norm2 = shift_norm(channels)
        if has_shortcut:
            self.conv3 = identity_conv(channels, channels)
            self.norm3 = shift_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, channels, H // 2, W // 2) for an input (N, channels_in, H, W)."""
        x = F.max_pool2d(self.conv1(x), 2)  # (N, channels, H/2, W/2)
        x = F.gelu(self.norm1(x))  # (N, channels, H/2, W/2)
        branch = F.gelu(self.norm2(self.conv2(x)))  # (N, channels, H/2, W/2)
        if not self.has_shortcut:
            return branch
        return F.gelu(self.norm3(self.conv3(branch)) + x)  # (N, channels, H/2, W/2)


class AirBench(nn.Module):
    """The airbench network for small color images.

    A whitening convolution, three stages, global max pooling and a linear layer. Input (N, C, H, W), H and W at least
    10; output logits (N, num_classes).

    Parameters
    ----------
    num_classes : int
        Number of classes.
    in_channels : int
        Number of input channels C.
    widths : tuple[int, int, int]
        Output channels of the three stages.
    variant : Literal['shortcut', 'airbench94']
        Stages of three convolutions with a shortcut, or of two as published.
    """

    def __init__(
        self,
        *,
        num_classes: int = 10,
        in_channels: int = 3,
        widths: tuple[int, int, int] = WIDTHS,
        variant: Variant = "shortcut",
    ) -> None:
        super().__init__()
        has_shortcut = variant == "shortcut"
        directions = 2 * 4 * in_channels  # every direction of a 2x2 patch, with both signs
        self.whitening = nn.Conv2d(in_channels, directions, kernel_size=2, bias=not has_shortcut)
        if self.whitening.bias is not None:
            nn.init.zeros_(self.whitening.bias)
        self.whitening_eps = 0.03 if has_shortcut else 5e-4
        self.stage1 = Stage(directions, widths[0], has_shortcut=has_shortcut)
        self.stage2 = Stage(widths[0], widths[1], has_shortcut=has_shortcut)
        self.stage3 = Stage(widths[1], widths[2], has_shortcut=has_shortcut)
        self.classifier = nn.Linear(widths[2], num_classes, bias=False)
        self.logit_scale = LOGIT_SCALE

    @torch.no_grad()
    def whiten(self, images: Tensor, *, eps: float | None = None) -> None:
        """Compute the whitening filters from training images and freeze them.

        The filters are the eigenvectors of the covariance of the 2x2 patches, each divided by the square root of its
        eigenvalue. The outputs of the layer are then uncorrelated and have unit variance.

        Parameters
        ----------
        images : Tensor
            Normalized training images (N, C, H, W); a few thousand are enough.
        eps : float | None
            Constant added to the eigenvalues, so that directions of low variance are not amplified too much. None for
            that of the variant.
        """
        eps = self.whitening_eps if eps is None else eps
        weight = self.whitening.weight
        patches = F.unfold(images.double(), kernel_size=2).transpose(1, 2).flatten(0, 1)  # (patches, 4 * C)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        order = values.argsort(descending=True)
        filters = (vectors / torch.sqrt(values + eps)).T[order].view(-1, *weight.shape[1:])
        weight.copy_(torch.cat([filters, -filters]))
        weight.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for normalized images (N, C, H, W)."""
        x = F.gelu(self.whitening(images))  # (N, 8*C, H-1, W-1)
        x = self.stage1(x)  # (N, 64, H/2-1, W/2-1)
        x = self.stage2(x)  # (N, 256, H/4-1, W/4-1)
        x = self.stage3(x)  # (N, 256, H/8-1, W/8-1)
        x = x.amax((2, 3))  # (N, 256)
        return self.classifier(x) * self.logit_scale  # (N, num_classes)


def airbench(*, num_classes: int = 10, in_channels: int = 3, variant: Variant = "shortcut") -> AirBench:
    """Return the airbench network for small color images."""
    return AirBench(num_classes=num_classes, in_channels=in_channels, variant=variant)
