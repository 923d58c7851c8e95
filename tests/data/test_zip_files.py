"""Zip files in a folder without images are read like folders; zip files next to images are not."""

import zipfile
from collections import Counter
from pathlib import Path

import pytest

from firstsight.data.image_source import find_images
from firstsight.data.images.describe import describe_data
from firstsight.data.images.folder import split_samples
from firstsight.data.images.loading import load_data
from firstsight.data.images.survey import survey_own_images
from firstsight.data.images.tree import ImageTree
from firstsight.errors import DataError
from helpers.files import png

TRAIN = ("cat/6", "dog/6")
TEST = ("cat/2", "dog/2")


def contents(*names: str) -> dict[str, bytes]:
    """Return different images by their path; "a/3" stands for three images in the folder a."""
    result = {}
    for name in names:
        folder, _, count = name.rpartition("/")
        result |= {f"{folder}/{i}.png".lstrip("/"): png(12, 4 + len(result) + i) for i in range(int(count))}
    return result


def write(root: Path, *names: str) -> Path:
    """Write images into a folder, see `contents`."""
    for name, content in contents(*names).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def pack(path: Path, *names: str) -> Path:
    """Write images into a zip file, see `contents`; return its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents(*names).items():
            archive.writestr(name, content)
    return path.parent


def below(folder: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


@pytest.mark.parametrize(
    ("train", "test", "inside"),
    [
        ("train.zip", "test.zip", False),
        ("train.zip", "test.zip", True),
        ("pets10-train.zip", "pets10-test.zip", False),
        ("pets10-train.zip", "pets10-test.zip", True),
        ("Training_Pets.ZIP", "Test_Pets.ZIP", False),
        ("train images.zip", "val images.zip", False),
        ("outer/train.zip", "outer/test.zip", True),
        ("train/images.zip", "test/images.zip", False),
        ("train-part1.zip", "test-part1.zip", False),
    ],
)
def test_zip_files_named_after_splits_are_those_splits(tmp_path: Path, train: str, test: str, inside: bool) -> None:
    pack(tmp_path / "zips" / train, *(below("train", TRAIN) if inside else TRAIN))
    pack(tmp_path / "zips" / test, *(below("test", TEST) if inside else TEST))
    folders = write(write(tmp_path / "folders" / "train", *TRAIN).parent / "test", *TEST).parent
    for split, count in (("train", 12), ("test", 4)):
        packed, unpacked = load_data(tmp_path / "zips", split), load_data(folders, split)
        assert len(packed) == count and packed.fingerprint() == unpacked.fingerprint()
        assert (packed.classes, packed.notes, packed.name) == (("cat", "dog"), (), "zips")


def test_train_val_and_test_are_three_splits(tmp_path: Path) -> None:
    for name, count in (("train", 4), ("val", 3), ("test", 2)):
        pack(tmp_path / "set" / f"{name}.zip", f"cat/{count}", f"dog/{count}")
    assert (len(load_data(tmp_path / "set")), len(load_data(tmp_path / "set", "test"))) == (8, 4)


@pytest.mark.parametrize("name", ["pets.zip", "test.zip", "pets-train.zip"])
@pytest.mark.parametrize("names", [TRAIN, (*below("train", TRAIN), *below("test", TEST)), below("test", TRAIN)])
def test_the_only_zip_file_of_a_folder_is_the_data_set(tmp_path: Path, name: str, names: tuple[str, ...]) -> None:
    folder = pack(tmp_path / "set" / name, *names)
    for split in ("train", "test"):
        one, other = load_data(folder, split), load_data(folder / name, split)
        assert (one.fingerprint(), one.notes) == (other.fingerprint(), other.notes)


@pytest.mark.parametrize("labeled", [True, False])
@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        (("cat.zip", "dog.zip"), "cat.zip, dog.zip"),
        (("train.zip", "test.zip", "extra.zip"), "extra.zip"),
        (("train.zip", "pets-test.zip"), "pets-test.zip"),
        (("train.zip", "a/b.zip", "a/c.zip"), "a/b.zip, a/c.zip"),
    ],
)
def test_several_zip_files_that_are_not_named_after_splits_are_refused(
    tmp_path: Path, names: tuple[str, ...], unknown: str, labeled: bool
) -> None:
    for name in names:
        pack(tmp_path / "set" / name, *TRAIN)
    with pytest.raises(DataError) as error:
        load_data(tmp_path / "set", labeled=labeled)
    assert str(error.value) == (
        f"{tmp_path / 'set'}: zip files that are not named after a split: {unknown} (expected train.zip and test.zip,"
        " NAME-train.zip and NAME-test.zip, or only one zip file)"
    )


def test_hidden_files_and_zip_files_without_images_are_ignored(tmp_path: Path) -> None:
    folder = pack(tmp_path / "set" / "train.zip", *TRAIN, *below("__MACOSX", TRAIN), ".hidden/cat/3")
    for name in ("._train.zip", ".extra.zip", "__MACOSX/cat.zip", ".cache/dog.zip"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"no zip file")
    pack(folder / "test.zip", *TEST)
    assert (len(load_data(folder)), load_data(folder).notes) == (12, ())
    with zipfile.ZipFile(folder / "labels.zip", "w") as archive:
        archive.writestr("labels.csv", "0,1")
        archive.writestr("__MACOSX/._1.png", b"x")
    train = load_data(folder, strict=True)
    assert (len(train), train.notes) == (12, ("did not read 1 zip file without images: labels.zip",))


def test_images_in_class_folders_are_read_instead_of_the_zip_files_next_to_them(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", *TRAIN)
    alone = load_data(folder)
    pack(folder / "set.zip", *TRAIN)
    (folder / "broken.zip").write_bytes(b"no zip file")
    train = load_data(folder, strict=True)
    assert train.fingerprint() == alone.fingerprint()
    assert train.notes[-1] == (
        "did not read 2 zip files next to images: broken.zip, set.zip; unpack what you need, or move it to another"
        " folder"
    )
    other = write(pack(tmp_path / "other" / "train.zip", *TRAIN), "figures/1")
    with pytest.raises(DataError, match=r"only one class \(figures\); .*; did not read 1 zip file next to images"):
        load_data(other)


def test_images_that_are_in_no_class_folder_keep_no_zip_file_from_being_read(tmp_path: Path) -> None:
    folder = write(pack(tmp_path / "set" / "outer" / "train.zip", *TRAIN).parent, "1", "outer/2")
    pack(folder / "outer" / "test.zip", *TEST)
    train, test = load_data(folder), load_data(folder, "test")
    assert (len(train), len(test)) == (12, 4)
    assert train.notes == ("left out 3 images: 1 in outer folders, 2 in no class folder",)
    description = describe_data(folder)
    assert description.counts == {"train": {"cat": 6, "dog": 6}, "test": {"cat": 2, "dog": 2}}
    assert description.modes == {"L": 16} and [len(row) for row in description.examples(9)] == [6, 6]
    survey = survey_own_images(str(folder))
    assert survey is not None and (survey.train_images, survey.classes) == (12, 2)
    unlabeled = load_data(folder, labeled=False)
    assert len(unlabeled) + len(load_data(folder, "test", labeled=False)) == 3
    assert "did not read 2 zip files next to images: outer/test.zip, outer/train.zip" in unlabeled.notes[-1]


@pytest.mark.parametrize("names", [("train.zip", "test.zip"), ("faces-train.zip", "faces-test.zip")])
@pytest.mark.parametrize("inside", ["", "images/"])
def test_unlabeled_images_in_zip_files_are_split_too(tmp_path: Path, names: tuple[str, str], inside: str) -> None:
    for name, count in zip(names, (6, 3), strict=True):
        pack(tmp_path / "set" / name, f"{inside}{count}")
    train, test = (load_data(tmp_path / "set", split, labeled=False) for split in ("train", "test"))
    assert (len(train), len(test), len(train.classes)) == (6, 3, 1)


def test_every_zip_file_has_its_own_encoding_of_names(tmp_path: Path) -> None:
    for name, encoding in (("train.zip", "cp949"), ("test.zip", "utf-8")):
        raw = [label.encode(encoding) for label in ("고양이", "강아지")]
        placeholders = [letter * len(label) for letter, label in zip("xy", raw, strict=True)]
        folder = pack(tmp_path / "set" / name, *(f"{placeholder}/3" for placeholder in placeholders))
        content = (folder / name).read_bytes()
        for placeholder, label in zip(placeholders, raw, strict=True):
            content = content.replace(f"{placeholder}/".encode(), label + b"/")
        (folder / name).write_bytes(content)
    assert load_data(folder).classes == load_data(folder, "test").classes == ("강아지", "고양이")


def test_the_limits_of_zip_members_hold_and_messages_name_the_zip_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pack(tmp_path / "set" / "train.zip", *TRAIN)
    pack(folder / "test.zip", *TEST)
    with zipfile.ZipFile(folder / "test.zip", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/bzip2.png", png(12, 12), compress_type=zipfile.ZIP_BZIP2)
        archive.writestr("dog/large.png", bytes(2_000_001))
    monkeypatch.setenv("FIRSTSIGHT_MAX_MB", "2")
    test = load_data(folder, "test")
    assert len(test) == 4
    assert [(item.path, item.reason.split(";")[0]) for item in test.skipped] == [
        ("test.zip/cat/bzip2.png", "compressed with bzip2"),
        ("test.zip/dog/large.png", "too large"),
    ]
    with zipfile.ZipFile(folder / "test.zip", "a") as archive:
        archive.writestr("../evil.png", png(12, 12))
    with pytest.raises(DataError, match=r"test\.zip: member '\.\./evil\.png' points outside the archive; refused"):
        load_data(folder)
    (folder / "test.zip").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(DataError, match=r"test\.zip: not a readable zip file"):
        load_data(folder)


def test_predictions_read_the_zip_files_of_a_folder_without_images(tmp_path: Path) -> None:
    folder = pack(tmp_path / "set" / "train.zip", *TRAIN)
    pack(folder / "test.zip", *TEST)
    sources = find_images(folder)
    assert [source.name for source in sources][:2] == [f"{folder}/test.zip/cat/0.png", f"{folder}/test.zip/cat/1.png"]
    assert len(sources) == 16 and sources[1].open().size == (12, 5)
    write(folder, "1")  # predictions need no class folders
    assert [source.name for source in find_images(folder)] == [f"{folder}/0.png"]


def test_cifar10_has_its_official_split_in_a_folder_of_two_zip_files(shared: Path) -> None:
    tree = ImageTree(shared / "cifar10", labeled=True)
    train, test, note = split_samples(tree)
    labels, test_labels = (Counter(sample.label for sample in samples) for samples in (train, test))
    assert labels.keys() == test_labels.keys() and len(labels) == 10 and note == ""
    assert set(labels.values()) == {5_000} and set(test_labels.values()) == {1_000}
