"""Generative adversarial networks, one per file, their losses, and the function that builds them by name.

Importing this module does not import torch.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

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
    generator, discriminator = gan_builders(
        name,
        latent_dim=latent_dim,
        image_size=image_size,
        channels=channels,
        d_width=d_width,
        g_width=g_width,
        output=output,
        resampling=resampling,
        activation=activation,
        batch_norm=batch_norm,
        d_batch_norm=d_batch_norm,
        spectral_norm=spectral_norm,
        bn_on_logit=bn_on_logit,
        packing=packing,
        num_classes=num_classes,
        categories=categories,
        continuous=continuous,
    )
    return generator(), discriminator()


def gan_builders(name: str, **options: Any) -> "tuple[Callable[[], nn.Module], Callable[[], nn.Module]]":
    """Return functions that build the generator and the discriminator of `create_gan`, to build only one of them.

    Parameters
    ----------
    name : str
        "gan", "dcgan" or "infogan".
    **options : Any
        All options of `create_gan`.

    Raises
    ------
    UsageError
        If the name is unknown, or there are not 1 or 3 channels. The functions raise it if the network does not
        support the size.
    """
    channels = options["channels"]
    if name not in GAN_MODELS:
        raise UsageError(f"unknown network '{name}' (choose from {', '.join(GAN_MODELS)})")
    if channels not in (1, 3):
        raise UsageError(f"{name} needs images of 1 channel (grayscale) or 3 channels (RGB); got {channels}")
    from firstsight.models.gan import dcgan, gan, infogan

    image = {"size": options["image_size"], "channels": channels}
    packed = {"size": options["image_size"], "channels": channels * options["packing"]}
    for_g = {**image, "latent": options["latent_dim"], "width": options["g_width"] or options["d_width"]}
    signed, strided = options["output"] == "tanh", options["resampling"] == "strided"
    width, leaky, spectral_norm = options["d_width"], options["activation"] == "leaky", options["spectral_norm"]
    builders: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
        "gan": (
            partial(gan.Generator, **for_g, signed=signed, batch_norm=options["batch_norm"]),
            partial(
                gan.Discriminator,
                **packed,
                width=width,
                leaky=leaky,
                spectral_norm=spectral_norm,
                bn_on_logit=options["bn_on_logit"],
            ),
        ),
        "dcgan": (
            partial(dcgan.Generator, **for_g, signed=signed, strided=strided),
            partial(
                dcgan.Discriminator,
                **packed,
                width=width,
                leaky=leaky,
                strided=strided,
                spectral_norm=spectral_norm,
                batch_norm=options["d_batch_norm"],
                classes=options["num_classes"],
            ),
        ),
        "infogan": (
            partial(infogan.Generator, **for_g),
            partial(
                infogan.Discriminator,
                **image,
                width=width,
                categories=options["categories"],
                continuous=options["continuous"],
                batch_norm=options["d_batch_norm"],
            ),
        ),
    }
    generator, discriminator = builders[name]
    return partial(_build, generator), partial(_build, discriminator)


def _build(network: "Callable[[], nn.Module]") -> "nn.Module":
    try:
        return network()
    except ValueError as error:
        raise UsageError(f"{error} (change `image_size`)") from None
