"""Weights files on this machine: those in the package, and those in the cache."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Any, Literal

import msgspec

from firstsight.data.fetch import find_home, get_home
from firstsight.data.signatures import is_image_file
from firstsight.documents.cards import decode_card
from firstsight.errors import FirstsightError, WeightsError

CARD = "firstsight"
"""Key of the card in the metadata of a weights file."""
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""Last parts of the names of batch norm buffers, which are not parameters."""
DTYPE_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "F32": 4, "I32": 4, "U32": 4, "F64": 8, "I64": 8, "U64": 8,
}  # fmt: skip
"""Size of a value, by the name of its type in a safetensors file."""
MAX_HEADER_BYTES = 32 * 2**20
"""Maximum size of the header of a weights file, which has the names of the tensors and the card."""


def bundled() -> dict[str, Path]:
    """Return names and files of the weights in the package."""
    folder = Path(str(files("firstsight.weights")))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def cache_dir() -> Path:
    """Return the folder of published and imported weights: ``$FIRSTSIGHT_HOME/weights``.

    Raises
    ------
    UsageError
        If ``FIRSTSIGHT_HOME`` is not set, and the user has no home directory.
    """
    return get_home() / "weights"


def cached() -> dict[str, Path]:
    """Return names and files of the weights in the cache; none if there is no such folder."""
    home = find_home()
    if home is None:
        return {}
    paths = sorted((home / "weights").glob("*.safetensors"))
    return {path.stem: path for path in paths if not path.name.startswith(".")}


def display_name(path: str | Path) -> str:
    """Return the name of bundled weights, or else the path of the file."""
    path = Path(path)
    return path.stem if bundled().get(path.stem) == path else str(path)


@contextmanager
def open_safetensors(path: Path, framework: Literal["np", "pt"] = "np") -> Iterator[Any]:
    """Open a safetensors file for reading: its header now, its tensors when they are read.

    Parameters
    ----------
    path : Path
        The file.
    framework : {"np", "pt"}
        Type of the tensors: arrays of NumPy, or tensors of PyTorch.

    Raises
    ------
    WeightsError
        If it is not a complete safetensors file, or reading it fails.
    """
    if is_image_file(path):
        raise WeightsError(f"{path}: is an image, not weights; name the network first, then the image")
    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if header > MAX_HEADER_BYTES:
            raise ValueError(f"its header claims {header:,} bytes; at most {MAX_HEADER_BYTES:,} are possible")
        from safetensors import safe_open

        with safe_open(path, framework=framework) as content:
            yield content
    except FirstsightError:
        raise
    except Exception as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({_reason(error)})") from None


def _read_metadata(path: Path) -> dict[str, str] | None:
    """Return the metadata of a complete safetensors file; `safe_open` would import NumPy to read them.

    Raises
    ------
    WeightsError
        If it is no complete safetensors file.
    """
    try:
        header, length = _read_header(path)
        metadata = header.pop("__metadata__", {})
        is_text = all(isinstance(value, str) for value in metadata.values())
        if is_text and 8 + length + _size_of(header) == path.stat().st_size:
            return metadata
    except Exception:  # noqa: S110 - safe_open says what is wrong
        pass
    with open_safetensors(path) as content:
        metadata_of: dict[str, str] | None = content.metadata()
        return metadata_of


def _read_header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """Return the header of a safetensors file, and its length in bytes."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return msgspec.json.decode(file.read(min(length, MAX_HEADER_BYTES)), type=dict[str, dict[str, Any]]), length


def tensor_shapes(path: Path) -> dict[str, list[int]]:
    """Return the shapes of the tensors of a weights file, without torch; none if it is damaged."""
    try:
        header, _ = _read_header(path)
        return {name: list(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"}
    except (OSError, LookupError, TypeError, ValueError):  # msgspec's errors are ValueErrors
        return {}


def _size_of(tensors: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the bytes of all tensors of a header.

    Raises
    ------
    ValueError
        If their data overlap, or are not one after the other, or have another size than their shape says.
    """
    end = 0
    for tensor in sorted(tensors.values(), key=lambda tensor: int(tensor["data_offsets"][0])):
        start, end_of_tensor = tensor["data_offsets"]
        if start != end or end_of_tensor - start != DTYPE_BYTES[tensor["dtype"]] * prod(tensor["shape"]):
            raise ValueError("the offsets of the tensors are inconsistent")
        end = end_of_tensor
    return end


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def parameters_of(path: Path) -> int:
    """Return the number of parameters in a weights file, from its header alone.

    Raises
    ------
    WeightsError
        If it is no safetensors file.
    """
    with open_safetensors(path) as file:
        names = [name for name in file.keys() if not name.endswith(BUFFERS)]  # noqa: SIM118 - not a dict
        return sum(prod(file.get_slice(name).get_shape()) for name in names)


def read_card(path: Path) -> dict[str, Any]:
    """Return the card of a weights file with its current names, read without the tensors.

    Raises
    ------
    WeightsError
        If it is no complete safetensors file, has no card, or an entry of the card is missing or wrong.
    """
    return card_in(_read_metadata(path), path)


def card_in(metadata: dict[str, str] | None, path: Path) -> dict[str, Any]:
    """Return the card in the metadata of a weights file with its current names.

    Raises
    ------
    WeightsError
        If there is none, or an entry is missing or wrong.
    """
    text = (metadata or {}).get(CARD)
    if text is None:
        raise WeightsError(
            f"{path}: has no firstsight card, so its network and classes are unknown; import it with its network"
        )
    return decode_card(text, f"{path}: its card")


def card_of(path: Path) -> dict[str, Any] | None:
    """Return the card of a weights file, see `read_card`; None if it is not a complete firstsight file."""
    try:
        return read_card(path)
    except WeightsError:
        return None
