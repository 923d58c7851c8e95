"""Generative adversarial networks, one per file, their losses, and the function that builds them by name.

Importing this module does not import torch.
"""

from typing import TYPE_CHECKING

from firstsight.errors import UsageError
from firstsight.models.registry import GAN_MODELS

if TYPE_CHECKING:
    from torch import nn


OPTIONS = {
    "gan": ("width", "g_width", "signed", "leaky", "batch_norm", "spectral_norm", "stuck", "packing"),
    "dcgan": ("width", "g_width", "signed", "strided", "leaky", "spectral_norm", "critic", "packing", "classes"),
    "infogan": ("width", "g_width", "critic", "categories", "continuous"),
}
"""Optional arguments of `create_gan` that apply to each network; the others are ignored."""


def create_gan(
    name: str,
    *,
    latent: int = 100,
    size: int = 28,
    channels: int = 1,
    width: int = 64,
    g_width: int = 0,
    signed: bool = True,
    strided: bool = True,
    leaky: bool = True,
    batch_norm: bool = False,
    spectral_norm: bool = False,
    stuck: bool = False,
    critic: bool = False,
    packing: int = 1,
    classes: int = 0,
    categories: tuple[int, ...] = (),
    continuous: int = 0,
) -> "tuple[nn.Module, nn.Module]":
    """Build a generator and a discriminator with randomly initialized weights.

    Parameters
    ----------
    name : str
        "gan", "dcgan" or "infogan".
    latent : int
        Length of the latent vector: noise and codes.
    size : int
        Side of the images in pixels.
    channels : int
        Number of channels of the images: 1 or 3.
    width : int
        Width of both networks; see their classes.
    g_width : int
        Width of the generator if it differs from ``width``; 0 for the same.
    signed : bool
        Whether images are in [-1, 1] (tanh) instead of [0, 1] (sigmoid).
    strided : bool
        Whether to use (transposed) convolutions of stride 2 instead of upsampling and pooling with plain convolutions.
    leaky : bool
        Whether the discriminator uses LeakyReLU instead of ReLU.
    batch_norm : bool
        Whether the generator of "gan" uses batch norm; the others always do.
    spectral_norm : bool
        Whether the discriminator uses spectral norm.
    stuck : bool
        Whether the discriminator of "gan" applies batch norm to its logit, so that it cannot learn.
    critic : bool
        Whether the discriminator is trained with a gradient penalty; it then has no batch norm.
    packing : int
        Number of images that the discriminator receives at once, concatenated along their channels (PacGAN).
    classes : int
        Number of classes of class-conditional networks; 0 for unconditional ones.
    categories : tuple[int, ...]
        Number of values of each categorical code of InfoGAN.
    continuous : int
        Number of continuous codes of InfoGAN.

    Returns
    -------
    generator : nn.Module
        Maps latent vectors (N, latent) to images (N, channels, size, size).
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

    image = {"size": size, "channels": channels}
    packed = {"size": size, "channels": channels * packing}
    g_width = g_width or width
    try:
        if name == "gan":
            return (
                gan.Generator(latent=latent, **image, width=g_width, signed=signed, batch_norm=batch_norm),
                gan.Discriminator(**packed, width=width, leaky=leaky, spectral_norm=spectral_norm, bn_on_logit=stuck),
            )
        if name == "dcgan":
            return (
                dcgan.Generator(latent=latent, **image, width=g_width, signed=signed, strided=strided),
                dcgan.Discriminator(
                    **packed,
                    width=width,
                    leaky=leaky,
                    strided=strided,
                    spectral_norm=spectral_norm,
                    batch_norm=not critic,
                    classes=classes,
                ),
            )
        return (
            infogan.Generator(latent=latent, **image, width=g_width),
            infogan.Discriminator(
                **image, width=width, categories=categories, continuous=continuous, batch_norm=not critic
            ),
        )
    except ValueError as error:
        raise UsageError(f"{error} (change `image_size`)") from None
