"""Checkpoints: folders of safetensors files with a manifest of their SHA-256 digests; written atomically, no pickle.

``checkpoints/00000120/`` is the state after 120 optimizer steps::

    net.safetensors              parameters and buffers of a model, with its card (readable by `weights.load`)
    net-optimizer.safetensors    tensors of an optimizer
    manifest.json                progress, optimizer settings, SHA-256 of every file, versions

A checkpoint is written as ``.00000120.tmp``, flushed to disk and renamed. Only then are older checkpoints removed,
except the one before it. A checkpoint is renamed to a temporary name before its files are removed, so a folder with
the name of a checkpoint is always complete.
"""

import hashlib
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor, nn
from torch.optim import Optimizer

from firstsight.atomic_io import sync_folder, write_synced
from firstsight.documents.decode import decode_document
from firstsight.documents.runs import Manifest, ManifestFormat, RunProgress, encode, replace_not_finite
from firstsight.errors import CheckpointError
from firstsight.migrate import migrate_param_groups

FORMAT = 1
NUM_KEPT = 2
MANIFEST = "manifest.json"
IMPLEMENTATION = ("foreach", "fused")
"""Settings of an optimizer that select its implementation, at most one of them."""
NAME = re.compile(r"[0-9]{8,18}")
"""Name of the folder of a checkpoint: the step."""
TEMPORARY = re.compile(r"\.[0-9]{8,18}(\.old)?\.tmp")
"""Name of a folder that is being written or removed."""


@dataclass(frozen=True)
class Checkpoint:
    """Contents of a checkpoint, verified.

    Attributes
    ----------
    folder : Path
        Folder of the checkpoint.
    models, optimizers : dict[str, dict[str, Tensor]]
        Tensors by name of the model or optimizer, then by name of the tensor.
    settings : dict[str, list[dict[str, Any]]]
        Parameter groups of each optimizer.
    progress : RunProgress
        State of the loop, last metrics, threads.
    """

    folder: Path
    models: dict[str, dict[str, Tensor]]
    optimizers: dict[str, dict[str, Tensor]]
    settings: dict[str, list[dict[str, Any]]]
    progress: RunProgress


def save(
    root: Path,
    step: int,
    *,
    models: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    progress: RunProgress,
    cards: Mapping[str, str],
    versions: Mapping[str, str],
) -> Path:
    """Write the checkpoint of a step, remove all but the two newest, and return its folder.

    Parameters
    ----------
    root : Path
        Folder of the checkpoints.
    step : int
        Optimizer steps done.
    models : Mapping[str, nn.Module]
        Models by name.
    optimizers : Mapping[str, Optimizer]
        Optimizers by name.
    progress : RunProgress
        State of the loop, last metrics, threads.
    cards : Mapping[str, str]
        Cards by model name, as JSON text, stored in the weights files.
    versions : Mapping[str, str]
        Package versions; see `rundir.package_versions`.

    Raises
    ------
    OSError
        If the system cannot write (a full disk). Earlier checkpoints are kept.
    """
    files: dict[str, bytes] = {}
    settings: dict[str, Any] = {}
    for name, model in models.items():
        metadata = {"firstsight": cards[name]} if name in cards else None  # one key: several are in random order
        files[f"{name}.safetensors"] = tensors_to_bytes(_to_cpu(model.state_dict()), metadata)
    for name, optimizer in optimizers.items():
        tensors, settings[name] = _flatten(optimizer)
        files[f"{name}-optimizer.safetensors"] = tensors_to_bytes(tensors)
    manifest = {
        "format": FORMAT,
        "step": step,
        "progress": progress,
        "optimizers": settings,
        "versions": dict(versions),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    target, temporary = _folder(root, step), root / f".{step:08d}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        for name, content in files.items():
            write_synced(temporary / name, content)
        body = encode(manifest, sort_keys=True, indent=1)
        write_synced(temporary / MANIFEST, _with_checksum(body).encode())
        sync_folder(temporary)
        if target.is_dir():
            _discard(root, step)
        temporary.rename(target)
        sync_folder(root)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    remove_others(root, step)
    return target


def remove_others(root: Path, step: int) -> None:
    """Remove all checkpoints but that of a step and the one before it, and what killed processes left.

    Errors are ignored: the next call tries again. Call this only from the process that trains.

    Parameters
    ----------
    root : Path
        Folder of the checkpoints.
    step : int
        Step of a checkpoint that is valid. Later ones are damaged: the training has continued from this one.
    """
    with suppress(OSError):
        kept = [each for each in list_steps(root) if each <= step][-NUM_KEPT:]
        for each in list_steps(root):
            if each not in kept:
                _discard(root, each)
        for path in [*root.iterdir()]:
            if TEMPORARY.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)


