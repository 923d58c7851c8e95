"""Settings that all pose networks share."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from firstsight.errors import UsageError
from firstsight.tasks.settings import Settings, parse_milestones


@dataclass(frozen=True, kw_only=True)
class PoseOptimization:
    """Optimizer, schedule and weight average of a pose network."""

    TITLE: ClassVar[str] = "pose training"
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        "filter_lr_mult": (0, 100_000),
        "momentum": (0, 0.999),
        "weight_decay": (0, 100),
        "warmup": (0, 0.99),
        "gamma": (0.001, 1),
        "ema_decay": (0, 0.99999),
        "low_res_fraction": (0, 0.99),
        "low_res_scale": (0.05, 1),
        "lr_restart": (0.001, 1),
    }

    optimizer: Literal["adam", "adamw", "muon"] = "adamw"
    """Adam, AdamW, or Muon (orthogonalized updates of filters before a batch norm, AdamW for the rest)."""
    filter_lr_mult: float = 7.0
    """Learning rate of these filters divided by that of the other parameters (Muon)."""
    momentum: float = 0.9
    """Momentum of these filters (Muon)."""
    weight_decay: float = 0.01
    """Weight decay, not applied to depthwise filters, biases and batch norm."""
    schedule: Literal["constant", "linear", "cosine", "multistep"] = "cosine"
    """Learning-rate schedule after the warm-up."""
    milestones: str = ""
    """Epochs after which the learning rate is multiplied by gamma, as in 90,120 (multistep)."""
    gamma: float = 0.1
    """Factor by which the learning rate is multiplied at each milestone (multistep)."""
    warmup: float = 0.1
    """Fraction of the training in which the learning rate rises linearly from 0."""
    ema_decay: float = 0.999
    """Decay of the exponential moving average of the weights; the averaged weights are saved (0: off)."""
    low_res_fraction: float = 0.0
    """Fraction of the epochs, at the start, that use smaller images; then the learning rate restarts."""
    low_res_scale: float = 0.67
    """Size of these images relative to the full size, rounded to multiples of 32 (of 8 for a bottom-up network)."""
    lr_restart: float = 0.3
    """Maximum learning rate after the restart divided by the first one."""


@dataclass(frozen=True, kw_only=True)
class PoseSettings(PoseOptimization, Settings):
    """Settings of a pose network. The data are a folder or a JSON file of COCO keypoints."""

    TITLE: ClassVar[str] = "pose network"
    BASIC: ClassVar[tuple[str, ...]] = (*Settings.BASIC, "image_size", "skeleton")
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        "rotate": (0, 180),
        "sigma": (1, 100),
        "max_eval_samples": (1, 1_000_000),
    }

    flip: Literal["none", "random"] = "random"
    """Augmentation: horizontal flip, which also swaps left and right keypoints."""
    rotate: float = 40.0
    """Augmentation: random rotation, up to N degrees."""
    skeleton: Literal["data", "coco-17", "openpose-18", "lsp-14"] = "data"
    """Keypoints and limbs: those of the data, or a built-in skeleton; it must share keypoints with the data."""
    max_eval_samples: int = 250
    """Maximum number of samples to evaluate on: scenes and photographs (bottom-up), or people (top-down)."""

    def validate(self) -> None:
        """Check every value.

        Raises
        ------
        UsageError
            If a value is out of range, or settings contradict each other.
        """
        super().validate()
        if self.optimizer == "muon" and self.precision == "float16":
            raise UsageError("`precision=float16` does not work with `optimizer=muon`; use bfloat16")
        parse_milestones(self.milestones)
        if (self.schedule == "multistep") != bool(self.milestones):
            raise UsageError("`milestones` and `schedule=multistep` need each other")

    def matches_data(self, data: str, own: str) -> bool:
        """Return whether ``data`` is the recipe's data set: its name, or a path that ends in it."""
        return own in (data, Path(data).name)
