"""IDX files: what is written is read, damage is named."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from firstsight.data.images.idx import find_idx, read_idx
from firstsight.errors import DataError
from helpers.files import idx, write_pair


def test_idx_file_is_read_plain_and_compressed(tmp_path: Path) -> None:
    values = np.arange(24).reshape(2, 3, 4)
    (tmp_path / "a").write_bytes(idx(values))
    (tmp_path / "b.gz").write_bytes(gzip.compress(idx(values)))
    assert (read_idx(tmp_path / "a") == values).all()
    assert (read_idx(tmp_path / "b.gz") == values).all()


WHOLE = idx(np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file of bytes"),
        (b"\x89PNG" + bytes(20), "not an IDX file of bytes .it starts with 89 50 4e 47"),
        (b"\0\0\x0d\x03" + WHOLE[4:], "not an IDX file of bytes"),  # floats
        (WHOLE[:9], "truncated in its header"),
        (WHOLE[:-1], "declares 2 x 3 x 4 values but has 23"),
        (WHOLE + b"x", "declares 2 x 3 x 4 values but has more"),
        (gzip.compress(WHOLE)[:-12], "truncated or damaged gzip"),
        (gzip.compress(WHOLE)[:12] + b"junk" + gzip.compress(WHOLE)[16:], "truncated or damaged gzip|not an IDX|has"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 2**31, 2**31), "the limit is"),
    ],
)
def test_damaged_idx_file_is_refused_and_the_damage_named(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "x-ubyte"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(file)


def test_idx_files_of_both_spellings_are_found(tmp_path: Path) -> None:
    write_pair(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    write_pair(tmp_path, prefix="t10k")
    assert {split: pair[0].name for split, pair in find_idx(tmp_path).items()} == {
        "train": "train-images.idx3-ubyte.gz",
        "test": "t10k-images-idx3-ubyte.gz",
    }


def test_images_without_labels_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"there is only train-images-idx3-ubyte\.gz"):
        find_idx(tmp_path)
