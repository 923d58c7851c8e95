"""A trained top-down pose network: weights file with its card."""

from dataclasses import dataclass
from typing import Any, cast

from firstsight.errors import DataError, UsageError, WeightsError
from firstsight.models.pose import create_top_down
from firstsight.models.pose.heads import HEADS, STRIDE, HeatmapHead
from firstsight.models.pose.top_down import TopDown
from firstsight.ops import fold_batch_norm
from firstsight.pose.skeleton import Skeleton
from firstsight.tasks.pose.bottom_up.network import weights_name
from firstsight.tasks.pose.top_down.published import CONVENTION
from firstsight.weights.io import WeightsFile, load_checked
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
    try:
        skeleton = Skeleton.from_category(card["skeleton"])
        height, width = map(int, card["size"])
        if card["head"] not in HEADS:
            raise ValueError(f"a head '{card['head']}'")
        model = create_top_down(
            card["model"],
            skeleton=skeleton,
            size=(height, width),
            head=card["head"],
            sigma=float(card["sigma"]),
            stacks=int(card["stacks"]),
        )
        is_published = card.get("convention") == CONVENTION
        if is_published:
            model.head = HeatmapHead(sigma=float(card["sigma"]) / STRIDE, loss="mse", align="reference")
        if card.get("folded", False):  # a file without its batch norms
            model = cast(TopDown, fold_batch_norm(model))
    except (KeyError, TypeError, ValueError, AttributeError, DataError, UsageError) as error:
        raise WeightsError(f"{path}: its card cannot be used ({error})") from None
    folded = channels_last(fold_batch_norm(load_checked(model, weights)).requires_grad_(False))
    name = weights_name(path, card)
    return TopDownNetwork(cast(TopDown, folded), skeleton, (height, width), card, str(path), name, is_published)
