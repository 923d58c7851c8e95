"""DCGAN, a generative adversarial network of strided convolutions.

Paper: Radford, Metz and Chintala 2015, "Unsupervised representation learning with deep convolutional generative
adversarial networks".

The generator starts from a small feature map with many channels and doubles its side with transposed convolutions of
stride 2. The discriminator is the reverse, with strided convolutions. Batch norm follows every layer except the output
of the generator and the first and last layer of the discriminator.

Differs from the paper:

- Kernels of size 4 instead of 5. 4 is a multiple of the stride, so all pixels sum up equally many weights. This makes
  checkerboard artifacts less likely, but does not exclude them (Odena 2016): weights may alternate.
- Half of the generator's channels at ``width`` 64: the first map has 512, in the paper 1024 (``g_width=128``).
- Normal noise instead of uniform noise (``noise=uniform``).
- The target for real images is 0.9 instead of 1 (``real_label=1``). The saved generator is a moving average
  (``ema_decay=0`` for none). The default optimizer is the paper's: Adam, learning rate 2e-4, beta1 0.5, batches of 128.
- Any side from 8 to 128 that is a multiple of 4. The first map has a side of 4 to 7. The generator crops the excess at
  the edges after the last doubling, where the discriminator pads with zeros: 64 is 4 doublings of 4 as in the paper, 28
  is the center of 3 doublings of 4.
- Optionally both networks are class-conditional (Mirza and Osindero 2014). The generator receives the class as a
  categorical code of its latent vector. The last layer of the discriminator has one additional filter per class
  (projection discriminator, Miyato and Koyama 2018).

As in the paper: ReLU in the generator, LeakyReLU (0.2) in the discriminator, tanh, initial weights from N(0, 0.02).

Size for 3x64x64 images, width 64, 100 latent values: generator 3,576,704 parameters, discriminator 2,765,568.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as apply_spectral_norm

MIN_SIZE = 8
MAX_SIZE = 128
NEGATIVE_SLOPE = 0.2


def plan_upsampling(size: int) -> tuple[int, int, int]:
    """Return the side of the generator's first map, the number of doublings, and the pixels to crop at each edge.

    Parameters
    ----------
    size : int
        Side of the images in pixels.

    Returns
    -------
    tuple[int, int, int]
        ``side``, ``count`` and ``margin`` such that ``size == side * 2**count - 2 * margin``.

    Raises
    ------
    ValueError
        If ``size`` is not a multiple of 4 from 8 to 128.

    Examples
    --------
    >>> plan_upsampling(64), plan_upsampling(28)
    ((4, 4, 0), (4, 3, 2))
    """
    if size % 4 or not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"dcgan needs a side that is a multiple of 4 from {MIN_SIZE} to {MAX_SIZE}; got {size}")
    count = int(math.log2(size / 3.5))  # with 3.5 instead of 4, a first map of 4 may lose up to an eighth
    side = math.ceil(size / 2**count)
    return side, count, (side * 2**count - size) // 2


class Generator(nn.Module):
    """Generator of DCGAN.

    Parameters
    ----------
    latent : int
        Length of the latent vector.
    size : int
        Side of the images in pixels.
    channels : int
        Number of channels of the images.
    width : int
        Channels of the last hidden feature map; each earlier map has twice as many as the next.
    signed : bool
        Whether images are in [-1, 1] (tanh) instead of [0, 1] (sigmoid).
    strided : bool
        Whether to upsample with transposed convolutions instead of nearest-neighbor upsampling and a 3x3 convolution.
    """

    def __init__(
        self,
        *,
        latent: int = 100,
        size: int = 64,
        channels: int = 3,
        width: int = 64,
        signed: bool = True,
        strided: bool = True,
    ) -> None:
        super().__init__()
        self.latent = latent
        self.size = size
        self.channels = channels
        side, count, self.margin = plan_upsampling(size)
        widths = [width * 2**i for i in reversed(range(count))]
        first = nn.ConvTranspose2d(latent, widths[0], side, bias=False)
        self.first = nn.Sequential(first, nn.BatchNorm2d(widths[0]), nn.ReLU())
        self.stages = nn.ModuleList(
            nn.Sequential(_upsample(a, b, strided=strided), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in itertools.pairwise(widths)
        )
        self.last = _upsample(widths[-1], channels, strided=strided)
        self.output_activation = torch.tanh if signed else torch.sigmoid
        self.apply(init_weights)

    def forward(self, z: Tensor) -> Tensor:
        """Return images (N, channels, size, size) for latent vectors (N, latent)."""
        x = self.first(z[:, :, None, None])  # (N, width * 2^(count-1), side, side), as in `plan_upsampling`
        for stage in self.stages:
            x = stage(x)  # half the channels, twice the side
        x = self.last(x)  # (N, channels, size+2*margin, size+2*margin)
        x = F.pad(x, [-self.margin] * 4)  # (N, channels, size, size)
        return self.output_activation(x)  # (N, channels, size, size)


class Discriminator(nn.Module):
    """Discriminator of DCGAN.

    Parameters
    ----------
    size : int
        Side of the images in pixels.
    channels : int
        Number of input channels; with packing, those of all images of a pack together.
    width : int
        Channels of the first hidden feature map; each later map has twice as many as the one before.
    leaky : bool
        Whether to use LeakyReLU (0.2) instead of ReLU.
    strided : bool
        Whether to downsample with convolutions of stride 2 instead of 3x3 convolutions and average pooling.
    spectral_norm : bool
        Whether to normalize the largest singular value of every layer to 1 (Miyato 2018); replaces batch norm.
    batch_norm : bool
        Whether to use batch norm. Turn it off for a gradient penalty, which is defined for each image separately
        (Gulrajani 2017, Section 4).
    classes : int
        Number of classes of a class-conditional discriminator; 0 for an unconditional one.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 3,
        width: int = 64,
        leaky: bool = True,
        strided: bool = True,
        spectral_norm: bool = False,
        batch_norm: bool = True,
        classes: int = 0,
    ) -> None:
        super().__init__()
        side, count, self.margin = plan_upsampling(size)
        widths = [channels, *(width * 2**i for i in range(count))]
        stages = []
        for i, (a, b) in enumerate(itertools.pairwise(widths)):
            norm: nn.Module = nn.BatchNorm2d(b) if i and batch_norm and not spectral_norm else nn.Identity()
            activation: nn.Module = nn.LeakyReLU(NEGATIVE_SLOPE) if leaky else nn.ReLU()
            stages.append(nn.Sequential(_downsample(a, b, strided=strided), norm, activation))
        self.stages = nn.ModuleList(stages)
        self.last = nn.Conv2d(widths[-1], 1, side, bias=False)
        self.own = nn.Conv2d(widths[-1], classes, side, bias=False) if classes else None  # name in saved state dicts
        self.apply(init_weights)
        if spectral_norm:
            for module in [m for m in self.modules() if isinstance(m, nn.Conv2d)]:
                apply_spectral_norm(module)

    @property
    @torch.jit.unused  # TorchScript has no type of an optional module
    def class_filters(self) -> nn.Conv2d | None:
        """Convolution with one filter per class, or None for an unconditional discriminator."""
        return self.own

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (N,), positive for "real".

        Parameters
        ----------
        images : Tensor
            Images (N, channels, size, size).
        labels : Tensor, optional
            Class indices (N,), int64, for a class-conditional discriminator. Without them its logits are
            unconditional.

        Returns
        -------
        Tensor
            Logits (N,).
        """
        x = F.pad(images, [self.margin] * 4)  # (N, channels, size+2*margin, size+2*margin)
        for stage in self.stages:
            x = stage(x)  # twice the channels, half the side
        logits = self.last(x).flatten()  # (N,)
        if self.own is None or labels is None:
            return logits
        class_logits = self.own(x).flatten(1)  # (N, classes)
        return logits + class_logits.gather(1, labels[:, None]).squeeze(1)  # (N,)


def _upsample(channels_in: int, channels: int, *, strided: bool) -> nn.Module:
    """Return layers that double the side of a feature map."""
    if strided:
        return nn.ConvTranspose2d(channels_in, channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(channels_in, channels, 3, padding=1, bias=False))


def _downsample(channels_in: int, channels: int, *, strided: bool) -> nn.Module:
    """Return layers that halve the side of a feature map."""
    if strided:
        return nn.Conv2d(channels_in, channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(nn.Conv2d(channels_in, channels, 3, padding=1, bias=False), nn.AvgPool2d(2))


def init_weights(module: nn.Module) -> None:
    """Initialize weights with a standard deviation of 0.02: means are 0, and 1 for the scale of batch norm.

    The paper has the first (Section 4), the authors' code the second.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
