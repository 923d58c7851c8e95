"""IDX files: what is written is read, damage is named."""

import gzip
import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from firstsight.data.images.idx import find_idx, read_idx
from firstsight.data.images.loading import load_data
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


@pytest.mark.parametrize(
    "place",
    ["{name}", "raw/{name}", "MNIST/raw/{name}", "FashionMNIST/raw/{name}", "{name}/{name}", "emnist-letters-{name}"],
)
def test_idx_files_are_found_where_other_programs_store_them(tmp_path: Path, place: str) -> None:
    write_pair(tmp_path / "files")
    write_pair(tmp_path / "files", n=6, prefix="t10k")
    for path in (tmp_path / "files").iterdir():
        name = path.name.removesuffix(".gz")
        target = tmp_path / "set" / place.format(name=name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    assert (len(load_data(tmp_path / "set")), len(load_data(tmp_path / "set", "test"))) == (12, 6)


def test_several_data_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    for name in ("MNIST", "FashionMNIST"):
        (tmp_path / name).mkdir()
        write_pair(tmp_path / name / "raw")
    with pytest.raises(DataError, match=r"several data sets \(FashionMNIST/raw/, MNIST/raw/\); pass a folder with"):
        load_data(tmp_path)


def write_labels(folder: Path, train: list[int], test: list[int]) -> None:
    """Write IDX files with these labels."""
    folder.mkdir()
    for prefix, labels in (("train", train), ("t10k", test)):
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(np.zeros((len(labels), 6, 6))))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.array(labels)))


@pytest.mark.parametrize(
    ("train", "test", "classes", "labels"),
    [
        ([0, 1, 2, 2], [1, 0], ("0", "1", "2"), [1, 0]),
        ([1, 2, 3], [3, 1], ("1", "2", "3"), [2, 0]),  # EMNIST's letters count from 1
        ([0, 200, 7], [200, 200], ("0", "7", "200"), [2, 2]),
    ],
)
def test_classes_are_the_labels_of_the_training_split(
    tmp_path: Path, train: list[int], test: list[int], classes: tuple[str, ...], labels: list[int]
) -> None:
    write_labels(tmp_path / "set", train, test)
    for split in ("train", "test"):
        assert load_data(tmp_path / "set", split).classes == classes
    assert load_data(tmp_path / "set", "test").labels.tolist() == labels


@pytest.mark.parametrize("test", [[0, 3], [255], [1, 2, 9, 8]])
def test_labels_that_the_training_split_lacks_are_refused(tmp_path: Path, test: list[int]) -> None:
    write_labels(tmp_path / "set", [0, 1], test)
    for split in ("train", "test"):
        with pytest.raises(DataError, match=r"the test split has labels that the training split lacks: \d"):
            load_data(tmp_path / "set", split)


@pytest.mark.parametrize(
    "shape", [(2**32 - 1, 2**32 - 1, 2**32 - 1), (2**31, 2, 2), (400_000, 28, 28), (2**32 - 1, 1, 1)]
)
@pytest.mark.parametrize("packed", [True, False])
def test_files_that_declare_too_many_values_are_refused(tmp_path: Path, shape: tuple[int, ...], packed: bool) -> None:
    content = struct.pack(">BBBB3I", 0, 0, 8, 3, *shape) + bytes(1 << 20)
    (tmp_path / "x-ubyte").write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=r"the limit is 256 MB \(set FIRSTSIGHT_MAX_MB to raise it\)$"):
        read_idx(tmp_path / "x-ubyte")


def test_values_beyond_the_declared_ones_are_not_decompressed(tmp_path: Path) -> None:
    (tmp_path / "x-ubyte").write_bytes(gzip.compress(idx(np.zeros(10)) + bytes(40 << 20)))
    tracemalloc.start()
    with pytest.raises(DataError, match="declares 10 values but has more"):
        read_idx(tmp_path / "x-ubyte")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_mutated_files_are_read_or_refused_in_one_sentence(tmp_path: Path) -> None:
    rng = random.Random(2)
    path = tmp_path / "x\n-ubyte"
    for whole in (WHOLE, gzip.compress(WHOLE, mtime=0)):
        for _ in range(200):
            content = bytearray(whole)
            for _ in range(rng.choice((1, 3))):
                content[rng.randrange(len(content))] = rng.randrange(256)
            path.write_bytes(content)
            try:
                assert read_idx(path).dtype == np.uint8
            except DataError as error:
                assert "\n" not in str(error) and len(str(error)) <= 300


def test_images_without_labels_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"there is only train-images-idx3-ubyte\.gz"):
        find_idx(tmp_path)
