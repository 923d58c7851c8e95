"""Build networks of any kind, with random or trained weights."""

from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from firstsight.arguments import check_arguments, explicit_signature
from firstsight.errors import UsageError, similar_names, suggest, unknown_name
from firstsight.models.registry import MODELS
from firstsight.tasks.options import AnyModelOptions, GANModelOptions, ModelOptions
from firstsight.tasks.spec import task_of

if TYPE_CHECKING:
    from torch import nn


@overload
def create_model(  # type: ignore[overload-overlap]  # a GAN is two networks
    name: Literal["gan", "dcgan", "infogan"], *, weights: None = None, **options: Unpack[GANModelOptions]
) -> "tuple[nn.Module, nn.Module]": ...


@overload
def create_model(name: str, *, weights: str | None = None, **options: Unpack[ModelOptions]) -> "nn.Module": ...


@explicit_signature
def create_model(
    name: str, *, weights: str | None = None, **options: Unpack[AnyModelOptions]
) -> "nn.Module | tuple[nn.Module, nn.Module]":
    """Build a network by name.

    Parameters
    ----------
    name : str
        One of `list_models`.
    weights : str | None
        None for random weights. "imagenet", or what `load` takes, for a classification network; its head keeps random
        weights if the number of classes differs. The network takes normalized images: with "imagenet" (N, 3, 224, 224),
        see ``load(name).preprocess``.
    **options : Unpack[AnyModelOptions]
        Options of the network: ``num_classes``, ``in_channels``, ``image_size``, ``variant`` of a classification
        network; those of `create_gan`, `create_bottom_up` and `create_top_down` for the others. All have defaults: a
        pose network has the keypoints of its usual data (COCO_17, or OPENPOSE_18 if it is bottom-up; LSP_14 for -tiny,
        MPII_16 for hourglass), and a top-down network takes crops of (256, 192) pixels, hourglass of (256, 256).

    Returns
    -------
    nn.Module | tuple[nn.Module, nn.Module]
        The network; (generator, discriminator) of a GAN.

    Raises
    ------
    UsageError
        If the name or an option is unknown.
    WeightsError
        If the weights cannot be used.

    Examples
    --------
    >>> sum(p.numel() for p in create_model("resnet18", num_classes=5).parameters())
    11179077
    """
    check_arguments(create_model, locals())
    if name not in MODELS:
        raise unknown_name("model", name, MODELS, "see: firstsight models")
    spec = task_of(name)
    build = spec.resolve("create")
    unknown = sorted(set(options) - set(build.__kwdefaults__ or {}) - set(build.__annotations__))
    if unknown:
        raise UsageError(_describe_unknown(unknown[0], name, list(build.__kwdefaults__ or {})))
    if weights is None:
        net: nn.Module | tuple[nn.Module, nn.Module] = build(name, **options)
        return net
    if spec.name != "classification":
        raise UsageError(f"`weights` is for classification networks; use firstsight.load for a {spec.title}")
    return _pretrained(name, weights, dict(options))


def _describe_unknown(option: str, name: str, known: list[str]) -> str:
    """Return the message for an unknown option of a network, with a remedy."""
    if option == "pretrained":
        is_classifier = task_of(name).name == "classification"
        hint = "use weights='imagenet'" if is_classifier else "use firstsight.load for trained weights"
    else:
        hint = suggest(similar_names(option, known))
    return f"`{option}` is not an option of {name}; it has {', '.join(known)}{f'; {hint}' if hint else ''}"


def _pretrained(name: str, weights: str, options: dict[str, Any]) -> "nn.Module":
    from firstsight.models.classification import create_model as build
    from firstsight.tasks.classification.transfer import load_pretrained, transfer

    base = load_pretrained(weights, name)
    given = {key: value for key, value in options.items() if value is not None}
    net = build(name, **{**base.card["options"], **given})
    num_classes = given.get("num_classes", len(base.classes))
    is_same_head = num_classes == len(base.classes)
    transfer(net, base, base.classes if is_same_head else [f"class {i}" for i in range(num_classes)])
    return net
