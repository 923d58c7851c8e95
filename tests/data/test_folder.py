"""Folders and zip archives of images: classes, splits, unusable files, what is refused."""

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from firstsight.data.image_io import Preprocess, open_image
from firstsight.data.images.folder import read_folder
from firstsight.data.images.loading import load_data
from firstsight.errors import DataError, UsageError

MakeImages = Callable[..., Path]


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return target


def test_class_folders_without_a_test_split_hold_out_a_fifth_of_each_class(make_images: MakeImages) -> None:
    path = make_images({"cat": 10, "dog": 20})
    train, test = load_data(path), load_data(path, "test")
    assert train.classes == test.classes == ("cat", "dog")
    assert (len(train), len(test)) == (24, 6)
    assert torch.bincount(test.labels).tolist() == [2, 4]
    assert "holding out 20% of the images of each class" in test.notes[0]
    assert train.images.shape == (24, 3, 32, 32)


def test_new_file_moves_no_other_file_between_training_and_test(make_images: MakeImages) -> None:
    path = make_images({"cat": 20, "dog": 20})
    before = load_data(path, "test", size=12)
    Image.new("RGB", (12, 12), "red").save(path / "cat" / "zzz.png")
    after = load_data(path, "test", size=12)
    moved = len(before) - sum(bool((after.images == image).flatten(1).all(1).any()) for image in before.images)
    assert moved <= 1


def test_zip_holds_the_same_images_as_the_folder(make_images: MakeImages, tmp_path: Path) -> None:
    path = make_images({"a": 8, "b": 9})
    archive = zipped(path, tmp_path / "set.zip")
    for split in ("train", "test"):
        folder, packed = load_data(path, split), load_data(archive, split)
        assert folder.fingerprint() == packed.fingerprint()


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "VAL"), ("train", "valid")])
def test_split_folders_of_several_names_are_recognized(
    make_images: MakeImages, tmp_path: Path, names: tuple[str, str]
) -> None:
    make_images({"a": 4, "b": 4}, where=f"set/{names[0]}")
    make_images({"a": 2, "b": 3}, where=f"set/{names[1]}")
    assert (len(load_data(tmp_path / "set")), len(load_data(tmp_path / "set", "test"))) == (8, 5)


def test_test_folder_is_preferred_to_val(make_images: MakeImages, tmp_path: Path) -> None:
    for split, count in (("train", 4), ("val", 2), ("test", 3)):
        make_images({"a": count, "b": count}, where=f"set/{split}")
    assert len(load_data(tmp_path / "set", "test")) == 6


def test_outer_folders_and_folders_within_classes_are_skipped(make_images: MakeImages, tmp_path: Path) -> None:
    make_images({"cat": 5, "dog/small": 5, "dog/big": 5}, where="outer/inner/pets")
    assert load_data(tmp_path / "outer").classes == ("cat", "dog")
    assert len(load_data(tmp_path / "outer")) + len(load_data(tmp_path / "outer", "test")) == 15


def test_gray_images_have_one_channel(make_images: MakeImages) -> None:
    gray = load_data(make_images({"a": 6, "b": 6}, mode="L"), size=12)
    assert gray.channels == 1
    assert load_data(make_images({"a": 6, "b": 6}, where="rgb"), channels=1).channels == 1


def test_one_color_image_makes_three_channels(make_images: MakeImages) -> None:
    path = make_images({"a": 6, "b": 6}, mode="L")
    Image.new("RGB", (12, 12), "red").save(path / "a" / "red.png")
    assert {load_data(path, split).channels for split in ("train", "test")} >= {3}


