"""IDX, the format of MNIST and its kin: two zero bytes, a type, the number of axes, the axes, the values."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firstsight.errors import DataError

UNSIGNED_BYTE = 0x08
MAX_BYTES = 4 << 30


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, gzipped or not.

    Returns
    -------
    NDArray[np.uint8]
        Uint8 array with the axes that the file declares: (N,) labels, (N, H, W) images.

    Raises
    ------
    DataError
        Not IDX, another type of values, or fewer or more values than declared.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as stream:
            magic = stream.read(4)
            if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != UNSIGNED_BYTE or not 1 <= magic[3] <= 4:
                raise DataError(
                    f"{path}: not an IDX file of bytes (it starts with {magic.hex(' ') or 'nothing'},"
                    " expected 00 00 08 and the number of axes)"
                )
            header = stream.read(4 * magic[3])
            shape = tuple(int(n) for n in np.frombuffer(header[: len(header) // 4 * 4], dtype=">u4"))
            if len(shape) < magic[3]:
                raise DataError(f"{path}: truncated in its header; get the file again")
            expected = int(np.prod(shape, dtype=np.float64))
            if expected > MAX_BYTES:
                raise DataError(f"{path}: declares {expected:,} bytes of values; at most {MAX_BYTES:,} are read")
            values = stream.read(expected + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged gzip file ({error}); get the file again") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    if len(values) != expected:
        many = "more" if len(values) > expected else f"{len(values):,}"
        axes = " x ".join(f"{n:,}" for n in shape)
        raise DataError(f"{path}: declares {axes} values but holds {many}; get the file again")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def find_idx(folder: Path) -> dict[str, tuple[Path, Path]]:
    """The IDX pairs in a folder: split ("train", "test") to (images, labels).

    Both spellings are known: ``train-images-idx3-ubyte`` and ``train-images.idx3-ubyte``, with or without ``.gz``.

    Raises
    ------
    DataError
        A file stands alone.
    """
    found: dict[str, tuple[Path, Path]] = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        pair = []
        for kind, axes in (("images", 3), ("labels", 1)):
            for spelling in (f"{prefix}-{kind}-idx{axes}-ubyte", f"{prefix}-{kind}.idx{axes}-ubyte"):
                pair += [folder / (spelling + end) for end in (".gz", "") if (folder / (spelling + end)).is_file()][:1]
        if len(pair) == 1:
            raise DataError(f"{folder}: {pair[0].name} stands alone; images and labels are needed")
        if len(pair) >= 2:
            found[split] = (pair[0], pair[-1])
    return found
