"""Pose networks, one file each: bottom-up (all people at once) and top-down (one person per crop)."""

from typing import TYPE_CHECKING

from firstsight.errors import UsageError, unknown_name
from firstsight.models.registry import BOTTOM_UP_MODELS, TOP_DOWN_MODELS

if TYPE_CHECKING:
    from torch import nn

    from firstsight.models.pose.heads import HeadName
    from firstsight.models.pose.top_down import TopDown
    from firstsight.pose.skeleton import Skeleton

MAX_STAGES = 20


def create_bottom_up(name: str, *, skeleton: "Skeleton", stages: int | None = None) -> "nn.Module":
    """A pose network with fresh weights.

    Parameters
    ----------
    name : str
        One of `BOTTOM_UP_MODELS`.
    skeleton : Skeleton
        A heatmap for each of its joints and one for the background, two maps for each of its limbs.
    stages : int | None
        Refinement stages after the initial one; those of the table if None.

    Returns
    -------
    nn.Module
        A module from (N, 3, H, W) pictures, blue, green, red, (pixel - 128) / 256, to (heatmaps, fields) of every
        stage.

    Raises
    ------
    UsageError
        Unknown name, impossible number of stages.
    """
    if name not in BOTTOM_UP_MODELS:
        raise unknown_name("pose network", name, BOTTOM_UP_MODELS, f"there are {', '.join(BOTTOM_UP_MODELS)}")
    count = BOTTOM_UP_MODELS[name].stages if stages is None else stages
    if not 0 <= count <= MAX_STAGES:
        raise UsageError(f"stages must lie between 0 and {MAX_STAGES}; got {count}")
    from firstsight.models.pose.openpose_mobilenet import openpose_mobilenet
    from firstsight.models.pose.openpose_tiny import openpose_tiny
    from firstsight.models.pose.openpose_vgg import openpose_vgg19

    builders = {
        "openpose-mobilenet": openpose_mobilenet, "openpose-tiny": openpose_tiny, "openpose-vgg19": openpose_vgg19,
    }  # fmt: skip
    return builders[name](joints=len(skeleton), limbs=len(skeleton.limbs), stages=count)


def create_top_down(
    name: str, *, skeleton: "Skeleton", size: tuple[int, int], head: "HeadName" = "heatmap", sigma: float = 8.0,
    stacks: int | None = None,
) -> "TopDown":  # fmt: skip
    """A network that looks at one person at a time, with its head, and with fresh weights.

    Parameters
    ----------
    name : str
        One of `TOP_DOWN_MODELS`.
    skeleton : Skeleton
        A map for each of its joints.
    size : tuple[int, int]
        (height, width) of its input, multiples of 32; of 64 for hourglasses.
    head, sigma
        See `firstsight.models.pose.heads.make_head`.
    stacks : int | None
        Hourglasses in a row, from 1 to 8; other networks have no such thing.

    Raises
    ------
    UsageError
        Unknown name; an impossible size or number of stacks.
    """
    if name not in TOP_DOWN_MODELS:
        raise unknown_name("top-down network", name, TOP_DOWN_MODELS, f"there are {', '.join(TOP_DOWN_MODELS)}")
    step = 64 if name == "hourglass" else 32
    if any(side % step or not step <= side <= 1024 for side in size):
        raise UsageError(f"{name}: sides of the input are multiples of {step}, at most 1024; got {size[0]}x{size[1]}")
    count = TOP_DOWN_MODELS[name].stages if stacks is None else stacks
    if not 1 <= count <= (8 if name == "hourglass" else 1):
        raise UsageError(f"{name} has {'1 to 8 stacks' if name == 'hourglass' else 'no stacks'}; got {count}")
    from firstsight.models.pose.heads import make_head
    from firstsight.models.pose.hourglass import hourglass
    from firstsight.models.pose.pose_tiny import pose_tiny
    from firstsight.models.pose.simple_baseline import simple_baseline_resnet18, simple_baseline_resnet50
    from firstsight.models.pose.top_down import TopDown

    joints = len(skeleton)
    if name == "hourglass":
        net: nn.Module = hourglass(joints=joints, stacks=count)
    else:
        builders = {
            "pose-tiny": pose_tiny, "simple-baseline-resnet18": simple_baseline_resnet18,
            "simple-baseline-resnet50": simple_baseline_resnet50,
        }  # fmt: skip
        net = builders[name](joints=joints)
    return TopDown(net, make_head(head, size=size, sigma=sigma))
