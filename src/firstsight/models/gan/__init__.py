"""Generative adversarial networks, one file each, and their losses: modules and functions on tensors.

This page is their table; it imports torch only when one is built.
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
"""What of `create_gan`'s options each network has."""


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
    """A generator and a discriminator with fresh weights.

    Parameters
    ----------
    name : str
        "gan", "dcgan" or "infogan".
    latent : int
        Length of the generator's input: noise and codes.
    size, channels : int
        Of the pictures, (channels, size, size).
    width, g_width : int
        Of the networks, see there; the generator's may be one of its own, 0 for the same.
    critic : bool
        The discriminator's slope is to be held down, and so it has no batch norm.
    packing : int
        How many pictures the discriminator sees at once, one behind the other in its channels (PacGAN).
    classes : int
        How many there are, if both are told the class of a picture; 0: they are not.
    others
        See the networks; those in `OPTIONS` apply.

    Raises
    ------
    UsageError
        Unknown name, a size that the network does not make, channels other than 1 or 3.
    """
    if name not in GAN_MODELS:
        raise UsageError(f"unknown network '{name}'; known are {', '.join(GAN_MODELS)}")
    if channels not in (1, 3):
        raise UsageError(f"{name} makes pictures of 1 channel (grey) or 3 (red, green, blue); got {channels}")
    from firstsight.models.gan import dcgan, gan, infogan

    wide = g_width or width
    try:
        if name == "gan":
            return (
                gan.Generator(
                    latent=latent, size=size, channels=channels, width=wide, signed=signed, batch_norm=batch_norm
                ),
                gan.Discriminator(
                    size=size, channels=channels * packing, width=width, leaky=leaky, spectral_norm=spectral_norm,
                    stuck=stuck,
                ),
            )  # fmt: skip
        if name == "dcgan":
            return (
                dcgan.Generator(
                    latent=latent, size=size, channels=channels, width=wide, signed=signed, strided=strided
                ),
                dcgan.Discriminator(
                    size=size, channels=channels * packing, width=width, leaky=leaky, strided=strided,
                    spectral_norm=spectral_norm, batch_norm=not critic, classes=classes,
                ),
            )  # fmt: skip
        return (
            infogan.Generator(latent=latent, size=size, channels=channels, width=wide),
            infogan.Discriminator(
                size=size,
                channels=channels,
                width=width,
                categories=categories,
                continuous=continuous,
                batch_norm=not critic,
            ),
        )
    except ValueError as error:
        raise UsageError(f"{error}; choose it with --image-size") from None
