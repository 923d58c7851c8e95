"""The first generative adversarial network (Goodfellow et al. 2014), in its common form of linear layers.

The generator turns a vector of normal noise into a picture, the discriminator a picture into one logit: real or not?
Each is four linear layers; nothing in them knows that neighbouring pixels belong together.

Differs from the paper: LeakyReLU instead of maxout and rectifier mixtures in the discriminator, tanh and pictures in
[-1, 1] instead of sigmoid and [0, 1], normal instead of uniform noise; no dropout.

Size for 1x28x28 pictures, 100 latent values, width 64 (256, 512 and 1024 hidden units): generator 1,486,352 parameters,
discriminator 533,505.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as normalised

SLOPE = 0.2


class Generator(nn.Module):
    """Noise to pictures.

    Parameters
    ----------
    latent : int
        Length of the noise vector.
    size, channels : int
        Of the pictures, (channels, size, size).
    width : int
        The hidden layers have 4, 8 and 16 times as many units.
    signed : bool
        Pictures in [-1, 1] by tanh; else in [0, 1] by a sigmoid.
    batch_norm : bool
        After every hidden layer, before its activation.
    """

    def __init__(
        self, *, latent: int = 100, size: int = 28, channels: int = 1, width: int = 64,
        signed: bool = True, batch_norm: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.latent, self.size, self.channels = latent, size, channels
        widths = (4 * width, 8 * width, 16 * width)
        sizes = (latent, *widths)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm1d(b) if batch_norm else nn.Identity() for b in widths)
        self.last = nn.Linear(widths[-1], channels * size * size)
        self.output_activation = torch.tanh if signed else torch.sigmoid
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) noise to (N, channels, size, size) pictures."""
        x = z
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            x = self.activation(norm(layer(x)))  # (N, width)
        x = self.output_activation(self.last(x))  # (N, channels * size * size)
        return x.unflatten(1, (self.channels, self.size, self.size))


class Discriminator(nn.Module):
    """Pictures to one logit each: above zero for "real".

    Parameters
    ----------
    size, channels : int
        Of the pictures; with packing, ``channels`` is that of all pictures of a pack together.
    width : int
        The hidden layers have 8 and 4 times as many units.
    leaky : bool
        LeakyReLU 0.2 instead of ReLU.
    spectral_norm : bool
        Keep the greatest singular value of every layer at one (Miyato 2018).
    stuck : bool
        Batch norm over the one unit before the sigmoid, as in the study that this repeats: it cannot learn, for each
        batch is told apart from itself only.
    """

    def __init__(
        self, *, size: int = 28, channels: int = 1, width: int = 64, leaky: bool = True,
        spectral_norm: bool = False, stuck: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = (8 * width, 4 * width)
        sizes = (channels * size * size, *widths)
        layers = [nn.Linear(a, b) for a, b in zip(sizes, (*widths, 1), strict=True)]
        self.layers = nn.ModuleList(normalised(layer) if spectral_norm else layer for layer in layers)
        self.activation: nn.Module = nn.LeakyReLU(SLOPE) if leaky else nn.ReLU()
        self.norm: nn.Module = nn.BatchNorm1d(1) if stuck else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, size, size) pictures to (N,) logits."""
        x = images.flatten(1)  # (N, channels * size * size)
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))  # (N, width)
        x = self.norm(last(x))  # (N, 1)
        return x.squeeze(1)