def _discard(root: Path, step: int) -> None:
    """Remove a checkpoint so that at every moment it is either complete or has a temporary name."""
    temporary = root / f".{step:08d}.old.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    _folder(root, step).rename(temporary)
    shutil.rmtree(temporary, ignore_errors=True)


def _folder(root: Path, step: int) -> Path:
    return root / f"{step:08d}"


def list_steps(root: Path) -> list[int]:
    """Return the steps of all checkpoints in a folder, ascending."""
    return sorted(int(item.name) for item in root.iterdir() if NAME.fullmatch(item.name)) if root.is_dir() else []


def load_newest(root: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest valid checkpoint, or None, and one error message for each newer one that is damaged.

    Another process may write and remove checkpoints meanwhile: if all are unreadable, those that it has written since
    are read.

    Parameters
    ----------
    root : Path
        Folder of the checkpoints.

    Raises
    ------
    CheckpointError
        If there are checkpoints but all are damaged.
    """
    problems: list[str] = []
    previous = None
    while (steps := _list_readable_steps(root)) != previous:
        problems, previous = [], steps
        for step in reversed(steps):
            try:
                return load(_folder(root, step)), problems
            except CheckpointError as error:
                problems.append(str(error))
    if problems:
        raise CheckpointError(f"no usable checkpoint: {'; '.join(problems)}")
    return None, problems


def _list_readable_steps(root: Path) -> list[int]:
    try:
        return list_steps(root)
    except OSError as error:
        raise CheckpointError(f"{root}: {error.strerror or error}") from None


def load(folder: Path) -> Checkpoint:
    """Load a checkpoint and verify all of its files.

    Parameters
    ----------
    folder : Path
        Folder of the checkpoint.

    Raises
    ------
    CheckpointError
        If a file is missing, truncated or altered, or the format is newer than this version.
    """
    try:
        body = replace_not_finite(_without_checksum((folder / MANIFEST).read_bytes()))
        source = str(folder / MANIFEST)
        if decode_document(body, ManifestFormat, source=source, error=CheckpointError).format > FORMAT:
            raise CheckpointError(f"{folder}: written by a later version of firstsight; update to read it")
        manifest = decode_document(body, Manifest, source=source, error=CheckpointError)
        contents = {name: (folder / name).read_bytes() for name in manifest.sha256}
        for name, expected in manifest.sha256.items():
            if hashlib.sha256(contents[name]).hexdigest() != expected:
                raise CheckpointError(f"{folder / name}: damaged (its SHA-256 differs from the manifest)")
        tensors = {name.removesuffix(".safetensors"): tensors_from_bytes(content) for name, content in contents.items()}
    except CheckpointError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or f"{error}" or type(error).__name__
        raise CheckpointError(f"{folder}: unreadable checkpoint ({reason})") from None
    return Checkpoint(
        folder=folder,
        models={name: value for name, value in tensors.items() if not name.endswith("-optimizer")},
        optimizers={
            name.removesuffix("-optimizer"): value for name, value in tensors.items() if name.endswith("-optimizer")
        },
        settings=manifest.optimizers,
        progress=manifest.progress,
    )


def restore(saved: Checkpoint, *, models: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]) -> None:
    """Load the tensors of a checkpoint into models and optimizers, in place.

    Parameters
    ----------
    saved : Checkpoint
        The checkpoint.
    models : Mapping[str, nn.Module]
        Models by name.
    optimizers : Mapping[str, Optimizer]
        Optimizers by name.

    Raises
    ------
    CheckpointError
        If the checkpoint belongs to another network or optimizer. The message names the missing, unexpected and
        misshapen tensors.
    """
    for name, model in models.items():
        tensors = dict(sorted(saved.models.get(name, {}).items()))  # a file lists its tensors in any order
        mismatch = describe_mismatch(model, tensors)
        if mismatch:
            raise CheckpointError(f"{saved.folder}: is of another network than this run's {name}: {mismatch}")
        model.load_state_dict(saved.models[name])
    for name, optimizer in optimizers.items():
        if name not in saved.optimizers:
            raise CheckpointError(f"{saved.folder}: has no state of the optimizer {name}")
        try:
            _restore_optimizer(optimizer, saved.optimizers[name], saved.settings[name])
        except Exception as error:
            reason = f"is not of this run's optimizer {name} ({error or type(error).__name__})"
            raise CheckpointError(f"{saved.folder}: {reason}") from error


def describe_mismatch(model: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Return how tensors differ from a model's state in names and shapes; an empty string if they match.

    Parameters
    ----------
    model : nn.Module
        The model that the tensors are meant for.
    tensors : Mapping[str, Tensor]
        Tensors by name, any shape.
    """
    state = model.state_dict()
    groups = {
        "missing": [name for name in state if name not in tensors],
        "unexpected": [name for name in tensors if name not in state],
        "misshapen": [
            f"{name} ({'x'.join(map(str, tensors[name].shape))}, expected {'x'.join(map(str, state[name].shape))})"
            for name in state
            if name in tensors and tensors[name].shape != state[name].shape
        ],
    }
    return "; ".join(
        f"{kind} {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
        for kind, names in groups.items()
        if names
    )


def _to_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _flatten(optimizer: Optimizer) -> tuple[dict[str, Tensor], Any]:
    """Return an optimizer's state as tensors with flat names ("3.exp_avg"), and its parameter groups."""
    content = optimizer.state_dict()
    tensors = {
        f"{index}.{key}": value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
        for index, state in content["state"].items()
        for key, value in state.items()
    }
    return _to_cpu(tensors), content["param_groups"]


def _restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]) -> None:
    """Load tensors and parameter groups into an optimizer; raise ValueError if they are of another one."""
    state = _unflatten(tensors, groups)
    for saved, current in zip(state["param_groups"], optimizer.param_groups, strict=True):
        for name in sorted(current.keys() & saved.keys() - {"params", *IMPLEMENTATION}):
            if not _is_similar(saved[name], current[name]):
                raise ValueError(f"{name} is {saved[name]!r}, expected a value as {current[name]!r}")
        flags = [saved.get(name) for name in IMPLEMENTATION]
        if any(flag not in (None, False, True) for flag in flags) or all(flags):
            raise ValueError(f"{' and '.join(IMPLEMENTATION)} are {flags}")
    optimizer.load_state_dict(state)
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            if value.shape not in (parameter.shape, torch.Size([])):
                raise ValueError(f"{key} has shape {tuple(value.shape)}, expected {tuple(parameter.shape)}")
    _match_memory_format(optimizer)


