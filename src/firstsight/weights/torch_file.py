"""Reader of files of torch.save: tensors by name. Nothing in a file is executed, and its sizes are checked first."""

import re
import warnings
from collections.abc import Iterator, Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch
from torch import Tensor

from firstsight.errors import WeightsError

KEYS = (
    "state_dict", "model_state_dict", "model", "net", "network", "model_state", "params", "weights", "module",
    "state_dict_ema", "model_ema", "ema_state_dict", "params_ema", "ema",
)  # fmt: skip
"""Names of the entry that has the weights in files of training scripts, in order of preference."""
OTHER_ENTRIES = re.compile(r"optim|sched|scaler|rng|amp$")
"""Names of entries with tensors that are no weights."""
COUNTERS = ("n_averaged",)
"""Tensors that wrappers of networks add (`torch.optim.swa_utils.AveragedModel`)."""
WRAPPERS = ("module.", "_orig_mod.", "model.", "backbone.", "net.", "network.")
"""Prefixes of the names of tensors: of DataParallel, of torch.compile, and of networks that are part of another."""
MAX_DEPTH = 6
"""Number of nested entries that are searched for weights."""
MAGIC = {
    b"\x89HDF": "an HDF5 file (Keras); convert its weights to PyTorch first",
    b"\x1f\x8b": "a gzip file; unpack it first",
    b"version https://git-lfs": "a pointer of Git LFS instead of the file; run: git lfs pull",
    b"<!DOCTYPE": "a web page; download the file itself",
    b"<!doctype": "a web page; download the file itself",
    b"<html": "a web page; download the file itself",
    b"\x93NUMPY": "an array of NumPy, without names",
}
"""Beginnings of files of other formats, and what they are."""
HOW_TO_SAVE = "torch.save(net.state_dict(), FILE)"


class Ignored:
    """Replaces an object next to the weights; nothing of it is kept."""

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


