"""Pose estimation: skeletons, labels, networks and decoding; modules and functions on tensors.

This page is the table of its networks; it imports torch only when one is built.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstsight.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from torch import nn

    from firstsight.pose.skeleton import Skeleton

MOST_STAGES = 20


@dataclass(frozen=True)
class Entry:
    """A bottom-up pose network of the package.

    Parameters
    ----------
    parameters : with its usual skeleton and stages.
    stages : refinement stages, if nothing else is asked for.
    """

    name: str
    summary: str
    parameters: int
    stages: int


POSE_MODELS: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("openpose-mobilenet", "lightweight OpenPose (Osokin 2018); 18 joints", 4_091_698, 1),
        Entry("openpose-tiny", "OpenPose on a small U-shaped backbone, for two cores; 14 joints", 951_850, 1),
        Entry("openpose-vgg19", "OpenPose as in the paper (Cao 2017); 18 joints", 52_311_446, 5),
    )
}


def create_pose(name: str, *, skeleton: "Skeleton", stages: int | None = None) -> "nn.Module":
    """A pose network with fresh weights.

    Parameters
    ----------
    name : one of `POSE_MODELS`.
    skeleton : a heatmap for each of its joints and one for the background, two maps for each of its limbs.
    stages : refinement stages after the initial one; those of the table if None.

    Returns
    -------
    A module from (N, 3, H, W) pictures, blue, green, red, (pixel - 128) / 256, to (heatmaps, fields) of every stage.

    Raises
    ------
    UsageError
        Unknown name, impossible number of stages.
    """
    if name not in POSE_MODELS:
        raise unknown_name("pose network", name, POSE_MODELS, f"there are {', '.join(POSE_MODELS)}")
    count = POSE_MODELS[name].stages if stages is None else stages
    if not 0 <= count <= MOST_STAGES:
        raise UsageError(f"stages must lie between 0 and {MOST_STAGES}; got {count}")
    from firstsight.pose.openpose_mobilenet import openpose_mobilenet
    from firstsight.pose.openpose_tiny import openpose_tiny
    from firstsight.pose.openpose_vgg import openpose_vgg19

    builders = {
        "openpose-mobilenet": openpose_mobilenet, "openpose-tiny": openpose_tiny, "openpose-vgg19": openpose_vgg19,
    }  # fmt: skip
    return builders[name](joints=len(skeleton), limbs=len(skeleton.limbs), stages=count)
