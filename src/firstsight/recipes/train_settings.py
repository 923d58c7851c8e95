"""Keyword arguments of `firstsight.train`. Written by tools/make_train_settings.py; do not edit."""

from pathlib import Path
from typing import Literal, TypedDict

from firstsight.arguments import HasRun


class TrainSettings(TypedDict, total=False):
    """Settings of a training of any kind; missing ones keep the value of the recipe."""

    data: str | Path
    """Name of a data set (see: firstsight data), or folder or zip file with a subfolder per class; or IDX files."""
    epochs: int
    """Number of passes over the training images."""
    max_steps: int
    """Maximum number of optimizer steps, rounded down to whole epochs, at least one (0: no limit)."""
    evaluate_every: int
    """Evaluate after every N epochs, and after the last one."""
    batch_size: int
    """Images per optimizer step, over all processes together."""
    lr: float
    """Maximum learning rate."""
    image_size: int
    """Side of the images in pixels."""
    val_fraction: float
    """Fraction of the training images to evaluate on instead of the test set; it is held out, to choose settings."""
    seed: int
    """Seed of all random numbers."""
    precision: Literal["float32", "float64", "bfloat16", "float16", "auto"]
    """Floating-point type. The 16-bit types use mixed precision; auto is bfloat16 where the hardware has it, else
    float32."""
    translate: int
    """Augmentation: random shift, up to N pixels."""
    flip: Literal["none", "random", "alternating"]
    """Augmentation: horizontal flip; alternating flips every image in every other epoch."""
    rotate: float
    """Augmentation: random rotation, up to N degrees."""
    scale: float
    """Augmentation: random scale between 1 - scale and 1 + scale."""
    weight_decay: float
    """Weight decay, not applied to biases and batch norm."""
    bias_weight_decay: float
    """Weight decay of biases and batch norm."""
    label_smoothing: float
    """Fraction of the target that is distributed evenly over all classes."""
    cutout: int
    """Augmentation: side in pixels of a random square that is blanked (Cutout; 0: off)."""
    schedule: Literal["constant", "linear", "cosine", "multistep"]
    """Learning-rate schedule after the warm-up."""
    warmup: float
    """Fraction of the training in which the learning rate rises linearly from 0."""
    optimizer: Literal["adam", "adamw", "sgd", "muon", "sgd-in-d"]
    """Adam, AdamW, SGD with Nesterov momentum, or Muon (orthogonalized updates of filters, SGD for the rest)."""
    momentum: float
    """Momentum of SGD and Muon."""
    linear_lr_mult: float
    """Learning rate of linear layers divided by that of the filters (Muon)."""
    bias_lr_mult: float
    """Learning rate of biases and batch norm divided by that of the other parameters."""
    variant: str
    """Variant of a network with several, such as paper of alexnet; firstsight models lists them."""
    weights: str | Path | HasRun
    """Pretrained weights for all layers but the head: imagenet, a name, a run or a file; names: firstsight weights
    list."""
    freeze: bool
    """Train the new head only (with pretrained weights)."""
    fit: Literal["crop", "pad"]
    """Make images of a folder square: cut off their longer side, or pad their shorter side with black."""
    patience: int
    """Stop early, after N epochs without a lower loss on held-out training images (0: never); the weights of the best
    epoch are kept."""
    whiten: int
    """Number of training images from which the first layer is set to whiten its input, then frozen (airbench)."""
    tta_views: Literal[1, 2, 6]
    """Test-time augmentation: average over N views (2: horizontal flip; 6: flip and shifts by one pixel)."""
    d_lr_mult: float
    """Learning rate of D divided by that of G."""
    beta1: float
    """Adam's beta1."""
    loss: str
    """Loss: non-saturating, saturating, least-squares, sigmoid-squares, hinge or wasserstein; the last has a gradient
    penalty."""
    gp_weight: float
    """Weight of the gradient penalty (wasserstein)."""
    r1_gamma: float
    """Weight of the R1 gradient penalty, applied every 8 steps; D then has no batch norm (0: none)."""
    n_critic: int
    """Number of steps of D for each step of G."""
    ema_decay: float
    """Decay of the exponential moving average of G's weights; the averaged weights are saved (0: off)."""
    latent_dim: int
    """Length of the noise vector."""
    noise: Literal["normal", "uniform"]
    """Distribution of the noise: N(0, 1) or U(-1, 1)."""
    d_width: int
    """Channels of D's first feature map; for gan, a quarter of G's first hidden layer."""
    g_width: int
    """Width of G if it differs from D's (0: the same)."""
    output: Literal["tanh", "sigmoid"]
    """Output activation of G: images in [-1, 1] with tanh, in [0, 1] with sigmoid."""
    activation: Literal["leaky", "relu"]
    """LeakyReLU or ReLU in D."""
    resampling: Literal["strided", "plain"]
    """Strided convolutions, or upsampling and pooling with plain convolutions (dcgan)."""
    spectral_norm: bool
    """Spectral norm in D (not part of the classic networks)."""
    packing: int
    """Number of images that D receives at once (PacGAN; not part of the classic networks)."""
    batch_norm: bool
    """Batch norm in G's hidden layers (gan; dcgan and infogan always have it)."""
    bn_on_logit: bool
    """Batch norm on the single logit of D, which then cannot learn (gan)."""
    conditional: bool
    """Class-conditional G and D: images of a chosen class can be generated (dcgan)."""
    batches: Literal["separate", "mixed"]
    """Real and generated images in separate batches of D, or in one (this matters for batch norm)."""
    real_label: float
    """D's target for real images; below 1 this is one-sided label smoothing."""
    label_flip_prob: float
    """Fraction of D's labels to flip."""
    instance_noise: float
    """Standard deviation of Gaussian noise that is added to D's input, real and generated."""
    diffaug_translation: int
    """Random shift of D's input by up to N pixels, annealed to 0 (DiffAugment); delays overfitting of D."""
    categories: str
    """Number of values of each categorical code: 10, or 10,3 for two codes (infogan)."""
    continuous: int
    """Number of continuous codes (infogan)."""
    info_weight: float
    """Weight of the mutual-information loss: Q predicts the codes from the image (infogan)."""
    info_warmup: float
    """Fraction of the training in which that weight rises linearly from 0 (infogan)."""
    code_std: float | str
    """Standard deviation of Q's Gaussians for continuous codes (infogan): a number, one for each code as in 0.3,0.6, or
    learned. A smaller value gives a code more weight in the loss."""
    filter_lr_mult: float
    """Learning rate of these filters divided by that of the other parameters (Muon)."""
    milestones: str
    """Epochs after which the learning rate is multiplied by gamma, as in 90,120 (multistep)."""
    gamma: float
    """Factor by which the learning rate is multiplied at each milestone (multistep)."""
    low_res_fraction: float
    """Fraction of the epochs, at the start, that use smaller images; then the learning rate restarts."""
    low_res_scale: float
    """Size of these images relative to the full size, rounded to multiples of 32 (of 8 for a bottom-up network)."""
    lr_restart: float
    """Maximum learning rate after the restart divided by the first one."""
    skeleton: Literal["data", "coco-17", "openpose-18", "lsp-14"]
    """Keypoints and limbs: those of the data, or a built-in skeleton; it must share keypoints with the data."""
    max_eval_samples: int
    """Maximum number of samples to evaluate on: scenes and photographs (bottom-up), or people (top-down)."""
    scenes: Literal["composed", "photographs", "mosaics"]
    """Scenes of several people, composed of images of one person each; crops of photographs around a person; or mosaics
    of one or four photographs, with and without people."""
    max_people: int
    """Maximum number of people in a composed scene."""
    min_scale: float
    """Size of the smallest person, relative to the image size."""
    max_scale: float
    """Size of the largest person, relative to the image size."""
    stages: int
    """Number of refinement stages."""
    sigma: float
    """Standard deviation of the Gaussians in the target heatmaps, in pixels of the network's input."""
    paf_weight: float
    """Weight of the loss of the part affinity fields relative to that of the heatmaps."""
    foreground_weight: float
    """Additional weight of the loss at cells that show a keypoint or a limb, which are few."""
    align: Literal["center", "reference"]
    """Position of limbs in the target fields: as in the heatmaps, or as in the published code."""
    image_width: int
    """Width of the network's input in pixels (0: the same)."""
    head: Literal["heatmap", "mse", "simcc"]
    """Head: heatmaps with cross entropy, heatmaps with mean squared error, or SimCC (a class of x and of y)."""
    stacks: int
    """Number of stacks (hourglass only; 0: 2 stacks)."""
    translate_fraction: float
    """Augmentation: random shift, up to this fraction of the person's size."""
    half_body: float
    """Augmentation: probability of a crop of the upper or lower half of the body."""
    random_erasing: float
    """Augmentation: probability of covering a rectangle with one color."""
    flip_test: bool
    """Test-time augmentation in the evaluation: average with the horizontally flipped image."""
