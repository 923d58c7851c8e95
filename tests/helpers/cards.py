"""Cards of weights files."""

from typing import Any

from firstsight.pose.skeleton import Skeleton
from firstsight.tasks.pose.bottom_up.network import card_fields
from firstsight.weights.io import make_card


def bottom_up_card(
    *, skeleton: Skeleton, model: str = "openpose-tiny", stages: int = 1, height: int, about: dict[str, Any]
) -> str:
    """Return the card of a bottom-up pose network."""
    fields = card_fields(skeleton=skeleton, stages=stages, height=height)
    return make_card("pose", model=model, about=about, **fields)
