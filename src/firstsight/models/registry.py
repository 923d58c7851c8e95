"""Registry of all networks of the package. Importing this module does not import torch."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from firstsight.arguments import check_arguments
from firstsight.errors import UsageError

Kind = str
"""Name of a kind of task: "classification", "gan", "bottom-up", "top-down", or one that was registered."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Registry entry of a network.

    Attributes
    ----------
    name : str
        Name on the command line. With underscores for hyphens, it is also the name of the builder function.
    kind : str
        Kind of network: "classification", "gan", "bottom-up", "top-down", or one that was registered.
    summary : str
        Description in one line.
    parameters : int
        Number of parameters with the default options. For a GAN: of generator and discriminator together for
        1x28x28 images. ``infogan`` is counted with one categorical code of 10 values, two continuous codes and
        62 noise values.
    module : str
        Module that contains the network, in ``firstsight.models.classification``, ``gan`` or ``pose``.
    image_size : int
        Default side of the input in pixels.
    min_size : int
        Smallest side of the input in pixels.
    num_classes : int
        Default number of classes, as published.
    in_channels : int
        Default number of input channels, as published.
    variants : tuple[str, ...]
        Names of the variants; the first one is the default.
    is_fixed_size : bool
        Whether ``image_size`` is the only valid side.
    needs_image_size : bool
        Whether the builder has an ``image_size`` parameter.
    stages : int
        Default number of refinement stages (bottom-up) or stacked hourglasses (top-down).
    """

    name: str
    kind: Kind
    summary: str
    parameters: int
    module: str
    image_size: int = 32
    min_size: int = 1
    num_classes: int = 10
    in_channels: int = 1
    variants: tuple[str, ...] = ()
    is_fixed_size: bool = False
    needs_image_size: bool = False
    stages: int = 1


def _classifier(
    name: str,
    module: str,
    parameters: int,
    summary: str,
    *,
    min_size: int = 1,
    in_channels: int = 1,
    is_fixed_size: bool = False,
    needs_image_size: bool = False,
) -> ModelInfo:
    """Return the entry of a classification network for 10 classes of 32x32 images."""
    return ModelInfo(
        name=name,
        kind="classification",
        summary=summary,
        parameters=parameters,
        module=module,
        min_size=min_size,
        in_channels=in_channels,
        is_fixed_size=is_fixed_size,
        needs_image_size=needs_image_size,
    )


def _imagenet(name: str, module: str, parameters: int, summary: str, *variants: str, min_size: int = 32) -> ModelInfo:
    """Return the entry of a classification network for 1000 classes of 224x224 color images."""
    return ModelInfo(
        name=name,
        kind="classification",
        summary=summary,
        parameters=parameters,
        module=module,
        image_size=224,
        min_size=min_size,
        num_classes=1000,
        in_channels=3,
        variants=variants,
    )


def _cifar(name: str, module: str, parameters: int, summary: str, *variants: str, min_size: int = 32) -> ModelInfo:
    """Return the entry of a network for 10 classes of 32x32 color images."""
    return ModelInfo(
        name=name,
        kind="classification",
        summary=summary,
        parameters=parameters,
        module=module,
        min_size=min_size,
        in_channels=3,
        variants=variants,
    )


def _resnet_cifar(depth: int, parameters: int) -> ModelInfo:
    """Return the entry of a ResNet for 10 classes of 32x32 color images."""
    summary = f"ResNet with {depth} layers for small images (He 2015, section 4.2)"
    return _cifar(f"resnet{depth}", "resnet_cifar", parameters, summary, min_size=4)


def _pose(name: str, kind: Kind, module: str, parameters: int, summary: str, *, stages: int = 1) -> ModelInfo:
    """Return the entry of a pose network."""
    return ModelInfo(
        name=name, kind=kind, summary=summary, parameters=parameters, module=module, in_channels=3, stages=stages
    )


def _gan(name: str, parameters: int, summary: str) -> ModelInfo:
    """Return the entry of a GAN for 28x28 images."""
    return ModelInfo(name=name, kind="gan", summary=summary, parameters=parameters, module=name, image_size=28)


VARIANTS = ("torchvision", "paper")
MODELS: dict[str, ModelInfo] = {
    info.name: info
    for info in (
        _classifier("mlp", "mlp", 103_510, "two linear layers with a ReLU between them", needs_image_size=True),
        _classifier(
            "convnet", "convnet", 84_010, "five stages of convolution and pooling, then linear; any image size"
        ),
        _classifier("lenet", "lenet", 61_706, "LeNet-5 (LeCun 1998), modern form; 32x32 images", is_fixed_size=True),
        _imagenet("alexnet", "alexnet", 61_100_840, "AlexNet (Krizhevsky 2012)", *VARIANTS, min_size=63),
        _imagenet("vgg11", "vgg", 132_863_336, "VGG, 11 layers (Simonyan 2014)"),
        _imagenet("vgg11_bn", "vgg", 132_868_840, "VGG, 11 layers, with batch norm"),
        _imagenet("vgg13", "vgg", 133_047_848, "VGG, 13 layers"),
        _imagenet("vgg13_bn", "vgg", 133_053_736, "VGG, 13 layers, with batch norm"),
        _imagenet("vgg16", "vgg", 138_357_544, "VGG, 16 layers"),
        _imagenet("vgg16_bn", "vgg", 138_365_992, "VGG, 16 layers, with batch norm"),
        _imagenet("vgg19", "vgg", 143_667_240, "VGG, 19 layers"),
        _imagenet("vgg19_bn", "vgg", 143_678_248, "VGG, 19 layers, with batch norm"),
        _imagenet(
            "googlenet", "googlenet", 13_004_888, "GoogLeNet with auxiliary classifiers (Szegedy 2014)", *VARIANTS
        ),
        _imagenet("resnet18", "resnet", 11_689_512, "ResNet, 18 layers (He 2015)"),
        _imagenet("resnet34", "resnet", 21_797_672, "ResNet, 34 layers"),
        _imagenet("resnet50", "resnet", 25_557_032, "ResNet, 50 layers"),
        _imagenet("resnet101", "resnet", 44_549_160, "ResNet, 101 layers"),
        _imagenet("resnet152", "resnet", 60_192_808, "ResNet, 152 layers"),
        _resnet_cifar(20, 269_722),
        _resnet_cifar(32, 464_154),
        _resnet_cifar(44, 658_586),
        _resnet_cifar(56, 853_018),
        _cifar("plain20", "resnet_cifar", 269_722, "resnet20 without shortcuts (He 2015)", min_size=4),
        _cifar("plain56", "resnet_cifar", 853_018, "resnet56 without shortcuts (He 2015)", min_size=4),
        _cifar(
            "airbench",
            "airbench",
            3_190_432,
            "airbench (Jordan 2024): trains fast on small color images",
            *("shortcut", "airbench94"),
            min_size=10,
        ),
        _cifar(
            "alexnet_cifar",
            "alexnet_cifar",
            5_671_754,
            "AlexNet for small images",
            *("relu", "tanh", "no-dropout"),
            min_size=15,
        ),
        _cifar("vgg11_cifar", "vgg_cifar", 9_225_610, "VGG, 11 layers, for small images"),
        _cifar("vgg11_bn_cifar", "vgg_cifar", 9_228_362, "VGG, 11 layers, for small images, with batch norm"),
        _cifar("vgg16_cifar", "vgg_cifar", 14_719_818, "VGG, 16 layers, for small images"),
        _cifar("vgg16_bn_cifar", "vgg_cifar", 14_724_042, "VGG, 16 layers, for small images, with batch norm"),
        _cifar(
            "googlenet_cifar",
            "googlenet_cifar",
            7_188_158,
            "GoogLeNet for small images, with auxiliary classifiers",
            *("auxiliary", "no-auxiliary"),
            min_size=8,
        ),
        _imagenet("mobilenet", "mobilenet", 4_231_976, "MobileNet v1 (Howard 2017)"),
        _cifar("mobilenet_cifar", "mobilenet", 3_217_226, "MobileNet v1 for small images", min_size=1),
        _gan("gan", 2_019_857, "GAN with fully connected layers (Goodfellow 2014)"),
        _gan("dcgan", 1_728_128, "DCGAN, strided convolutions (Radford 2015); sizes 8 to 128, multiples of 4"),
        _gan("infogan", 13_336_272, "InfoGAN: a network Q predicts the codes from the image (Chen 2016)"),
        _pose(
            "openpose-mobilenet",
            "bottom-up",
            "openpose_mobilenet",
            4_091_698,
            "lightweight OpenPose (Osokin 2018); 18 keypoints",
        ),
        _pose(
            "openpose-small",
            "bottom-up",
            "openpose_tiny",
            1_755_730,
            "OpenPose on a U-shaped backbone for photographs, for two CPU cores; 18 keypoints",
        ),
        _pose(
            "openpose-tiny",
            "bottom-up",
            "openpose_tiny",
            951_850,
            "OpenPose on a small U-shaped backbone, for two CPU cores; 14 keypoints",
        ),
        _pose(
            "openpose-vgg19",
            "bottom-up",
            "openpose_vgg",
            52_311_446,
            "OpenPose as in the paper (Cao 2017); 18 keypoints",
            stages=5,
        ),
        _pose(
            "hourglass", "top-down", "hourglass", 6_570_400, "stacked hourglass (Newell 2016); 16 keypoints", stages=2
        ),
        _pose(
            "pose-small",
            "top-down",
            "pose_small",
            1_344_713,
            "small network for photographs, for two CPU cores; 17 keypoints",
        ),
        _pose(
            "pose-tiny", "top-down", "pose_tiny", 1_310_814, "small U-shaped network for two CPU cores; 14 keypoints"
        ),
        _pose(
            "simple-baseline-resnet18",
            "top-down",
            "simple_baseline",
            15_376_721,
            "Simple Baseline with ResNet-18 (Xiao 2018); 17 keypoints",
        ),
        _pose(
            "simple-baseline-resnet50",
            "top-down",
            "simple_baseline",
            33_999_697,
            "Simple Baseline with ResNet-50 (Xiao 2018); 17 keypoints",
        ),
    )
}


def register_model(info: ModelInfo) -> None:
    """Add a network; an entry of the same name is replaced."""
    MODELS[info.name] = info


def filter_models(kind: Kind) -> dict[str, ModelInfo]:
    """Return the registry entries of one kind of network, by name.

    Examples
    --------
    >>> list(filter_models("gan"))
    ['gan', 'dcgan', 'infogan']
    """
    return {name: info for name, info in MODELS.items() if info.kind == kind}


CLASSIFICATION_MODELS = filter_models("classification")
GAN_MODELS = filter_models("gan")
BOTTOM_UP_MODELS = filter_models("bottom-up")
TOP_DOWN_MODELS = filter_models("top-down")


def matches(name: str, pattern: str) -> bool:
    """Return whether a name matches a glob pattern, or contains a pattern without wildcards.

    Examples
    --------
    >>> matches("resnet18", "resnet*"), matches("resnet18", "net1"), matches("resnet18", "res?")
    (True, True, False)
    """
    return fnmatchcase(name, pattern) if set("*?[") & set(pattern) else pattern in name


def list_models(pattern: str = "", *, kind: Kind | None = None) -> list[str]:
    """Return the names of the networks in natural order: resnet18 before resnet101.

    Parameters
    ----------
    pattern : str
        Part of the name, or a glob pattern such as "resnet*". The empty string matches every name.
    kind : str, optional
        "classification", "gan", "bottom-up" or "top-down". By default networks of every kind are listed.

    Returns
    -------
    list[str]
        Names for `create_model` and the command line.

    Examples
    --------
    >>> list_models("resnet1*")
    ['resnet18', 'resnet101', 'resnet152']
    >>> list_models(kind="gan")
    ['dcgan', 'gan', 'infogan']
    """
    check_arguments(list_models, locals())
    names = (name for name, info in MODELS.items() if matches(name, pattern) and kind in (None, info.kind))
    return sorted(names, key=_natural_key)


def _natural_key(name: str) -> list[tuple[str, int]]:
    """Return a sort key that compares digits as numbers.

    >>> sorted(["b1", "a10", "a9", "a9_x"], key=_natural_key)
    ['a9', 'a9_x', 'a10', 'b1']
    """
    return [(text, int(digits or 0)) for text, digits in re.findall(r"(\D+)(\d*)", name)]


def check_options(info: ModelInfo, num_classes: int | None, image_size: int | None, variant: str | None) -> None:
    """Check the options of a classification network.

    Raises
    ------
    UsageError
        If the network does not accept one.
    """
    name = info.name
    if num_classes is not None and num_classes < 2:
        raise UsageError(f"`num_classes` must be at least 2; got {num_classes}")
    if info.is_fixed_size and image_size not in (None, info.image_size):
        side = info.image_size
        raise UsageError(f"{name} needs images of {side}x{side} pixels; got {image_size} (resize them, or use convnet)")
    if image_size is not None and image_size < info.min_size:
        least = f"at least {info.min_size}x{info.min_size} pixels; got {image_size}x{image_size}"
        raise UsageError(f"{name} needs images of {least} (resize them, or use convnet or resnet20)")
    if variant is not None and variant not in info.variants:
        known = " or ".join(info.variants) or "it has only one"
        raise UsageError(f"{name} has no variant '{variant}' ({known})")