def test_unusable_images_are_skipped_and_named(make_images: MakeImages) -> None:
    path = make_images({"a": 10, "b": 10})
    whole = (path / "a" / "000.png").read_bytes()
    (path / "a" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(300))
    (path / "b" / "text.png").write_text("I am no image")
    (path / "b" / "half.png").write_bytes(whole[: len(whole) // 2])
    (path / "b" / "notes.txt").write_text("ignored: not the name of an image")
    (path / ".DS_Store").write_bytes(b"x")
    every = [*load_data(path).skipped, *load_data(path, "test").skipped]
    assert {item.path for item in every} == {"a/cut.jpg", "b/text.png", "b/half.png"}
    assert all(item.reason for item in every)
    with pytest.raises(DataError, match=r"images are unusable, the first [ab]/"):
        for split in ("train", "test"):
            load_data(path, split, strict=True)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_folders_that_make_no_data_set_are_refused(make_images: MakeImages, tmp_path: Path, kind: str) -> None:
    def source(name: str) -> Path:
        path = tmp_path / name
        path.mkdir(exist_ok=True)
        return path if kind == "folder" else zipped(path, tmp_path / f"{name}.zip")

    with pytest.raises(DataError, match="no images"):
        load_data(source("empty"))
    make_images({"only": 5}, where="one")
    make_images({"cat": 1, "dog": 1}, where="two")
    with pytest.raises(DataError, match="2 images in 2 classes leave none for testing; expected at least two"):
        load_data(source("two"))
    with pytest.raises(DataError, match=r"only one class \(only\)"):
        load_data(source("one"))
    make_images({"a": 3, "b": 3}, where="new/train")
    make_images({"a": 3, "c": 3}, where="new/val")
    with pytest.raises(DataError, match="classes that the training split lacks: c"):
        load_data(source("new"))
    for name in ("a/1.png", "b/1.png", "a/2.png", "b/2.png"):
        (tmp_path / "junk" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "junk" / name).write_bytes(b"junk")
    with pytest.raises(DataError, match="none of the 2 train images can be used"):
        load_data(source("junk"))


@pytest.mark.parametrize(
    "member", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "a\\..\\..\\evil.png", "C:/evil.png"]
)
def test_zip_members_that_point_outside_are_refused(tmp_path: Path, member: str) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("a/1.png", b"x")
        archive.writestr(member, b"x")
    with pytest.raises(DataError, match="points outside the archive; refused"):
        load_data(tmp_path / "evil.zip")
    assert not list(tmp_path.rglob("evil.png"))


def test_damaged_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(DataError, match="not a readable zip"):
        load_data(tmp_path / "x.zip")


def test_damaged_member_of_a_zip_is_skipped(make_images: MakeImages, tmp_path: Path) -> None:
    archive = zipped(make_images({"a": 10, "b": 10}), tmp_path / "set.zip")
    content = bytearray(archive.read_bytes())
    content[200:230] = bytes(30)  # inside the first member's data: its CRC is wrong now
    archive.write_bytes(content)
    skipped = [*load_data(archive).skipped, *load_data(archive, "test").skipped]
    assert [item.path for item in skipped] == ["a/000.png"]
    assert skipped[0].reason == "Bad CRC-32 for file 'a/000.png'"


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_files_that_are_too_large_are_skipped_unread(
    make_images: MakeImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = make_images({"a": 6, "b": 6})
    (path / "a" / "huge.png").write_bytes(bytes(2_000_001))
    (path / "b" / "large.png").write_bytes(bytes(2_000_000))  # the largest size that is read
    source = path if kind == "folder" else zipped(path, tmp_path / "set.zip")
    monkeypatch.setenv("FIRSTSIGHT_MAX_MB", "2")
    skipped = {item.path: item.reason for split in ("train", "test") for item in load_data(source, split).skipped}
    assert skipped["a/huge.png"] == "too large; the limit is 2 MB (set FIRSTSIGHT_MAX_MB to raise it)"
    assert skipped["b/large.png"].startswith("not an image")


def test_pixels_beyond_the_memory_limit_are_kept_in_a_temporary_file(
    make_images: MakeImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_images({"a": 6, "b": 6})
    expected = load_data(path, size=12).fingerprint()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    large = read_folder(path, "train", size=12, channels=None, strict=False, memory=1000)
    assert large.fingerprint() == expected
    assert not list(tmp_path.glob("firstsight-pixels-*"))  # it has no name any more
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert read_folder(path, "train", size=12, channels=None, strict=False, memory=10_000).fingerprint() == expected
    with pytest.raises(FileNotFoundError):
        read_folder(path, "train", size=12, channels=None, strict=False, memory=1000)


def test_resize_and_center_crop_of_a_folder_are_those_of_a_single_image(
    make_images: MakeImages, tmp_path: Path
) -> None:
    path = make_images({"a": 4, "b": 4}, size=40)
    prepare = Preprocess(channels=3, resize=14, pad=0, mean=(0.0,) * 3, std=(1.0,) * 3, shorter=16)
    expected = {prepare.to_pixels(open_image(file)).tobytes() for file in path.rglob("*.png")}
    for where in (path, zipped(path, tmp_path / "set.zip")):
        images = [*load_data(where, size=14, shorter=16).images, *load_data(where, "test", size=14, shorter=16).images]
        assert {image.numpy().tobytes() for image in images} == expected
    assert load_data(path, size=14).fingerprint() != load_data(path, size=14, shorter=16).fingerprint()
    with pytest.raises(UsageError, match=r"`shorter` must be at least `size` \(14\), got 10"):
        load_data(path, size=14, shorter=10)


def test_class_without_test_images_is_noted(make_images: MakeImages, tmp_path: Path) -> None:
    make_images({"a": 4, "b": 4, "c": 4}, where="set/train")
    make_images({"a": 2, "b": 2}, where="set/test")
    assert load_data(tmp_path / "set", "test").notes == ("no test images of: c",)
