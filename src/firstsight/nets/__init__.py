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
    name : as on the command line; the builder is the function of that name in the file of that name.
    summary : one line.
    image_size : side in pixels that its recipes use.
    fixed_size : it takes no other size.
    sized : its builder must be told the image size.
    parameters : with 10 classes and one channel at ``image_size``.
    """

    name: str
    summary: str
    image_size: int
    parameters: int
    fixed_size: bool = False
    sized: bool = False


MODELS: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("two_layer", "linear, ReLU, linear: the network of the tensor lesson", 32, 103_510, sized=True),
        Entry("convnet", "five times convolution and pooling, then linear; any image size", 32, 84_010),
        Entry("lenet", "LeNet-5 (LeCun 1998), modern form; 32x32 images", 32, 61_706, fixed_size=True),
    )
}


def list_models(pattern: str = "") -> list[str]:
    """Names of the networks that contain ``pattern``.

    >>> list_models("net")
    ['convnet', 'lenet']
    """
    return sorted(name for name in MODELS if pattern in name)


def create_model(
    name: str, *, num_classes: int = 10, in_channels: int = 1, image_size: int | None = None
) -> "nn.Module":
    """Build a network with fresh weights.

    Parameters
    ----------
    name : one of `list_models()`.
    num_classes : how many logits it ends in.
    in_channels : 1 for grey, 3 for RGB.
    image_size : side of the images in pixels; the network's own if not given.

    Raises
    ------
    UsageError
        Unknown name, or an image size that the network does not take.

    >>> sum(p.numel() for p in create_model("lenet").parameters())
    61706
    """
    entry = MODELS.get(name)
    if entry is None:
        raise unknown_name("model", name, MODELS, "see: firstsight models")
    if num_classes < 2:
        raise UsageError(f"{name} needs at least 2 classes; got {num_classes}")
    if entry.fixed_size and image_size not in (None, entry.image_size):
        side = entry.image_size
        raise UsageError(f"{name} needs images of {side}x{side} pixels; got {image_size} (resize them, or use convnet)")
    builder = getattr(import_module(f"firstsight.nets.{name}"), name)
    sized = {"image_size": image_size or entry.image_size} if entry.sized else {}
    model: nn.Module = builder(num_classes=num_classes, in_channels=in_channels, **sized)
    return model
