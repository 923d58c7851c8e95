"""Settings of classification."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from firstsight.errors import UsageError
from firstsight.models.registry import CLASSIFICATION_MODELS, check_options
from firstsight.tasks.settings import ImageSettings, Settings, WarmupSchedule

MAX_SMALL_IMAGE = 64
"""Maximum side in pixels of the images that a network for small images is made for."""
IMAGENET_LR, SMALL_IMAGE_LR = 1e-4, 5e-4
"""Learning rates of a fine-tuning of all layers: of networks for ImageNet, and of those for small images."""


@dataclass(frozen=True, kw_only=True)
class Regularization:
    """Regularization of a classifier."""

    TITLE: ClassVar[str] = "regularization"
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        "weight_decay": (0, 100), "bias_weight_decay": (0, 100), "label_smoothing": (0, 0.99), "cutout": (0, 4096),
    }  # fmt: skip

    weight_decay: float = 0.0
    """Weight decay, not applied to biases and batch norm."""
    bias_weight_decay: float = 0.0
    """Weight decay of biases and batch norm."""
    label_smoothing: float = 0.0
    """Fraction of the target that is distributed evenly over all classes."""
    cutout: int = 0
    """Augmentation: side in pixels of a random square that is blanked (Cutout; 0: off)."""


@dataclass(frozen=True, kw_only=True)
class Optimization(WarmupSchedule):
    """Optimizer of a classifier."""

    TITLE: ClassVar[str] = "optimizer"
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {"linear_lr_mult": (0, 100_000), "bias_lr_mult": (0, 100_000)}

    optimizer: Literal["adam", "adamw", "sgd", "muon"] = "adam"
    """Adam, AdamW, SGD with Nesterov momentum, or Muon (orthogonalized updates of filters, SGD for the rest)."""
    momentum: float = 0.9
    """Momentum of SGD and Muon."""
    linear_lr_mult: float = 1.0
    """Learning rate of linear layers divided by that of the filters (Muon)."""
    bias_lr_mult: float = 1.0
    """Learning rate of biases and batch norm divided by that of the other parameters."""


@dataclass(frozen=True, kw_only=True)
class ClassificationSettings(Optimization, Regularization, ImageSettings):
    """Settings of a classifier."""

    TITLE: ClassVar[str] = "classifier"
    BASIC: ClassVar[tuple[str, ...]] = (*Settings.BASIC, "patience", "image_size", "weights", "freeze")
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {"whiten": (0, 1_000_000), "patience": (0, 100_000)}

    variant: str = "default"
    """Variant of a network with several, such as paper of alexnet; firstsight models lists them."""
    weights: str = "none"
    """Pretrained weights for all layers but the head: imagenet, a name, a run or a file; names: firstsight weights
    list."""
    freeze: bool = False
    """Train the new head only (with pretrained weights)."""
    fit: Literal["crop", "pad"] = "crop"
    """Make images of a folder square: cut off their longer side, or pad their shorter side with black."""
    patience: int = 0
    """Stop early, after N epochs without a lower loss on held-out training images (0: never); the weights of the best
    epoch are kept."""
    whiten: int = 0
    """Number of training images from which the first layer is set to whiten its input, then frozen (airbench)."""
    tta_views: Literal[1, 2, 6] = 1
    """Test-time augmentation: average over N views (2: horizontal flip; 6: flip and shifts by one pixel)."""

    def validate(self) -> None:
        """Check every value.

        Raises
        ------
        UsageError
            As `Settings.validate`, or settings that contradict each other.
        """
        super().validate()
        if self.cutout > self.image_size:
            raise UsageError(f"`cutout` must be at most `image_size`, {self.image_size}; got {self.cutout}")
        if self.freeze and self.weights == "none":
            raise UsageError("`freeze` needs `weights`: a randomly initialized network must train all its layers")

    def changed(self, changes: dict[str, Any]) -> "ClassificationSettings":
        """Return these settings with some changes; augmentation that is too large for a small image size is scaled."""
        settings = replace(self, **changes)
        size = settings.image_size
        scaled = {
            name: getattr(self, name) * size // self.image_size
            for name, limit in (("translate", size - 1), ("cutout", size))
            if name not in changes and getattr(settings, name) > limit
        }
        return replace(settings, **scaled)

    def check_model(self, model: str) -> None:
        """Check that the network has the variant.

        Raises
        ------
        UsageError
            If it has not.
        """
        check_options(CLASSIFICATION_MODELS[model], None, None, self.variant_option)

    @property
    def variant_option(self) -> str | None:
        """The variant as `create_model` takes it; None for the default."""
        return None if self.variant == "default" else self.variant

    def starting_point(self, model: str, changes: dict[str, Any]) -> Settings:
        """Return the settings to build upon: those of a fine-tuning if ``changes`` name pretrained weights."""
        if changes.get("weights", "none") == "none":
            return self
        return fine_tuning(model, freeze=bool(changes.get("freeze")))


def fine_tuning(model: str, *, freeze: bool) -> ClassificationSettings:
    """Return default settings of a fine-tuning; the learning rate is larger for a head only, and for small images."""
    image_size = CLASSIFICATION_MODELS[model].image_size
    lr = SMALL_IMAGE_LR if image_size <= MAX_SMALL_IMAGE else IMAGENET_LR
    return ClassificationSettings(
        epochs=5, batch_size=32, lr=1e-3 if freeze else lr, optimizer="adamw", weight_decay=0.02, flip="random",
        scale=0.1, image_size=image_size,
    )  # fmt: skip


def default_settings(model: str) -> ClassificationSettings:
    """Return the settings of a network that has no recipe."""
    return ClassificationSettings(
        image_size=CLASSIFICATION_MODELS[model].image_size, optimizer="adamw", weight_decay=0.02, translate=2
    )
