"""Trainings of pose networks on data with images that cannot be used."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from firstsight import train
from firstsight.errors import DataError, Interrupted, UsageError
from firstsight.recipes import find_recipe
from firstsight.recipes.train import NullCallback, RunOptions, TrainingRun
from firstsight.tasks.pose.build import PoseBuilder
from helpers.damage import damage, remove_images
from helpers.modules import run_module

SMALL: dict[str, Any] = {"image_size": 64, "batch_size": 4, "epochs": 1, "max_eval_samples": 8, "evaluate_every": 1}
TRAIN = {2: "cut", 3: "missing", 5: "damaged", 8: "no image", 11: "other size"}
VAL = {1: "missing", 4: "cut"}


class Stopper(NullCallback):
    """Sends SIGTERM after the first step."""

    def on_step_end(self, *_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def data(sticks: Callable[..., Path]) -> Path:
    """Return a folder of which some images of both splits cannot be used."""
    for split, count, damages in (("train", 13, TRAIN), ("val", 5, VAL)):
        path = sticks(count, where=f"people/person_keypoints_{split}.json")
        for number, kind in damages.items():
            damage(path.parent / "images" / f"{path.stem}-{number}.png", kind)
    return path.parent


def builder(recipe: str, data: Path, *, strict: bool = False, **changes: Any) -> PoseBuilder[Any]:
    found = find_recipe(recipe)
    settings = replace(found.settings, data=str(data), **SMALL | changes)
    run = TrainingRun(found, settings, RunOptions(device="cpu", strict=strict), NullCallback())
    assert isinstance(run.builder, PoseBuilder)
    return run.builder


def test_a_training_leaves_unusable_images_out_and_resumes_with_the_same_bits(data: Path, tmp_path: Path) -> None:
    """The result is that of annotations without these images."""
    options = {"data": str(data), **SMALL}
    with pytest.raises(Interrupted):
        train("pose-tiny-lsp", out=tmp_path / "r", callback=Stopper(), **options)
    resumed = train("pose-tiny-lsp", out=tmp_path / "r", resume=True)
    config = json.loads((resumed.run_dir / "config.json").read_text())
    assert (config["data"]["train_images"], config["data"]["test_images"]) == (8, 3)
    report = (resumed.run_dir / "report.html").read_text()
    for text in (
        "5 of 13 training images cannot be used and are left out",
        "2 of 5 validation images cannot be used and are left out",
        "person_keypoints_train-2.png: damaged image",
        "person_keypoints_train-3.png: No such file or directory",
        "person_keypoints_train-5.png: damaged image",
        "person_keypoints_train-8.png: not an image",
        "and 1 more",
        "person_keypoints_val-1.png: No such file or directory",
    ):
        assert text in report

    clean = shutil.copytree(data, tmp_path / "clean")
    remove_images(clean / "person_keypoints_train.json", list(TRAIN))
    remove_images(clean / "person_keypoints_val.json", list(VAL))
    straight = train("pose-tiny-lsp", out=tmp_path / "straight", **options | {"data": str(clean)})
    ours, theirs = (load_file(run / "model.safetensors") for run in (resumed.run_dir, straight.run_dir))
    assert all(ours[name].equal(theirs[name]) for name in ours) and resumed.metrics == straight.metrics

    damage(data / "images" / "person_keypoints_train-6.png", "cut")  # the data are others now
    with pytest.raises(UsageError, match="train_images was 8, now 7"):
        train("pose-tiny-lsp", out=tmp_path / "r", resume=True)


@pytest.mark.parametrize("recipe", ["pose-tiny-lsp", "openpose-tiny-lsp"])
@pytest.mark.parametrize("scenes", ["composed", "photographs", "mosaics"])
def test_both_kinds_of_networks_leave_unusable_images_out_unless_strict(data: Path, recipe: str, scenes: str) -> None:
    changes = {"scenes": scenes} if recipe.startswith("openpose") else {}
    people, test = builder(recipe, data, **changes).load()
    assert (len(people), len(test)) == (8, 3)
    with pytest.raises(DataError, match=r"5 of 13 training images cannot be used, the first .*train-2.png: damaged"):
        builder(recipe, data, strict=True, **changes).load()


def test_an_invalid_ignored_region_matters_where_it_is_used(sticks: Callable[..., Path]) -> None:
    path = sticks(12)
    content = json.loads(path.read_text())
    content["annotations"][1] |= {"iscrowd": 1, "segmentation": {"counts": [1, 2], "size": [4, 4]}}
    path.write_text(json.dumps(content))
    lengths = {
        (recipe, scenes): sum(map(len, builder(recipe, path, **({"scenes": scenes} if scenes else {})).load()))
        for recipe, scenes in (
            ("pose-tiny-lsp", ""),
            ("openpose-tiny-lsp", "composed"),
            ("openpose-tiny-lsp", "photographs"),
            ("openpose-tiny-lsp", "mosaics"),
        )
    }
    assert list(lengths.values()) == [12, 12, 11, 11]


def test_held_out_images_do_not_depend_on_the_damage(sticks: Callable[..., Path]) -> None:
    """An image that cannot be used moves no other image from one split to the other."""
    path = sticks(20)
    before = builder("pose-tiny-lsp", path).load()
    damage(path.parent / "images" / f"{path.stem}-7.png", "cut")
    after = builder("pose-tiny-lsp", path).load()
    for whole, rest in zip(before, after, strict=True):
        assert [image.id for image in rest.images] == [image.id for image in whole.images if image.id != 7]


@pytest.mark.slow
def test_two_processes_leave_out_the_same_images(data: Path, tmp_path: Path) -> None:
    jobs = [
        {"world": world, "recipe": "pose-tiny-lsp", "settings": {"data": str(data), "out": f"{world}", **SMALL}}
        for world in (1, 2)
    ]
    done = run_module("helpers.process_group", "trainings", tmp_path, stdin=json.dumps(jobs))
    assert done.returncode == 0, done.stderr
    one, two = (json.loads((tmp_path / str(world) / "config.json").read_text()) for world in (1, 2))
    assert one["data"] == two["data"] and one["notes"] == two["notes"] and two["processes"] == 2
