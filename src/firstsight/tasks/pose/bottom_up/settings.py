"""Settings of bottom-up pose networks."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from firstsight.errors import UsageError
from firstsight.tasks.pose.settings import PoseSettings


@dataclass(frozen=True, kw_only=True)
class BottomUpSettings(PoseSettings):
    """Settings of a bottom-up pose network."""

    TITLE: ClassVar[str] = "bottom-up network"
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        "max_people": (1, 30),
        "min_scale": (0.05, 2),
        "max_scale": (0.05, 2),
        "stages": (0, 10),
        "paf_weight": (0, 1000),
        "foreground_weight": (0, 1000),
    }

    scenes: Literal["composed", "photographs", "mosaics"] = "composed"
    """Scenes of several people, composed of images of one person each; crops of photographs around a person; or mosaics
    of one or four photographs, with and without people."""
    max_people: int = 6
    """Maximum number of people in a composed scene."""
    min_scale: float = 0.25
    """Size of the smallest person, relative to the image size."""
    max_scale: float = 0.9
    """Size of the largest person, relative to the image size."""
    stages: int = 1
    """Number of refinement stages."""
    sigma: float = 7.0
    """Standard deviation of the Gaussians in the target heatmaps, in pixels of the network's input."""
    paf_weight: float = 1.0
    """Weight of the loss of the part affinity fields relative to that of the heatmaps."""
    foreground_weight: float = 0.0
    """Additional weight of the loss at cells that show a keypoint or a limb, which are few."""
    align: Literal["center", "reference"] = "center"
    """Position of limbs in the target fields: as in the heatmaps, or as in the published code."""

    def validate(self) -> None:
        """Check every value.

        Raises
        ------
        UsageError
            If a value is out of range, or settings contradict each other.
        """
        super().validate()
        if self.image_size % 8 or self.image_size < 64:
            raise UsageError(f"`image_size` must be a multiple of 8, at least 64; got {self.image_size}")
        if self.min_scale > self.max_scale:
            raise UsageError(f"`min_scale` {self.min_scale} is larger than `max_scale` {self.max_scale}")


def default_settings(model: str) -> BottomUpSettings:
    """Return the settings of a network that has no recipe."""
    return BottomUpSettings()