HARMLESS = tuple(
    f"{module}.{name}"
    for modules, names in {
        "numpy": "dtype ndarray float16 float32 float64 int32 int64 bool_",
        "numpy.core.multiarray numpy._core.multiarray": "scalar _reconstruct",
        "numpy.dtypes": "Float16DType Float32DType Float64DType Int32DType Int64DType BoolDType",
        "argparse": "Namespace",
        "types": "SimpleNamespace",
        "pathlib pathlib._local": "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath",
        "datetime": "datetime date time timedelta timezone",
        "builtins": "list dict tuple str int float bool range slice",
    }.items()
    for module in modules.split()
    for name in names.split()
)
"""Types of objects that are often stored next to weights; replaced by `Ignored`, so that none is created."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a PyTorch file by name; code in it is never executed.

    They may be the content of the file, or an entry of it (see `KEYS`), also nested. Numbers, texts and objects of
    `HARMLESS` types next to them are left out.

    Raises
    ------
    WeightsError
        If reading the file would execute code, if it is damaged or of another format, or if it holds no tensors by
        name, or those of several networks.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            is_zip = _check_format(path)
            with torch.serialization.safe_globals([(Ignored, name) for name in HARMLESS]):
                content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
            tensors = _find_tensors(content)
            _check_storages(tensors, path.stat().st_size)
        except WeightsError as error:
            raise WeightsError(f"{path}: {error}") from None
        except Exception as error:
            notes = " ".join(str(warning.message) for warning in caught)
            raise WeightsError(f"{path}: {_explain(error, notes)}") from None
    return tensors


def strip_wrappers(tensors: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """Return the prefix of all names, made of `WRAPPERS` in any order, and the tensors without it and `COUNTERS`.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        Tensors by name.

    Examples
    --------
    >>> strip_wrappers({"n_averaged": 3, "module.model.a": 1, "module.model.b": 2})
    ('module.model.', {'a': 1, 'b': 2})
    """
    names = {name: name for name in tensors if name not in COUNTERS}
    prefix = ""
    while wrapper := next((w for w in WRAPPERS if names and all(name.startswith(w) for name in names)), ""):
        names = {name.removeprefix(wrapper): original for name, original in names.items()}
        prefix += wrapper
    return prefix, {name: tensors[original] for name, original in names.items()}


def _check_format(path: Path) -> bool:
    """Refuse files of other formats, and archives that lie about their sizes; return whether the file is a zip file."""
    with path.open("rb") as file:
        start = file.read(64)
    for magic, text in MAGIC.items():
        if start.startswith(magic):
            raise WeightsError(f"is {text}")
    if start[8:10] == b'{"':
        raise WeightsError("is a safetensors file; rename it, so that it ends in .safetensors")
    if not start.startswith(b"PK"):
        if start:
            with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
                _check_pickle(content)
        return False
    with ZipFile(path) as archive:
        records = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if "constants.pkl" in records:
            raise WeightsError(
                "is a TorchScript archive, which holds a program; save its tensors alone with"
                " torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE)"
            )
        if "archive_format" in records or "serialized_exported_program.json" in archive.namelist():
            raise WeightsError(
                "is a program of torch.export; save its tensors alone with"
                " torch.save(torch.export.load(FILE).state_dict, NEW_FILE)"
            )
        if "data.pkl" not in records:
            raise WeightsError("is a zip archive, but not one of torch.save")
        is_packed = any(info.compress_type != ZIP_STORED for info in archive.infolist())
        if is_packed or sum(info.file_size for info in archive.infolist()) > path.stat().st_size:
            raise WeightsError(f"its archive is compressed, or states wrong sizes; save it again with {HOW_TO_SAVE}")
        _check_pickle(archive.read(records["data.pkl"]))
    return True


def _check_pickle(content: Any) -> None:
    """Refuse a pickle that creates byte arrays, which torch allows in any size."""
    if content.find(b"\nbytearray\n") >= 0:
        raise WeightsError(
            f"contains a bytearray, which can take any memory; save the tensors alone with {HOW_TO_SAVE}"
        )


def _explain(error: Exception, notes: str) -> str:
    """Return what is wrong with a file, given the error and the warnings of torch's reader."""
    text = str(error)
    name = re.search(r"GLOBAL (\S+)", text)
    if name:
        return (
            f"refused, because reading it would execute code of {name[1]}; nothing was executed; if you trust the file,"
            f" save its tensors alone with {HOW_TO_SAVE}"
        )
    protocol = re.search(r"pickle protocol (\d+)", notes)
    if protocol:
        return (
            f"not a readable PyTorch file, or one with pickle protocol {protocol[1]} instead of 2; save it again with"
            f" {HOW_TO_SAVE}"
        )
    if "legacy .tar format" in text:
        return f"is of a very old version of PyTorch; read it with that version, and save it again with {HOW_TO_SAVE}"
    reason = text.rpartition("WeightsUnpickler error: ")[2].strip() or type(error).__name__
    first = "unreadable pickle" if "weights_only" in reason else reason.splitlines()[0]
    return f"not a readable PyTorch file, or truncated ({first})"


def _find_tensors(content: Any) -> dict[str, Tensor]:
    """Return the state dict in the content of a file."""
    if content == {}:
        return {}
    candidates = dict(_state_dicts(content, ()))
    named = sorted((KEYS.index(keys[-1]), len(keys), keys) for keys in candidates if keys and keys[-1] in KEYS)
    if named:
        best = [keys for rank, depth, keys in named if (rank, depth) == named[0][:2]]
    else:
        best = [keys for keys in candidates if len(candidates[keys]) > 1] or list(candidates)
        best = [()] if () in best else best
    if len(best) == 1:
        return candidates[best[0]]
    if best:
        names = ", ".join(".".join(keys) for keys in best[:5])
        raise WeightsError(f"holds the weights of several networks ({names}); save one of them alone")
    entries = ", ".join(map(str, list(content)[:8])) if isinstance(content, Mapping) else type(content).__name__
    raise WeightsError(f"does not hold tensors by name (a state dict); it holds: {entries}")


def _state_dicts(content: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Yield the tensors by name in every nested dictionary that has some, with the keys that lead to it."""
    if not isinstance(content, dict) or len(keys) > MAX_DEPTH:
        return
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if tensors:
        yield keys, tensors
    for key, value in content.items():
        if isinstance(key, str) and not OTHER_ENTRIES.search(key.lower()):
            yield from _state_dicts(value, (*keys, key))


def _check_storages(tensors: Mapping[str, Tensor], size: int) -> None:
    """Refuse tensors that claim more memory than the file has bytes."""
    storages = [tensor.untyped_storage() for tensor in tensors.values() if tensor.layout == torch.strided]
    claimed = sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
    if claimed > size:
        raise WeightsError(f"its tensors claim {claimed:,} bytes, but the file has {size:,}")
