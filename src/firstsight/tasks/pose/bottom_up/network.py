"""A trained bottom-up pose network: weights file with its card, or the published checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from firstsight.documents.cards import PoseCard, check_card
from firstsight.errors import DataError, UsageError, WeightsError
from firstsight.models.pose import create_bottom_up
from firstsight.models.pose.openpose_mobilenet import BridgeVariant
from firstsight.ops import fold_batch_norm
from firstsight.pose.score import UNCALIBRATED, ScoreCalibration
from firstsight.pose.skeleton import Skeleton
from firstsight.weights.bundled import bundled, cached
from firstsight.weights.io import WeightsFile, build_checked
from firstsight.weights.memory_format import channels_last
from firstsight.weights.pose_table import PUBLISHED_POSE

DEFAULT_WEIGHTS = (*PUBLISHED_POSE, "openpose-small-photos", "openpose-tiny-lsp")
"""Weights that are used if none are named: the first ones that are on the machine."""
LIMITATIONS = {
    "openpose-tiny-lsp": "works for one full-body person; expect false detections otherwise",
    "pose-tiny-lsp": "works for one full-body person in a box",
}
"""Limitations of bundled weights, which are small and were trained on full-body people only."""
PUBLISHED_MODEL = "openpose-mobilenet"
MIN_HEIGHT, MAX_HEIGHT = 32, 2000
EXPECTED = (
    "a run directory, a .safetensors file that firstsight wrote, or the published checkpoint_iter_370000.pth (from"
    " github.com/Daniil-Osokin/lightweight-human-pose-estimation.pytorch)"
)


@dataclass(frozen=True)
class BottomUpNetwork:
    """A trained bottom-up pose network with everything needed to use it.

    Attributes
    ----------
    model : nn.Module
        In eval mode, batch norms folded; (N, 3, H, W) to a list: heatmaps and part affinity fields, in turn, of
        every stage.
    skeleton : Skeleton
        Keypoints and limbs of its outputs.
    height : int
        Height in pixels that images are resized to.
    card : dict[str, Any]
        Metadata of the weights: model, stages, skeleton, training data, metrics.
    source : str
        Weights file.
    name : str
        Name of the weights, or of the network.
    calibration : ScoreCalibration
        Conversion of scores of people to probabilities.
    """

    model: nn.Module
    skeleton: Skeleton
    height: int
    card: dict[str, Any]
    source: str
    name: str
    calibration: ScoreCalibration = UNCALIBRATED


def default_weights() -> str:
    """Return the name of the best bottom-up weights on this machine: downloaded ones, or else bundled ones.

    Raises
    ------
    UsageError
        If there are none.
    """
    known = bundled() | cached()
    for name in DEFAULT_WEIGHTS:
        if name in known:
            return name
    raise UsageError(f"no pose network is bundled: name one with `model`, {EXPECTED}")


def load_network(weights: WeightsFile) -> BottomUpNetwork:
    """Return the network of a weights file, its batch norms folded into its convolutions.

    Raises
    ------
    WeightsError
        If the card is incomplete, or the tensors do not fit the network that it names.
    """
    path, card, _ = weights
    source = f"{path}: its card"
    entries = check_card(card, PoseCard, source)
    skeleton = read_skeleton(card["skeleton"], source)
    net = build_checked(
        lambda: create_bottom_up(entries.model, skeleton=skeleton, stages=entries.stages, bridge=entries.bridge),
        weights,
    )
    folded = channels_last(fold_batch_norm(net).requires_grad_(False))
    calibration = ScoreCalibration.from_card(card.get("score_calibration"))
    return BottomUpNetwork(folded, skeleton, entries.height, card, str(path), weights_name(path, card), calibration)


def weights_name(path: Path, card: Mapping[str, Any]) -> str:
    """Return the name of bundled or cached weights, or else that of their network."""
    return path.stem if path in (bundled().get(path.stem), cached().get(path.stem)) else str(card["model"])


def card_fields(*, skeleton: Skeleton, stages: int, height: int, bridge: BridgeVariant | None = None) -> dict[str, Any]:
    """Return the entries of a card that `load_network` needs.

    Parameters
    ----------
    skeleton : Skeleton
        Keypoints and limbs of the outputs.
    stages : int
        Number of refinement stages.
    height : int
        Height in pixels that images are resized to.
    bridge : {"relu", "elu"} | None
        Variant of openpose-mobilenet; None for networks without variants.
    """
    category = skeleton.to_category() | {"paf_channels": list(skeleton.paf_channels)}
    fields = {"stages": stages, "height": height, "skeleton": category}
    return fields | {"bridge": bridge} if bridge else fields


def read_skeleton(category: Mapping[str, Any], source: str) -> Skeleton:
    """Return the skeleton of a card, with the order of its part affinity fields if the card has it.

    Parameters
    ----------
    category : Mapping[str, Any]
        Entry "skeleton" of a card that its schema has checked.
    source : str
        Name of the card in messages.

    Raises
    ------
    WeightsError
        If the limbs or pairs are not those of a skeleton.
    """
    try:
        skeleton = Skeleton.from_category(category)
        return replace(skeleton, paf_channels=tuple(category.get("paf_channels", ())))
    except DataError as error:
        raise WeightsError(f"{source}: {error}") from None
