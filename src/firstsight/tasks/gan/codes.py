"""InfoGAN's codes held against what people see: classes, slant, width, strokes."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from firstsight.data.images.image_set import ImageSet
from firstsight.metrics.clustering import ClusterMatch, fit
from firstsight.models.gan import blocks as shape
from firstsight.models.gan.latent import Latent

BATCH = 500


@torch.inference_mode()
def read(discriminator: nn.Module, inputs: Tensor, images: ImageSet) -> ClusterMatch:
    """How the first categorical code that Q reads off real pictures fits their classes.

    Parameters
    ----------
    discriminator : nn.Module
        InfoGAN's, left in the mode it was in.
    inputs : Tensor
        (N, C, S, S) normalised; images : the set they are of, for its labels.
    """
    mode = discriminator.training
    discriminator.eval()
    try:
        rows = [discriminator(chunk)[1].categories[0] for chunk in inputs.split(BATCH)]
    finally:
        discriminator.train(mode)
    logits = torch.cat(rows).cpu()
    return fit(logits.argmax(1), images.labels, values=logits.shape[1], classes=len(images.classes))


@dataclass(frozen=True)
class CodeCorrelation:
    """What a continuous code does: its correlation with shapes, over pictures with random codes, within categories.

    Parameters
    ----------
    slant, width, stroke : float
        Pearson's correlation, in [-1, 1], with how far a digit leans, how wide it is, and how wide its strokes are; see
        `gan.shape`.
    """

    slant: float
    width: float
    stroke: float


def meanings(latent: Latent, z: Tensor, pictures: Tensor) -> list[CodeCorrelation]:
    """Of every continuous code.

    Parameters
    ----------
    z : Tensor
        (N, length) latent vectors; pictures : (N, C, S, S) uint8, made from them.
    """
    values, groups, shapes = _measured(latent, z, pictures)
    return [CodeCorrelation(*(shape.correlation(code, seen, groups) for seen in shapes)) for code in values.T]


def meaning_together(latent: Latent, z: Tensor, pictures: Tensor) -> CodeCorrelation:
    """Of the best mixture of all continuous codes for each shape.

    Parameters
    ----------
    z : Tensor
        (N, length) latent vectors; pictures : (N, C, S, S) uint8, made from them.
    """
    values, groups, shapes = _measured(latent, z, pictures)
    return CodeCorrelation(*(shape.best_correlation(values, seen, groups) for seen in shapes))


def _measured(latent: Latent, z: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """(N, codes) values, (N,) the group of a picture's categories, and (N,) of each shape."""
    chosen, values = latent.codes(z)
    groups = torch.zeros(len(z), dtype=torch.long)
    for code, values_of in zip(chosen, latent.categories, strict=True):  # every combination of categories is a group
        groups = groups * values_of + code
    ink = pictures.float().mean(1, keepdim=True) / 255
    return values, groups, (shape.slant(ink), shape.width(ink), shape.stroke_width(ink))
