"""Classification networks, one file each. This page is their table; it imports torch only when one is built."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from firstsight.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Entry:
    """A network of the package.

    Parameters
    ----------
    name : as on the command line, and of the function that builds it.
    summary : one line.
    parameters : with ``num_classes`` classes and ``in_channels`` channels.
    file : the file of this folder that holds it; ``name`` if empty.
    image_size : side in pixels that it was made for.
    min_size : the smallest side it takes.
    num_classes, in_channels : of its published form.
    variants : names of its forms, the first the default.
    fixed_size : it takes no other size than ``image_size``.
    sized : its builder must be told the image size.
    """

    name: str
    summary: str
    parameters: int
    file: str = ""
    image_size: int = 32
    min_size: int = 1
    num_classes: int = 10
    in_channels: int = 1
    variants: tuple[str, ...] = ()
    fixed_size: bool = False
    sized: bool = False


def _imagenet(name: str, file: str, parameters: int, summary: str, *variants: str, min_size: int = 32) -> Entry:
    """A network for 1000 classes of 224x224 photographs."""
    return Entry(name, summary, parameters, file, 224, min_size, 1000, 3, variants)


def _cifar(name: str, parameters: int) -> Entry:
    """A network for 10 classes of 32x32 photographs."""
    summary = f"residual network of {name.removeprefix('resnet')} layers for small pictures (He 2015, section 4.2)"
    return Entry(name, summary, parameters, "resnet_cifar", 32, 4, 10, 3)


MODELS: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("two_layer", "linear, ReLU, linear: the network of the tensor lesson", 103_510, sized=True),
        Entry("convnet", "five times convolution and pooling, then linear; any image size", 84_010),
        Entry("lenet", "LeNet-5 (LeCun 1998), modern form; 32x32 images", 61_706, fixed_size=True),
        _imagenet(
            "alexnet", "alexnet", 61_100_840, "AlexNet (Krizhevsky 2012)", "torchvision", "paper", min_size=63
        ),
        _imagenet("vgg11", "vgg", 132_863_336, "VGG, 11 layers (Simonyan 2014)"),
        _imagenet("vgg11_bn", "vgg", 132_868_840, "VGG, 11 layers, with batch norm"),
        _imagenet("vgg13", "vgg", 133_047_848, "VGG, 13 layers"),
        _imagenet("vgg13_bn", "vgg", 133_053_736, "VGG, 13 layers, with batch norm"),
        _imagenet("vgg16", "vgg", 138_357_544, "VGG, 16 layers"),
        _imagenet("vgg16_bn", "vgg", 138_365_992, "VGG, 16 layers, with batch norm"),
        _imagenet("vgg19", "vgg", 143_667_240, "VGG, 19 layers"),
        _imagenet("vgg19_bn", "vgg", 143_678_248, "VGG, 19 layers, with batch norm"),
        _imagenet(
            "googlenet", "googlenet", 13_004_888, "GoogLeNet with its auxiliary classifiers (Szegedy 2014)",
            "torchvision", "paper",
        ),
        _imagenet("resnet18", "resnet", 11_689_512, "residual network of 18 layers (He 2015)"),
        _imagenet("resnet34", "resnet", 21_797_672, "residual network of 34 layers"),
        _imagenet("resnet50", "resnet", 25_557_032, "residual network of 50 layers"),
        _imagenet("resnet101", "resnet", 44_549_160, "residual network of 101 layers"),
        _imagenet("resnet152", "resnet", 60_192_808, "residual network of 152 layers"),
        _cifar("resnet20", 269_722),
        _cifar("resnet32", 464_154),
        _cifar("resnet44", 658_586),
        _cifar("resnet56", 853_018),
        Entry(
            "airbench", "the network of airbench (Jordan 2024): quick to train on small photographs", 3_190_432,
            min_size=10, in_channels=3,
        ),
        _imagenet("mobilenet", "mobilenet", 4_231_976, "MobileNet, version 1 (Howard 2017)"),
    )
}  # fmt: skip


def list_models(pattern: str = "") -> list[str]:
    """Names of the networks that contain ``pattern``.

    >>> list_models("net2")
    ['resnet20']
    """
    return sorted(name for name in MODELS if pattern in name)


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    image_size: int | None = None,
    variant: str | None = None,
) -> "nn.Module":
    """Build a network with fresh weights.

    Parameters
    ----------
    name : one of `list_models()`.
    num_classes : how many logits it ends in; as published (1000 or 10) if not given.
    in_channels : 1 for grey, 3 for RGB; as published if not given.
    image_size : side of the images in pixels; the network's own if not given.
    variant : "paper" or "torchvision", for the networks that have both.

    Raises
    ------
    UsageError
        Unknown name or variant, or an image size that the network does not take.

    >>> sum(p.numel() for p in create_model("lenet").parameters())
    61706
    """
    entry = MODELS.get(name)
    if entry is None:
        raise unknown_name("model", name, MODELS, "see: firstsight models")
    classes, channels = num_classes or entry.num_classes, in_channels or entry.in_channels
    if classes < 2 or num_classes == 0:
        raise UsageError(f"{name} needs at least 2 classes; got {num_classes}")
    if entry.fixed_size and image_size not in (None, entry.image_size):
        side = entry.image_size
        raise UsageError(f"{name} needs images of {side}x{side} pixels; got {image_size} (resize them, or use convnet)")
    if image_size is not None and image_size < entry.min_size:
        least = f"at least {entry.min_size}x{entry.min_size} pixels; got {image_size}x{image_size}"
        raise UsageError(f"{name} needs images of {least} (resize them, or use convnet or resnet20)")
    if variant is not None and variant not in entry.variants:
        known = " or ".join(entry.variants) or "it has only one"
        raise UsageError(f"{name} has no variant '{variant}' ({known})")
    builder = getattr(import_module(f"firstsight.nets.{entry.file or name}"), name)
    options: dict[str, object] = {"image_size": image_size or entry.image_size} if entry.sized else {}
    if variant is not None:
        options["variant"] = variant
    model: nn.Module = builder(num_classes=classes, in_channels=channels, **options)
    return model
