"""Trainings that are killed or fail at file operations: a sample of the sweep of ``tools/crash_points.py``."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, unavailable


def sweep(folder: Path, recipe: str, *, first: int, every: int) -> dict[str, Any]:
    """Return the summary of a sweep without failures."""
    if not sys.platform.startswith("linux") or not shutil.which(os.environ.get("CC", "cc")):
        unavailable("disturbing file operations needs Linux and a C compiler")
    options = ["--recipe", recipe, "--first", str(first), "--every", str(every)]
    command = [sys.executable, str(ROOT / "tools" / "crash_points.py"), str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])[recipe]
    operations = summary["operations"]
    assert operations["kill"] == operations["eio"] > operations["enospc"] > 80
    assert summary["points"] == sum(len(range(first, count + 1, every)) for count in operations.values())
    return summary


def test_training_killed_or_failing_at_a_file_operation_resumes_with_the_same_bits_and_files(tmp_path: Path) -> None:
    """Killed, with a full disk, and with an input/output error: one point of each."""
    sweep(tmp_path, "classification", first=67, every=1000)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["classification", "gan", "bottom-up", "top-down"])
def test_every_kind_of_training_resumes_with_the_same_bits_and_files(tmp_path: Path, recipe: str) -> None:
    sweep(tmp_path, recipe, first=5, every=97)


def test_wrong_bits_and_leftovers_are_failures_of_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison of two run directories sees another tensor, another metric, and a file too many."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    import crash_points
    import torch
    from safetensors.torch import save_file

    runs = []
    for name in ("calm", "weights", "metrics", "leftover", "time"):
        run = tmp_path / name
        run.mkdir()
        save_file({"weight": torch.full((2,), 2.0 if name == "weights" else 1.0)}, run / "model.safetensors")
        line = {"epoch": 1, "loss": 0.5 if name == "metrics" else 0.25, "seconds": 2 if name == "time" else 1}
        (run / "metrics.jsonl").write_text(json.dumps(line) + "\n")
        if name == "leftover":
            (run / ".report.html.7.tmp").touch()
        runs.append(crash_points.describe_run(run))
    calm, *others, time = runs
    assert time == calm
    assert all(other != calm for other in others)
