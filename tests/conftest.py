"""Fixtures and settings of all tests."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread per worker, read when torch is imported; children inherit it

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from helpers.runs import trained_run

ROOT = Path(__file__).parents[1]

settings.register_profile("firstsight", deadline=None, derandomize=True)  # no timing, the same cases every time
settings.load_profile("firstsight")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests so that every worker starts with its share of the slow ones; none runs alone at the end.

    pytest-xdist (``--dist worksteal``) gives each worker an equal, contiguous part of the list.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = [item for item in items if item.get_closest_marker("slow")]
    fast = [item for item in items if not item.get_closest_marker("slow")]
    bounds = [len(fast) * worker // workers for worker in range(workers + 1)]
    items[:] = [item for w in range(workers) for item in (*slow[w::workers], *fast[bounds[w] : bounds[w + 1]])]


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a parameter of bytes by its length: gzip and zip contain the time, but all workers need the same names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line for each reason of skipped tests."""
    skipped = Counter(
        report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for report in terminalreporter.getreports("skipped")
    )
    for reason, count in skipped.items():
        terminalreporter.write_line(f"not tested: {count} test{'s' * (count > 1)}: {reason}", yellow=True)


def unavailable(reason: str) -> None:
    """Skip the test because this machine lacks something; fail in continuous integration."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; continuous integration must not skip")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of the larger data sets ($FIRSTSIGHT_SHARED, default ../shared); skip if it does not exist."""
    folder = Path(os.environ.get("FIRSTSIGHT_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        unavailable("the larger data sets are absent (set FIRSTSIGHT_SHARED to their folder)")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a kind of run (see `helpers.runs.KINDS`) to its run directory, for reading only."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained"
    folder.mkdir(exist_ok=True)
    return lambda kind: trained_run(kind, folder)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run every test offline, in a separate folder and with a separate download folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIRSTSIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def make_images(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a folder of class/image.png; each class has its gray level, with noise."""

    def make(counts: dict[str, int], *, where: str = "photos", size: int = 12, mode: str = "RGB") -> Path:
        rng = np.random.default_rng(7)
        for number, (label, count) in enumerate(counts.items()):
            folder = tmp_path / where / label
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                level = 30 + 150 * number // max(1, len(counts) - 1)
                values = np.clip(rng.normal(level, 12, (size, size, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(values).convert(mode).save(folder / f"{i:03}.png")
        return tmp_path / where

    return make


@pytest.fixture
def sticks(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes images of people with five joints as COCO keypoints, and returns the JSON file.

    Each image has 96x120 pixels and one person on black: the head is a green dot, left joints are red, right joints
    blue. Changes of the category or of an annotation apply to all of them.
    """

    def make(
        count: int = 12,
        *,
        where: str = "sticks/person_keypoints.json",
        category: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Path:
        rng = np.random.default_rng(count)
        path = tmp_path / where
        (path.parent / "images").mkdir(parents=True, exist_ok=True)
        images, annotations = [], []
        for i in range(1, count + 1):
            joints = np.array([[48, 24], [70, 50], [26, 50], [64, 96], [32, 96]]) + rng.uniform(-5, 5, (5, 2))
            y, x = np.mgrid[:120, :96] + 0.5
            dots = [200 * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 18) for a, b in joints]
            pixels = np.stack([dots[1] + dots[3], dots[0], dots[2] + dots[4]], -1).astype(np.uint8)
            Image.fromarray(pixels).save(path.parent / "images" / f"{path.stem}-{i}.png")
            low, high = joints.min(0), joints.max(0)
            images.append({"id": i, "file_name": f"{path.stem}-{i}.png", "width": 96, "height": 120})
            annotations.append(
                {
                    "id": i,
                    "image_id": i,
                    "category_id": 1,
                    "bbox": [*low, *(high - low)],
                    "area": 3000.0,
                    "keypoints": np.concatenate([joints, np.full((5, 1), 2)], 1).ravel().tolist(),
                }
                | changes
            )
        names = ["head", "left_shoulder", "right_shoulder", "left_hip", "right_hip"]
        person = {"id": 1, "name": "person", "keypoints": names, "skeleton": [[1, 2], [1, 3], [2, 4], [3, 5]]}
        content = {"images": images, "annotations": annotations, "categories": [person | (category or {})]}
        path.write_text(json.dumps(content))
        return path

    return make


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs a command line in this process and returns exit code, stdout and stderr."""
    from firstsight.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:  # --help
            code = int(stop.code or 0)
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    return call
