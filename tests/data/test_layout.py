"""Places of images: split folders never become classes, and nothing vanishes without a note."""

import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firstsight.data.images.loading import load_data
from firstsight.data.images.tree import plain_name
from firstsight.errors import DataError
from helpers.files import png

MakeImages = Callable[..., Path]
PNG = png(12, 12)


def write(root: Path, *names: str) -> Path:
    """Write images; "a/3" stands for three images in the folder a."""
    for name in names:
        folder, _, count = name.rpartition("/")
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(int(count)):
            (root / folder / f"{i}.png").write_bytes(PNG)
    return root


TWO = ("train/cat/6", "train/dog/6")


@pytest.mark.parametrize(
    ("names", "sizes", "note"),
    [
        ((*TWO, "test/4"), (10, 2), "left out 4 images: 4 in test/ (no class folders)"),
        ((*TWO, "val/cat/2", "val/dog/2", "test/4"), (12, 4), "4 in test/ (no class folders)"),
        ((*TWO, "train/1", "val/cat/2", "val/dog/2"), (12, 4), "left out 1 image: 1 in train/ (in no class folder)"),
        ((*TWO, "val/cat/2", "val/dog/2", "samples/3"), (12, 4), "3 in samples/ (not a split)"),
        (("seg_train/seg_train/cat/6", "seg_train/seg_train/dog/6", "seg_test/seg_test/cat/2",
          "seg_test/seg_test/dog/2", "seg_pred/seg_pred/4"), (12, 4), "4 in seg_pred/ (not a split)"),
        (("training_set/training_set/cat/6", "training_set/training_set/dog/6", "test_set/test_set/cat/2"),
         (12, 2), ""),
        (("train/images/cat/6", "train/images/dog/6", "test1/test1/3"), (10, 2), "3 in test1/ (no class folders)"),
        (("cat/train/6", "dog/train/6", "cat/test/2", "dog/test/2"), (12, 4), ""),
        (("pets/cat/6", "pets/dog/6", "1"), (10, 2), "left out 1 image: 1 in outer folders"),
        (("cat/6", "dog/6", "test/4"), (10, 2), "4 in test/ (no class folders)"),
        (("cat/6", "dog/6", "1"), (10, 2), "left out 1 image: 1 in no class folder"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_split_folders_never_become_classes(
    tmp_path: Path, names: tuple[str, ...], sizes: tuple[int, int], note: str, kind: str
) -> None:
    path = write(tmp_path / "set", *names)
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            for file in sorted(path.rglob("*.png")):
                archive.write(file, f"./{file.relative_to(path)}")
        path = tmp_path / "set.zip"
    train, test = load_data(path), load_data(path, "test")
    assert train.classes == test.classes == ("cat", "dog")
    assert (len(train), len(test)) == sizes
    assert any(note in text for text in train.notes) if note else not any("left out" in text for text in train.notes)
    if note:
        with pytest.raises(DataError, match="left out"):
            load_data(path, strict=True)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train/6", "test/4"), "train/, test/ without class folders|test/, train/ without class folders"),
        (("train/6", "samples/4"), "train/ without class folders"),
        (("train/6", "test/cat/3", "test/dog/3"), "train/ has no class folders"),
        ((*TWO, "bird/40", "cow/40"), "bird/, cow/ next to the split folders train/"),
        (("train/train/6", "test/test/6"), "without class folders"),
    ],
)
def test_folders_whose_classes_are_not_clear_are_refused(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(write(tmp_path / "set", *names))


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("bus/4", "car/4", "train/4"), ("bus", "car", "train")),  # vehicles
        (("valid/4", "invalid/4", "blank/4"), ("blank", "invalid", "valid")),
        (("train station/a/4", "test tube/a/4"), ("test tube", "train station")),
        (("0/4", "1/4"), ("0", "1")),
        (("test고양이/4", "강아지/4"), ("test고양이", "강아지")),
    ],
)
def test_names_of_classes_may_have_the_words_of_splits(
    tmp_path: Path, names: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    assert load_data(write(tmp_path / "set", *names)).classes == classes


@pytest.mark.parametrize("names", [("train/6", "test/3", "samples/2"), ("train/6", "test/3")])
def test_unlabeled_images_use_split_folders_too(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = write(tmp_path / "set", *names)
    train, test = load_data(path, labeled=False), load_data(path, "test", labeled=False)
    assert (len(train), len(test), len(train.classes)) == (6, 3, 1)


def test_jpeg_suffixes_are_read_and_images_with_others_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "set", "cat/8", "dog/8", "bird/2")
    for i, suffix in enumerate((".jfif", ".jpe", ".JPE", ".PNG")):
        (path / "cat" / f"{i}.png").rename(path / "cat" / f"{i}{suffix}")
    (path / "dog" / "0.png").rename(path / "dog" / "0")
    (path / "dog" / "1.png").rename(path / "dog" / "1.image")
    (path / "dog" / "notes.txt").write_text("no image")
    for i in range(2):
        (path / "bird" / f"{i}.png").rename(path / "bird" / f"{i}.heic")
    (path / "cow").mkdir()
    train = load_data(path)
    assert train.classes == ("cat", "dog") and len(train) + len(load_data(path, "test")) == 14
    text = "; ".join(train.notes)
    assert "left out 4 image files with suffixes that are not read (2 with .heic" in text and "bird/0.heic" in text
    assert "left out 2 folders without readable images: bird, cow" in text
    with pytest.raises(DataError, match=r"left out 4 image files"):
        load_data(path, strict=True)


def test_linked_folders_are_followed_without_loops(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/6", "set/dog/6")
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "dog" / "again").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "dog" / "gone.png").symlink_to(tmp_path / "nothing.png")
    train, test = load_data(tmp_path / "set"), load_data(tmp_path / "set", "test")
    assert train.classes == ("cat", "dog") and len(train) + len(test) == 12
    assert [(item.path, item.reason) for item in (*train.skipped, *test.skipped)] == [
        ("dog/gone.png", "No such file or directory")
    ]


