"""Atomic writes: the old or the new content, nothing left behind, links followed, errors that name the file."""

import errno
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image

import firstsight
from firstsight.atomic_io import remove_leftovers, replace_file, replacing
from firstsight.cli.demo import write_digits
from firstsight.data.keypoints.export_scenes import write_scenes
from firstsight.data.keypoints.keypoint_set import save_keypoints
from firstsight.data.keypoints.scenes import Scenes
from firstsight.data.keypoints.splits import load_people
from firstsight.pose.skeleton import SKELETONS
from firstsight.tasks.gan.image_grid import ImageGrid
from firstsight.tasks.pose.result import PoseResult


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    return path


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError("x"), MemoryError()])
def test_a_write_that_fails_keeps_the_old_file_and_leaves_nothing_else(old: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), replacing(old) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert old.read_bytes() == b"old" and [*old.parent.iterdir()] == [old]
    if isinstance(error, OSError):
        assert error.filename == str(old)


def test_a_limit_of_the_file_size_ends_a_write_as_a_full_disk_would(old: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from firstsight.atomic_io import replace_file\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: replace_file(Path(sys.argv[1]), bytes(5000))\n"
        "except OSError as error: print(error.filename)"
    )
    done = subprocess.run([sys.executable, "-c", code, old], capture_output=True, text=True, check=True)
    assert done.stdout == f"{old}\n"
    assert old.read_bytes() == b"old" and [*old.parent.iterdir()] == [old]


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "고" * 80 + ".png", "-x.png", "a b\n.png"])
def test_any_name_that_the_system_accepts_can_be_written(tmp_path: Path, name: str) -> None:
    replace_file(tmp_path / name, b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"new"}


def test_a_link_stays_and_its_file_is_replaced_with_the_same_permissions(old: Path) -> None:
    old.chmod(0o640)
    (old.parent / "sub").mkdir()
    for link, target in (("link.png", "figure.png"), ("sub/up.png", "../link.png")):
        (old.parent / link).symlink_to(target)
        replace_file(old.parent / link, link.encode())
        assert old.read_bytes() == link.encode() and (old.parent / link).is_symlink()
    assert old.stat().st_mode & 0o777 == 0o640
    (old.parent / "circle").symlink_to("circle")
    replace_file(old.parent / "circle", b"x")
    assert (old.parent / "circle").read_bytes() == b"x"


@pytest.mark.skipif(sys.platform == "win32", reason="devices are files on POSIX systems only")
def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.png").symlink_to("/dev/full")
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match=re.escape(str(tmp_path / "x.png"))) as caught:
            replace_file(tmp_path / "x.png", b"x")
        assert caught.value.errno == errno.ENOSPC
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    replace_file(tmp_path / "pipe", b"content")
    assert os.read(reader, 99) == b"content"
    os.close(reader)


def test_temporary_files_have_names_that_remove_leftovers_knows(tmp_path: Path) -> None:
    for name in ("a.png", "b" * 200):
        with pytest.raises(FileNotFoundError), replacing(tmp_path / name) as temporary:
            temporary.write_bytes(b"x")
            remove_leftovers(tmp_path)
            assert not temporary.exists()


@contextmanager
def limited_file_size(size: int) -> Iterator[None]:
    """Let writes beyond this number of bytes fail, as they would on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


NOISE = Image.effect_noise((64, 64), 90).convert("RGB")
GRID = ImageGrid(torch.zeros(2, 4), torch.randint(0, 255, (2, 1, 28, 28), dtype=torch.uint8), 2)
POSES = PoseResult([], next(iter(SKELETONS.values())), NOISE, {})
WRITERS: dict[str, Callable[[Path], object]] = {
    "grid.png": GRID.save,
    "grid.gif": GRID.save,
    "poses.png": POSES.save,
    "poses.jpg": POSES.save,
    "net.safetensors": lambda path: firstsight.export("lenet-digits", path),
    "a-0.png": lambda path: write_digits(firstsight.load_data("digits", "test"), path.parent),
}


@pytest.mark.parametrize("name", WRITERS)
def test_functions_that_write_files_keep_the_old_file_if_they_fail(tmp_path: Path, name: str) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir()
    path.write_bytes(b"old")
    with limited_file_size(50), pytest.raises((OSError, firstsight.FirstsightError)) as caught:
        WRITERS[name](path)
    assert path.read_bytes() == b"old" and [*path.parent.iterdir()] == [path]
    assert name in str(caught.value)
    WRITERS[name](path)
    assert path.stat().st_size > 50


def test_keypoints_and_scenes_keep_the_old_files_if_they_fail(sticks: Callable[..., Path], tmp_path: Path) -> None:
    _, people = load_people(sticks())
    scenes = Scenes(people, "composed", batch_size=2, epochs=1, seed=3, side=64, max_people=3)
    for file, write in (
        (tmp_path / "out/people.json", lambda: save_keypoints(people, tmp_path / "out/people.json")),
        (tmp_path / "a/images/000000.png", lambda: write_scenes(scenes, tmp_path / "a", ids=[0])),
    ):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"old")
        with limited_file_size(100), pytest.raises((OSError, firstsight.DataError), match=file.name):
            write()
        assert file.read_bytes() == b"old" and not [*file.parent.glob(".*")]
