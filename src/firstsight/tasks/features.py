"""Feature maps of a layer: of a classifier or a pose network for an image, of a generator for a latent vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from firstsight.data.image_input import ImageLike, to_pil
from firstsight.errors import UsageError, unknown_name
from firstsight.profiling import trace
from firstsight.tasks.feature_input import FeatureInput
from firstsight.tasks.spec import TASKS

MAX_NAMES = 6
"""Number of layers that a message names."""


@dataclass(frozen=True)
class Features:
    """Filters and feature maps of a layer.

    Attributes
    ----------
    layer : str
        Name of the layer, as `firstsight summary` prints it.
    image : NDArray[np.uint8]
        (C, H, W) input of the network before normalization, or the image that a generator makes.
    maps : NDArray[np.float32]
        (channels, h, w) output of the layer.
    filters : NDArray[np.float32] | None
        (outputs, inputs, kh, kw) of a convolution; None for other layers. Three inputs, the channels of an image, are
        red, green, blue, also of a network that takes blue, green, red.
    heading : str
        What ``image`` is: "input image" or "generated image".
    name : str
        Name of the image, or the seed of the latent vector.
    """

    layer: str
    image: NDArray[np.uint8]
    maps: NDArray[np.float32]
    filters: NDArray[np.float32] | None
    heading: str = "input image"
    name: str = ""


def compute_features(
    model: Any,
    image: ImageLike | None = None,
    layer: str | None = None,
    *,
    seed: int | None = None,
    bgr: bool = False,
) -> Features:
    """Compute the feature maps of a layer.

    Parameters
    ----------
    model : Any
        What `firstsight.load` returns, on the CPU.
    image : ImageLike | None
        Image of any form; None for a sample photograph. A generator takes none.
    layer : str | None
        Name of a layer of the cost table; None for the first convolution.
    seed : int | None
        Seed of the latent vector of a generator; None for 0.
    bgr : bool
        Channels of an array or a tensor are blue, green, red (OpenCV); images of other forms are not changed.

    Raises
    ------
    UsageError
        If there is no such layer, or it has no feature maps (a linear layer); if an image is given for a generator, or
        a seed for another network.
    DataError
        If the image cannot be read.
    """
    spec = TASKS[model.task]
    if not spec.features:
        raise UsageError(f"feature maps of a {spec.title} cannot be drawn")
    pil = None if image is None else to_pil(image, bgr=bgr)
    given: FeatureInput = spec.resolve("features")(model, pil, seed=seed)
    steps = {step.name: step for step in trace(given.net, given.inputs, count=False)}
    with_maps = {name: step for name, step in steps.items() if step.output.ndim == 4}
    if layer is None:
        convolutions = (name for name, step in with_maps.items() if "Conv" in step.kind)
        layer = next(convolutions, next(iter(with_maps), ""))
    if layer not in with_maps:
        raise _no_maps(layer, [*with_maps], has_layer=layer in steps)
    maps = with_maps[layer].output[0].float().numpy()
    filters = _filters_of(dict(given.net.named_modules()).get(layer))
    if given.is_bgr and filters is not None and filters.shape[1] == 3:
        filters = filters[:, ::-1]
    return Features(layer, given.image, maps, filters, given.heading, given.name)


def _no_maps(layer: str, with_maps: Sequence[str], *, has_layer: bool) -> UsageError:
    """Return the error for a layer that does not exist, or has no feature maps."""
    if not with_maps:
        return UsageError("no layer of this network has feature maps: the outputs of all layers are vectors")
    names = ", ".join(with_maps[:MAX_NAMES])
    if len(with_maps) > MAX_NAMES:
        names += f" and {len(with_maps) - MAX_NAMES} more, which firstsight summary lists"
    if has_layer:
        return UsageError(f"{layer} has a vector as output, no feature maps; layers with maps: {names}")
    return unknown_name("layer", layer, with_maps, f"layers with maps: {names}")


def _filters_of(module: nn.Module | None) -> NDArray[np.float32] | None:
    """Return the filters (outputs, inputs, kh, kw) of a convolution, also of a transposed one; None without any."""
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        return None
    weight = module.weight.detach().float()
    if isinstance(module, nn.ConvTranspose2d):
        weight = weight.transpose(0, 1)
    filters: NDArray[np.float32] = weight.numpy()
    return filters
