"""Cost table of a network: parameters, MACs, activations and receptive field of every layer."""

import inspect
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from firstsight.arguments import check_arguments, is_source
from firstsight.errors import UsageError, unknown_name
from firstsight.models.registry import MODELS
from firstsight.profiling import Summary, summarize
from firstsight.tasks.load import load
from firstsight.weights.bundled import bundled, cached

__all__ = ["Summary", "summary"]
InputShape = tuple[int, int, int] | tuple[int]
"""Shape of one image, or of one latent vector."""
IMAGENET_SHAPE = (3, 224, 224)
INFOGAN: dict[str, Any] = {"latent_dim": 74, "categories": (10,), "continuous": 2}
"""Codes of InfoGAN with which the registry counts its parameters: 62 noise values, one category, two continuous."""


def summary(
    model: nn.Module | str | Path | Any,
    input_shape: tuple[int, int, int] | Sequence[tuple[int, ...]] | None = None,
    *,
    variant: str | None = None,
    runs: int = 0,
) -> Summary:
    """Compute the cost table of a network.

    MACs are multiply-accumulates of convolutions and matrix products, without biases.

    Parameters
    ----------
    model : nn.Module | str | Path | Any
        A network; the pair (G, D) of `create_model`; the name of one (see `list_models`);
        or what `load` returns or takes.
    input_shape : tuple[int, int, int] | Sequence[tuple[int, ...]] | None
        Shape of one image (C, H, W), for a GAN that of its images; None for the size that the network is made for,
        (3, 224, 224) for a module. For a network with several inputs, their shapes without the batch axis, of which
        the first is that of the image.
    variant : str | None
        Variant, for networks with several, such as "torchvision" or "paper" of ``alexnet``.
    runs : int
        Number of timed runs, of which the median is reported; 0 measures no time.

    Returns
    -------
    Summary
        Prints as a table.

    Raises
    ------
    UsageError
        If the name is unknown, or the shape does not fit.

    Examples
    --------
    >>> summary("lenet").parameters
    61706
    """
    check_arguments(summary, locals())
    first, others = _split_shapes(input_shape)
    net, shape = _network(model, first, variant, is_timed=runs > 0)
    return summarize(net, shape, *others, runs=runs)


def _split_shapes(shapes: Any) -> tuple[tuple[int, int, int] | None, list[tuple[int, ...]]]:
    """Return the shape of the image and those of the other inputs."""
    if shapes is None:
        return None, []
    is_one = len(shapes) > 0 and all(isinstance(size, int) for size in shapes)
    first, *others = [shapes] if is_one or not len(shapes) else shapes
    if len(first) != 3 or min(first) < 1:
        raise UsageError(f"`input_shape` must be (channels, height, width), as in (3, 224, 224); got {first}")
    if any(min(shape, default=1) < 1 for shape in others):
        raise UsageError(f"`input_shape`: all sizes must be at least 1; got {others}")
    return first, others


def _network(
    model: Any, shape: tuple[int, int, int] | None, variant: str | None, *, is_timed: bool
) -> tuple[nn.Module, InputShape]:
    """Return the network and the shape of its images; without memory for weights unless it is timed."""
    if isinstance(model, str) and model in MODELS:
        return _new_network(model, shape, variant, is_timed=is_timed)
    if variant:
        raise UsageError(f"`variant` is for networks of `list_models`; {model} has weights")
    if isinstance(model, nn.Module):
        return model, shape or IMAGENET_SHAPE
    if isinstance(model, tuple) and len(model) == 2 and all(isinstance(net, nn.Module) for net in model):
        return _join_gan(*model, shape)
    if isinstance(model, str) and model not in {**bundled(), **cached()} and not Path(model).exists():
        raise unknown_name("model", model, MODELS, "see: firstsight models; or give package.module:function")
    loaded = load(model) if is_source(model) else model
    net = getattr(getattr(loaded, "network", loaded), "model", None)
    if not isinstance(net, nn.Module):
        raise UsageError(f"`model` must be a network, or the name of one; got {type(model).__name__}")
    if shape is not None and len(loaded.input_shape) == 1:
        raise UsageError(
            f"`input_shape`: a {type(loaded).__name__} takes latent vectors of {loaded.input_shape[0]} values"
        )
    return net, shape or loaded.input_shape


def _new_network(
    name: str, shape: tuple[int, int, int] | None, variant: str | None, *, is_timed: bool
) -> tuple[nn.Module, InputShape]:
    with torch.device("cpu" if is_timed else "meta"):
        info = MODELS[name]
        if variant and info.kind != "classification":
            raise UsageError(f"`variant` is for classification networks; {name} has one")
        if info.kind == "gan":
            return _new_gan(name, shape)
        if info.kind in ("bottom-up", "top-down"):
            return _new_pose_network(name, shape)
        if info.kind != "classification":
            raise UsageError(f"`model`: the summary of {name} needs its options; build it with firstsight.create_model")
        from firstsight.models.classification import create_model

        channels, height, width = shape or (info.in_channels, info.image_size, info.image_size)
        size = height if info.needs_image_size or info.is_fixed_size else min(height, width)
        net = create_model(name, in_channels=channels, image_size=size, variant=variant)
        return net, (channels, height, width)


def _new_gan(name: str, shape: tuple[int, int, int] | None) -> tuple[nn.Module, InputShape]:
    """Return generator and discriminator of a GAN as one network, and the shape of its latent vectors."""
    from firstsight.models.gan import create_gan

    channels, height, width = shape or (1, MODELS[name].image_size, MODELS[name].image_size)
    if height != width:
        raise UsageError(f"`input_shape`: {name} makes square images; got {height}x{width}")
    options: dict[str, Any] = INFOGAN if name == "infogan" else {}
    generator, discriminator = create_gan(name, image_size=height, channels=channels, **options)
    latent_dim = int(options.get("latent_dim", inspect.signature(create_gan).parameters["latent_dim"].default))
    both = nn.Sequential(OrderedDict(generator=generator, discriminator=discriminator))
    return both.eval(), (latent_dim,)


def _join_gan(generator: Any, discriminator: Any, shape: Any) -> tuple[nn.Module, InputShape]:
    """Return generator and discriminator as one network, and the shape of the generator's latent vectors.

    Raises
    ------
    UsageError
        If the first network is not a generator of `create_model`.
    """
    latent_dim = getattr(generator, "latent", None)
    if not isinstance(latent_dim, int) or shape is not None:
        raise UsageError("`model`: a pair must be (generator, discriminator) of firstsight.create_model, without shape")
    both = nn.Sequential(OrderedDict(generator=generator, discriminator=discriminator))
    return both.eval(), (latent_dim,)


def _new_pose_network(name: str, shape: tuple[int, int, int] | None) -> tuple[nn.Module, InputShape]:
    """Return a pose network with the keypoints and the input of its publication."""
    from firstsight.models.pose import create_bottom_up, create_top_down, default_size

    info = MODELS[name]
    default = {"openpose-small": 256, "openpose-tiny": 256}.get(name, 368)
    if info.kind == "bottom-up":
        return create_bottom_up(name).eval(), shape or (3, default, default)
    channels, height, width = shape or (3, *default_size(name))
    return create_top_down(name, size=(height, width)).eval(), (channels, height, width)
