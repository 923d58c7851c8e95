"""Weights files: safetensors, with a card (JSON metadata) that says how to use the tensors."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from firstsight.atomic_io import replace_file
from firstsight.documents.cards import FORMAT
from firstsight.engine import checkpoint
from firstsight.errors import WeightsError
from firstsight.migrate import migrate_tensors
from firstsight.weights.bundled import CARD, card_in, open_safetensors

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
    """Return a card as JSON. Numbers that are not finite become null, because JSON has none.

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
    card = {"format": FORMAT, "kind": kind, "model": model, **fields, "about": dict(about)}
    return json.dumps(_finite(card), sort_keys=True, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_weights(path: Path) -> WeightsFile:
    """Read a weights file that firstsight wrote.

    Raises
    ------
    WeightsError
        If the file is not readable as safetensors, has no card, or an entry of the card is missing or wrong.
    """
    with open_safetensors(path, "pt") as file:
        card = card_in(file.metadata(), path)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    return WeightsFile(path, card, migrate_tensors(card["model"], tensors))


def build_checked(build: Callable[[], M], weights: WeightsFile, *, finish: Callable[[M], M] | None = None) -> M:
    """Build the network of a weights file and load its tensors; return it in eval mode, in single precision.

    The network is first built on the meta device, without memory, and compared with the tensors of the file. So a card
    that describes a larger network than the file contains takes no memory.

    Parameters
    ----------
    build : Callable[[], M]
        Function that builds the network that the card describes, with random weights.
    weights : WeightsFile
        The tensors, in any precision.
    finish : Callable[[M], M] | None
        Function that changes the names of the network to those of the file, such as the folding of its batch norms. It
        is not called on the meta device; there only the number of values is compared.

    Raises
    ------
    WeightsError
        If the network cannot be built, or names, shapes or types of the tensors differ from those of the network.
    """
    try:
        with without_memory():
            net = build()
    except Exception as error:
        raise WeightsError(f"{weights.path}: its card cannot be used ({error})") from None
    if finish is None:
        _check_tensors(net, weights)
        return load_checked(build(), weights)
    expected, given = (sum(t.numel() for t in each.values()) for each in (net.state_dict(), weights.tensors))
    if expected > 2 * given:
        text = f"does not fit its network {weights.card['model']}: it has {given:,} values, the network {expected:,}"
        raise WeightsError(f"{weights.path}: {text}")
    return load_checked(finish(build()), weights)


@contextmanager
def without_memory() -> Iterator[None]:
    """Build networks on the meta device: shapes without memory, and without random initialization."""
    with torch.device("meta"), _SkipRandom():
        yield


class _SkipRandom(TorchFunctionMode):
    """Skip `Tensor.normal_` and the functions of `nn.init` with it; the meta device imports 800 modules for it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "").endswith("normal_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


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
        If names, shapes or types differ from those of the network, or a value is not finite.
    """
    _check_tensors(model, weights)
    tensors = {
        name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in weights.tensors.items()
    }
    check_finite(tensors, weights.path)
    model.load_state_dict(tensors)
    return model.eval()


def _check_tensors(model: nn.Module, weights: WeightsFile) -> None:
    """Refuse tensors whose names, shapes or types are not those of a network."""
    mismatch = checkpoint.describe_mismatch(model, weights.tensors)
    if mismatch:
        network = weights.card["model"]
        raise WeightsError(f"{weights.path}: does not fit its network {network}: {mismatch}")
    check_types(model.state_dict(), weights.tensors, weights.path)


def check_types(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that are not dense, or not floating-point numbers where a network has such.

    Parameters
    ----------
    expected : Mapping[str, Tensor]
        State dict of the network.
    tensors : Mapping[str, Tensor]
        Tensors of the same names.
    path : Path
        File that they are from.

    Raises
    ------
    WeightsError
        If a type is another one.
    """
    for name, tensor in tensors.items():
        is_float = tensor.is_floating_point() and tensor.layout == torch.strided
        if expected[name].is_floating_point() and not is_float:
            text = f"{name} has type {tensor.dtype}, {tensor.layout}; expected dense floating-point numbers"
            raise WeightsError(f"{path}: {text}")


def check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors with NaN or infinite values.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        Tensors by name.
    path : Path
        File that they are from.

    Raises
    ------
    WeightsError
        If a value is not finite.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.float().isfinite().all()):
            reason = "the training diverged, or the file is damaged"
            raise WeightsError(f"{path}: {name} has values that are not finite (NaN or infinity); {reason}")


def not_finite(source: str | Path, outputs: str) -> WeightsError:
    """Return the error for a network whose outputs are NaN or infinite.

    Parameters
    ----------
    source : str | Path
        Weights file.
    outputs : str
        What the network computes, such as "probabilities".
    """
    return WeightsError(
        f"{source}: its {outputs} are not finite (NaN or infinity); the weights are damaged, or too large"
    )


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
