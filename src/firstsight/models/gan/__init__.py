"""Generative adversarial networks, one per file, their losses, and the function that builds them by name.

Importing this module does not import torch.
"""

from typing import TYPE_CHECKING, Literal

from firstsight.errors import UsageError
from firstsight.models.registry import GAN_MODELS

if TYPE_CHECKING:
    from torch import nn


OPTIONS = {
    "gan": (
        "d_width", "g_width", "output", "activation", "batch_norm", "spectral_norm", "bn_on_logit", "packing"
    ),
    "dcgan": (
        "d_width", "g_width", "output", "resampling", "activation", "spectral_norm", "d_batch_norm", "packing",
        "num_classes",
    ),
    "infogan": ("d_width", "g_width", "d_batch_norm", "categories", "continuous"),
}  # fmt: skip
"""Optional arguments of `create_gan` that apply to each network; the others are ignored."""


def create_gan(
    name: str,
    *,
    latent_dim: int = 100,
    image_size: int = 28,
    channels: int = 1,
    d_width: int = 64,
    g_width: int = 0,
    output: Literal["tanh", "sigmoid"] = "tanh",
    resampling: Literal["strided", "plain"] = "strided",
    activation: Literal["leaky", "relu"] = "leaky",
    batch_norm: bool = False,
    d_batch_norm: bool = True,
    spectral_norm: bool = False,
    bn_on_logit: bool = False,
    packing: int = 1,
    num_classes: int = 0,
    categories: tuple[int, ...] = (),
    continuous: int = 0,
) -> "tuple[nn.Module, nn.Module]":
    """Build a generator and a discriminator with randomly initialized weights.

    Parameters
    ----------
    name : str
        "gan", "dcgan" or "infogan".
    latent_dim : int
        Length of the latent vector: noise and codes.
    image_size : int
        Side of the images in pixels.
    channels : int
        Number of channels of the images: 1 or 3.
    d_width : int
        Width of the discriminator; see its class.
    g_width : int
        Width of the generator; 0 for that of the discriminator.
    output : Literal['tanh', 'sigmoid']
        Output activation of the generator: images in [-1, 1] or in [0, 1].
    resampling : Literal['strided', 'plain']
        (Transposed) convolutions of stride 2, or upsampling and pooling with plain convolutions.
    activation : Literal['leaky', 'relu']
        LeakyReLU or ReLU in the discriminator.
    batch_norm : bool
        Whether the generator of "gan" uses batch norm; the others always do.
    d_batch_norm : bool
        Whether the discriminator uses batch norm; False for training with a gradient penalty.
    spectral_norm : bool
        Whether the discriminator uses spectral norm.
    bn_on_logit : bool
        Whether the discriminator of "gan" applies batch norm to its logit, so that it cannot learn.
    packing : int
        Number of images that the discriminator receives at once, concatenated along their channels (PacGAN).
    num_classes : int
        Number of classes of class-conditional networks; 0 for unconditional ones.
    categories : tuple[int, ...]
        Number of values of each categorical code of InfoGAN.
    continuous : int
        Number of continuous codes of InfoGAN.

    Returns
    -------
    generator : nn.Module
        Maps latent vectors (N, latent_dim) to images (N, channels, image_size, image_size).
    discriminator : nn.Module
        Maps images to logits (N,); that of "infogan" also returns a `CodePrediction`.

    Raises
    ------
    UsageError
        If the name is unknown, the network does not support the size, or there are not 1 or 3 channels.
    """
    if name not in GAN_MODELS:
        raise UsageError(f"unknown network '{name}' (choose from {', '.join(GAN_MODELS)})")
    if channels not in (1, 3):
        raise UsageError(f"{name} needs images of 1 channel (grayscale) or 3 channels (RGB); got {channels}")
    from firstsight.models.gan import dcgan, gan, infogan

    image = {"size": image_size, "channels": channels}
    packed = {"size": image_size, "channels": channels * packing}
    g_width = g_width or d_width
    signed, strided, leaky = output == "tanh", resampling == "strided", activation == "leaky"
    try:
        if name == "gan":
            return (
                gan.Generator(latent=latent_dim, **image, width=g_width, signed=signed, batch_norm=batch_norm),
                gan.Discriminator(
                    **packed, width=d_width, leaky=leaky, spectral_norm=spectral_norm, bn_on_logit=bn_on_logit
                ),
            )
        if name == "dcgan":
            return (
                dcgan.Generator(latent=latent_dim, **image, width=g_width, signed=signed, strided=strided),
                dcgan.Discriminator(
                    **packed,
                    width=d_width,
                    leaky=leaky,
                    strided=strided,
                    spectral_norm=spectral_norm,
                    batch_norm=d_batch_norm,
                    classes=num_classes,
                ),
            )
        return (
            infogan.Generator(latent=latent_dim, **image, width=g_width),
            infogan.Discriminator(
                **image, width=d_width, categories=categories, continuous=continuous, batch_norm=d_batch_norm
            ),
        )
    except ValueError as error:
        raise UsageError(f"{error} (change `image_size`)") from None
