"""The experiments of the networks in benchmarks/experiments.py."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import experiments
import fine_tuning
import jpeg
import numpy as np
import pytest
import torch
from accuracy import Result, mean_and_std
from PIL import Image

import firstsight as fs
from firstsight.cli.train import read as read_train
from firstsight.data.image_io import open_image
from firstsight.data.sample_image import sample_photo
from firstsight.recipes import RECIPES
from firstsight.recipes.resolve import resolve
from helpers.stand_ins import write_mnist_like

ROWS = [row for experiment in experiments.EXPERIMENTS.values() for row in experiment.rows.values()]


@pytest.mark.parametrize("row", ROWS)
def test_rows_are_recipes_with_valid_options(row: tuple[str, list[str]]) -> None:
    recipe, options = row
    assert recipe in RECIPES
    read_train([recipe, *options])
    resolve(recipe, read_train([recipe, *options])[1])


def test_an_experiment_prints_a_row_per_network_and_draws_a_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mnist_like(tmp_path / "mnist", train=100, test=50)
    rows = {"LeNet": ("lenet-fashion", []), "convnet": ("convnet-fashion", [])}
    monkeypatch.setitem(experiments.EXPERIMENTS, "alexnet", experiments.Experiment(rows, epochs=2))
    words = ["--data", str(tmp_path / "mnist"), "--out", str(tmp_path), "--figure", str(tmp_path / "figure.png")]
    for _ in range(2):  # the second time it reads the finished runs
        monkeypatch.setattr(sys, "argv", ["experiments.py", "alexnet", *words])
        experiments.main()
    lines = capsys.readouterr().out.splitlines()
    first = lines[:2]
    assert lines[2:] == first
    assert first[0].startswith("| LeNet | 61,706 | 0.4 M | ")
    assert first[1].startswith("| convnet | 84,010 | ")
    assert all("% (1 seed) |" in row for row in first)
    assert Image.open(tmp_path / "figure.png").width > 1000


def test_mean_and_standard_deviation_are_those_computed_by_hand() -> None:
    assert mean_and_std([90.0, 91.0, 92.0]) == "91.00 ± 1.00 % (3 seeds)"
    result = Result(Path(), 90.0, 0.1, 95.0, 2.0, 61_706, 416_520, 0.5)
    assert experiments.describe([result, replace(result, accuracy=92.0, minutes=4.0)]) == (
        "61,706 | 0.4 M | 3 min | 95.0 % | 91.00 ± 1.41 % (2 seeds)"
    )


@pytest.mark.slow
def test_fine_tuning_is_compared_with_training_from_random_weights(
    tmp_path: Path,
    make_images: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = make_images({"dark": 6, "light": 6}, size=24)
    fs.train("convnet", data=folder, epochs=1, out=tmp_path / "base")
    words = ["--model", "convnet", "--weights", str(tmp_path / "base"), "--seeds", "1", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["fine_tuning.py", str(folder), *words])
    fine_tuning.main()
    labels = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()]
    assert labels == [
        "convnet, random weights",
        "convnet, new head only",
        "convnet, all layers",
        "convnet, new head first, then all layers",
    ]
    head, full = fs.load(tmp_path / "convnet-new-head-only-0"), fs.load(tmp_path / "convnet-all-layers-0")
    base = fs.load(tmp_path / "base")
    assert torch.equal(head.model.stage1.conv.weight, base.model.stage1.conv.weight)
    assert not torch.equal(full.model.stage1.conv.weight, base.model.stage1.conv.weight)


def test_only_a_compression_with_shifted_blocks_changes_a_jpeg_image() -> None:
    photo = np.asarray(open_image(sample_photo()).convert("RGB"))[:32, :32]
    once = jpeg.compress(photo)
    assert np.abs(once.astype(int) - photo).mean() > 0.5
    np.testing.assert_array_equal(jpeg.compress(once), once)  # the same blocks: nothing more is lost
    shifted = np.roll(once, (3, 5), axis=(0, 1))
    assert np.abs(jpeg.compress(shifted).astype(int) - shifted).mean() > 0.5


def test_images_are_written_to_a_zip_file_without_loss(tmp_path: Path, make_images: Callable[..., Path]) -> None:
    images = fs.load_data(make_images({"dark": 6, "light": 6}, size=32))
    jpeg.write(images, tmp_path / "same.zip", is_compressed=False)
    same = fs.load_data(tmp_path / "same.zip", "test", whole=True)
    assert same.classes == images.classes
    assert sorted(map(bytes, same.images.numpy())) == sorted(map(bytes, images.images.numpy()))
