"""Settings that every kind of training has, and groups of settings that several kinds share.

Each group is a dataclass, and the settings of a task inherit the groups that it uses. The fields stay flat: they are
the keyword arguments of `firstsight.train` and the options of the command line.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_origin, get_type_hints

from firstsight.arguments import check_type, is_digits
from firstsight.errors import UsageError
from firstsight.text import one_line


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings common to all tasks."""

    TITLE: ClassVar[str] = "training"
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        "epochs": (1, 100_000), "max_steps": (0, 10**9), "evaluate_every": (1, 100_000), "batch_size": (1, 1_000_000),
        "image_size": (4, 4096), "val_fraction": (0, 0.9), "seed": (0, 2**62),
    }  # fmt: skip
    """Smallest and largest value of each number."""
    BASIC: ClassVar[tuple[str, ...]] = ("data", "epochs", "batch_size", "lr", "seed", "val_fraction")
    """Settings that the short help shows."""

    data: str = "digits"
    """Name of a data set (see: firstsight data), or folder or zip file with a subfolder per class; or IDX files."""
    epochs: int = 10
    """Number of passes over the training images."""
    max_steps: int = 0
    """Maximum number of optimizer steps, rounded down to whole epochs, at least one (0: no limit)."""
    evaluate_every: int = 1
    """Evaluate after every N epochs, and after the last one."""
    batch_size: int = 128
    """Images per optimizer step, over all processes together."""
    lr: float = 1e-3
    """Maximum learning rate."""
    image_size: int = 32
    """Side of the images in pixels."""
    val_fraction: float = 0.0
    """Fraction of the training images to evaluate on instead of the test set; it is held out, to choose settings."""
    seed: int = 0
    """Seed of all random numbers."""
    precision: Literal["float32", "float64", "bfloat16", "float16", "auto"] = "float32"
    """Floating-point type. The 16-bit types use mixed precision; auto is bfloat16 where the hardware has it, else
    float32."""

    @classmethod
    def limits(cls) -> dict[str, tuple[float, float]]:
        """Return the smallest and largest value of each number, over all groups."""
        merged: dict[str, tuple[float, float]] = {}
        for base in reversed(cls.__mro__):
            merged |= vars(base).get("LIMITS", {})
        return merged

    def validate(self) -> None:
        """Check every value.

        Raises
        ------
        UsageError
            A value is out of range or not one of the choices, or it needs another setting.
        """
        limits = self.limits()
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is ClassVar:
                continue
            value = getattr(self, name)
            check_type(name, value, hint)
            if name in limits and not limits[name][0] <= value <= limits[name][1]:
                low, high = limits[name]
                raise UsageError(f"`{name}` must be between {low} and {high}; got {value}")
        if not 0 < self.lr <= 1000:
            raise UsageError(f"`lr` must be above 0 and at most 1000; got {self.lr}")

    def changed(self, changes: dict[str, Any]) -> "Settings":
        """Return these settings with some changes."""
        return replace(self, **changes)

    def check_model(self, model: str) -> None:
        """Check the values that depend on the network.

        Parameters
        ----------
        model : str
            Name of the network.

        Raises
        ------
        UsageError
            The network does not accept one.
        """

    def matches_data(self, data: str, own: str) -> bool:
        """Return whether ``data`` is the data set ``own``, which the recipe was made for."""
        return data == own

    def for_other_data(self, model: str) -> "Settings":
        """Return the settings for data that the recipe was not made for."""
        return self

    def starting_point(self, model: str, changes: dict[str, Any]) -> "Settings":
        """Return the settings that the given changes build upon; a fine-tuning has other defaults."""
        return self


@dataclass(frozen=True, kw_only=True)
class ImageAugmentation:
    """Random transforms of training images."""

    TITLE: ClassVar[str] = "augmentation"
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {"translate": (0, 4095), "rotate": (0, 180), "scale": (0, 0.9)}

    translate: int = 0
    """Augmentation: random shift, up to N pixels."""
    flip: Literal["none", "random", "alternating"] = "none"
    """Augmentation: horizontal flip; alternating flips every image in every other epoch."""
    rotate: float = 0.0
    """Augmentation: random rotation, up to N degrees."""
    scale: float = 0.0
    """Augmentation: random scale between 1 - scale and 1 + scale."""


@dataclass(frozen=True, kw_only=True)
class ImageSettings(ImageAugmentation, Settings):
    """Settings of a task that is trained on image sets."""

    def validate(self) -> None:
        """Check every value.

        Raises
        ------
        UsageError
            As `Settings.validate`, or settings that contradict each other.
        """
        super().validate()
        if self.translate >= self.image_size:
            raise UsageError(f"`translate` must be less than `image_size`, {self.image_size}; got {self.translate}")


@dataclass(frozen=True, kw_only=True)
class WarmupSchedule:
    """Learning-rate schedule after a linear warm-up."""

    TITLE: ClassVar[str] = "learning-rate schedule"
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {"warmup": (0, 0.99), "momentum": (0, 0.999)}

    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """Learning-rate schedule after the warm-up."""
    warmup: float = 0.1
    """Fraction of the training in which the learning rate rises linearly from 0."""


def parse_milestones(milestones: str) -> tuple[int, ...]:
    """Return the epochs of a list as in "90,120".

    Raises
    ------
    UsageError
        If it is not a list of increasing positive integers.

    >>> parse_milestones("90,120"), parse_milestones("")
    ((90, 120), ())
    """
    words = milestones.replace(" ", "").split(",") if milestones.strip() else []
    if not all(is_digits(word) and len(word) <= 6 for word in words):
        raise UsageError(
            f"`milestones` must be epochs separated by commas, as in 90,120; got {one_line(milestones, 60)}"
        )
    epochs = tuple(map(int, words))
    if any(a >= b for a, b in zip((0, *epochs), epochs, strict=False)):
        raise UsageError(f"`milestones` must be increasing epochs, as in 90,120; got {one_line(milestones, 60)}")
    return epochs
