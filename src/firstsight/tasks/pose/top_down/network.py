"""A trained top-down pose network: weights file with its card."""

from dataclasses import dataclass
from typing import Any, cast

from firstsight.documents.cards import TopDownCard, check_card
from firstsight.models.pose import create_top_down
from firstsight.models.pose.heads import STRIDE, HeatmapHead
from firstsight.models.pose.top_down import TopDown
from firstsight.ops import fold_batch_norm
from firstsight.pose.skeleton import Skeleton
from firstsight.tasks.pose.bottom_up.network import read_skeleton, weights_name
from firstsight.tasks.pose.top_down.published import CONVENTION
from firstsight.weights.io import WeightsFile, build_checked
from firstsight.weights.memory_format import channels_last


@dataclass(frozen=True)
class TopDownNetwork:
    """A trained top-down pose network with everything needed to use it.

    Attributes
    ----------
    model : TopDown
        In eval mode, batch norms folded.
    skeleton : Skeleton
        Keypoints of its outputs.
    size : tuple[int, int]
        (height, width) of its input in pixels.
    card : dict[str, Any]
        Metadata of the weights: model, head, stacks, skeleton, training data, metrics.
    source : str
        Weights file.
    name : str
        Name of the weights, or of the network.
    is_published : bool
        The network has the input and the coordinates of the published SimpleBaseline, see `published`.
    """

    model: TopDown
    skeleton: Skeleton
    size: tuple[int, int]
    card: dict[str, Any]
    source: str
    name: str
    is_published: bool = False


def load_network(weights: WeightsFile) -> TopDownNetwork:
    """Return the network of a weights file, its batch norms folded into its convolutions.

    Raises
    ------
    WeightsError
        If the card is incomplete, or the tensors do not fit the network that it names.
    """
    path, card, _ = weights
    source = f"{path}: its card"
    entries = check_card(card, TopDownCard, source)
    skeleton = read_skeleton(card["skeleton"], source)
    is_published = entries.convention == CONVENTION

    def build() -> TopDown:
        model = create_top_down(
            entries.model,
            skeleton=skeleton,
            size=entries.size,
            head=entries.head,
            sigma=entries.sigma,
            stacks=entries.stacks,
        )
        if is_published:
            model.head = HeatmapHead(sigma=entries.sigma / STRIDE, loss="mse", align="reference")
        return model

    finish = (lambda model: cast(TopDown, fold_batch_norm(model))) if entries.folded else None  # without batch norms
    folded = channels_last(fold_batch_norm(build_checked(build, weights, finish=finish)).requires_grad_(False))
    name = weights_name(path, card)
    return TopDownNetwork(cast(TopDown, folded), skeleton, entries.size, card, str(path), name, is_published)
