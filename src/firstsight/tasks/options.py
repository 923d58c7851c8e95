"""Typed keyword arguments of `firstsight.create_model` and `firstsight.evaluate`. The module imports no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from firstsight.arguments import HasRun
    from firstsight.pose.skeleton import Skeleton
    from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator


class GANOnlyOptions(TypedDict, total=False):
    """Options that only the networks "gan", "dcgan" and "infogan" have; see `firstsight.models.gan.create_gan`."""

    latent_dim: int
    channels: int
    d_width: int
    g_width: int
    output: Literal["tanh", "sigmoid"]
    resampling: Literal["strided", "plain"]
    activation: Literal["leaky", "relu"]
    batch_norm: bool
    d_batch_norm: bool
    spectral_norm: bool
    bn_on_logit: bool
    packing: int
    categories: tuple[int, ...]
    continuous: int


class GANModelOptions(GANOnlyOptions, total=False):
    """Options of the networks "gan", "dcgan" and "infogan"."""

    num_classes: int
    image_size: int


class ModelOptions(TypedDict, total=False):
    """Options of networks of any kind; those of a classification network come first."""

    num_classes: int | None
    """Number of classes; 0 of a GAN for unconditional networks."""
    in_channels: int | None
    """Channels of the images (classification)."""
    image_size: int | None
    """Side of the images in pixels (classification, GAN)."""
    variant: str | None
    """Variant, for networks with several, such as "paper" of alexnet (classification)."""
    skeleton: "Skeleton | None"
    """Keypoints and limbs (pose); None for those of the network's usual data, such as COCO_17 of pose-small."""
    stages: int | None
    """Number of refinement stages (bottom-up)."""
    bridge: Literal["relu", "elu"] | None
    """Activation of the first block after the backbone (openpose-mobilenet)."""
    size: tuple[int, int] | None
    """Height and width of the input in pixels (top-down); None for (256, 192), or (256, 256) of hourglass."""
    head: Literal["heatmap", "mse", "simcc"]
    """Kind of head (top-down)."""
    sigma: float
    """Standard deviation of the head's target in pixels (top-down)."""
    stacks: int | None
    """Number of hourglasses (hourglass)."""


class AnyModelOptions(ModelOptions, GANOnlyOptions, total=False):
    """Options of all networks."""


class EvaluateOptions(TypedDict, total=False):
    """Options of the evaluation of generators and pose networks; a classifier has none."""

    n: int
    """Number of images to compare (generator)."""
    seed: int
    """Seed of the latent vectors (generator)."""
    images: str | Path | None
    """Folder of the images of a JSON file; None for the folder next to it (pose)."""
    height: int | None
    """Height in pixels that images are resized to (bottom-up)."""
    method: Literal["fast", "exact"] | None
    """Decoding (bottom-up)."""
    scales: Sequence[float] | str | None
    """Multiples of the height whose maps are averaged (bottom-up)."""
    flip: bool | None
    """Average with the horizontally flipped image (pose)."""
    detector: "PoseEstimator | str | Path | HasRun | None"
    """Bottom-up estimator, or its weights, that finds the people (top-down)."""
    limit: int | None
    """Evaluate only this many images (pose)."""
    results: str | Path | None
    """File to write the predictions to, as COCO keypoint results (pose)."""
