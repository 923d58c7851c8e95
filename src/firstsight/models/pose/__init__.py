"""Pose networks, one per file, and the functions that build them by name.

Bottom-up networks predict all people of an image at once; top-down networks predict one person per crop. Importing this
module does not import torch.
"""

from typing import TYPE_CHECKING

from firstsight.errors import UsageError, unknown_name
from firstsight.models.registry import BOTTOM_UP_MODELS, TOP_DOWN_MODELS

if TYPE_CHECKING:
    from torch import nn

    from firstsight.models.pose.heads import HeadName
    from firstsight.models.pose.openpose_mobilenet import BridgeVariant
    from firstsight.models.pose.top_down import TopDown
    from firstsight.pose.skeleton import Skeleton

MAX_STAGES = 20
"""Largest number of refinement stages of a bottom-up network."""
MAX_STACKS = 8
"""Largest number of stacked hourglasses."""
SIZE = (256, 192)
"""Usual height and width of the crops of a top-down network."""


def default_skeleton(name: str) -> "Skeleton":
    """Return the skeleton of a pose network's usual data.

    Parameters
    ----------
    name : str
        Name of the network, one of `BOTTOM_UP_MODELS` or `TOP_DOWN_MODELS`.

    Examples
    --------
    >>> default_skeleton("pose-small").name, default_skeleton("openpose-mobilenet").name
    ('coco-17', 'openpose-18')
    """
    from firstsight.pose.skeleton import COCO_17, LSP_14, MPII_16, OPENPOSE_18

    special = {"openpose-tiny": LSP_14, "pose-tiny": LSP_14, "hourglass": MPII_16}
    return special.get(name, OPENPOSE_18 if name in BOTTOM_UP_MODELS else COCO_17)


def default_size(name: str) -> tuple[int, int]:
    """Return the usual height and width of the crops of a top-down network: 256x192, or 256x256 for "hourglass".

    Parameters
    ----------
    name : str
        Name of the network, one of `TOP_DOWN_MODELS`.
    """
    return (SIZE[0], SIZE[0]) if name == "hourglass" else SIZE


def create_bottom_up(
    name: str,
    *,
    skeleton: "Skeleton | None" = None,
    stages: int | None = None,
    bridge: "BridgeVariant | None" = None,
) -> "nn.Module":
    """Build a bottom-up pose network with randomly initialized weights.

    Parameters
    ----------
    name : str
        Name of the network, one of `BOTTOM_UP_MODELS`.
    skeleton : Skeleton, optional
        Skeleton with the joints (one heatmap each, and one for the background) and limbs (two maps each). Defaults to
        LSP_14 for openpose-tiny, and to OPENPOSE_18 for the others.
    stages : int, optional
        Number of refinement stages after the initial one. Defaults to that of the registry.
    bridge : {"relu", "elu"}, optional
        Layers between the backbone and the stages of openpose-mobilenet: "relu" of the published checkpoint (default),
        or "elu" of human-pose-estimation-0001.

    Returns
    -------
    nn.Module
        Network from images (N, 3, H, W), BGR, (pixel - 128) / 256, to a list: heatmaps and part affinity fields, in
        turn, of every stage.

    Raises
    ------
    UsageError
        If the name is unknown, the number of stages is not from 0 to 20, or the network has no such bridge.
    """
    if name not in BOTTOM_UP_MODELS:
        raise unknown_name("pose network", name, BOTTOM_UP_MODELS, f"choose from {', '.join(BOTTOM_UP_MODELS)}")
    count = BOTTOM_UP_MODELS[name].stages if stages is None else stages
    if not 0 <= count <= MAX_STAGES:
        raise UsageError(f"`stages` must be between 0 and {MAX_STAGES}; got {count}")
    from firstsight.models.pose.openpose_mobilenet import BRIDGES, openpose_mobilenet
    from firstsight.models.pose.openpose_tiny import openpose_small, openpose_tiny
    from firstsight.models.pose.openpose_vgg import openpose_vgg19

    skeleton = skeleton or default_skeleton(name)
    joints, limbs = len(skeleton), len(skeleton.limbs)
    if name == "openpose-mobilenet":
        if bridge not in (None, *BRIDGES):
            raise UsageError(f"`bridge` must be {' or '.join(BRIDGES)}; got {bridge!r}")
        return openpose_mobilenet(joints=joints, limbs=limbs, stages=count, bridge=bridge or "relu")
    if bridge is not None:
        raise UsageError(f"`bridge` applies to openpose-mobilenet only; {name} got {bridge!r}")
    builders = {"openpose-small": openpose_small, "openpose-tiny": openpose_tiny, "openpose-vgg19": openpose_vgg19}
    return builders[name](joints=joints, limbs=limbs, stages=count)


