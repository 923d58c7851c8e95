"""Settings of denoising: a network removes Gaussian noise from images."""

from dataclasses import dataclass
from typing import ClassVar

from firstsight.tasks.settings import ImageSettings


@dataclass(frozen=True, kw_only=True)
class DenoisingSettings(ImageSettings):
    """Settings of a denoising network."""

    BASIC: ClassVar[tuple[str, ...]] = (*ImageSettings.BASIC, "noise_std")
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {"noise_std": (0.01, 10)}

    noise_std: float = 1.0
    """Standard deviation of the noise."""


def default_settings(model: str) -> DenoisingSettings:
    """Return the settings of a network without a recipe."""
    return DenoisingSettings(data="digits", epochs=2, lr=3e-3)
