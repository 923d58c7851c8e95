"""A checkpoint as others publish it."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from firstsight.weights.table import PUBLISHED, Published
from helpers.state_dicts import make_state


@pytest.fixture(scope="session")
def state18() -> dict[str, Tensor]:
    return make_state("resnet18")


@pytest.fixture(scope="session")
def file18(state18: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as published: torch.save of a resnet18, the beginning of its hash in its name."""
    plain = tmp_path_factory.mktemp("published") / "plain.pth"
    torch.save(state18, plain)
    digest = hashlib.sha256(plain.read_bytes()).hexdigest()
    return plain.rename(plain.with_name(f"resnet18-{digest[:8]}.pth"))


@pytest.fixture
def entry18(file18: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    """The table's line for resnet18 names that file."""
    entry = Published("resnet18", file18.name, 46.8, 69.758, place="http://127.0.0.1:9/")
    monkeypatch.setitem(PUBLISHED, "resnet18", entry)
    return entry


@pytest.fixture
def copy(file18: Path, tmp_path: Path) -> Callable[[str], Path]:
    """The file under another name, in the test's folder."""
    return lambda name: Path(shutil.copy(file18, tmp_path / name))
