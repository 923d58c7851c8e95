"""DCGAN (Radford, Metz and Chintala 2015): a generative adversarial network of strided convolutions.

The generator begins with a small map of many channels and doubles its side with transposed convolutions of kernel 4 and
stride 2 (a kernel that the stride divides leaves no checkerboard); the discriminator is its mirror image. Batch norm
everywhere but at the generator's output and the discriminator's input.

Differs from the paper: any side from 8 to 128 that is a multiple of 4. The first map has a side of 4 to 7, and what the
doublings make too much is cut off at the edges, where the discriminator adds zeros: 64 is 4 doublings of 4 as in the
paper, 28 the middle of 3 of 4. On request both are told the class of a picture (Mirza and Osindero 2014): the generator
by a category in its latent vector, the discriminator by one more filter for each class in its last layer (Miyato and
Koyama 2018, the projection discriminator).

Size for 3x64x64 pictures, width 64, 100 latent values: generator 3,576,704 parameters, discriminator 2,765,568.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as normalised

SMALLEST, LARGEST = 8, 128
SLOPE = 0.2


def doublings(size: int) -> tuple[int, int, int]:
    """The side that the generator begins with, how often it is doubled, and what is then cut off at each edge.

    Raises
    ------
    ValueError
        ``size`` is not a multiple of 4 from 8 to 128.

    >>> doublings(64), doublings(28)
    ((4, 4, 0), (4, 3, 2))
    """
    if size % 4 or not SMALLEST <= size <= LARGEST:
        raise ValueError(f"dcgan makes square pictures of a side that is a multiple of 4 from 8 to 128; got {size}")
    count = int(math.log2(size / 3.5))  # a first map of 4 may lose an eighth
    side = math.ceil(size / 2**count)
    return side, count, (side * 2**count - size) // 2


class Generator(nn.Module):
    """Noise to pictures.

    Parameters
    ----------
    latent : int
        Length of the noise vector.
    size, channels : int
        Of the pictures, (channels, size, size).
    width : int
        Channels of the last hidden map; each map before has twice as many.
    signed : bool
        Pictures in [-1, 1] by tanh; else in [0, 1] by a sigmoid.
    strided : bool
        Transposed convolutions; else nearest-neighbour doubling and a 3x3 convolution.
    """

    def __init__(
        self, *, latent: int = 100, size: int = 64, channels: int = 3, width: int = 64, signed: bool = True,
        strided: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.latent, self.size, self.channels = latent, size, channels
        side, count, self.edge = doublings(size)
        widths = [width * 2**i for i in reversed(range(count))]
        first = nn.ConvTranspose2d(latent, widths[0], side, bias=False)
        self.first = nn.Sequential(first, nn.BatchNorm2d(widths[0]), nn.ReLU())
        self.stages = nn.ModuleList(
            nn.Sequential(_double(a, b, strided=strided), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in itertools.pairwise(widths)
        )
        self.last = _double(widths[-1], channels, strided=strided)
        self.output_activation = torch.tanh if signed else torch.sigmoid
        self.apply(initialise)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) noise to (N, channels, size, size) pictures."""
        x = self.first(z[:, :, None, None])
        for stage in self.stages:
            x = stage(x)
        return self.output_activation(F.pad(self.last(x), [-self.edge] * 4))


class Discriminator(nn.Module):
    """Pictures to one logit each: above zero for "real".

    Parameters
    ----------
    size, channels : int
        Of the pictures; with packing, ``channels`` is that of all pictures of a pack together.
    width : int
        Channels of the first hidden map; each map after has twice as many.
    leaky : bool
        LeakyReLU 0.2 instead of ReLU.
    strided : bool
        Convolutions of stride 2; else 3x3 convolutions and a mean over 2x2.
    spectral_norm : bool
        Keep the greatest singular value of every layer at one (Miyato 2018), without batch norm.
    batch_norm : bool
        Off for a gradient penalty, which is about single pictures (Gulrajani 2017, section 4).
    classes : int
        How many classes there are, if it is told that of every picture; 0: it is not.
    """

    def __init__(
        self, *, size: int = 64, channels: int = 3, width: int = 64, leaky: bool = True, strided: bool = True,
        spectral_norm: bool = False, batch_norm: bool = True, classes: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        side, count, self.edge = doublings(size)
        widths = [channels, *(width * 2**i for i in range(count))]
        stages = []
        for i, (a, b) in enumerate(itertools.pairwise(widths)):
            norm: nn.Module = nn.BatchNorm2d(b) if i and batch_norm and not spectral_norm else nn.Identity()
            activation: nn.Module = nn.LeakyReLU(SLOPE) if leaky else nn.ReLU()
            stages.append(nn.Sequential(_halve(a, b, strided=strided), norm, activation))
        self.stages = nn.ModuleList(stages)
        self.last = nn.Conv2d(widths[-1], 1, side, bias=False)
        self.own = nn.Conv2d(widths[-1], classes, side, bias=False) if classes else None
        self.apply(initialise)
        if spectral_norm:
            for module in [m for m in self.modules() if isinstance(m, nn.Conv2d)]:
                normalised(module)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, channels, size, size) pictures, and the (N,) int64 classes if it is told them, to (N,) logits."""
        x = F.pad(images, [self.edge] * 4)
        for stage in self.stages:
            x = stage(x)
        logits = self.last(x).flatten()
        if self.own is None or labels is None:
            return logits
        return logits + self.own(x).flatten(1).gather(1, labels[:, None]).squeeze(1)


def _double(channels_in: int, channels: int, *, strided: bool) -> nn.Module:
    if strided:
        return nn.ConvTranspose2d(channels_in, channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(channels_in, channels, 3, padding=1, bias=False))


def _halve(channels_in: int, channels: int, *, strided: bool) -> nn.Module:
    if strided:
        return nn.Conv2d(channels_in, channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(nn.Conv2d(channels_in, channels, 3, padding=1, bias=False), nn.AvgPool2d(2))


def initialise(module: nn.Module) -> None:
    """Weights from N(0, 0.02), batch norm's scale from N(1, 0.02) (section 4)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
