"""What a recipe is: a named experiment as data."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a run's result depends on; each field can be given on the command line."""

    data: str = "digits"
    """Data set: a name (see: firstsight data), or a folder, a zip of class/picture, IDX files."""
    weights: str = "none"
    """Begin with trained weights, all but the head: imagenet, a name (see: firstsight weights list), a run, a file."""
    freeze: bool = False
    """With --weights: train the new head only."""
    epochs: int = 10
    """Passes over the training images."""
    batch_size: int = 128
    """Images per update, over all processes together."""
    lr: float = 1e-3
    """Highest learning rate."""
    optimizer: Literal["adam", "adamw", "sgd", "muon"] = "adam"
    """Adam, AdamW, SGD with Nesterov momentum, or Muon (orthogonal updates of filters, SGD for the rest)."""
    momentum: float = 0.9
    """Momentum of SGD."""
    linear_lr: float = 1.0
    """With Muon: learning rate of linear layers, as a multiple of the filters'."""
    bias_lr: float = 1.0
    """Learning rate of biases and batch norms, as a multiple of the others'."""
    weight_decay: float = 0.0
    """Weight decay (not on biases and batch norms)."""
    bias_decay: float = 0.0
    """Weight decay of biases and batch norms."""
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """How the learning rate falls after the warm-up."""
    warmup: float = 0.1
    """Share of the training in which the learning rate rises from zero."""
    label_smoothing: float = 0.0
    """Share of the target spread evenly over all classes."""
    image_size: int = 32
    """Side of the network's input in pixels."""
    shift: int = 0
    """Augmentation: move by up to so many pixels."""
    flip: Literal["none", "random", "alternating"] = "none"
    """Augmentation: mirror left and right."""
    rotate: float = 0.0
    """Augmentation: rotate by up to so many degrees."""
    zoom: float = 0.0
    """Augmentation: scale by a factor within 1 - zoom .. 1 + zoom."""
    cutout: int = 0
    """Augmentation: blank a square of so many pixels."""
    whiten: int = 0
    """Set the first layer from so many training images, to whiten them, and fix it (networks that can: airbench)."""
    views: Literal[1, 2, 6] = 1
    """Views averaged when measuring and predicting: the picture; its mirror image; both moved by a pixel."""
    holdout: float = 0.0
    """Measure on this share of the training images instead of the test set (for choosing settings)."""
    seed: int = 0
    """Where all randomness starts."""
    precision: Literal["float32", "float64", "bfloat16", "float16"] = "float32"
    """Arithmetic; the 16-bit kinds are mixed precision."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A named experiment: network, data, settings, and the result they reach.

    Parameters
    ----------
    result : measured with this code: mean and spread over seeds, n, time.
    """

    name: str
    model: str
    result: str
    settings: Settings = field(default_factory=Settings)

    @property
    def data(self) -> str:
        """The data set it was made for."""
        return self.settings.data
