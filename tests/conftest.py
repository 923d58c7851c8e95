"""What every test can ask for."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

ROOT = Path(__file__).parents[1]

settings.register_profile("firstsight", deadline=None, derandomize=True)  # no timing, the same cases every time
settings.load_profile("firstsight")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data beside the checkout ($FIRSTSIGHT_SHARED, default ../shared): needed in CI, skipped elsewhere."""
    place = Path(os.environ.get("FIRSTSIGHT_SHARED", ROOT.parent / "shared")) / "data"
    if not place.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"no shared data at {place}, and CI must not skip")
        pytest.skip(f"no shared data at {place} (set FIRSTSIGHT_SHARED)")
    return place


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in a folder of its own, with a download folder of its own, offline."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIRSTSIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder of class/picture.png: each class a grey level of its own, with noise."""

    def make(counts: dict[str, int], *, where: str = "pictures", size: int = 12, mode: str = "RGB") -> Path:
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
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in this process: exit code, stdout, stderr."""
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
