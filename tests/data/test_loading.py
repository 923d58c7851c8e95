"""Data sets by name and by path: bundled, published, the user's own; what is refused."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from firstsight.data.images.cifar import RECORD
from firstsight.data.images.find import embedded_folder
from firstsight.data.images.idx import read_idx
from firstsight.data.images.loading import load_data
from firstsight.errors import DataError, UsageError
from helpers.files import write_pair


def test_digits_are_those_of_scikit_learn() -> None:
    peer = load_digits()
    images = read_idx(embedded_folder() / "digits-images-idx3-ubyte.gz")
    assert (np.rint(images.astype(float) * 16 / 255) == peer.images).all()
    assert (read_idx(embedded_folder() / "digits-labels-idx1-ubyte.gz") == peer.target).all()


def test_digits_have_no_image_in_both_splits() -> None:
    train, test = load_data("digits"), load_data("digits", "test")
    assert (train.images.shape, test.images.shape) == ((1438, 1, 32, 32), (359, 1, 32, 32))
    assert torch.bincount(test.labels).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    joint_batch = torch.cat([train.images, test.images]).flatten(1)
    assert len(joint_batch) == len(torch.unique(joint_batch, dim=0))
    assert (train.images[:, :, :4] == 0).all()
    assert (train.images[..., -4:] == 0).all()


def test_published_data_sets_are_recognized_by_content(shared: Path, tmp_path: Path) -> None:
    fashion = load_data(shared / "fashion-mnist", "test")
    assert (fashion.name, fashion.classes[7], len(fashion)) == ("fashion-mnist", "Sneaker", 10_000)
    assert torch.bincount(fashion.labels).tolist() == [1000] * 10
    digits = load_data(shared / "mnist-t10k", "test")
    assert (digits.name, len(digits)) == ("mnist", 1_000)
    assert "only the test files were found: holding out 1,000 of 10,000 images (10% of each class)" in digits.notes[0]
    assert len(load_data(shared / "mnist-t10k")) == 9_000
    renamed = tmp_path / "what-is-this"
    renamed.mkdir()
    for file in (shared / "fashion-mnist").iterdir():  # unpacked and elsewhere, it is still known
        (renamed / file.name.removesuffix(".gz")).write_bytes(gzip.decompress(file.read_bytes()))
    assert load_data(renamed, "test").name == "fashion-mnist"


@pytest.mark.slow
def test_cifar10_is_loaded_from_a_zip_of_class_folders(shared: Path) -> None:
    test = load_data(shared / "cifar10" / "cifar10-train.zip", "test")
    assert (len(test), test.channels, test.size) == (5_000, 3, (32, 32))
    assert torch.bincount(test.labels).tolist() == [500] * 10
    assert test.classes[0] == "airplane"


def test_idx_files_of_unknown_content_are_named_after_their_folder(tmp_path: Path) -> None:
    write_pair(tmp_path / "mine")
    write_pair(tmp_path / "mine", n=6, prefix="t10k")
    train = load_data(tmp_path / "mine")
    assert (train.name, train.classes, len(train)) == ("mine", ("0", "1", "2"), 12)


def test_different_numbers_of_images_and_labels_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, n=12, labels=11)
    with pytest.raises(DataError, match="12 images but 11 labels"):
        load_data(tmp_path)


def test_images_in_the_place_of_labels_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(
        gzip.decompress((tmp_path / "train-images-idx3-ubyte.gz").read_bytes())
    )
    with pytest.raises(DataError, match="has 3 axes; images have 3, labels 1"):
        load_data(tmp_path)


def cifar_records(n: int, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 256, (n, RECORD), dtype=np.uint8)
    table[:, 0] = np.arange(n) % 10
    return table.tobytes()


@pytest.mark.parametrize("packed", [True, False])
def test_binary_version_of_cifar10_is_loaded_and_its_damage_named(tmp_path: Path, packed: bool) -> None:
    contents = {f"data_batch_{i}.bin": cifar_records(20, i) for i in range(1, 6)} | {
        "test_batch.bin": cifar_records(10, 9)
    }
    source = tmp_path / ("cifar-10-binary.tar.gz" if packed else "cifar-10-batches-bin")
    if packed:
        with tarfile.open(source, "w:gz") as archive:
            for name, content in contents.items():
                info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    else:
        source.mkdir()
        for name, content in contents.items():
            (source / name).write_bytes(content)
    train, test = load_data(source), load_data(source, "test")
    assert (len(train), len(test), train.classes[3]) == (100, 10, "cat")
    first = np.frombuffer(contents["data_batch_1.bin"], np.uint8)[1:RECORD].reshape(3, 32, 32)
    assert (train.images[0].numpy() == first).all()
    if packed:
        source.write_bytes(source.read_bytes()[:-400])
        with pytest.raises(DataError, match="damaged archive"):
            load_data(source)
    else:
        for length, text in ((100, "100"), (0, "0"), (1, "1"), (RECORD + 1, "3,074")):
            (source / "data_batch_3.bin").write_bytes(b"x" * length)
            with pytest.raises(DataError, match=rf"data_batch_3.bin has {text} bytes, not a multiple of 3073"):
                load_data(source)
        (source / "data_batch_3.bin").unlink()
        with pytest.raises(DataError, match=r"data_batch_3.bin missing"):
            load_data(source)


def test_pickled_cifar_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(DataError, match="pickled batches can contain code"):
        load_data(tmp_path)


@pytest.mark.parametrize(
    "name", ["cifar-10-batches-py/data_batch_1", "cifar-10-python.tar.gz", "cifar-100-python/train"]
)
def test_pickled_versions_of_torchvision_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "root" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(DataError, match=r"pickled batches can contain code; get the binary version \(cifar-10-binary"):
        load_data(tmp_path / "root")


def test_archive_with_other_files_is_refused_without_reading_them(tmp_path: Path) -> None:
    source = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(source, "w:gz") as archive:
        info = tarfile.TarInfo("zeros")
        info.size = 40 << 20
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(DataError, match="zeros does not belong to cifar-10-binary"):
        load_data(source)


@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")]
)
def test_data_set_is_found_by_name_where_torchvision_stores_it(tmp_path: Path, name: str, folder: str) -> None:
    (tmp_path / "data" / folder).mkdir(parents=True)
    write_pair(tmp_path / "data" / folder / "raw")
    with pytest.raises(DataError, match="FIRSTSIGHT_OFFLINE is set"):
        load_data(name)  # the test files are missing: it may be a download that is not complete
    write_pair(tmp_path / "data" / folder / "raw", n=6, prefix="t10k")
    assert (len(load_data(name)), len(load_data(name, "test"))) == (12, 6)


def test_data_set_is_found_by_name_in_the_download_folder(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "home" / "data").mkdir(parents=True)
    (tmp_path / "home" / "data" / "fashion-mnist").symlink_to(shared / "fashion-mnist")
    assert len(load_data("fashion-mnist", "test")) == 10_000
    with pytest.raises(DataError, match="FIRSTSIGHT_OFFLINE is set"):
        load_data("kmnist")


def test_unknown_names_of_data_sets_and_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^'fashion' is neither a data set .* nor an existing path; did you mean fashion-mnist\?$"
    ):
        load_data("fashion")
    with pytest.raises(
        UsageError, match=r"^'nodata' is neither a data set \(see: firstsight data\) nor an existing path$"
    ):
        load_data("nodata")
    with pytest.raises(UsageError, match="no such file or folder: some/where"):
        load_data("some/where")
    with pytest.raises(UsageError, match="unknown split 'val'"):
        load_data("digits", "val")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="not a data set"):
        load_data(tmp_path / "notes.txt")
