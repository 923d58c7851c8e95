import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from firstsight.data import Preprocess, load, open_picture
from firstsight.data.folder import read_folder
from firstsight.errors import DataError, UsageError


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return target


def test_class_folders_are_split_by_rule(pictures) -> None:
    path = pictures({"cat": 10, "dog": 20})
    train, test = load(path), load(path, "test")
    assert train.classes == test.classes == ("cat", "dog")
    assert (len(train), len(test)) == (24, 6)
    assert torch.bincount(test.labels).tolist() == [2, 4]
    assert "6 of 30 pictures (20% of each class) held out" in test.notes[0]
    assert train.images.shape == (24, 3, 32, 32)


def test_a_new_file_moves_no_other_across(pictures) -> None:
    path = pictures({"cat": 20, "dog": 20})
    before = load(path, "test", size=12)
    Image.new("RGB", (12, 12), "red").save(path / "cat" / "zzz.png")
    after = load(path, "test", size=12)
    moved = len(before) - sum(bool((after.images == image).flatten(1).all(1).any()) for image in before.images)
    assert moved <= 1


def test_zip_is_the_folder(pictures, tmp_path: Path) -> None:
    path = pictures({"a": 8, "b": 9})
    archive = zipped(path, tmp_path / "set.zip")
    for split in ("train", "test"):
        folder, packed = load(path, split), load(archive, split)
        assert folder.fingerprint() == packed.fingerprint()


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "VAL"), ("train", "valid")])
def test_split_folders(pictures, tmp_path: Path, names: tuple[str, str]) -> None:
    pictures({"a": 4, "b": 4}, where=f"set/{names[0]}")
    pictures({"a": 2, "b": 3}, where=f"set/{names[1]}")
    assert (len(load(tmp_path / "set")), len(load(tmp_path / "set", "test"))) == (8, 5)


def test_test_comes_before_val(pictures, tmp_path: Path) -> None:
    for split, count in (("train", 4), ("val", 2), ("test", 3)):
        pictures({"a": count, "b": count}, where=f"set/{split}")
    assert len(load(tmp_path / "set", "test")) == 6


def test_folder_around_everything_and_folders_within_classes(pictures, tmp_path: Path) -> None:
    pictures({"cat": 5, "dog/small": 5, "dog/big": 5}, where="outer/inner/pets")
    assert load(tmp_path / "outer").classes == ("cat", "dog")
    assert len(load(tmp_path / "outer")) + len(load(tmp_path / "outer", "test")) == 15


def test_grey_pictures_make_one_channel(pictures) -> None:
    grey = load(pictures({"a": 6, "b": 6}, mode="L"), size=12)
    assert grey.channels == 1
    assert load(pictures({"a": 6, "b": 6}, where="rgb"), channels=1).channels == 1


def test_one_coloured_picture_makes_three(pictures) -> None:
    path = pictures({"a": 6, "b": 6}, mode="L")
    Image.new("RGB", (12, 12), "red").save(path / "a" / "red.png")
    assert {load(path, split).channels for split in ("train", "test")} >= {3}


