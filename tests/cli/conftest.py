"""Runs that the tests of the command line only read."""

from pathlib import Path

import pytest

from firstsight.recipes.train import train


@pytest.fixture(scope="session")
def many_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of ``mlp`` that wrote a checkpoint at every step; copy it before changing it."""
    out = tmp_path_factory.mktemp("checkpoints") / "run"
    return train("mlp", out=out, checkpoint_seconds=0, epochs=1).run_dir
