"""A file of published weights: ResNet-18; and a server of published files."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from helpers.mirror import Mirror
from helpers.state_dicts import RESNET18_FILE


@pytest.fixture(scope="session")
def state18() -> dict[str, Tensor]:
    """Return the tensors of the file, as torch reads them; not to be changed."""
    return torch.load(RESNET18_FILE, weights_only=True)


@pytest.fixture
def copy_file18(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies the file under another name into the test's folder."""
    return lambda name: Path(shutil.copy(RESNET18_FILE, tmp_path / name))


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """Serve an empty folder as the mirror of published weights, and allow connections."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = Mirror(folder)
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "0")
    monkeypatch.setenv("FIRSTSIGHT_WEIGHTS_URL", server.url)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