def test_both_normal_forms_of_a_name_are_one_class(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "고양이") for form in ("NFC", "NFD"))
    path = write(tmp_path / "set", f"train/{composed}/4", "train/dog/4", f"val/{decomposed}/2", "val/dog/2")
    assert load_data(path).classes == load_data(path, "test").classes == ("dog", composed)
    other = write(tmp_path / "other", f"{decomposed}/10", "dog/10")
    same = write(tmp_path / "same", f"{composed}/10", "dog/10")
    assert load_data(other).fingerprint() == load_data(same).fingerprint()


def test_names_that_are_not_utf8_are_escaped(tmp_path: Path) -> None:
    path = write(tmp_path / "set", "cat/6", "dog/6")
    (path / "cat").rename(path / "caf\udce9")
    (path / "dog" / "0.png").rename(path / "dog" / "caf\udce9.png")
    (path / "dog" / "bad\udcff.png").write_bytes(b"x")
    train, test = load_data(path), load_data(path, "test")
    assert train.classes == ("caf\\xe9", "dog") and len(train) + len(test) == 12
    assert [item.path for item in (*train.skipped, *test.skipped)] == ["dog/bad\\xff.png"]
    for name in ("caf\udce9", "\ud800", "a\x1b[31m"):
        assert plain_name(name).encode().isascii() and plain_name(name).isprintable()


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp949", ("고양이", "강아지")),
        ("utf-8", ("고양이", "강아지")),
        ("cp437", ("café", "naïve")),
        ("ascii", ("cat", "dog")),
    ],
)
def test_zip_names_are_decoded(tmp_path: Path, encoding: str, names: tuple[str, str]) -> None:
    raw = [name.encode(encoding) for name in names]
    placeholders = [letter * len(name) for letter, name in zip("xy", raw, strict=True)]
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for placeholder in placeholders:
            for i in range(4):
                archive.writestr(f"{placeholder}/{i}.png", PNG)
    content = (tmp_path / "set.zip").read_bytes()
    for placeholder, name in zip(placeholders, raw, strict=True):
        content = content.replace(f"{placeholder}/".encode(), name + b"/")
    (tmp_path / "set.zip").write_bytes(content)
    assert load_data(tmp_path / "set.zip").classes == tuple(sorted(names))


