"""Input of a network whose feature maps are drawn."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from firstsight.errors import UsageError

__all__ = ["FeatureInput", "refuse_seed"]


@dataclass(frozen=True)
class FeatureInput:
    """Input of a network, and the image that belongs to it.

    Attributes
    ----------
    net : nn.Module
        Network, on the CPU.
    inputs : Tensor
        One input of ``net``, with the batch axis.
    image : NDArray[np.uint8]
        (C, H, W) image to draw: the input before normalization, or the output of a generator.
    heading : str
        What ``image`` is.
    name : str
        What a sample image is, or the seed of the latent vector; empty for an image that was given.
    is_bgr : bool
        Whether the channels of ``inputs`` are blue, green, red.
    """

    net: nn.Module
    inputs: Tensor
    image: NDArray[np.uint8]
    heading: str
    name: str
    is_bgr: bool = False


def refuse_seed(seed: int | None) -> None:
    """Refuse a seed for a network whose input is an image.

    Raises
    ------
    UsageError
        If a seed is given.
    """
    if seed is not None:
        raise UsageError("`seed` is for generators; the input of this network is an image")
