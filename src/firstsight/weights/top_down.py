"""Trained networks that look at one person at a time: a safetensors file with its card."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from firstsight.errors import DataError, UsageError, WeightsError
from firstsight.migrate import HEAD_NAMES
from firstsight.models.pose import create_top_down
from firstsight.models.pose.heads import HEADS
from firstsight.models.pose.top_down import TopDown
from firstsight.ops import fold_batch_norm
from firstsight.pose.skeleton import Skeleton
from firstsight.weights.bundled import bundled
from firstsight.weights.classifier import fill, read_file, resolve, weights_of_run
from firstsight.weights.memory_format import channels_last


@dataclass(frozen=True)
class TopDownNetwork:
    """A trained network of one person at a time, with what it needs.

    Parameters
    ----------
    model : TopDown
        In eval mode, batch norms folded.
    skeleton : Skeleton
        Whose joints it finds.
    size : tuple[int, int]
        (height, width) of its input.
    card : dict[str, Any]
        Model, head, stacks, skeleton, what it was trained on, metrics.
    source : str
        The file it is from; name : what it is called.
    """

    model: TopDown
    skeleton: Skeleton
    size: tuple[int, int]
    card: dict[str, Any]
    source: str
    name: str


def make_top_down_card(
    *, model: str, skeleton: Skeleton, size: tuple[int, int], head: str, sigma: float, stacks: int,
    about: Mapping[str, Any],
) -> str:  # fmt: skip
    """The card as JSON; parameters as of `create_top_down`, and ``about``: what the code does not need."""
    card = {
        "format": 1, "kind": "top-down", "model": model, "size": list(size), "head": head, "sigma": sigma,
        "stacks": stacks, "skeleton": skeleton.category(), "about": dict(about),
    }  # fmt: skip
    return json.dumps(card, sort_keys=True)


def load_top_down(name_or_path: str | Path, *, notify: Callable[[str], None] = lambda line: None) -> TopDownNetwork:
    """A trained network of one person at a time, ready to use.

    Parameters
    ----------
    name_or_path : str | Path
        A name of shipped weights, a run directory, or a ``.safetensors`` file that firstsight wrote.
    notify : Callable[[str], None]
        Called with a line for what was not as usual.

    Raises
    ------
    UsageError
        Neither a known name nor a path that exists.
    WeightsError
        The file is damaged, not of such a network, or does not fit the one its card names.
    """
    path = resolve(name_or_path, notify)
    path = weights_of_run(path) if path.is_dir() else path
    card, tensors = read_file(path, "top-down")
    try:
        skeleton, (height, width) = Skeleton.from_category(card["skeleton"]), map(int, card["size"])
        head = HEAD_NAMES.get(card["head"], card["head"])
        if head not in HEADS:
            raise ValueError(f"a head '{card['head']}'")
        model = create_top_down(
            card["model"], skeleton=skeleton, size=(height, width), head=head, sigma=float(card["sigma"]),
            stacks=int(card["stacks"]),
        )  # fmt: skip
        if card.get("folded", False):  # a file without its batch norms
            model = cast(TopDown, fold_batch_norm(model))
    except (KeyError, TypeError, ValueError, AttributeError, DataError, UsageError) as error:
        raise WeightsError(f"{path}: its card cannot be used ({error})") from None
    name = str(name_or_path) if str(name_or_path) in bundled() else card["model"]
    ready = channels_last(fold_batch_norm(fill(model, tensors, path, card)).requires_grad_(False))
    return TopDownNetwork(cast(TopDown, ready), skeleton, (height, width), card, str(path), name)