@pytest.mark.parametrize("separator", ["/", "./", "\\"])
def test_zip_names_of_other_programs_are_read(tmp_path: Path, separator: str) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("./", "")
        for label in "ab":
            for i in range(4):
                name = f"./{label}/{i}.png" if separator == "./" else f"{label}{separator}{i}.png"
                archive.writestr(zipfile.ZipInfo(name), PNG)
    train, test = load_data(tmp_path / "set.zip"), load_data(tmp_path / "set.zip", "test")
    assert train.classes == ("a", "b") and len(train) + len(test) == 8 and not train.skipped


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (zipfile.ZIP_BZIP2, "compressed with bzip2"),
        (zipfile.ZIP_LZMA, "compressed with LZMA"),
        (97, "an unknown method"),
    ],
)
def test_zip_members_without_a_limit_of_memory_are_left_out(tmp_path: Path, method: int, reason: str) -> None:
    path = tmp_path / "set.zip"
    known = method if method != 97 else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w") as archive:
        for label in "ab":
            for i in range(4):
                archive.writestr(f"{label}/{i}.png", PNG)
        archive.writestr("a/large.png", bytes(1 << 20), compress_type=known)
    if method != known:
        content = bytearray(path.read_bytes())
        entry = content.rindex(b"a/large.png") - 46
        content[entry + 10 : entry + 12] = method.to_bytes(2, "little")
        path.write_bytes(content)
    skipped = [*load_data(path).skipped, *load_data(path, "test").skipped]
    assert [item.path for item in skipped] == ["a/large.png"] and reason in skipped[0].reason


@pytest.mark.parametrize("size", [100, 1 << 24])
def test_zip_member_that_lies_about_its_size_is_left_out(tmp_path: Path, size: int) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for label in "ab":
            for i in range(4):
                archive.writestr(f"{label}/{i}.png", PNG)
        archive.writestr("a/large.png", bytes(3 << 20), compress_type=zipfile.ZIP_DEFLATED)
    content = path.read_bytes().replace((3 << 20).to_bytes(4, "little"), size.to_bytes(4, "little"))
    path.write_bytes(content)
    skipped = [*load_data(path).skipped, *load_data(path, "test").skipped]
    assert [item.path for item in skipped] == ["a/large.png"]


def test_values_of_tiff_files_have_one_range_in_a_folder(tmp_path: Path) -> None:
    for label, level in (("dark", 0.6), ("light", 200.0)):
        (tmp_path / "set" / label).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(np.full((8, 8), level, np.float32)).save(tmp_path / "set" / label / f"{i}.tif")
    train = load_data(tmp_path / "set", size=8)
    assert [int(train.images[train.labels == label].max()) for label in (0, 1)] == [1, 200]
    assert "8 floating-point or 32-bit images: values from 0 to 255 become 0 to 255" in train.notes


def test_messages_have_one_line_of_limited_length(tmp_path: Path) -> None:
    path = write(tmp_path / "set", *(f"{'long ' * 20}\n{i}/1" for i in range(9)), "b/3")
    (path / "b" / f"{'x' * 200}\n.png").write_bytes(b"x")
    for kind in ({}, {"strict": True}):
        try:
            notes = load_data(path, **kind).notes
        except DataError as error:
            notes = (str(error),)
        assert all("\n" not in note and len(note) <= 300 for note in notes)
