"""Reader of CIFAR-10's binary files; pickled files are refused.

A record has one byte for the label and 3 x 32 x 32 bytes for the pixels.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from firstsight.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ARCHIVE = "cifar-10-binary.tar.gz"
FOLDER = "cifar-10-batches-bin"
PICKLED = ("cifar-10-batches-py", "cifar-10-python.tar.gz", "cifar-100-python", "cifar-100-python.tar.gz")
"""Names of the pickled versions, which torchvision uses."""
RECORD = 1 + 3 * 32 * 32
MAX_RECORDS = 10_000
"""Maximum number of records in a batch; the published batches have this size."""
MAX_MEMBERS = 100
"""Maximum number of files in the archive; the published one has 8."""
TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = ("test_batch.bin",)


def is_cifar(path: Path) -> bool:
    """Return whether a path is the published archive, or a folder of binary or pickled batches."""
    if path.is_dir():
        has_batches = any((path / name).is_file() for name in (*TRAIN, *TEST, "data_batch_1"))
        return has_batches or path.name in PICKLED
    return path.name in (ARCHIVE, *PICKLED)


def find_cifar(folder: Path) -> Path | None:
    """Return the binary batches in a folder, or else the pickled ones (which `read_cifar` refuses), or None."""
    paths = [folder / name for name in ("", FOLDER, ARCHIVE, *PICKLED)]
    return next((path for path in paths if path.exists() and is_cifar(path)), None)


def read_cifar(path: Path, split: str) -> "tuple[NDArray[np.uint8], NDArray[np.int64]]":
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
    import numpy as np

    is_pickled_folder = path.is_dir() and not (path / TEST[0]).is_file() and (path / "data_batch_1").is_file()
    if path.name in PICKLED or is_pickled_folder:
        raise DataError(f"{path}: pickled batches can contain code; get the binary version ({ARCHIVE})")
    names = TRAIN if split == "train" else TEST
    images, labels = [], []
    for name, content in zip(names, _read_batches(path, names), strict=True):
        if len(content) == 0 or len(content) % RECORD or len(content) > MAX_RECORDS * RECORD:
            text = f"{name} has {len(content):,} bytes, not a multiple of {RECORD} up to {MAX_RECORDS:,} of them"
            raise DataError(f"{path}: {text}; get it again")
        records = np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD)
        images.append(records[:, 1:].reshape(-1, 3, 32, 32))
        labels.append(records[:, 0].astype(np.int64))
    return np.concatenate(images), np.concatenate(labels)


def _read_batches(path: Path, names: tuple[str, ...]) -> list[bytes]:
    """Return the bytes of the batches, from a folder or from the archive (nothing is extracted)."""
    limit = MAX_RECORDS * RECORD + 1
    batches: dict[str, bytes] = {}
    try:
        if path.is_dir():
            for name in names:
                if (path / name).is_file():
                    with (path / name).open("rb") as stream:
                        batches[name] = stream.read(limit)
        else:
            with tarfile.open(path, "r:gz") as archive:
                for member in _small_members(archive):
                    name = Path(member.name).name
                    extracted = archive.extractfile(member) if name in names and member.isfile() else None
                    if extracted is not None:
                        batches[name] = extracted.read(limit)
    except DataError:
        raise
    except OSError as error:
        reason = error.strerror or f"damaged archive ({error}); get the file again"
        raise DataError(f"{path}: {reason}") from error
    except Exception as error:  # tarfile, gzip and zlib have many types
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: damaged archive ({reason}); get the file again") from None
    missing = [name for name in names if name not in batches]
    if missing:
        raise DataError(f"{path}: {', '.join(missing)} missing")
    return [batches[name] for name in names]


def _small_members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members of an archive; one that is too large to be a batch ends the reading."""
    for number, member in enumerate(archive):
        if member.size > MAX_RECORDS * RECORD or number >= MAX_MEMBERS:
            raise DataError(f"{archive.name!r}: {member.name} does not belong to {ARCHIVE}; get it again")
        yield member
