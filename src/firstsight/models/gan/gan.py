"""The first GAN (Goodfellow et al. 2014, "Generative adversarial nets"), in its common form of linear layers.

The generator maps a noise vector to an image. The discriminator maps an image to one logit, positive for
"real". Each network has four linear layers and no notion of neighboring pixels.

Differs from the paper:

- LeakyReLU in both networks. The paper has rectifiers in the generator, maxout and dropout in the discriminator.
- tanh and images in [-1, 1] instead of a sigmoid and [0, 1] (``output=sigmoid`` is the paper's).
- Normal noise instead of the uniform noise of its Figure 1 (``noise=uniform``).
- Adam instead of gradient descent with momentum. The target for real images is 0.9 instead of 1 (``real_label=1``).
  The saved generator is a moving average (``ema_decay=0`` for none).

As in the paper, the loss is non-saturating (Section 3), and each step of the generator follows one of the
discriminator. The paper gives no numbers of layers and units.

Size for 1x28x28 images, 100 latent values, width 64 (256, 512 and 1024 hidden units): generator 1,486,352 parameters,
discriminator 533,505.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as apply_spectral_norm

NEGATIVE_SLOPE = 0.2


class Generator(nn.Module):
    """Generator with fully connected layers.

    Parameters
    ----------
    latent : int
        Length of the noise vector.
    size : int
        Side of the images in pixels.
    channels : int
        Number of channels of the images.
    width : int
        The hidden layers have 4, 8 and 16 times as many units.
    signed : bool
        Whether images are in [-1, 1] (tanh) instead of [0, 1] (sigmoid).
    batch_norm : bool
        Whether to use batch norm after each hidden layer, before its activation.
    """

    def __init__(
        self,
        *,
        latent: int = 100,
        size: int = 28,
        channels: int = 1,
        width: int = 64,
        signed: bool = True,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.latent = latent
        self.size = size
        self.channels = channels
        widths = (4 * width, 8 * width, 16 * width)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise((latent, *widths)))
        self.norms = nn.ModuleList(nn.BatchNorm1d(b) if batch_norm else nn.Identity() for b in widths)
        self.last = nn.Linear(widths[-1], channels * size * size)
        self.output_activation = torch.tanh if signed else torch.sigmoid
        self.activation = nn.LeakyReLU(NEGATIVE_SLOPE)

    def forward(self, z: Tensor) -> Tensor:
        """Return images (N, channels, size, size) for noise vectors (N, latent)."""
        x = z  # (N, latent)
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            x = self.activation(norm(layer(x)))  # 4, 8, then 16 times ``width`` units
        x = self.output_activation(self.last(x))  # (N, channels*size*size)
        return x.unflatten(1, (self.channels, self.size, self.size))  # (N, channels, size, size)


class Discriminator(nn.Module):
    """Discriminator with fully connected layers.

    Parameters
    ----------
    size : int
        Side of the images in pixels.
    channels : int
        Number of input channels; with packing, those of all images of a pack together.
    width : int
        The hidden layers have 8 and 4 times as many units.
    leaky : bool
        Whether to use LeakyReLU (0.2) instead of ReLU.
    spectral_norm : bool
        Whether to normalize the largest singular value of every layer to 1 (Miyato 2018).
    bn_on_logit : bool
        Whether to apply batch norm to the logit, as in the study that the recipe ``gan-stuck`` reproduces. The
        discriminator then cannot learn, because every batch is normalized by its own mean.
    """

    def __init__(
        self,
        *,
        size: int = 28,
        channels: int = 1,
        width: int = 64,
        leaky: bool = True,
        spectral_norm: bool = False,
        bn_on_logit: bool = False,
    ) -> None:
        super().__init__()
        layers = [
            nn.Linear(channels * size * size, 8 * width),
            nn.Linear(8 * width, 4 * width),
            nn.Linear(4 * width, 1),
        ]
        self.layers = nn.ModuleList(apply_spectral_norm(layer) if spectral_norm else layer for layer in layers)
        self.activation: nn.Module = nn.LeakyReLU(NEGATIVE_SLOPE) if leaky else nn.ReLU()
        self.norm: nn.Module = nn.BatchNorm1d(1) if bn_on_logit else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N,), positive for "real", for images (N, channels, size, size)."""
        x = images.flatten(1)  # (N, channels*size*size)
        for i, layer in enumerate(self.layers):
            x = self.activation(x) if i else x
            x = layer(x)  # 8, then 4 times ``width`` units, then 1
        x = self.norm(x)  # (N, 1)
        return x.squeeze(1)  # (N,)
