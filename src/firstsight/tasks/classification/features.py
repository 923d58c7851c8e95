"""What a layer answers to a picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from firstsight.data.image_io import load_image
from firstsight.errors import UsageError, unknown_name
from firstsight.profiling import trace
from firstsight.weights.classifier import Classifier


@dataclass(frozen=True)
class Features:
    """A layer at work on one picture.

    Parameters
    ----------
    layer : str
        Its name, as in `firstsight summary`.
    image : NDArray[np.uint8]
        (C, H, W) uint8 as the network is shown it.
    maps : NDArray[np.float32]
        (channels, h, w) the layer's answer.
    filters : NDArray[np.float32] | None
        (outputs, inputs, kh, kw) of a convolution; None for other layers.
    """

    layer: str
    image: NDArray[np.uint8]
    maps: NDArray[np.float32]
    filters: NDArray[np.float32] | None


def look(network: Classifier, image: str | Path | Image.Image, layer: str | None = None) -> Features:
    """The feature maps of a layer.

    Parameters
    ----------
    layer : str | None
        A name of the cost table; the first convolution if None.

    Raises
    ------
    UsageError
        No such layer, or one without maps (a linear layer).
    DataError
        The picture cannot be read.
    """
    pixels = network.preprocess.picture(load_image(image))
    inputs = network.preprocess.normalize(torch.from_numpy(pixels)[None])
    every = {step.name: step for step in trace(network.model, inputs)}
    steps = {name: step for name, step in every.items() if step.output.ndim == 4}
    if layer is None:
        layer = next((name for name, step in steps.items() if "Conv" in step.kind), next(iter(steps), ""))
    if layer not in steps:
        if layer in every:
            raise UsageError(f"{layer} gives a list of numbers, not maps; layers with maps: {', '.join(steps)}")
        raise unknown_name("layer", layer, steps, f"it has {', '.join(steps)}")
    weight = getattr(dict(network.model.named_modules()).get(layer), "weight", None)
    filters = weight.detach().numpy() if isinstance(weight, torch.Tensor) and weight.ndim == 4 else None
    return Features(layer, pixels, steps[layer].output[0].float().numpy(), filters)
