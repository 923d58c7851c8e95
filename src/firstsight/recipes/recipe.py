"""What a recipe is: a named experiment as data."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a run's result depends on, whatever is trained; each field can be given on the command line."""

    data: str = "digits"
    """Data set: a name (see: firstsight data), or a folder, a zip of class/picture, IDX files."""
    epochs: int = 10
    """Passes over the training images."""
    updates: int = 0
    """Train for no more epochs than hold so many updates, but for one at least; 0: for all."""
    evaluate_every: int = 1
    """Measure after every so many epochs, and after the last."""
    batch_size: int = 128
    """Images per update, over all processes together."""
    lr: float = 1e-3
    """Highest learning rate."""
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
    holdout: float = 0.0
    """Measure on this share of the training images instead of the test set (for choosing settings)."""
    seed: int = 0
    """Where all randomness starts."""
    precision: Literal["float32", "float64", "bfloat16", "float16", "auto"] = "float32"
    """Arithmetic; the 16-bit kinds are mixed precision; auto is bfloat16 where the processor computes in it, else
    float32."""


@dataclass(frozen=True, kw_only=True)
class ClassifySettings(Settings):
    """Settings of a classifier."""

    weights: str = "none"
    """Begin with trained weights, all but the head: imagenet, a name (see: firstsight weights list), a run, a file."""
    freeze: bool = False
    """With --weights: train the new head only."""
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
    cutout: int = 0
    """Augmentation: blank a square of so many pixels."""
    whiten: int = 0
    """Set the first layer from so many training images, to whiten them, and fix it (networks that can: airbench)."""
    views: Literal[1, 2, 6] = 1
    """Views averaged when measuring and predicting: the picture; its mirror image; both moved by a pixel."""


@dataclass(frozen=True, kw_only=True)
class GanSettings(Settings):
    """Settings of a generative adversarial network: a generator G against a discriminator D."""

    lr: float = 2e-4
    """Learning rate of G."""
    d_lr: float = 1.0
    """Learning rate of D, as a multiple of G's."""
    beta1: float = 0.5
    """How much of Adam's mean of gradients is kept at every update."""
    optimizer: Literal["adam", "sgd", "sgd-in-d"] = "adam"
    """Adam; SGD without momentum; or SGD in D alone."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the learning rates fall."""
    loss: Literal["non-saturating", "saturating", "least-squares", "sigmoid-squares", "hinge", "wasserstein"] = (
        "non-saturating"
    )
    """What both minimise (wasserstein: with a gradient penalty)."""
    penalty: float = 10.0
    """With wasserstein: weight of the gradient penalty."""
    r1: float = 0.0
    """Weight of D's squared slope at real pictures, which is held down at every eighth update; D is then without batch
    norm (not part of the classic networks). 0: none."""
    critic_steps: int = 1
    """Updates of D for one of G."""
    latent: int = 100
    """Length of the noise vector."""
    noise: Literal["normal", "uniform"] = "normal"
    """Distribution of the noise: N(0, 1) or U(-1, 1)."""
    width: int = 64
    """Channels of D's first hidden map; of gan a quarter of G's first hidden layer."""
    g_width: int = 0
    """The width of G, where it is not that of D; 0: the same."""
    pixels: Literal["signed", "unsigned"] = "signed"
    """Pictures in [-1, 1] with tanh, or in [0, 1] with a sigmoid."""
    batches: Literal["separate", "mixed"] = "separate"
    """Real and generated pictures in batches of their own, or together (it matters to batch norm)."""
    activation: Literal["leaky", "relu"] = "leaky"
    """LeakyReLU or ReLU in D."""
    resampling: Literal["strided", "plain"] = "strided"
    """Strided convolutions, or doubling and pooling with plain ones (dcgan)."""
    real_target: float = 0.9
    """What D is to say to real pictures; below 1 it is one-sided label smoothing."""
    label_noise: float = 0.0
    """Share of D's labels that are turned round."""
    spectral_norm: bool = False
    """Spectral norm in D (not part of the classic networks)."""
    ema: float = 0.999
    """How much of the average of G's weights is kept at every update; the average is what is used. 0: no average."""
    instance_noise: float = 0.0
    """Deviation of noise that is added to pictures, real and generated, before D sees them: D wins less easily."""
    translation: int = 0
    """Pixels by which pictures, real and generated, are moved at random before D sees them, falling to 0 (DiffAugment):
    D then learns few pictures by heart less soon."""
    packing: int = 1
    """Pictures that D sees at once (PacGAN; not part of the classic networks)."""
    batch_norm: bool = False
    """Batch norm in G's hidden layers (gan; dcgan and infogan always have it)."""
    stuck: bool = False
    """Batch norm over the one unit before D's sigmoid, which cannot learn (gan)."""
    conditional: bool = False
    """Tell both networks the class of every picture: pictures of a class can then be asked for (dcgan)."""
    categories: str = ""
    """How many values the categorical codes have: 10, or 10,3 for two codes (infogan)."""
    continuous: int = 0
    """Number of continuous codes (infogan)."""
    information: float = 1.0
    """Weight of the information term: Q must read the codes off the pictures (infogan)."""
    information_warmup: float = 0.0
    """Share of the training in which that weight grows from 0 to its value: pictures first, then codes (infogan)."""
    spread: float | str = 1.0
    """Deviation of the normal distributions that Q answers for continuous codes (infogan): a number, one for each code
    as 0.3,0.6, or learned: what Q says. The smaller, the more a code matters beside the others and the categories."""