def _is_similar(saved: Any, current: Any) -> bool:
    """Return whether two values of a setting of an optimizer have the same type; flags and text must be equal.

    >>> _is_similar([0.9, 0.999], (0.9, 0.99)), _is_similar("x", 0.1), _is_similar(None, False)
    (True, False, False)
    """
    if isinstance(current, list | tuple):
        is_list = isinstance(saved, list | tuple) and len(saved) == len(current)
        return is_list and all(map(_is_similar, saved, current))
    if isinstance(current, int | float | Tensor) and not isinstance(current, bool):
        return isinstance(saved, int | float) and not isinstance(saved, bool)
    return type(saved) is type(current) and bool(saved == current)


def _unflatten(tensors: Mapping[str, Tensor], groups: Any) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    return {"state": state, "param_groups": migrate_param_groups(groups)}


def _match_memory_format(optimizer: Optimizer) -> None:
    """Give each state tensor the memory format of its parameter; fused optimizers pair elements by memory position."""
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _with_checksum(body: str) -> str:
    """Append the SHA-256 of a text to it as the last line."""
    return f"{body}\n{hashlib.sha256(body.encode()).hexdigest()}\n"


def _without_checksum(content: bytes) -> bytes:
    """Verify the checksum in the last line of a text, and return the text without it."""
    body, _, checksum = content.rstrip(b"\n").rpartition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise ValueError("its manifest is damaged")
    return body
