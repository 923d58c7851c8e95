"""InfoGAN (Chen et al. 2016): a generator with codes, and a network Q that must read them off the pictures.

Beside noise the generator is given a category (one of several, one-hot) and continuous values from U(-1, 1). Q shares
the discriminator's trunk and answers with the category's logits and a normal distribution for each continuous value. To
be read, a code must make a difference that can be seen: digits sort themselves into categories, slant and width into
values, without a label.

Differs from the paper: any side that is a multiple of 4; widths can be scaled down (``width`` 64 is the paper's).

Size for 1x28x28 pictures, 62 noise values, one category of 10, two continuous codes, width 64: generator 6,645,121
parameters, discriminator and trunk 6,558,017, Q 133,134.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

SLOPE = 0.1


class CodePrediction(NamedTuple):
    """What Q reads off pictures.

    Parameters
    ----------
    categories : tuple[Tensor, ...]
        One (N, k) tensor of logits for each categorical code.
    means : Tensor
        (N, continuous codes).
    log_variances : Tensor
        (N, continuous codes).
    """

    categories: tuple[Tensor, ...]
    means: Tensor
    log_variances: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> "CodePrediction":
        """The same done to every tensor."""
        return CodePrediction(tuple(map(change, self.categories)), change(self.means), change(self.log_variances))


class Generator(nn.Module):
    """Noise and codes to pictures in [-1, 1].

    Parameters
    ----------
    latent : int
        Length of the whole input: noise, one-hot categories, continuous codes.
    """

    def __init__(self, *, latent: int = 74, size: int = 28, channels: int = 1, width: int = 64) -> None:
        super().__init__()
        check_size(size)
        self.latent, self.size, self.channels = latent, size, channels
        self.side, self.wide = size // 4, 2 * width
        hidden, maps = 16 * width, self.wide * self.side**2
        self.linear1, self.norm1 = nn.Linear(latent, hidden, bias=False), nn.BatchNorm1d(hidden)
        self.linear2, self.norm2 = nn.Linear(hidden, maps, bias=False), nn.BatchNorm1d(maps)
        self.upsample1 = nn.ConvTranspose2d(self.wide, width, 4, stride=2, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(width)
        self.upsample2 = nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) noise and codes to (N, channels, size, size) pictures."""
        x = torch.relu(self.norm1(self.linear1(z)))  # (N, 1024)
        x = torch.relu(self.norm2(self.linear2(x)))  # (N, 128 * side * side)
        x = x.unflatten(1, (self.wide, self.side, self.side))
        x = torch.relu(self.norm3(self.upsample1(x)))  # (N, 64, size / 2, size / 2)
        return torch.tanh(self.upsample2(x))


class Trunk(nn.Module):
    """What discriminator and Q have in common: pictures to features."""

    def __init__(self, *, size: int, channels: int, width: int, batch_norm: bool) -> None:
        super().__init__()
        check_size(size)
        self.features = 16 * width
        self.downsample1 = nn.Conv2d(channels, width, 4, stride=2, padding=1)
        self.downsample2 = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False)
        self.norm2: nn.Module = nn.BatchNorm2d(2 * width) if batch_norm else nn.Identity()
        self.linear = nn.Linear(2 * width * (size // 4) ** 2, self.features, bias=False)
        self.norm3: nn.Module = nn.BatchNorm1d(self.features) if batch_norm else nn.Identity()
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, size, size) pictures to (N, 16 width) features."""
        x = self.activation(self.downsample1(images))
        x = self.activation(self.norm2(self.downsample2(x)))
        return self.activation(self.norm3(self.linear(x.flatten(1))))


class Discriminator(nn.Module):
    """Pictures to one logit each, and to what Q reads off them.

    Parameters
    ----------
    categories : tuple[int, ...]
        How many values each categorical code has.
    continuous : int
        How many continuous codes there are.
    batch_norm : bool
        In the trunk; off for a gradient penalty, which is about single pictures.
    """

    def __init__(
        self, *, size: int = 28, channels: int = 1, width: int = 64, categories: tuple[int, ...] = (10,),
        continuous: int = 2, batch_norm: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.categories, self.continuous = categories, continuous
        self.trunk = Trunk(size=size, channels=channels, width=width, batch_norm=batch_norm)
        self.real = nn.Linear(self.trunk.features, 1)
        self.q = nn.Sequential(
            nn.Linear(self.trunk.features, 2 * width, bias=False), nn.BatchNorm1d(2 * width), nn.LeakyReLU(SLOPE),
            nn.Linear(2 * width, sum(categories) + 2 * continuous),
        )  # fmt: skip

    def forward(self, images: Tensor) -> tuple[Tensor, CodePrediction]:
        """(N, channels, size, size) pictures to (N,) logits, and what Q reads; one pass through the trunk."""
        features = self.trunk(images)
        *categories, rest = self.q(features).split((*self.categories, 2 * self.continuous), dim=1)
        means, log_variances = rest.chunk(2, dim=1)
        return self.real(features).squeeze(1), CodePrediction(tuple(categories), means, log_variances)


def check_size(size: int) -> None:
    """Refuse a side that cannot be halved twice."""
    if size % 4 or not 8 <= size <= 128:
        raise ValueError(f"infogan makes square pictures of a side that is a multiple of 4 from 8 to 128; got {size}")
