"""Reader of IDX files, the format of MNIST.

A file has two zero bytes, the data type, the number of axes, the length of each axis, and the values.
"""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firstsight.errors import DataError

UNSIGNED_BYTE = 0x08
MAX_BYTES = 4 << 30


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, with or without gzip.

    Returns
    -------
    NDArray[np.uint8]
        Array with the declared shape: (N,) for labels, (N, H, W) for images.

    Raises
    ------
    DataError
        If the file is not IDX, has another data type, or has fewer or more values than declared.
    """
    try:
        with path.open("rb") as raw:
            is_gzip = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_gzip else path.open("rb") as stream:
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
                raise DataError(f"{path}: declares {expected:,} bytes of values; the limit is {MAX_BYTES:,}")
            values = stream.read(expected + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged gzip file ({error}); get the file again") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    if len(values) != expected:
        count = "more" if len(values) > expected else f"{len(values):,}"
        declared = " x ".join(f"{n:,}" for n in shape)
        raise DataError(f"{path}: declares {declared} values but has {count}; get the file again")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def find_idx(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Return the IDX files in a folder: (images, labels) for each split, "train" and "test".

    Both spellings are accepted: ``train-images-idx3-ubyte`` and ``train-images.idx3-ubyte``, with or without ``.gz``.

    Raises
    ------
    DataError
        If there are images without labels, or labels without images.
    """
    splits: dict[str, tuple[Path, Path]] = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        files = []
        for kind, axes in (("images", 3), ("labels", 1)):
            for name in (f"{prefix}-{kind}-idx{axes}-ubyte", f"{prefix}-{kind}.idx{axes}-ubyte"):
                files += [folder / (name + end) for end in (".gz", "") if (folder / (name + end)).is_file()][:1]
        if len(files) == 1:
            raise DataError(f"{folder}: there is only {files[0].name}; images and labels are both needed")
        if len(files) >= 2:
            splits[split] = (files[0], files[-1])
    return splits
