"""Disks that are full or read-only: real ones, small tmpfs mounts in a namespace of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TRAIN = f"{sys.executable} -m firstsight train lenet --epochs 2 --checkpoint-seconds 0 --quiet"


def in_namespace(script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script where it may mount."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    return subprocess.run([*unshare, "sh", "-c", script], capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(autouse=True)
def may_mount(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    tried = in_namespace(f"mount -t tmpfs tmpfs {tmp_path}/disk")
    if tried.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"cannot mount here, and CI must not skip: {tried.stderr}")
        pytest.skip(f"cannot mount here: {tried.stderr.strip()}")


@pytest.mark.slow
def test_full_disk_loses_nothing(tmp_path: Path) -> None:
    """Two checkpoints fit, a third being written does not: one sentence, exit 1; with more space the run goes on."""
    disk = tmp_path / "disk"
    done = in_namespace(
        f"mount -t tmpfs -o size=1900k tmpfs {disk} && {TRAIN} --out {disk}/r; echo code $?;"
        f" ls {disk}/r/checkpoints; ls -A {disk}/r/checkpoints | grep -c tmp;"
        f" mount -o remount,size=60m {disk} && {TRAIN} --out {disk}/r --resume; echo code $?; ls {disk}/r"
    )
    first, _, second = done.stdout.partition("code 1")
    assert "report" not in first
    assert second.split()[:3] == ["00000001", "00000002", "0"]
    complaint = done.stderr.splitlines()[0]
    assert "the disk is full" in complaint
    assert "the checkpoint of step 2 is safe" in complaint
    assert "code 0" in second
    assert "report.html" in second


@pytest.mark.parametrize(("where", "size"), [("r", "0k"), ("r", "64k")])
def test_full_disk_from_the_start(tmp_path: Path, where: str, size: str) -> None:
    disk = tmp_path / "disk"
    options = "size=4k,nr_inodes=1" if size == "0k" else f"size={size}"
    done = in_namespace(f"mount -t tmpfs -o {options} tmpfs {disk} && {TRAIN} --out {disk}/{where}")
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert len(done.stderr.splitlines()) <= 5


def test_read_only_directory(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    done = in_namespace(f"mount -t tmpfs -o ro tmpfs {disk} && {TRAIN} --out {disk}/r")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"firstsight: {disk}/r: the file system is read-only; choose another place with --out\n"


def test_read_only_current_directory(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    done = in_namespace(f"mount -t tmpfs -o ro tmpfs {disk} && cd {disk} && {TRAIN}")
    assert done.returncode == 1
    assert "read-only; choose another place with --out" in done.stderr
