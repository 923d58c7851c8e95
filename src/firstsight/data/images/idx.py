"""Reader of IDX files, the format of MNIST.

A file has two zero bytes, the data type, the number of axes, the length of each axis, and the values.
"""

import gzip
import re
import struct
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

from firstsight.data.limits import describe_bytes, max_bytes
from firstsight.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNSIGNED_BYTE = 0x08
MAX_BYTES = 256_000_000
"""Limit of the declared size of the values."""
CHUNK_BYTES = 1 << 20
NAME = re.compile(r"(?P<set>.*?)(?P<split>train|t10k|test)-(?P<kind>images|labels)[-.]idx[13]-ubyte(\.gz)?")
"""File names of MNIST and of its successors, as "emnist-letters-train-images-idx3-ubyte.gz"."""


def read_idx(path: Path) -> "NDArray[np.uint8]":
    """Read an IDX file of unsigned bytes, with or without gzip.

    Returns
    -------
    NDArray[np.uint8]
        Array with the declared shape: (N,) for labels, (N, H, W) for images.

    Raises
    ------
    DataError
        If the file is not IDX, has another data type, declares too many values, or has fewer or more values than
        declared.
    """
    try:
        with path.open("rb") as raw:
            is_gzip = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_gzip else path.open("rb") as stream:
            return _read_values(stream, path)
    except DataError:
        raise
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile) or not error.strerror:
            raise _damaged(path, error) from None
        raise DataError(f"{path}: {error.strerror}") from error
    except Exception as error:  # gzip and zlib have many types
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    reason = str(error) or type(error).__name__
    return DataError(f"{path}: truncated or damaged gzip file ({reason}); get the file again")


def _read_values(stream: gzip.GzipFile | BufferedReader, path: Path) -> "NDArray[np.uint8]":
    import numpy as np

    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != UNSIGNED_BYTE or not 1 <= magic[3] <= 4:
        raise DataError(
            f"{path}: not an IDX file of bytes (it starts with {magic.hex(' ') or 'nothing'},"
            " expected 00 00 08 and the number of axes)"
        )
    header = stream.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise DataError(f"{path}: truncated in its header; get the file again")
    shape = struct.unpack(f">{magic[3]}I", header)
    expected = 1
    for length in shape:
        expected *= length
    limit = max_bytes(MAX_BYTES)
    if expected > limit:
        raise DataError(f"{path}: declares {expected:,} bytes of values; {describe_bytes(limit)}")
    values = np.empty(expected, dtype=np.uint8)  # takes memory only where it is written
    count = 0
    while count < expected and (chunk := stream.read(min(CHUNK_BYTES, expected - count))):
        values[count : count + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
        count += len(chunk)
    has_more = bool(stream.read(1))
    if count < expected or has_more:
        declared = " x ".join(f"{n:,}" for n in shape)
        text = f"declares {declared} values but has {'more' if has_more else f'{count:,}'}; get the file again"
        raise DataError(f"{path}: {text}")
    return values.reshape(shape)


def find_idx(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Return the IDX files in a folder: (images, labels) for each split, "train" and "test".

    Both spellings are accepted: ``train-images-idx3-ubyte`` and ``train-images.idx3-ubyte``, with or without ``.gz``.
    The files may also be in ``raw/`` or in ``MNIST/raw/``, where torchvision stores them, or each in a folder of its
    own name, as Kaggle has them.

    Raises
    ------
    DataError
        If there are images without labels, labels without images, or several data sets.
    """
    for places in (("*",), ("raw/*", "*-ubyte/*-ubyte"), ("*/raw/*",)):
        sets: dict[str, dict[str, dict[str, Path]]] = {}
        for path in _find_names(folder, places):
            match = NAME.fullmatch(path.name)
            assert match is not None
            parent = path.parent.parent if NAME.fullmatch(path.parent.name) else path.parent
            name = f"{parent.relative_to(folder).as_posix()}/{match['set']}".removeprefix("./")
            split = "train" if match["split"] == "train" else "test"
            sets.setdefault(name, {}).setdefault(split, {}).setdefault(match["kind"], path)
        if len(sets) > 1:
            names = ", ".join(sorted(sets)[:8])
            raise DataError(f"{folder}: several data sets ({names}); pass a folder with the files of one")
        for splits in sets.values():
            return _check_pairs(folder, splits)
    return {}


def _find_names(folder: Path, places: tuple[str, ...]) -> Iterator[Path]:
    """Yield the IDX files that match one of the patterns; compressed files come first."""
    paths = [path for place in places for path in folder.glob(place) if NAME.fullmatch(path.name)]
    yield from sorted((path for path in paths if path.is_file()), key=lambda path: (path.suffix != ".gz", path.name))


def _check_pairs(folder: Path, splits: dict[str, dict[str, Path]]) -> dict[str, tuple[Path, Path]]:
    for files in splits.values():
        if len(files) == 1:
            (path,) = files.values()
            raise DataError(f"{folder}: there is only {path.name}; images and labels are both needed")
    return {split: (splits[split]["images"], splits[split]["labels"]) for split in ("train", "test") if split in splits}
