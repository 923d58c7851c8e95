"""Trained weights: a safetensors file holds the tensors and, as its metadata, the card needed to use them.

`load` takes the name of shipped weights ("lenet-fashion"), of published ones ("resnet34"), a run directory, or a file.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor, nn

from firstsight.data.image_io import Preprocess
from firstsight.engine import checkpoint
from firstsight.engine.atomic_io import replace_file
from firstsight.engine.rundir import latest
from firstsight.errors import FirstsightError, UsageError, WeightsError, unknown_name
from firstsight.migrate import MODELS, migrate_settings, migrate_tensors
from firstsight.models.classification import create_model
from firstsight.weights.bundled import CARD, bundled, cached, card_of, display_name
from firstsight.weights.table import PUBLISHED

PYTORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt")
NETWORKS = {"pose": "bottom-up pose network", "top-down": "top-down pose network"}
"""What kinds of weights are called, where it is not their word."""
USED_BY = {"classifier": "predict", "generator": "generate", "pose": "pose", "top-down": "pose"}
"""The command that puts each kind of weights to use."""


@dataclass(frozen=True)
class Classifier:
    """A trained network with what it needs: how pictures come in, what its outputs are called, where it is from.

    Parameters
    ----------
    model : nn.Module
        In eval mode; (N, C, S, S) normalised images to (N, len(classes)) logits.
    preprocess : Preprocess
        From pictures to ``model``'s input.
    card : dict[str, Any]
        Model, recipe, data and its terms, metrics.
    tta_views : int
        See `average_over_views`.
    """

    model: nn.Module
    preprocess: Preprocess
    classes: tuple[str, ...]
    card: dict[str, Any]
    source: str
    tta_views: int = 1

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """Uint8 images (N, C, S, S) of the input's size to (N, len(classes)) class probabilities, on the CPU."""
        weight = next(self.model.parameters())
        inputs = self.preprocess.normalize(images.to(weight.device), weight.dtype)
        return torch.softmax(average_over_views(self.model, inputs, self.tta_views), dim=1).cpu()


def average_over_views(net: nn.Module, images: Tensor, views: int) -> Tensor:
    """Logits, averaged over views of every picture.

    Parameters
    ----------
    images : Tensor
        (N, C, H, W) normalised.
    views : int
        1, the picture; 2, also its mirror image; 6, also both moved by a pixel down right and up left, which together
        count as much as the two in their place (the edge is mirrored; Jordan 2024, airbench).

    Returns
    -------
    Tensor
        (N, classes)
    """
    shown = [(1.0, images)]
    if views == 6:
        wide = F.pad(images, (1, 1, 1, 1), mode="reflect")
        shown = [(0.5, images), (0.25, wide[:, :, :-2, :-2]), (0.25, wide[:, :, 2:, 2:])]
    if views > 1:
        shown = [(share / 2, view) for share, straight in shown for view in (straight, straight.flip(3))]
    return torch.stack([share * net(view) for share, view in shown]).sum(0)


def make_card(
    *,
    model: str,
    in_channels: int,
    preprocess: Preprocess,
    classes: tuple[str, ...],
    about: Mapping[str, Any],
    views: int = 1,
    variant: str | None = None,
) -> str:
    """The card of a classifier as JSON; ``about`` is what a reader wants to know and the code does not need."""
    options = {"num_classes": len(classes), "in_channels": in_channels, "image_size": preprocess.input_size}
    card = {
        "format": 1,
        "kind": "classifier",
        "model": model,
        "options": options if variant is None else options | {"variant": variant},
        "preprocess": asdict(preprocess),
        "classes": list(classes),
        "views": views,
        "about": dict(about),
    }
    return json.dumps(card, sort_keys=True)


def kind_of(name_or_run: str | Path, notify: Callable[[str], None]) -> str:
    """What a name, a run or a file holds: "classifier", "generator", "pose", "top-down", or "" where nothing tells.

    A card does; in a file of torch.save, which has none, the names of a pose network's tensors.

    Raises
    ------
    UsageError, WeightsError
        As `load`.
    """
    path = resolve(name_or_run, notify)
    path = weights_of_run(path) if path.is_dir() else path
    if path.suffix in PYTORCH_SUFFIXES:
        from firstsight.weights.state_dict import read_tensors, skeleton_size

        return "pose" if skeleton_size(read_tensors(path)) else ""
    card = card_of(path)
    return str(card.get("kind", "")) if card else ""


def load(name_or_run: str | Path, *, notify: Callable[[str], None] = lambda line: None) -> Classifier:
    """A trained network, ready to use.

    Parameters
    ----------
    name_or_run : str | Path
        Looked for in this order: a name of `bundled` weights; a run directory, or a ``.safetensors`` file that
        firstsight wrote; a name of `cached` weights ("resnet34-imagenet"); a network with published weights
        ("resnet34"), which are downloaded if they are not stored yet (never when ``FIRSTSIGHT_OFFLINE=1``).
    notify : Callable[[str], None]
        Called with a line for every download.

    Raises
    ------
    UsageError
        Neither a known name nor a path that exists.
    WeightsError
        The file is damaged, of another program, or does not fit the network its card names; or published weights
        cannot be had.
    """
    path = resolve(name_or_run, notify)
    if path.is_dir():
        path = weights_of_run(path)
    if path.suffix in PYTORCH_SUFFIXES:
        from firstsight.weights.state_dict import read_state_dict

        read_state_dict(path)
        told = "holds tensors but no card; its network, classes and preprocessing are not in it"
        raise WeightsError(f"{path}: {told} (see: firstsight weights import --help)")
    return read(path)


