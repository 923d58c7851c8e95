"""Checkpoints: a folder of safetensors and a manifest with the SHA-256 of each; whole or not there; no pickle.

``checkpoints/00000120/`` is the state after 120 updates::

    net.safetensors              a model's parameters and buffers, with its card (what `weights.load` reads)
    net-optimizer.safetensors    an optimizer's tensors
    manifest.json                progress, optimizer settings, SHA-256 of every file, versions

It is written beside as ``.00000120.tmp``, flushed, renamed, and only then are all but the two newest removed.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor, nn
from torch.optim import Optimizer

from firstsight.engine.atomic_io import sync_folder, write_synced
from firstsight.errors import CheckpointError

FORMAT = 1
KEPT = 2
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class State:
    """What a checkpoint holds, read and verified.

    Parameters
    ----------
    models, optimizers : dict[str, dict[str, Tensor]]
        Tensors by name.
    settings : dict[str, Any]
        The optimizers' parameter groups.
    progress : dict[str, Any]
        The loop's own numbers (updates done, samples consumed, sums of the running epoch).
    """

    folder: Path
    models: dict[str, dict[str, Tensor]]
    optimizers: dict[str, dict[str, Tensor]]
    settings: dict[str, Any]
    progress: dict[str, Any]


def save(
    root: Path, step: int, *, models: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer],
    progress: Mapping[str, Any], cards: Mapping[str, str], versions: Mapping[str, str],
) -> Path:  # fmt: skip
    """Write the checkpoint of ``step`` and remove all but the newest two.

    Raises
    ------
    OSError
        As from the system (a full disk); the checkpoints that stood before still stand.
    """
    files: dict[str, bytes] = {}
    settings: dict[str, Any] = {}
    for name, model in models.items():
        metadata = {"firstsight": cards[name]} if name in cards else None  # one key: their order would be random
        files[f"{name}.safetensors"] = tensors_to_bytes(_plain(model.state_dict()), metadata)
    for name, optimizer in optimizers.items():
        tensors, settings[name] = _flatten(optimizer)
        files[f"{name}-optimizer.safetensors"] = tensors_to_bytes(tensors)
    manifest = {
        "format": FORMAT,
        "step": step,
        "progress": dict(progress),
        "optimizers": settings,
        "versions": dict(versions),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    target, beside = root / f"{step:08d}", root / f".{step:08d}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        for name, content in files.items():
            write_synced(beside / name, content)
        body = json.dumps(manifest, sort_keys=True, indent=1)
        write_synced(beside / MANIFEST, _with_checksum(body).encode())
        sync_folder(beside)
        if target.exists():
            shutil.rmtree(target)
        beside.rename(target)
        sync_folder(root)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    for old in list_steps(root)[:-KEPT]:
        shutil.rmtree(root / f"{old:08d}", ignore_errors=True)
    for rest in root.glob(".*.tmp"):
        shutil.rmtree(rest, ignore_errors=True)
    return target


def list_steps(root: Path) -> list[int]:
    """Steps of which a checkpoint stands, ascending."""
    return sorted(int(item.name) for item in root.iterdir() if item.name.isdigit()) if root.is_dir() else []


def newest(root: Path) -> tuple[State | None, list[str]]:
    """The newest checkpoint that verifies, and a line for each newer one that does not.

    Raises
    ------
    CheckpointError
        There are checkpoints but none verifies.
    """
    troubles: list[str] = []
    for step in reversed(list_steps(root)):
        try:
            return read(root / f"{step:08d}"), troubles
        except CheckpointError as error:
            troubles.append(str(error))
    if troubles:
        raise CheckpointError(f"no usable checkpoint: {'; '.join(troubles)}")
    return None, troubles


def read(folder: Path) -> State:
    """Read a checkpoint and verify every file of it.

    Raises
    ------
    CheckpointError
        A file is missing, cut short or altered, or the format is a later one.
    """
    try:
        manifest = json.loads(_unsealed((folder / MANIFEST).read_text(encoding="utf-8")))
        if manifest["format"] > FORMAT:
            raise CheckpointError(f"{folder}: written by a later version of firstsight; update to read it")
        contents = {name: (folder / name).read_bytes() for name in manifest["sha256"]}
        for name, expected in manifest["sha256"].items():
            if hashlib.sha256(contents[name]).hexdigest() != expected:
                raise CheckpointError(f"{folder / name}: damaged (its SHA-256 is not the manifest's)")
        tensors = {name.removesuffix(".safetensors"): tensors_from_bytes(content) for name, content in contents.items()}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or f"{error}" or type(error).__name__
        raise CheckpointError(f"{folder}: unreadable checkpoint ({reason})") from None
    return State(
        folder=folder,
        models={name: value for name, value in tensors.items() if not name.endswith("-optimizer")},
        optimizers={
            name.removesuffix("-optimizer"): value for name, value in tensors.items() if name.endswith("-optimizer")
        },
        settings=manifest["optimizers"],
        progress=manifest["progress"],
    )


def restore(state: State, *, models: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]) -> None:
    """Put a checkpoint's tensors into models and optimizers, in place.

    Raises
    ------
    CheckpointError
        The checkpoint belongs to another network: the missing, unexpected and misshapen tensors are named.
    """
    for name, model in models.items():
        held = state.models.get(name, {})
        misfit = compare(model, dict(sorted(held.items())))  # a file tells its tensors in any order
        if misfit:
            raise CheckpointError(f"{state.folder}: is of another network than this run's {name}: {misfit}")
        model.load_state_dict(state.models[name])
    for name, optimizer in optimizers.items():
        if name not in state.optimizers:
            raise CheckpointError(f"{state.folder}: holds no state for the optimizer {name}")
        optimizer.load_state_dict(_unflatten(state.optimizers[name], state.settings[name]))
        _match_memory_format(optimizer)


def compare(model: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """How ``tensors`` misfit a model: missing, unexpected, misshapen; an empty string if they fit."""
    own = model.state_dict()
    groups = {
        "missing": [name for name in own if name not in tensors],
        "unexpected": [name for name in tensors if name not in own],
        "misshapen": [
            f"{name} ({'x'.join(map(str, tensors[name].shape))}, expected {'x'.join(map(str, own[name].shape))})"
            for name in own
            if name in tensors and tensors[name].shape != own[name].shape
        ],
    }
    return "; ".join(
        f"{kind} {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
        for kind, names in groups.items()
        if names
    )


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _flatten(optimizer: Optimizer) -> tuple[dict[str, Tensor], Any]:
    """An optimizer's state as flat tensors ("3.exp_avg") and JSON settings."""
    content = optimizer.state_dict()
    tensors = {
        f"{index}.{key}": value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
        for index, state in content["state"].items()
        for key, value in state.items()
    }
    return _plain(tensors), content["param_groups"]


def _unflatten(tensors: Mapping[str, Tensor], groups: Any) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    return {"state": state, "param_groups": groups}


def _match_memory_format(optimizer: Optimizer) -> None:
    """Give every state tensor the memory layout of its parameter; fused optimizers pair them by place in memory."""
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _with_checksum(body: str) -> str:
    """The manifest's text with its own SHA-256 as the last line."""
    return f"{body}\n{hashlib.sha256(body.encode()).hexdigest()}\n"


def _unsealed(text: str) -> str:
    body, _, seal = text.rstrip("\n").rpartition("\n")
    if hashlib.sha256(body.encode()).hexdigest() != seal:
        raise ValueError("its manifest is damaged")
    return body
