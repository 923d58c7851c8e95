"""InfoGAN (Chen et al. 2016), a GAN with interpretable latent codes.

In addition to noise, the generator receives a categorical code (one-hot) and continuous codes from U(-1, 1). A network
Q predicts the codes from the generated image; it shares the discriminator's layers and outputs the logits of the
category and a normal distribution for each continuous code. To be predictable, a code must have a visible effect.
Digits then separate into categories, and slant and width into continuous codes, without any label.

Differs from the paper, whose layers for MNIST (Appendix C.1) these are at ``width`` 64 and 28 pixels:

- tanh and images in [-1, 1]. The paper names no output activation; the authors' code has a sigmoid and [0, 1].
- Normal noise instead of the uniform noise of the authors' code (``noise=uniform``).
- Initial weights are PyTorch's; in the authors' code they have a standard deviation of 0.02.
- The target for real images is 0.9 instead of 1 (``real_label=1``). The saved generator is a moving average
  (``ema_decay=0`` for none). The default learning rates are the paper's: Adam, 1e-3 for G, 2e-4 for D and Q.
- Q also predicts the variance of a continuous code, which is used with ``code_std=learned`` only.
- Any side from 8 to 128 that is a multiple of 4.

Size for 1x28x28 images, 62 noise values, one category of 10, two continuous codes, width 64: generator 6,645,121
parameters, discriminator with the shared layers 6,558,017, Q 133,134.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

NEGATIVE_SLOPE = 0.1


class CodePrediction(NamedTuple):
    """Codes that Q predicts from images.

    Attributes
    ----------
    categories : list[Tensor]
        Logits (N, k) for each categorical code with k values.
    means : Tensor
        Means (N, continuous) of the continuous codes.
    log_variances : Tensor
        Logarithms (N, continuous) of the variances of the continuous codes.
    """

    categories: list[Tensor]
    means: Tensor
    log_variances: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> "CodePrediction":
        """Apply a function to every tensor."""
        categories = [function(logits) for logits in self.categories]
        return CodePrediction(categories, function(self.means), function(self.log_variances))


class Generator(nn.Module):
    """Generator of InfoGAN, for images in [-1, 1].

    Parameters
    ----------
    latent : int
        Length of the latent vector: noise, one-hot categories and continuous codes.
    size : int
        Side of the images in pixels.
    channels : int
        Number of channels of the images.
    width : int
        Channels of the last hidden feature map.
    """

    def __init__(self, *, latent: int = 74, size: int = 28, channels: int = 1, width: int = 64) -> None:
        super().__init__()
        check_size(size)
        self.latent = latent
        self.size = size
        self.channels = channels
        self.width = width
        self.side = size // 4
        num_features = 2 * width * self.side**2
        self.linear1 = nn.Linear(latent, 16 * width, bias=False)
        self.norm1 = nn.BatchNorm1d(16 * width)
        self.linear2 = nn.Linear(16 * width, num_features, bias=False)
        self.norm2 = nn.BatchNorm1d(num_features)
        self.upsample1 = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(width)
        self.upsample2 = nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Return images (N, channels, size, size) for latent vectors (N, latent)."""
        x = torch.relu(self.norm1(self.linear1(z)))  # (N, 16*width)
        x = torch.relu(self.norm2(self.linear2(x)))  # (N, 2*width*side*side)
        x = x.unflatten(1, (2 * self.width, self.side, self.side))  # (N, 2*width, side, side)
        x = torch.relu(self.norm3(self.upsample1(x)))  # (N, width, size/2, size/2)
        return torch.tanh(self.upsample2(x))  # (N, channels, size, size)


class Trunk(nn.Module):
    """Layers that the discriminator and Q share."""

    def __init__(self, *, size: int, channels: int, width: int, batch_norm: bool) -> None:
        super().__init__()
        check_size(size)
        self.features = 16 * width
        self.downsample1 = nn.Conv2d(channels, width, 4, stride=2, padding=1)
        self.downsample2 = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False)
        self.norm2: nn.Module = nn.BatchNorm2d(2 * width) if batch_norm else nn.Identity()
        self.linear = nn.Linear(2 * width * (size // 4) ** 2, self.features, bias=False)
        self.norm3: nn.Module = nn.BatchNorm1d(self.features) if batch_norm else nn.Identity()
        self.activation = nn.LeakyReLU(NEGATIVE_SLOPE)

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, 16 * width) for images (N, channels, size, size)."""
        x = self.activation(self.downsample1(images))  # (N, width, size/2, size/2)
        x = self.activation(self.norm2(self.downsample2(x)))  # (N, 2*width, size/4, size/4)
        x = x.flatten(1)  # (N, 2*width*size/4*size/4)
        return self.activation(self.norm3(self.linear(x)))  # (N, 16*width)


class Discriminator(nn.Module):
    """Discriminator of InfoGAN together with Q.

    Parameters
    ----------
    size : int
        Side of the images in pixels.
    channels : int
        Number of channels of the images.
    width : int
        Channels of the first hidden feature map.
    categories : tuple[int, ...]
        Number of values of each categorical code.
    continuous : int
        Number of continuous codes.
    batch_norm : bool
        Whether the shared layers use batch norm. Turn it off for a gradient penalty, which is defined for each image
        separately.
    """

    def __init__(
        self,
        *,
        size: int = 28,
        channels: int = 1,
        width: int = 64,
        categories: tuple[int, ...] = (10,),
        continuous: int = 2,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        self.categories = categories
        self.continuous = continuous
        self.split_sizes = [*categories, 2 * continuous]  # of Q's output
        self.trunk = Trunk(size=size, channels=channels, width=width, batch_norm=batch_norm)
        self.real = nn.Linear(self.trunk.features, 1)
        self.q = nn.Sequential(
            nn.Linear(self.trunk.features, 2 * width, bias=False),
            nn.BatchNorm1d(2 * width),
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Linear(2 * width, sum(categories) + 2 * continuous),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, CodePrediction]:
        """Return logits (N,), positive for "real", and Q's prediction for images (N, channels, size, size)."""
        x = self.trunk(images)  # (N, 16*width)
        parts = self.q(x).split(self.split_sizes, dim=1)
        categories = [parts[i] for i in range(len(self.split_sizes) - 1)]
        means, log_variances = parts[-1].chunk(2, dim=1)
        x = self.real(x).squeeze(1)  # (N,)
        return x, CodePrediction(categories, means, log_variances)


def check_size(size: int) -> None:
    """Check that the image size is valid for InfoGAN.

    Parameters
    ----------
    size : int
        Side of the images in pixels.

    Raises
    ------
    ValueError
        If ``size`` is not a multiple of 4 from 8 to 128.
    """
    if size % 4 or not 8 <= size <= 128:
        raise ValueError(f"infogan needs a side that is a multiple of 4 from 8 to 128; got {size}")
