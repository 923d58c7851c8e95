"""Classification networks, one per file, and the function that builds them by name."""

from importlib import import_module
from typing import TYPE_CHECKING

from firstsight.arguments import check_type
from firstsight.errors import UsageError, unknown_name
from firstsight.models.registry import CLASSIFICATION_MODELS, MODELS, check_options

if TYPE_CHECKING:
    from torch import nn

BUILDERS = {"gan": "create_gan", "bottom-up": "create_bottom_up", "top-down": "create_top_down"}
"""Functions that build the other kinds of networks, by kind."""


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    image_size: int | None = None,
    variant: str | None = None,
) -> "nn.Module":
    """Build a classification network with randomly initialized weights.

    Parameters
    ----------
    name : str
        Name of the network, one of ``list_models(kind="classification")``.
    num_classes : int, optional
        Number of logits. Defaults to the published number (1000 or 10).
    in_channels : int, optional
        Number of input channels: 1 for grayscale, 3 for RGB. Defaults to the published number.
    image_size : int, optional
        Side of the images in pixels. Defaults to the size that the network was designed for.
    variant : str, optional
        Variant, for networks with several (see `firstsight models`), such as "paper" of ``alexnet`` and ``googlenet``.
        Defaults to the first one, such as "torchvision".

    Returns
    -------
    nn.Module
        Network that maps normalized images (N, in_channels, image_size, image_size) to logits (N, num_classes).

    Raises
    ------
    UsageError
        If the name or the variant is unknown, or the network does not accept the number of classes or the image size.

    Examples
    --------
    >>> sum(p.numel() for p in create_model("lenet").parameters())
    61706
    """
    for parameter, value in (("num_classes", num_classes), ("in_channels", in_channels), ("image_size", image_size)):
        check_type(parameter, value, int | None)
    check_type("name", name, str)
    check_type("variant", variant, str | None)
    info = MODELS.get(name)
    if info is None:
        raise unknown_name("model", name, CLASSIFICATION_MODELS, "see: firstsight models")
    if info.kind != "classification":
        raise UsageError(f"{name} is a {info.kind} model; build it with {BUILDERS[info.kind]}")
    check_options(info, num_classes, image_size, variant)
    options: dict[str, object] = {"image_size": image_size or info.image_size} if info.needs_image_size else {}
    if variant is not None:
        options["variant"] = variant
    builder = getattr(import_module(f"firstsight.models.classification.{info.module}"), name)
    model: nn.Module = builder(
        num_classes=num_classes or info.num_classes, in_channels=in_channels or info.in_channels, **options
    )
    return model
