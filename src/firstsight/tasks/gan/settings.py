"""Settings of generative adversarial networks."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from firstsight.errors import UsageError
from firstsight.tasks.gan.parse_settings import parse_categories
from firstsight.tasks.settings import ImageSettings, Settings


@dataclass(frozen=True, kw_only=True)
class GANOptimization:
    """Optimizers and losses of generator G and discriminator D."""

    TITLE: ClassVar[str] = "GAN training"
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        "d_lr_mult": (0, 1000), "beta1": (0, 0.999), "gp_weight": (0, 10_000), "r1_gamma": (0, 10_000),
        "n_critic": (1, 100), "ema_decay": (0, 0.99999),
    }  # fmt: skip

    d_lr_mult: float = 1.0
    """Learning rate of D divided by that of G."""
    beta1: float = 0.5
    """Adam's beta1."""
    optimizer: Literal["adam", "sgd", "sgd-in-d"] = "adam"
    """Adam; SGD without momentum; or SGD in D only."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Learning-rate schedule."""
    loss: str = "non-saturating"
    """Loss: non-saturating, saturating, least-squares, sigmoid-squares, hinge or wasserstein; the last has a gradient
    penalty."""
    gp_weight: float = 10.0
    """Weight of the gradient penalty (wasserstein)."""
    r1_gamma: float = 0.0
    """Weight of the R1 gradient penalty, applied every 8 steps; D then has no batch norm (0: none)."""
    n_critic: int = 1
    """Number of steps of D for each step of G."""
    ema_decay: float = 0.999
    """Decay of the exponential moving average of G's weights; the averaged weights are saved (0: off)."""


@dataclass(frozen=True, kw_only=True)
class GANArchitecture:
    """Architecture of generator and discriminator."""

    TITLE: ClassVar[str] = "GAN architecture"
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        "latent_dim": (1, 10_000), "d_width": (1, 1024), "g_width": (0, 1024), "packing": (1, 16),
    }  # fmt: skip

    latent_dim: int = 100
    """Length of the noise vector."""
    noise: Literal["normal", "uniform"] = "normal"
    """Distribution of the noise: N(0, 1) or U(-1, 1)."""
    d_width: int = 64
    """Channels of D's first feature map; for gan, a quarter of G's first hidden layer."""
    g_width: int = 0
    """Width of G if it differs from D's (0: the same)."""
    output: Literal["tanh", "sigmoid"] = "tanh"
    """Output activation of G: images in [-1, 1] with tanh, in [0, 1] with sigmoid."""
    activation: Literal["leaky", "relu"] = "leaky"
    """LeakyReLU or ReLU in D."""
    resampling: Literal["strided", "plain"] = "strided"
    """Strided convolutions, or upsampling and pooling with plain convolutions (dcgan)."""
    spectral_norm: bool = False
    """Spectral norm in D (not part of the classic networks)."""
    packing: int = 1
    """Number of images that D receives at once (PacGAN; not part of the classic networks)."""
    batch_norm: bool = False
    """Batch norm in G's hidden layers (gan; dcgan and infogan always have it)."""
    bn_on_logit: bool = False
    """Batch norm on the single logit of D, which then cannot learn (gan)."""
    conditional: bool = False
    """Class-conditional G and D: images of a chosen class can be generated (dcgan)."""


@dataclass(frozen=True, kw_only=True)
class GANRegularization:
    """Changes of D's input and targets that make its task harder."""

    TITLE: ClassVar[str] = "GAN regularization"
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        "real_label": (0.5, 1), "label_flip_prob": (0, 0.5), "instance_noise": (0, 100),
        "diffaug_translation": (0, 2048),
    }  # fmt: skip

    batches: Literal["separate", "mixed"] = "separate"
    """Real and generated images in separate batches of D, or in one (this matters for batch norm)."""
    real_label: float = 0.9
    """D's target for real images; below 1 this is one-sided label smoothing."""
    label_flip_prob: float = 0.0
    """Fraction of D's labels to flip."""
    instance_noise: float = 0.0
    """Standard deviation of Gaussian noise that is added to D's input, real and generated."""
    diffaug_translation: int = 0
    """Random shift of D's input by up to N pixels, annealed to 0 (DiffAugment); delays overfitting of D."""


@dataclass(frozen=True, kw_only=True)
class LatentCodes:
    """Latent codes of InfoGAN."""

    TITLE: ClassVar[str] = "latent code"
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        "continuous": (0, 100), "info_weight": (0, 1000), "info_warmup": (0, 0.99),
    }  # fmt: skip

    categories: str = ""
    """Number of values of each categorical code: 10, or 10,3 for two codes (infogan)."""
    continuous: int = 0
    """Number of continuous codes (infogan)."""
    info_weight: float = 1.0
    """Weight of the mutual-information loss: Q predicts the codes from the image (infogan)."""
    info_warmup: float = 0.0
    """Fraction of the training in which that weight rises linearly from 0 (infogan)."""
    code_std: float | str = 1.0
    """Standard deviation of Q's Gaussians for continuous codes (infogan): a number, one for each code as in 0.3,0.6,
    or learned. A smaller value gives a code more weight in the loss."""


@dataclass(frozen=True, kw_only=True)
class GANSettings(LatentCodes, GANRegularization, GANArchitecture, GANOptimization, ImageSettings):
    """Settings of a generative adversarial network: a generator G and a discriminator D."""

    TITLE: ClassVar[str] = "GAN"
    BASIC: ClassVar[tuple[str, ...]] = (*Settings.BASIC, "image_size", "loss", "conditional")
    lr: float = 2e-4
    """Learning rate of G."""

    def for_other_data(self, model: str) -> Settings:
        """Return the default settings of the network: those of a recipe are tuned to its data."""
        return default_settings(model)

    def validate(self) -> None:
        """Check every value.

        Raises
        ------
        UsageError
            As `Settings.validate`, or settings that contradict each other.
        """
        super().validate()
        if self.diffaug_translation > self.image_size // 2:
            half = self.image_size // 2
            raise UsageError(f"`diffaug_translation` must be between 0 and {half}; got {self.diffaug_translation}")
        from firstsight.models.gan.losses import get_loss  # imports torch, which the help does not need

        if not get_loss(self.loss).has_targets and self.label_flip_prob:
            raise UsageError(f"`label_flip_prob` has no effect on the {self.loss} loss, which has no labels")
        if self.batch_size < 2 * self.packing:
            least = 2 * self.packing
            raise UsageError(f"`batch_size` must be at least {least} with `packing={self.packing}` (batch norm)")
        if self.precision == "float16":
            raise UsageError("`precision=float16` is not available for GANs; use bfloat16 or float32")
        parse_categories(self.categories)


def default_settings(model: str) -> GANSettings:
    """Return the settings of a GAN on data that no recipe was made for."""
    if model == "infogan":
        return GANSettings(data="", epochs=100, latent_dim=62, categories="10", continuous=2, lr=1e-3, d_lr_mult=0.2)
    return GANSettings(data="", epochs=100)