@dataclass(frozen=True, kw_only=True)
class PeopleSettings(Settings):
    """Settings of a pose network. ``data`` is a folder or a JSON file of COCO keypoints."""

    flip: Literal["none", "random", "alternating"] = "random"
    """Augmentation: mirror left and right, and change the places of left and right joints (none or random)."""
    rotate: float = 40.0
    """Augmentation: rotate by up to so many degrees."""
    skeleton: Literal["data", "coco-17", "openpose-18", "lsp-14"] = "data"
    """The joints and limbs to learn: those of the data, or built-in ones that share joints with them."""
    optimizer: Literal["adam", "adamw", "muon"] = "adamw"
    """Adam, AdamW, or Muon (orthogonal updates of filters that a batch norm follows, AdamW for the rest)."""
    filter_lr: float = 7.0
    """With Muon: learning rate of those filters, as a multiple of the others'."""
    momentum: float = 0.9
    """With Muon: momentum of those filters."""
    weight_decay: float = 0.01
    """Weight decay (not on depthwise filters, biases and batch norms)."""
    schedule: Literal["constant", "linear", "cosine", "steps", "tenths"] = "cosine"
    """How the learning rate falls after the warm-up; steps: to a third after 100, 200 and 260 of 280 parts; tenths: to
    a tenth after 90 and 120 of 140."""
    warmup: float = 0.1
    """Share of the training in which the learning rate rises from zero."""
    ema: float = 0.999
    """How much of the average of the weights is kept at every update; the average is what is used. 0: no average."""
    early: float = 0.0
    """Share of the epochs, the first ones, that are on smaller pictures; then the learning rate begins anew."""
    early_scale: float = 0.67
    """Their sides as a share of the full ones, rounded to multiples of 32 (of 8 for a bottom-up network)."""
    restart: float = 0.3
    """The learning rate that begins anew, as a share of the first one."""


@dataclass(frozen=True, kw_only=True)
class PoseSettings(PeopleSettings):
    """Settings of a bottom-up pose network."""

    scenes: Literal["composed", "photographs"] = "composed"
    """Scenes of several people, each cut out of a picture of one; or parts of photographs."""
    people: int = 6
    """With composed scenes: at most so many people."""
    smallest: float = 0.25
    """Size of the smallest person, as a share of the image size."""
    largest: float = 0.9
    """Size of the largest person, as a share of the image size."""
    stages: int = 1
    """Refinement stages of the network."""
    sigma: float = 7.0
    """Standard deviation of a joint's bump in the heatmaps to learn, in pixels of the network's input."""
    paf_weight: float = 1.0
    """Weight of the part affinity fields' loss beside that of the heatmaps."""
    foreground: float = 0.0
    """Weight that the loss adds where a joint or a limb is to be seen, which is in few cells."""
    measured: int = 250
    """Scenes, and photographs, to measure on."""


@dataclass(frozen=True, kw_only=True)
class TopDownSettings(PeopleSettings):
    """Settings of a pose network that looks at one person at a time."""

    image_size: int = 128
    """Height of the network's input in pixels; a multiple of 32."""
    image_width: int = 0
    """Width of the network's input in pixels; 0: the same."""
    head: Literal["heatmap", "squares", "simcc"] = "heatmap"
    """How a joint's place is told: by a heatmap (cross entropy, or squared errors), or by a class of x and of y."""
    sigma: float = 8.0
    """Standard deviation of what is wanted around a joint, in pixels of the network's input."""
    stacks: int = 0
    """Hourglasses in a row; 0: the network's own."""
    zoom: float = 0.3
    """Augmentation: scale by a factor within 1 - zoom .. 1 + zoom."""
    move: float = 0.0
    """Augmentation: move by up to this share of the person's size."""
    half_body: float = 0.0
    """Augmentation: of this share of the people show the upper or the lower half alone."""
    hide: float = 0.0
    """Augmentation: of this share of the people cover a rectangle with one colour."""
    flip_test: bool = True
    """Measure with the mirror image too, averaged."""
    measured: int = 1000
    """People to measure on."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A named experiment: network, data, settings, and the result they reach.

    Parameters
    ----------
    result : measured with this code: mean and spread over seeds, n, time.
    settings : their type says what kind of training it is.
    """

    name: str
    model: str
    result: str
    settings: Settings = field(default_factory=ClassifySettings)

    @property
    def data(self) -> str:
        """The data set it was made for."""
        return self.settings.data
