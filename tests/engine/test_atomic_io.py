"""Atomic writes: the old or the new content, nothing left behind, links followed, errors that name the file."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from firstsight.atomic_io import remove_leftovers, replace_file, replacing


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
