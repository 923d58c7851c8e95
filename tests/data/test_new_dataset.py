"""A new published data set is one entry of the registry."""

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import firstsight
from firstsight.cli import main
from firstsight.data.checksum import sha256_of
from firstsight.data.datasets import DATASETS, DatasetInfo, RemoteFile, register_dataset
from firstsight.data.images.find import has_split
from firstsight.data.images.loading import load_data
from firstsight.errors import DataError
from helpers.files import idx
from helpers.mirror import Mirror

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@pytest.fixture
def stripes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Register images of horizontal and vertical stripes, as two files of MNIST's format for each split."""
    rng = np.random.default_rng(0)
    contents = []
    for n in (64, 32):
        labels = np.arange(n) % 2
        rows = np.where(np.arange(28) % 4 < 2, 255, 0)
        images = np.where(labels[:, None, None] == 0, rows[:, None], rows[None, :])
        noisy = (0.5 * images + 0.5 * rng.integers(0, 255, (n, 28, 28))).astype(np.uint8)
        contents += [gzip.compress(idx(noisy)), gzip.compress(idx(labels.astype(np.uint8)))]
    folder = tmp_path / "home/data/stripes"
    folder.mkdir(parents=True)
    for name, content in zip(FILES, contents, strict=True):
        (folder / f"{name}.gz").write_bytes(content)
    monkeypatch.setenv("FIRSTSIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(DATASETS, "stripes", DATASETS["mnist"])  # restores the table afterwards
    register_dataset(
        DatasetInfo(
            name="stripes",
            title="Stripes",
            shape="64 + 32, 28x28 gray",
            classes=("horizontal", "vertical"),
            license="public domain",
            homepage="https://example.org",
            mirrors=("https://example.org/",),
            files=tuple(RemoteFile(f"{name}.gz", "0" * 64, 1000) for name in FILES),
        )
    )


@pytest.mark.usefixtures("stripes")
def test_several_downloads_of_one_data_set_at_once_succeed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of files exclude threads as they exclude processes."""
    published = (tmp_path / "home/data/stripes").rename(tmp_path / "published")
    files = tuple(RemoteFile(path.name, sha256_of(path), path.stat().st_size) for path in sorted(published.iterdir()))
    server = Mirror(published)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "0")
    register_dataset(replace(DATASETS["stripes"], mirrors=(server.url,), files=files))
    try:
        with ThreadPoolExecutor(6) as pool:
            sets = list(pool.map(lambda split: firstsight.load_data("stripes", split), ["train", "test"] * 3))
    finally:
        server.shutdown()
        server.server_close()
    assert [len(images) for images in sets] == [64, 32] * 3
    assert sorted(server.requests) == [f"/{file.name}" for file in files]  # each file once


@pytest.mark.usefixtures("stripes")
def test_a_registered_data_set_is_loaded_listed_and_trained_on(capsys: pytest.CaptureFixture[str]) -> None:
    test = firstsight.load_data("stripes", "test")
    assert test.classes == ("horizontal", "vertical") and len(test) == 32 and test.name == "stripes"
    assert main(["data"]) == 0
    assert "stripes" in capsys.readouterr().out
    result = firstsight.train("lenet", data="stripes", epochs=3, batch_size=16, device="cpu")
    assert result.recipe == "lenet-stripes" and result.metrics["accuracy"] == 1


@pytest.mark.usefixtures("stripes")
def test_only_the_files_of_a_split_are_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = (tmp_path / "home/data/stripes").rename(tmp_path / "published")
    files = tuple(RemoteFile(path.name, sha256_of(path), path.stat().st_size) for path in sorted(published.iterdir()))
    server = Mirror(published)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    try:
        monkeypatch.delenv("FIRSTSIGHT_OFFLINE", raising=False)
        info = replace(DATASETS["stripes"], files=files, mirrors=(server.url,))
        monkeypatch.setitem(DATASETS, "stripes", info)
        lines: list[str] = []
        test = load_data("stripes", "test", notify=lines.append)
        assert (len(test), test.classes, test.split, test.notes) == (32, ("horizontal", "vertical"), "test", ())
        assert [Path(line.split()[1]).name[:4] for line in lines] == ["t10k", "t10k"]
        assert has_split(info, "test") and not has_split(info, "train")
        monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "1")
        assert torch.equal(load_data("stripes", "test").images, test.images)
        with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is not in"):
            load_data("stripes")
        monkeypatch.delenv("FIRSTSIGHT_OFFLINE")
        assert len(load_data("stripes", notify=lines.append)) == 64 and len(lines) == 4
        monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "1")
        assert torch.equal(load_data("stripes", "test").images, test.images)  # now read from the whole folder
    finally:
        server.shutdown()
        server.server_close()
    partial = replace(info, files=files[:3])
    assert partial.split_files("test") == partial.files
