"""A file of published weights: ResNet-18."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from helpers.state_dicts import RESNET18_FILE


@pytest.fixture(scope="session")
def state18() -> dict[str, Tensor]:
    """Return the tensors of the file, as torch reads them; not to be changed."""
    return torch.load(RESNET18_FILE, weights_only=True)


@pytest.fixture
def copy_file18(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies the file under another name into the test's folder."""
    return lambda name: Path(shutil.copy(RESNET18_FILE, tmp_path / name))
