"""Options of the evaluation of generators. Importing this module imports no torch."""

from dataclasses import dataclass
from typing import ClassVar

MAX_IMAGES = 10_000
"""Default number of images to compare."""


@dataclass(frozen=True, kw_only=True)
class GANOptions:
    """Options of the evaluation of generators."""

    TITLE: ClassVar[str] = "GAN"
    n: int = MAX_IMAGES
    """Number of images to compare; at most the number of test images."""
    seed: int = 0
    """Seed of the latent vectors."""
