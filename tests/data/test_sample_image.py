"""Installations without the sample photograph of matplotlib."""

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from firstsight.data import sample_image
from firstsight.data.sample_image import sample_photo
from firstsight.errors import DataError


@pytest.mark.parametrize("origin", ["no matplotlib", None, "matplotlib/__init__.py"])
def test_missing_sample_photo_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str | None) -> None:
    """matplotlib is not installed, is a namespace package without a file, or has no sample data."""
    spec = ModuleSpec("matplotlib", None, origin=str(tmp_path / origin) if origin else None)
    monkeypatch.setattr(sample_image, "find_spec", lambda _: None if origin == "no matplotlib" else spec)
    with pytest.raises(DataError, match="sample photograph is not installed; pass the path of an image"):
        sample_photo()
