"""Reader of CIFAR-10's binary files; pickled files are refused.

A record has one byte for the label and 3 x 32 x 32 bytes for the pixels.
"""

import tarfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firstsight.errors import DataError

ARCHIVE = "cifar-10-binary.tar.gz"
RECORD = 1 + 3 * 32 * 32
TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = ("test_batch.bin",)


def is_cifar(path: Path) -> bool:
    """Return whether a path is the published archive, or a folder of binary or pickled batches."""
    if path.is_dir():
        return any((path / name).is_file() for name in (*TRAIN, *TEST, "data_batch_1"))
    return path.name == ARCHIVE


def read_cifar(path: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read one split.

    Parameters
    ----------
    path : Path
        The archive, or a folder of binary batches.
    split : str
        "train" or "test".

    Returns
    -------
    tuple[NDArray[np.uint8], NDArray[np.int64]]
        Images (N, 3, 32, 32) and labels (N,).

    Raises
    ------
    DataError
        If the batches are pickled, a batch is missing, the archive is damaged, or a file has an incomplete record.
    """
    if path.is_dir() and not (path / TEST[0]).is_file() and (path / "data_batch_1").is_file():
        raise DataError(f"{path}: pickled batches can contain code; get the binary version ({ARCHIVE})")
    names = TRAIN if split == "train" else TEST
    batches = []
    for name, content in zip(names, _read_batches(path, names), strict=True):
        if len(content) == 0 or len(content) % RECORD:
            raise DataError(f"{path}: {name} has {len(content):,} bytes, not a multiple of {RECORD}; get it again")
        batches.append(np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD))
    records = np.concatenate(batches)
    return records[:, 1:].reshape(-1, 3, 32, 32).copy(), records[:, 0].astype(np.int64)


def _read_batches(path: Path, names: tuple[str, ...]) -> list[bytes]:
    """Return the bytes of the batches, from a folder or from the archive (nothing is extracted)."""
    batches: dict[str, bytes] = {}
    try:
        if path.is_dir():
            batches = {name: (path / name).read_bytes() for name in names if (path / name).is_file()}
        else:
            with tarfile.open(path, "r:gz") as archive:
                for member in archive:
                    name = Path(member.name).name
                    stream = archive.extractfile(member) if name in names and member.isfile() else None
                    if stream is not None:
                        batches[name] = stream.read(10_000 * RECORD + 1)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged archive ({error}); get the file again") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    missing = [name for name in names if name not in batches]
    if missing:
        raise DataError(f"{path}: {', '.join(missing)} missing")
    return [batches[name] for name in names]