def create_top_down(
    name: str,
    *,
    skeleton: "Skeleton | None" = None,
    size: tuple[int, int] | None = None,
    head: "HeadName" = "heatmap",
    sigma: float = 8.0,
    stacks: int | None = None,
) -> "TopDown":
    """Build a top-down pose network with its head and randomly initialized weights.

    Parameters
    ----------
    name : str
        Name of the network, one of `TOP_DOWN_MODELS`.
    skeleton : Skeleton, optional
        Skeleton with the joints (one map each). Defaults to LSP_14 for pose-tiny, MPII_16 for hourglass, and COCO_17
        for the others.
    size : tuple[int, int], optional
        Height and width of the input: multiples of 32, or of 64 for "hourglass", at most 1024. Defaults to (256, 192),
        and to (256, 256) for hourglass.
    head : HeadName
        Kind of head; see `firstsight.models.pose.heads.make_head`.
    sigma : float
        Standard deviation of the head's target, in input pixels.
    stacks : int, optional
        Number of hourglasses, from 1 to 8. Other networks do not have this option. Defaults to that of the registry.

    Returns
    -------
    TopDown
        Network from crops (N, 3, H, W), BGR, (pixel - 128) / 256, to joints.

    Raises
    ------
    UsageError
        If the name is unknown, or the network does not support the size or the number of stacks.
    """
    if name not in TOP_DOWN_MODELS:
        raise unknown_name("top-down network", name, TOP_DOWN_MODELS, f"choose from {', '.join(TOP_DOWN_MODELS)}")
    size = size or default_size(name)
    step = 64 if name == "hourglass" else 32
    if any(side % step or not step <= side <= 1024 for side in size):
        raise UsageError(
            f"height and width must be multiples of {step}, at most 1024, for {name}; got {size[0]}x{size[1]}"
        )
    count = TOP_DOWN_MODELS[name].stages if stacks is None else stacks
    if name == "hourglass" and not 1 <= count <= MAX_STACKS:
        raise UsageError(f"`stacks` must be between 1 and {MAX_STACKS}; got {count}")
    if name != "hourglass" and count != 1:
        raise UsageError(f"`stacks` applies to hourglass only; {name} got {count}")
    from firstsight.models.pose.heads import STRIDE, make_head
    from firstsight.models.pose.hourglass import hourglass
    from firstsight.models.pose.pose_small import PoseSmall, pose_small
    from firstsight.models.pose.pose_tiny import pose_tiny
    from firstsight.models.pose.simple_baseline import simple_baseline_resnet18, simple_baseline_resnet50
    from firstsight.models.pose.top_down import TopDown

    joints = len(skeleton or default_skeleton(name))
    if name == "hourglass":
        net: nn.Module = hourglass(joints=joints, stacks=count)
    else:
        builders = {
            "pose-small": pose_small,
            "pose-tiny": pose_tiny,
            "simple-baseline-resnet18": simple_baseline_resnet18,
            "simple-baseline-resnet50": simple_baseline_resnet50,
        }
        net = builders[name](joints=joints)
    stride = net.stride if isinstance(net, PoseSmall) else STRIDE
    return TopDown(net, make_head(head, size=size, sigma=sigma, stride=stride))
