"""CIFAR-10 in its binary form: records of one label byte and 3 x 32 x 32 pixels. The pickled form is never read."""

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
    """Is this the published archive, or a folder of its binary (or pickled) batches?"""
    if path.is_dir():
        return any((path / name).is_file() for name in (*TRAIN, *TEST, "data_batch_1"))
    return path.name == ARCHIVE


def read_cifar(path: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read one split; images (N, 3, 32, 32) uint8 and labels (N,) int64.

    Raises
    ------
    DataError
        Pickled batches, a missing batch, a damaged archive, a file that is not whole records.
    """
    if path.is_dir() and not (path / TEST[0]).is_file() and (path / "data_batch_1").is_file():
        raise DataError(f"{path}: these are pickled batches, which can hold code; get the binary version ({ARCHIVE})")
    names = TRAIN if split == "train" else TEST
    records = []
    for name, content in zip(names, _contents(path, names), strict=True):
        if len(content) == 0 or len(content) % RECORD:
            raise DataError(f"{path}: {name} holds {len(content):,} bytes, not whole records of {RECORD}")
        records.append(np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD))
    table = np.concatenate(records)
    return table[:, 1:].reshape(-1, 3, 32, 32).copy(), table[:, 0].astype(np.int64)


def _contents(path: Path, names: tuple[str, ...]) -> list[bytes]:
    """The batches' bytes, from a folder or straight from the archive (nothing is extracted)."""
    found: dict[str, bytes] = {}
    try:
        if path.is_dir():
            found = {name: (path / name).read_bytes() for name in names if (path / name).is_file()}
        else:
            with tarfile.open(path, "r:gz") as archive:
                for member in archive:
                    name = Path(member.name).name
                    stream = archive.extractfile(member) if name in names and member.isfile() else None
                    if stream is not None:
                        found[name] = stream.read(10_000 * RECORD + 1)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged archive ({error}); get the file again") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{path}: {', '.join(missing)} missing")
    return [found[name] for name in names]
