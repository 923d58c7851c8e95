"""Trained pose networks: a safetensors file with its card, as of classifiers; or the published checkpoint."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from firstsight.errors import DataError, UsageError, WeightsError
from firstsight.models.pose import create_bottom_up
from firstsight.ops import fold_batch_norm
from firstsight.pose.skeleton import OPENPOSE_18, Skeleton
from firstsight.weights.bundled import bundled
from firstsight.weights.classifier import PYTORCH_SUFFIXES, fill, read_file, resolve, weights_of_run
from firstsight.weights.memory_format import channels_last
from firstsight.weights.state_dict import load_published

USUAL = "openpose-tiny-lsp"
"""The shipped weights that are used if none are named."""
LIMITS = {USUAL: "mostly finds several people in one", "pose-tiny-lsp": "always finds one body in a box"}
"""Shipped weights, and what comes of it that they are small; they were shown people seen from head to foot alone."""
PUBLISHED_MODEL, PUBLISHED_HEIGHT = "openpose-mobilenet", 256
LEAST_HEIGHT, MOST_HEIGHT = 32, 2000
WANTED = (
    "a run directory, a .safetensors file that firstsight wrote, or the published checkpoint_iter_370000.pth (from"
    " github.com/Daniil-Osokin/lightweight-human-pose-estimation.pytorch)"
)


@dataclass(frozen=True)
class PoseNetwork:
    """A trained pose network with what it needs.

    Parameters
    ----------
    model : nn.Module
        In eval mode, batch norms folded; (N, 3, H, W) to heatmaps and fields of every stage.
    skeleton : Skeleton
        Whose joints and limbs they are of.
    height : int
        What pictures are resized to, in pixels.
    card : dict[str, Any]
        Model, stages, skeleton, what it was trained on, metrics.
    source : str
        The file it is from; name : what it is called.
    """

    model: nn.Module
    skeleton: Skeleton
    height: int
    card: dict[str, Any]
    source: str
    name: str


def make_card(*, model: str, skeleton: Skeleton, stages: int, height: int, about: Mapping[str, Any]) -> str:
    """The card of a pose network as JSON.

    Parameters
    ----------
    model : str
        As in `firstsight.pose.POSE_MODELS`; stages : its refinement stages.
    height : int
        What pictures are to be resized to, in pixels.
    about : Mapping[str, Any]
        What a reader wants to know and the code does not need.
    """
    held = skeleton.category() | {"paf_channels": list(skeleton.paf_channels)}
    card = {
        "format": 1, "kind": "pose", "model": model, "stages": stages, "height": height, "skeleton": held,
        "about": dict(about),
    }  # fmt: skip
    return json.dumps(card, sort_keys=True)


def usual() -> str:
    """What to use where no weights are named.

    Raises
    ------
    UsageError
        None are shipped.
    """
    if USUAL not in bundled():
        raise UsageError(f"no pose network is shipped yet: name one with --model, {WANTED}")
    return USUAL


def load_pose(name_or_path: str | Path, *, notify: Callable[[str], None] = lambda line: None) -> PoseNetwork:
    """A trained pose network, ready to use.

    Parameters
    ----------
    name_or_path : str | Path
        A name of shipped weights, a run directory, a ``.safetensors`` file that firstsight wrote, or a ``.pth`` file,
        which is taken as the published checkpoint of lightweight OpenPose.
    notify : Callable[[str], None]
        Called with a line for what was not as usual.

    Raises
    ------
    UsageError
        Neither a known name nor a path that exists.
    WeightsError
        The file is damaged, not of a pose network, or does not fit the one its card names.
    """
    path = resolve(name_or_path, notify)
    path = weights_of_run(path) if path.is_dir() else path
    if path.suffix in PYTORCH_SUFFIXES:
        return _published(path, notify)
    card, tensors = read_file(path, "pose")
    try:
        skeleton, height = _skeleton(card["skeleton"]), int(card["height"])
        model = create_bottom_up(card["model"], skeleton=skeleton, stages=int(card["stages"]))
        if not LEAST_HEIGHT <= height <= MOST_HEIGHT:
            raise ValueError(f"a height of {height}")
    except (KeyError, TypeError, ValueError, AttributeError, DataError, UsageError) as error:
        raise WeightsError(f"{path}: its card cannot be used ({error})") from None
    name = str(name_or_path) if str(name_or_path) in bundled() else card["model"]
    return PoseNetwork(_ready(fill(model, tensors, path, card)), skeleton, height, card, str(path), name)


def _published(path: Path, notify: Callable[[str], None]) -> PoseNetwork:
    net = load_published(create_bottom_up(PUBLISHED_MODEL, skeleton=OPENPOSE_18), path, notify=notify)
    about = {"data": "not known", "source": path.name}
    card = make_card(model=PUBLISHED_MODEL, skeleton=OPENPOSE_18, stages=1, height=PUBLISHED_HEIGHT, about=about)
    held = json.loads(card)
    return PoseNetwork(_ready(net), OPENPOSE_18, PUBLISHED_HEIGHT, held, str(path), PUBLISHED_MODEL)


def _skeleton(category: Mapping[str, Any]) -> Skeleton:
    made = Skeleton.from_category(category)
    return replace(made, paf_channels=tuple(map(int, category["paf_channels"])))


def _ready(model: nn.Module) -> nn.Module:
    return channels_last(fold_batch_norm(model).requires_grad_(False))
