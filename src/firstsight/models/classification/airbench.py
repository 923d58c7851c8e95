"""The network of airbench (Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU"), for small photographs.

A 2x2 convolution whose filters whiten the training patches and stay fixed (`AirBench.whiten`), then three stages of
three 3x3 convolutions with batch norm and GELU, a shortcut around the last two (the form of the paper's "96 %"
network); each stage halves the picture. What makes it learn in few epochs: the
whitening, convolutions that begin as the identity (Dirac), batch norm without a scale and with a fast average, and
logits scaled down.

Differs from the published code: the whitening has no bias and blows up faint directions less (0.03 instead of 0.0005 is
added to the variances), and the last maximum is over whatever is left, so that any picture from 10 pixels a side will
do.

Size: 3,190,432 parameters for 3 channels and 10 classes, 2,016 of them fixed (the whitening, the norms' scales);
160.7 M multiply-accumulates at 3x32x32.
Measured: see the recipe ``airbench-cifar10``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (64, 256, 256)
LOGIT_SCALE = 1 / 9


class Conv(nn.Conv2d):
    """3x3 convolution that hands its input through at first; channels beyond the input's begin at random."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__(channels_in, channels, kernel_size=3, padding=1, bias=False)
        with torch.no_grad():
            nn.init.dirac_(self.weight[:channels_in])


class Norm(nn.BatchNorm2d):
    """Batch norm with a shift but no scale; its averages follow the last few batches."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, momentum=0.4, eps=1e-12)
        self.weight.requires_grad_(False)


class SceneComposer(nn.Module):
    """Convolution, maximum over 2x2, then two convolutions around a shortcut; batch norm and GELU after each."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = Conv(channels_in, channels), Norm(channels)
        self.conv2, self.norm2 = Conv(channels, channels), Norm(channels)
        self.conv3, self.norm3 = Conv(channels, channels), Norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, channels, H/2, W/2)."""
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        branch = F.gelu(self.norm2(self.conv2(x)))
        return F.gelu(self.norm3(self.conv3(branch)) + x)


class AirBench(nn.Module):
    """Whitening, three halving stages, the maximum over what is left, one linear layer."""

    def __init__(self, *, num_classes: int = 10, in_channels: int = 3, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        directions = 2 * 4 * in_channels  # 2x2 patches, every direction with both signs
        self.whitening = nn.Conv2d(in_channels, directions, kernel_size=2, bias=False)
        self.stage1 = SceneComposer(directions, widths[0])
        self.stage2 = SceneComposer(widths[0], widths[1])
        self.stage3 = SceneComposer(widths[1], widths[2])
        self.classifier = nn.Linear(widths[2], num_classes, bias=False)

    @torch.no_grad()
    def whiten(self, images: Tensor, *, eps: float = 0.03) -> None:
        """Set the first layer from training images and fix it: its outputs are then uncorrelated, of unit variance.

        The filters are the eigenvectors of the patches' covariance, each divided by the root of its eigenvalue.

        Parameters
        ----------
        images : Tensor
            (N, C, H, W) normalised training images; some thousand are enough.
        eps : float
            Added to the eigenvalues, so that directions with hardly any variance are not blown up.
        """
        weight = self.whitening.weight
        patches = F.unfold(images.double(), kernel_size=2).transpose(1, 2).flatten(0, 1)  # (patches, 4 C)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        order = values.argsort(descending=True)
        filters = (vectors / torch.sqrt(values + eps)).T[order].view(-1, *weight.shape[1:])
        weight.copy_(torch.cat([filters, -filters]))
        weight.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) normalised images to (N, num_classes) logits."""
        x = F.gelu(self.whitening(images))  # (N, 8*C, H-1, W-1)
        x = self.stage1(x)  # (N, 64, H/2-1, W/2-1)
        x = self.stage2(x)  # (N, 256, H/4-1, W/4-1)
        x = self.stage3(x)  # (N, 256, H/8-1, W/8-1)
        x = x.amax((2, 3))  # (N, 256)
        return self.classifier(x) * LOGIT_SCALE  # (N, num_classes)


def airbench(*, num_classes: int = 10, in_channels: int = 3) -> AirBench:
    """The network of airbench, for small photographs."""
    return AirBench(num_classes=num_classes, in_channels=in_channels)