def test_unusable_pictures_are_counted_and_named(pictures) -> None:
    path = pictures({"a": 10, "b": 10})
    whole = (path / "a" / "000.png").read_bytes()
    (path / "a" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(300))
    (path / "b" / "text.png").write_text("I am no picture")
    (path / "b" / "half.png").write_bytes(whole[: len(whole) // 2])
    (path / "b" / "notes.txt").write_text("ignored: not called a picture")
    (path / ".DS_Store").write_bytes(b"x")
    every = [*load(path).skipped, *load(path, "test").skipped]
    assert {item.path for item in every} == {"a/cut.jpg", "b/text.png", "b/half.png"}
    assert all(item.reason for item in every)
    with pytest.raises(DataError, match=r"pictures are unusable, the first [ab]/"):
        for split in ("train", "test"):
            load(path, split, strict=True)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_refusals(pictures, tmp_path: Path, kind: str) -> None:
    def given(name: str) -> Path:
        path = tmp_path / name
        path.mkdir(exist_ok=True)
        return path if kind == "folder" else zipped(path, tmp_path / f"{name}.zip")

    with pytest.raises(DataError, match="no pictures"):
        load(given("empty"))
    pictures({"only": 5}, where="one")
    pictures({"cat": 1, "dog": 1}, where="two")
    with pytest.raises(DataError, match="2 pictures in 2 classes leave none to test on; expected two or more"):
        load(given("two"))
    with pytest.raises(DataError, match=r"only one class \(only\)"):
        load(given("one"))
    pictures({"a": 3, "b": 3}, where="loose")
    Image.new("L", (9, 9)).save(tmp_path / "loose" / "stray.png")
    with pytest.raises(DataError, match=r"stray\.png stands in no class folder"):
        load(given("loose"))
    pictures({"a": 3, "b": 3}, where="new/train")
    pictures({"a": 3, "c": 3}, where="new/val")
    with pytest.raises(DataError, match="classes that the training pictures lack: c"):
        load(given("new"))
    for name in ("a/1.png", "b/1.png", "a/2.png", "b/2.png"):
        (tmp_path / "junk" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "junk" / name).write_bytes(b"junk")
    with pytest.raises(DataError, match="none of the 2 train pictures can be used"):
        load(given("junk"))


@pytest.mark.parametrize(
    "member", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "a\\..\\..\\evil.png", "C:/evil.png"]
)
def test_zip_members_that_point_outside_are_refused(tmp_path: Path, member: str) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("a/1.png", b"x")
        archive.writestr(member, b"x")
    with pytest.raises(DataError, match="points outside the archive; refused"):
        load(tmp_path / "evil.zip")
    assert not list(tmp_path.rglob("evil.png"))


def test_no_zip(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(DataError, match="not a readable zip"):
        load(tmp_path / "x.zip")


def test_damaged_member_is_left_out(pictures, tmp_path: Path) -> None:
    archive = zipped(pictures({"a": 10, "b": 10}), tmp_path / "set.zip")
    content = bytearray(archive.read_bytes())
    content[200:230] = bytes(30)  # inside the first member's data: its CRC is wrong now
    archive.write_bytes(content)
    skipped = [*load(archive).skipped, *load(archive, "test").skipped]
    assert [item.path for item in skipped] == ["a/000.png"]


def test_pixels_beyond_memory_lie_in_a_file(pictures) -> None:
    path = pictures({"a": 6, "b": 6})
    small = read_folder(path, "train", size=12, channels=None, strict=False, memory=1000)
    assert small.fingerprint() == load(path, size=12).fingerprint()
    assert isinstance(small.images.numpy(), np.ndarray)
    assert not list(Path(tempfile.gettempdir()).glob("firstsight-pixels-*"))


def test_the_square_may_be_cut_from_a_larger_picture(pictures, tmp_path: Path) -> None:
    """What a network with `shorter` sees of a folder or a zip is what it sees of one picture."""
    path = pictures({"a": 4, "b": 4}, size=40)
    prepare = Preprocess(channels=3, resize=14, pad=0, mean=(0.0,) * 3, std=(1.0,) * 3, shorter=16)
    own = {prepare.picture(open_picture(file)).tobytes() for file in path.rglob("*.png")}
    for where in (path, zipped(path, tmp_path / "set.zip")):
        images = [*load(where, size=14, shorter=16).images, *load(where, "test", size=14, shorter=16).images]
        assert {image.numpy().tobytes() for image in images} == own
    assert load(path, size=14).fingerprint() != load(path, size=14, shorter=16).fingerprint()
    with pytest.raises(UsageError, match="a square of 14 pixels cannot be cut from a side of 10"):
        load(path, size=14, shorter=10)


def test_missing_class_in_test_is_a_note(pictures, tmp_path: Path) -> None:
    pictures({"a": 4, "b": 4, "c": 4}, where="set/train")
    pictures({"a": 2, "b": 2}, where="set/test")
    assert load(tmp_path / "set", "test").notes == ("no test pictures of: c",)