def resolve(given: str | Path, notify: Callable[[str], None]) -> Path:
    """The file or run directory that a name or a path means, by the rules of `load`."""
    if not isinstance(given, str | Path):
        raise UsageError(f"expected a name of weights, a run directory or a file; got a {type(given).__name__}")
    name = str(given)
    path = bundled().get(name) or Path(name).expanduser()
    if path.exists():
        return path
    kept = cached()
    if name in kept:
        return kept[name]
    if name.removesuffix("-imagenet") in PUBLISHED:
        from firstsight.weights.published import get

        return get(name, notify=notify)
    if {"/", "\\"} & set(name) or path.suffix:
        hint = "; docs/howto/published-weights.md says where published ones are" if path.suffix == ".pth" else ""
        raise UsageError(f"no such file or run directory: {name}{hint}")
    known = [*bundled(), *kept, *PUBLISHED, *(entry.name for entry in PUBLISHED.values())]
    raise unknown_name("weights or run", name, known, "see: firstsight weights list; or give a run directory or a file")


def weights_of_run(run: Path) -> Path:
    """The weights file of a run: the finished model, or that of its newest checkpoint that verifies.

    Raises
    ------
    WeightsError
        No run, one without a checkpoint yet, or a folder of several runs.
    """
    finished = run / "model.safetensors"
    if finished.is_file():
        return finished
    state, _ = checkpoint.newest(run / "checkpoints")
    if state is None:
        inside = latest(run)
        if inside:
            raise WeightsError(f"{run}: holds several runs; name one of them, as in {inside}")
        raise WeightsError(f"{run}: no trained weights in it (not a run directory, or no checkpoint was written yet)")
    return next(path for path in sorted(state.folder.glob("*.safetensors")) if card_of(path))


def read_file(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The card and the tensors of a weights file.

    Raises
    ------
    WeightsError
        Not a file of ours, or of another kind ("classifier", "generator", "pose", "top-down").
    """
    try:
        with safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {})[CARD])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        held = card["kind"]
        if "settings" in card.get("about", {}):
            card["about"]["settings"] = migrate_settings(card["about"]["settings"])
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error})") from None
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path}: has no firstsight card, so its network and classes are unknown ({error})"
        ) from None
    if held != kind:
        used = f"see: firstsight {USED_BY.get(held, 'weights')} --help"
        if {held, kind} == {"pose", "top-down"}:
            used += "; in Python PoseEstimator is for the one, TopDownEstimator for the other"
        held, kind = (NETWORKS.get(word, word) for word in (held, kind))
        raise WeightsError(f"{display_name(path)}: holds a {held}, not a {kind} ({used})")
    return card, tensors


def fill(model: nn.Module, tensors: Mapping[str, Tensor], path: Path, card: Mapping[str, Any]) -> nn.Module:
    """Put a file's tensors into its network; in eval mode, single precision.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        By the names that ``model`` has for them, in any precision.
    path, card
        Of the file, for the error.

    Raises
    ------
    WeightsError
        Names or shapes are not those of the network.
    """
    tensors = migrate_tensors(card["model"], tensors)
    misfit = checkpoint.compare(model, tensors)
    if misfit:
        raise WeightsError(f"{path}: does not fit its network {card['model']}: {misfit}")
    model.load_state_dict({name: _widen(tensor) for name, tensor in tensors.items()})
    return model.eval()


def read(path: Path) -> Classifier:
    """Read a classifier's weights file with its card.

    Raises
    ------
    WeightsError
        Not a file of ours, of another kind, or one that does not fit the network that its card names.
    """
    card, tensors = read_file(path, "classifier")
    try:
        preprocess = _preprocess(card["preprocess"])
        model = create_model(MODELS.get(card["model"], card["model"]), **card["options"])
        classes, views = tuple(card["classes"]), int(card.get("views", 1))
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path}: has no firstsight card, so its network and classes are unknown ({error})"
        ) from None
    except FirstsightError as error:
        raise WeightsError(f"{path}: {error}") from None
    return Classifier(fill(model, tensors, path, card), preprocess, classes, card, str(path), views)


def write(path: Path, tensors: Mapping[str, Tensor], card: str, *, dtype: torch.dtype | None = None) -> None:
    """Write a weights file, whole or not at all; ``dtype`` narrows its floating-point tensors (fp16 for shipping)."""
    plain = {
        name: (tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in tensors.items()
    }
    replace_file(path, tensors_to_bytes(plain, {CARD: card}))


def _widen(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _preprocess(card: Mapping[str, Any]) -> Preprocess:
    return Preprocess(
        channels=int(card["channels"]),
        resize=int(card["resize"]),
        pad=int(card["pad"]),
        mean=tuple(map(float, card["mean"])),
        std=tuple(map(float, card["std"])),
        shorter=int(card.get("shorter", 0)),
    )
