"""Content of an exported file: the network with one input, the names and sizes of its tensors, and metadata."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from firstsight.data.image_io import open_image
from firstsight.data.sample_image import sample_people


@dataclass(frozen=True, kw_only=True)
class ExportPlan:
    """Content of an exported file.

    Attributes
    ----------
    net : nn.Module
        Network in eval mode with one input and one or more outputs.
    input_name : str
        Name of the input.
    output_names : tuple[str, ...]
        Names of the outputs.
    shape : tuple[int, ...]
        Shape of one input, without the batch axis.
    draw_inputs : Callable[[int], Tensor]
        Function that returns n different inputs (n, ...), to compare the exported file with the network.
    side_multiple : int
        Height and width of the input may be any multiple of it; 0 if the size is fixed.
    map_stride : int
        Input pixels per cell of the outputs, if the size is not fixed.
    metadata : dict[str, Any]
        Entries of the file's metadata, as data for JSON.
    """

    net: nn.Module
    input_name: str
    output_names: tuple[str, ...]
    shape: tuple[int, ...]
    draw_inputs: Callable[[int], Tensor]
    side_multiple: int = 0
    map_stride: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)


class LastOutputs(nn.Module):
    """Network that returns the last ``count`` outputs of a network with several stages."""

    def __init__(self, net: nn.Module, count: int) -> None:
        super().__init__()
        self.net = net
        self.count = count

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return one tensor, or a tuple of ``count`` tensors, for images (N, 3, H, W)."""
        outputs = self.net(images)
        return outputs[-1] if self.count == 1 else tuple(outputs[-self.count :])


def describe_scaling(mean: tuple[float, ...], std: tuple[float, ...], channel_order: str) -> dict[str, Any]:
    """Return the metadata on the values of images: ``x = (pixel / 255 - mean) / std``, for pixels from 0 to 255.

    Parameters
    ----------
    mean : tuple[float, ...]
        Mean of each channel, for values in [0, 1].
    std : tuple[float, ...]
        Standard deviation of each channel, for values in [0, 1].
    channel_order : str
        "L" (grayscale), "RGB" or "BGR".
    """
    return {
        "layout": "NCHW",
        "channel_order": channel_order,
        "value_range": [0, 1],
        "mean": list(mean),
        "std": list(std),
        "formula": "(pixel / 255 - mean) / std",
    }


POSE_SCALING = ((128 / 255,) * 3, (256 / 255,) * 3, "BGR")
"""Arguments of `describe_scaling` for pose networks: (pixel - 128) / 256."""


def sample_images(n: int) -> list[Image.Image]:
    """Return n different crops of a photograph, as RGB images."""
    photo = open_image(sample_people()).convert("RGB")
    rng = np.random.default_rng(0)
    crops = []
    for _ in range(n):
        side = int(rng.integers(100, 400))
        left, top = (int(rng.integers(0, size - side + 1)) for size in photo.size)
        crops.append(photo.crop((left, top, left + side, top + side)))
    return crops


def sample_pose_inputs(n: int, *, height: int, width: int) -> Tensor:
    """Return n different inputs (n, 3, height, width) of a pose network: BGR, (pixel - 128) / 256."""
    pixels = np.stack([np.asarray(image.resize((width, height))) for image in sample_images(n)])
    return (torch.from_numpy(pixels).flip(3).permute(0, 3, 1, 2).float() - 128) / 256
