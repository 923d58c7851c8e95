"""Meaning of InfoGAN's codes: categories against classes, continuous codes against slant, width and stroke width."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from firstsight.data.images.image_set import ImageSet
from firstsight.metrics.clustering import ClusterMatch, match_clusters
from firstsight.models.gan import digit_shape
from firstsight.models.gan.latent import Latent

BATCH = 500
"""Images that Q reads at once."""


@torch.inference_mode()
def match_categories(discriminator: nn.Module, inputs: Tensor, images: ImageSet) -> ClusterMatch:
    """Match the first categorical code, as Q predicts it from real images, with the classes of the images.

    Parameters
    ----------
    discriminator : nn.Module
        Discriminator of InfoGAN with Q; it is left in the mode it was in.
    inputs : Tensor
        (N, C, S, S) normalized images.
    images : ImageSet
        The set of these images, for its labels.
    """
    mode = discriminator.training
    discriminator.eval()
    try:
        chunks = [discriminator(chunk)[1].categories[0] for chunk in inputs.split(BATCH)]
    finally:
        discriminator.train(mode)
    logits = torch.cat(chunks).cpu()
    return match_clusters(
        logits.argmax(1), images.labels, num_clusters=logits.shape[1], num_classes=len(images.classes)
    )


@dataclass(frozen=True)
class CodeCorrelation:
    """Correlation of a continuous code with the shape of digits, within categories.

    Attributes
    ----------
    slant : float
        Pearson's correlation with the slant, in [-1, 1]; see `firstsight.models.gan.digit_shape`.
    width : float
        Correlation with the width.
    stroke : float
        Correlation with the stroke width.
    """

    slant: float
    width: float
    stroke: float


def code_correlations(latent: Latent, z: Tensor, images: Tensor) -> list[CodeCorrelation]:
    """Compute the correlations of every continuous code with the shape of digits.

    Parameters
    ----------
    latent : Latent
        Latent space of the generator.
    z : Tensor
        (N, latent.length) random latent vectors.
    images : Tensor
        (N, C, S, S) uint8, generated from ``z``.
    """
    values, groups, shapes = _codes_and_shapes(latent, z, images)
    return [CodeCorrelation(*(digit_shape.correlation(code, x, groups) for x in shapes)) for code in values.T]


def joint_correlation(latent: Latent, z: Tensor, images: Tensor) -> CodeCorrelation:
    """Compute, for each shape, the correlation of the best linear combination of all continuous codes.

    Parameters
    ----------
    latent : Latent
        Latent space of the generator.
    z : Tensor
        (N, latent.length) random latent vectors.
    images : Tensor
        (N, C, S, S) uint8, generated from ``z``.
    """
    values, groups, shapes = _codes_and_shapes(latent, z, images)
    return CodeCorrelation(*(digit_shape.best_correlation(values, x, groups) for x in shapes))


def _codes_and_shapes(latent: Latent, z: Tensor, images: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Return continuous codes (N, codes), groups of equal categories (N,), and slant, width and stroke width (N,)."""
    categories, values = latent.codes(z)
    groups = torch.zeros(len(z), dtype=torch.long)
    for code, num_values in zip(categories, latent.categories, strict=True):  # a group per combination of categories
        groups = groups * num_values + code
    ink = images.float().mean(1, keepdim=True) / 255
    return values, groups, (digit_shape.slant(ink), digit_shape.width(ink), digit_shape.stroke_width(ink))
