"""Weights files: safetensors, with a card (JSON metadata) that says how to use the tensors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor, nn

from firstsight.engine import checkpoint
from firstsight.engine.atomic_io import replace_file
from firstsight.errors import WeightsError
from firstsight.migrate import migrate_card, migrate_tensors
from firstsight.weights.bundled import CARD

FOREIGN_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar", ".xml")
"""Suffixes of weights files of other programs, which have no card."""
M = TypeVar("M", bound=nn.Module)


class WeightsFile(NamedTuple):
    """Content of a weights file.

    Parameters
    ----------
    path : Path
        The file.
    card : dict[str, Any]
        Its metadata: kind, model, options, preprocessing, what it was trained on, metrics.
    tensors : dict[str, Tensor]
        State dict, in the precision of the file.
    """

    path: Path
    card: dict[str, Any]
    tensors: dict[str, Tensor]


def make_card(kind: str, *, model: str, about: Mapping[str, Any], **fields: Any) -> str:
    """Return a card as JSON.

    Parameters
    ----------
    kind : str
        Kind of the weights, the ``card_kind`` of a task: "classifier", "generator", "pose", "top-down".
    model : str
        Name in the model registry.
    about : Mapping[str, Any]
        Facts for readers that the code does not need: data, recipe, settings, metrics.
    **fields : Any
        Entries that the loader of this kind needs.
    """
    return json.dumps({"format": 1, "kind": kind, "model": model, **fields, "about": dict(about)}, sort_keys=True)


def read_weights(path: Path) -> WeightsFile:
    """Read a weights file that firstsight wrote.

    Raises
    ------
    WeightsError
        If the file is not readable as safetensors, or has no card.
    """
    try:
        with safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {})[CARD])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        card["kind"], card["model"]
        card = migrate_card(card)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error})") from None
    except (KeyError, ValueError, TypeError) as error:
        raise no_card(path, error) from None
    return WeightsFile(path, card, migrate_tensors(card["model"], tensors))


def no_card(path: Path, error: Exception) -> WeightsError:
    """Return the error for a file whose card is missing or incomplete."""
    return WeightsError(f"{path}: has no firstsight card, so its network and classes are unknown ({error})")


def load_checked(model: M, weights: WeightsFile) -> M:
    """Load the tensors of a weights file into its network; return it in eval mode, in single precision.

    Parameters
    ----------
    model : M
        Network that the card describes.
    weights : WeightsFile
        The tensors, in any precision.

    Raises
    ------
    WeightsError
        If names or shapes differ from those of the network.
    """
    mismatch = checkpoint.describe_mismatch(model, weights.tensors)
    if mismatch:
        raise WeightsError(f"{weights.path}: does not fit its network {weights.card['model']}: {mismatch}")
    model.load_state_dict(
        {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in weights.tensors.items()}
    )
    return model.eval()


def write_weights(path: Path, tensors: Mapping[str, Tensor], card: str, *, dtype: torch.dtype | None = None) -> None:
    """Write a weights file atomically.

    Parameters
    ----------
    path : Path
        File to write; an existing one is replaced.
    tensors : Mapping[str, Tensor]
        State dict.
    card : str
        JSON, see `make_card`.
    dtype : torch.dtype | None
        Convert the floating-point tensors to this type (the bundled weights are float16); None keeps them.
    """
    converted = {
        name: (tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in tensors.items()
    }
    replace_file(path, tensors_to_bytes(converted, {CARD: card}))
