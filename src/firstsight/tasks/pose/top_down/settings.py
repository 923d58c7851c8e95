"""Settings of top-down pose networks."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from firstsight.errors import UsageError
from firstsight.tasks.pose.settings import PoseSettings


@dataclass(frozen=True, kw_only=True)
class TopDownSettings(PoseSettings):
    """Settings of a top-down pose network."""

    TITLE: ClassVar[str] = "top-down network"
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        "image_width": (0, 1024),
        "stacks": (0, 8),
        "scale": (0, 0.9),
        "translate_fraction": (0, 0.5),
        "half_body": (0, 1),
        "random_erasing": (0, 1),
    }

    image_size: int = 128
    """Height of the network's input in pixels; a multiple of 32."""
    image_width: int = 0
    """Width of the network's input in pixels (0: the same)."""
    head: Literal["heatmap", "mse", "simcc"] = "heatmap"
    """Head: heatmaps with cross entropy, heatmaps with mean squared error, or SimCC (a class of x and of y)."""
    sigma: float = 8.0
    """Standard deviation of the Gaussian targets, in pixels of the network's input."""
    stacks: int = 0
    """Number of stacks (hourglass only; 0: 2 stacks)."""
    scale: float = 0.3
    """Augmentation: random scale between 1 - scale and 1 + scale."""
    translate_fraction: float = 0.0
    """Augmentation: random shift, up to this fraction of the person's size."""
    half_body: float = 0.0
    """Augmentation: probability of a crop of the upper or lower half of the body."""
    random_erasing: float = 0.0
    """Augmentation: probability of covering a rectangle with one color."""
    flip_test: bool = True
    """Test-time augmentation in the evaluation: average with the horizontally flipped image."""
    max_eval_samples: int = 1000

    def validate(self) -> None:
        """Check every value.

        Raises
        ------
        UsageError
            If a value is out of range, or settings contradict each other.
        """
        super().validate()
        for name in ("image_size", "image_width"):
            side = getattr(self, name)
            if side % 32 or (name == "image_size" and side < 32):
                raise UsageError(f"`{name}` must be a multiple of 32 for a top-down network; got {side}")
        if self.low_res_fraction and self.head == "simcc":
            raise UsageError("`head=simcc` needs crops of one size: use `low_res_fraction=0`")


def default_settings(model: str) -> TopDownSettings:
    """Return the settings of a network that has no recipe."""
    return TopDownSettings()
