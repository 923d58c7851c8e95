"""Published checkpoints of SimpleBaseline (Xiao 2018), whose input and coordinates differ from those of this package.

The checkpoints are those of github.com/microsoft/human-pose-estimation.pytorch, like pose_resnet_50_256x192.pth.tar.
Their network takes RGB images, normalized as for ImageNet, on black. The center of the box is at (width / 2, height /
2) of the input and of the maps, pixels and cells have their centers at integers, and coordinates of joints are those
of COCO, which are measured from the corner of the first pixel. Differs from the published code: images that are reduced
by a factor of 1.75 or more are averaged first.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from firstsight.data.keypoints.crop import crop_regions
from firstsight.errors import WeightsError
from firstsight.models.pose.simple_baseline import simple_baseline_resnet18, simple_baseline_resnet50
from firstsight.pose.skeleton import COCO_17
from firstsight.weights.io import WeightsFile
from firstsight.weights.state_dict import fit

CONVENTION = "simple-baseline"
"""Entry "convention" of a card whose network has the published input and coordinates."""
FILL = 0.0
"""Color outside of the image."""
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SIZES = {(256, 192): 8.0, (384, 288): 12.0}
"""Published input sizes (height, width), and the standard deviation of the targets in input pixels."""
COORDINATE_OFFSET = 0.5
"""COCO's coordinate of the center of the first pixel."""


def recognize(path: Path, tensors: Mapping[str, Tensor], *, notify: Callable[[str], None]) -> WeightsFile | None:
    """Return a published checkpoint of SimpleBaseline as a weights file, or None if it is something else.

    The checkpoint does not contain the input size, so it is taken from the name of the file; 256x192 if there is none.

    Parameters
    ----------
    path : Path
        PyTorch file.
    tensors : Mapping[str, Tensor]
        Its tensors by name.
    notify : Callable[[str], None]
        Called with a line if the input size is not in the name.

    Raises
    ------
    WeightsError
        If the tensors are those of such a network but do not fit.
    """
    last = tensors.get("final_layer.weight")
    if last is None or last.ndim == 0 or "deconv_layers.0.weight" not in tensors:
        return None
    if len(last) != len(COCO_17):
        raise WeightsError(f"{path}: has {len(last)} keypoints; only networks with the 17 of COCO are supported")
    layers = 50 if "layer1.0.conv3.weight" in tensors else 18
    net = (simple_baseline_resnet50 if layers == 50 else simple_baseline_resnet18)()
    fit(net, tensors, path, display_name=f"simple-baseline-resnet{layers}", notify=notify)
    match = re.search(r"(\d{2,4})x(\d{2,4})", path.name)
    size = (int(match[1]), int(match[2])) if match else (256, 192)
    if size not in SIZES:
        raise WeightsError(f"{path}: an input of {size[0]}x{size[1]} pixels, as its name says, is not a published one")
    if not match:
        notify(f"the name of {path.name} has no input size, as in pose_resnet_50_256x192.pth.tar; using 256x192")
    card = {
        "kind": "top-down",
        "model": f"simple-baseline-resnet{layers}",
        "skeleton": COCO_17.to_category(),
        "size": list(size),
        "head": "mse",
        "sigma": SIZES[size],
        "stacks": 1,
        "convention": CONVENTION,
        "about": {"data": "not known", "source": path.name},
    }
    return WeightsFile(path, card, {f"net.{name}": tensor for name, tensor in net.state_dict().items()})


def crop_matrices(boxes: Tensor, *, size: tuple[int, int], padding: float) -> Tensor:
    """Compute the matrices from pixels of the image to those of the input, as in the published code.

    Parameters
    ----------
    boxes : Tensor
        (N, 4) x, y, width, height of the people, as in COCO.
    size : tuple[int, int]
        (height, width) of the input.
    padding : float
        Factor by which the boxes are enlarged.

    Returns
    -------
    Tensor
        (N, 2, 3) matrices.
    """
    height, width = size
    regions = crop_regions(boxes, aspect=width / height, padding=padding)
    scale = width / regions[:, 2]
    shift = regions.new_tensor([width / 2, height / 2]) - scale[:, None] * regions[:, :2]
    matrices = torch.zeros(len(regions), 2, 3, dtype=regions.dtype)
    matrices[:, 0, 0] = matrices[:, 1, 1] = scale
    matrices[:, :, 2] = shift
    return matrices


def crop_input(crops: Tensor) -> Tensor:
    """Convert RGB crops (N, 3, H, W), 0 to 255, to the input of the network, in channels_last format."""
    mean, std = (crops.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    return ((crops / 255 - mean) / std).contiguous(memory_format=torch.channels_last)
