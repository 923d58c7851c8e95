"""Full and read-only disks (small tmpfs mounts in a mount namespace of their own), and files that cannot be written."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import unavailable
from firstsight.errors import RunError
from firstsight.recipes.train import train
from helpers.modules import run_module

TRAIN = ["train", "lenet", "--epochs", "2", "--batch-size", "512", "--checkpoint-seconds", "0", "--quiet"]
NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]


def run_in_namespace(folder: Path, *steps: str | list[str]) -> list[tuple[int, str, str]]:
    """Run shell commands and command lines of firstsight where mounts are allowed: exit codes, stdout, stderr."""
    done = run_module("helpers.command_lines", folder, stdin=json.dumps(steps), prefix=NAMESPACE)
    assert done.returncode == 0, done.stderr
    return [tuple(result) for result in json.loads(done.stdout.splitlines()[-1])]


@pytest.fixture
def may_mount(tmp_path: Path) -> None:
    (tmp_path / "probe").mkdir()
    command = ["mount", "-t", "tmpfs", "tmpfs", str(tmp_path / "probe")]
    probe = subprocess.run([*NAMESPACE, *command], capture_output=True, text=True, timeout=120, check=False)
    if probe.returncode:
        unavailable(f"cannot mount here ({probe.stderr.strip()})")


@pytest.mark.usefixtures("may_mount")
def test_full_or_read_only_disk_ends_a_run_with_one_sentence_and_loses_no_checkpoint(tmp_path: Path) -> None:
    """Two checkpoints fit on the full disk, a third one being written does not; with more space the run is resumed."""
    home, full, small, small_disk, read_only = (
        tmp_path / name for name in ("home", "full", "small", "tiny", "read_only")
    )
    for folder in (home, full, small, small_disk, read_only):
        folder.mkdir()
    options = {full: "size=1900k", small: "size=64k", small_disk: "size=4k,nr_inodes=1", read_only: "ro"}
    mounts = "; ".join(f"mount -t tmpfs -o {option} tmpfs {folder}" for folder, option in options.items())
    mounted, stopped, checkpoints, _, resumed, first_checkpoint, first_folder, out, current = run_in_namespace(
        home,
        mounts,
        [str(tmp_path), *TRAIN, "--out", f"{full}/r"],
        f"ls -A {full}/r/checkpoints",
        f"mount -o remount,size=60m {full}",
        [str(tmp_path), *TRAIN, "--out", f"{full}/r", "--resume"],
        [str(tmp_path), *TRAIN, "--out", f"{small}/r"],
        [str(tmp_path), *TRAIN, "--out", f"{small_disk}/r"],
        [str(tmp_path), *TRAIN, "--out", f"{read_only}/r"],
        [str(read_only), *TRAIN],
    )
    assert mounted[0] == 0, mounted[2]
    for code, stdout, stderr in (stopped, first_checkpoint, first_folder, out, current):
        assert (code, stdout, stderr.count("\n")) == (1, "", 1), stderr
    for _, _, stderr in (stopped, first_checkpoint, first_folder):
        assert "the disk is full" in stderr
    assert "the checkpoint of step 2 is kept" in stopped[2]
    assert "no checkpoint was saved yet" in first_checkpoint[2]
    assert checkpoints[1].split() == ["00000001", "00000002"]
    assert resumed[0] == 0, resumed[2]
    assert "after epoch 2" in resumed[1] and "report.html" in resumed[1]
    assert out[2] == f"firstsight: {read_only}/r: the file system is read-only; choose another folder with --out\n"
    assert "read-only; choose another folder with --out" in current[2]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("metrics.jsonl", "no checkpoint was saved yet"),
        ("report.html", "the training is saved; continue with: `train"),
    ],
)
def test_file_of_a_run_that_cannot_be_written_is_named_with_what_is_saved(
    tmp_path: Path, make_images: Callable[..., Path], name: str, advice: str
) -> None:
    """A folder stands in its place."""
    images = make_images({"dark": 10, "light": 10}, size=8, mode="L")
    (tmp_path / "r" / name).mkdir(parents=True)
    with pytest.raises(RunError, match=f"{name}: Is a directory .{advice}"):
        train("mlp", out=tmp_path / "r", data=str(images), image_size=8, batch_size=8, epochs=1)
