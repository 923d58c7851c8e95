"""Feature maps of a layer for an image."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from firstsight.data.image_input import ImageLike, to_pil
from firstsight.errors import UsageError, unknown_name
from firstsight.profiling import trace
from firstsight.tasks.classification.classifier import Classifier


@dataclass(frozen=True)
class Features:
    """Filters and feature maps of a layer.

    Parameters
    ----------
    layer : str
        Name of the layer, as `firstsight summary` prints it.
    image : NDArray[np.uint8]
        (C, H, W) input of the network.
    maps : NDArray[np.float32]
        (channels, h, w) output of the layer.
    filters : NDArray[np.float32] | None
        (outputs, inputs, kh, kw) of a convolution; None for other layers.
    """

    layer: str
    image: NDArray[np.uint8]
    maps: NDArray[np.float32]
    filters: NDArray[np.float32] | None


def compute_features(
    classifier: Classifier, image: ImageLike, layer: str | None = None, *, bgr: bool = False
) -> Features:
    """Compute the feature maps of a layer.

    Parameters
    ----------
    classifier : Classifier
        Trained classifier, on the CPU.
    image : ImageLike
        Image of any form.
    layer : str | None
        Name of a layer of the cost table; None for the first convolution.
    bgr : bool
        Channels of an array are blue, green, red (OpenCV).

    Raises
    ------
    UsageError
        If there is no such layer, or it has no feature maps (a linear layer).
    DataError
        If the image cannot be read.
    """
    pixels = classifier.to_pixels(to_pil(image, bgr=bgr))
    inputs = classifier.preprocess.normalize(pixels[None])
    steps = {step.name: step for step in trace(classifier.model, inputs)}
    with_maps = {name: step for name, step in steps.items() if step.output.ndim == 4}
    if layer is None:
        convolutions = (name for name, step in with_maps.items() if "Conv" in step.kind)
        layer = next(convolutions, next(iter(with_maps), ""))
    if layer not in with_maps:
        if layer in steps:
            raise UsageError(
                f"{layer} has a vector as output, no feature maps; layers with maps: {', '.join(with_maps)}"
            )
        raise unknown_name("layer", layer, with_maps, f"it has {', '.join(with_maps)}")
    weight = getattr(dict(classifier.model.named_modules()).get(layer), "weight", None)
    filters = weight.detach().numpy() if isinstance(weight, torch.Tensor) and weight.ndim == 4 else None
    return Features(layer, pixels.numpy(), with_maps[layer].output[0].float().numpy(), filters)
