"""Default settings follow a user's images; given settings, and recipes on their own data, do not change."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from firstsight.data.images.loading import load_data
from firstsight.data.images.survey import is_photographic, survey_folder
from firstsight.engine.rundir import read_config
from firstsight.recipes.registry import find_recipe
from firstsight.recipes.resolve import resolve
from firstsight.recipes.train import NullCallback, adapt_settings, train
from firstsight.tasks.classification.data_defaults import (
    MIN_UPDATES,
    MIN_UPDATES_PRETRAINED,
    MIN_UPDATES_SMALL,
    adapt_to_data,
    original_side,
)
from firstsight.tasks.classification.settings import ClassificationSettings
from firstsight.tasks.gan.settings import GANSettings


class Notes(NullCallback):
    """Callback that keeps the messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        """Keep the message."""
        self.lines.append(line)


def draw_shapes(folder: Path, *, count: int = 40, side: int = 40, seed: int = 0) -> Path:
    """Draw circles and squares of random size, place and color on white."""
    rng = np.random.default_rng(seed)
    for name in ("circles", "squares"):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            image = Image.new("RGB", (side, side), "white")
            size = int(rng.integers(side // 4, side * 5 // 8))
            x, y = (int(value) for value in rng.integers(1, side - size - 1, 2))
            draw = ImageDraw.Draw(image)
            shape = draw.ellipse if name == "circles" else draw.rectangle
            shape((x, y, x + size, y + size), fill=tuple(rng.integers(0, 200, 3).tolist()))
            image.save(folder / name / f"{i}.png")
    return folder


def write_photos(folder: Path, *, size: tuple[int, int], count: int = 6) -> Path:
    """Write colored noise, which has no flat areas, as a photograph."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def adapted(model: str, folder: Path, **given: Any) -> tuple[ClassificationSettings, tuple[str, ...]]:
    """Return the settings and the messages of a new run."""
    recipe, settings, _ = resolve(model, {"data": str(folder), **given})
    chosen, messages = adapt_settings(recipe, settings, {"data": str(folder), **given})
    assert isinstance(chosen, ClassificationSettings)
    return chosen, messages


def updates(settings: ClassificationSettings, n: int) -> int:
    return settings.epochs * -(-n // settings.batch_size)


def test_few_images_get_small_batches_and_enough_updates(tmp_path: Path) -> None:
    settings, (what, why) = adapted("convnet", draw_shapes(tmp_path / "shapes", side=64))
    recipe = find_recipe("convnet").settings
    assert isinstance(recipe, ClassificationSettings)
    assert (settings.batch_size, settings.image_size, settings.fit, settings.flip) == (16, 64, "crop", "none")
    assert updates(settings, 64) >= MIN_UPDATES > updates(recipe, 64)
    assert settings.lr == pytest.approx(recipe.lr / 2)
    assert settings.translate == 4
    assert "64x64" in what and "`epochs=150`" in what and "`batch_size=16`" in what
    assert "600 updates of the weights instead of 30" in why


def test_given_settings_are_kept_and_the_others_follow_them(tmp_path: Path) -> None:
    folder = draw_shapes(tmp_path / "shapes", side=64)
    given = {"epochs": 3, "batch_size": 10, "lr": 0.5, "image_size": 32, "flip": "random", "translate": 0, "scale": 0.0}
    settings, messages = adapted("convnet", folder, **given)
    assert {name: getattr(settings, name) for name in given} == given
    assert messages == ()
    settings, _ = adapted("convnet", folder, batch_size=64)
    assert settings.lr == find_recipe("convnet").settings.lr
    assert updates(settings, 64) >= MIN_UPDATES
    settings, _ = adapted("convnet", folder, val_fraction=0.5)
    assert settings.batch_size == 8 and updates(settings, 32) >= MIN_UPDATES


def adapted_gan(model: str, folder: Path, **given: Any) -> tuple[GANSettings, tuple[str, ...]]:
    """Return the settings and the messages of a new training of a GAN."""
    recipe, settings, _ = resolve(model, {"data": str(folder), **given})
    chosen, messages = adapt_settings(recipe, settings, {"data": str(folder), **given})
    assert isinstance(chosen, GANSettings)
    return chosen, messages


def test_a_gan_gets_enough_updates_on_few_images(tmp_path: Path) -> None:
    folder = draw_shapes(tmp_path / "shapes", count=40)
    settings, (what, why) = adapted_gan("gan", folder)
    assert (settings.batch_size, settings.epochs, settings.evaluate_every) == (32, 1000, 50)
    assert "`epochs=1000`" in what and "`batch_size=32`" in what
    assert "2,000 updates of the weights instead of 100" in why
    given = {"epochs": 3, "batch_size": 10, "evaluate_every": 1}
    settings, messages = adapted_gan("gan", folder, **given)
    assert {name: getattr(settings, name) for name in given} == given and messages == ()
    assert adapted_gan("gan", folder, packing=8)[0].batch_size == 32
    for item in (*(folder / "squares").iterdir(), *list((folder / "circles").iterdir())[5:]):
        item.unlink()
    assert adapted_gan("dcgan", folder / "circles")[0].batch_size == 2  # images without class folders


def test_a_gan_is_unchanged_on_its_own_and_on_named_data() -> None:
    for name, data in (("gan", "digits"), ("gan-stuck", "digits"), ("dcgan", "fashion-mnist"), ("infogan", "mnist")):
        recipe, settings, _ = resolve(name, {"data": data})
        assert adapt_settings(recipe, settings, {"data": data}) == (settings, ())


def test_files_that_cannot_be_read_do_not_count(tmp_path: Path) -> None:
    folder = draw_shapes(tmp_path / "shapes", count=8)
    before = survey_folder(folder)
    for name in ("circles", "squares"):
        for i in range(8):
            (folder / name / f"broken{i}.png").write_bytes(b"no image")
    after = survey_folder(folder)
    assert before and after and before.train_images == 12
    train_set = load_data(str(folder), "train", size=32)
    assert after.train_images == len(train_set)
    _, (what, _why) = adapted("convnet", folder)
    assert not re.search(r"[0-9]+ (training )?images", what + train_set.notes[0])


def test_photographs_are_flipped_and_padded(tmp_path: Path) -> None:
    settings, (what, why) = adapted("convnet", write_photos(tmp_path / "photos", size=(120, 80)))
    assert (settings.flip, settings.fit, settings.image_size) == ("random", "pad", 64)
    assert "photographs" in what and "120x80" in what
    assert "nothing is cut off" in why and "flipped" in why


def test_the_recipe_is_unchanged_on_its_own_and_on_named_data() -> None:
    for name, data in (("convnet", "digits"), ("lenet", "fashion-mnist"), ("resnet18", "digits")):
        recipe, settings, _ = resolve(name, {"data": data})
        assert adapt_settings(recipe, settings, {"data": data}) == (settings, ())


def test_pretrained_weights_keep_size_batch_and_learning_rate(tmp_path: Path) -> None:
    folder = draw_shapes(tmp_path / "shapes", side=64)
    settings, _ = adapted("resnet18", folder, weights="imagenet")
    assert (settings.image_size, settings.batch_size, settings.lr) == (224, 32, 1e-4)
    assert (settings.fit, settings.flip) == ("crop", "none")
    assert updates(settings, 64) >= MIN_UPDATES_PRETRAINED


def test_pretrained_weights_of_small_images_get_larger_photographs(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", size=(120, 80))
    settings, (what, _) = adapted("airbench", folder, weights="airbench-cifar10")
    assert (settings.image_size, settings.batch_size, settings.lr, settings.fit) == (64, 32, 5e-4, "crop")
    assert "`image_size=64`" in what
    count = survey_folder(folder).train_images
    assert updates(settings, count) >= MIN_UPDATES_SMALL
    assert adapted("airbench", folder, weights="airbench-cifar10", image_size=32)[0].image_size == 32
    assert adapted("lenet", folder, weights="lenet-digits")[0].image_size == 32
    small = draw_shapes(tmp_path / "shapes", side=32)
    assert adapted("airbench", small, weights="airbench-cifar10")[0].image_size == 32


@pytest.mark.parametrize(("model", "size"), [("lenet", 32), ("resnet18", 128), ("alexnet", 128), ("airbench", 64)])
def test_the_image_size_is_one_that_the_network_accepts(tmp_path: Path, model: str, size: int) -> None:
    settings, _ = adapted(model, write_photos(tmp_path / "photos", size=(300, 300), count=3))
    assert settings.image_size == size


def test_data_that_cannot_be_used_are_left_to_the_loader(tmp_path: Path) -> None:
    settings = ClassificationSettings(data=str(tmp_path / "none"))
    assert adapt_to_data("convnet", settings, {}) == (settings, ())
    (tmp_path / "empty").mkdir()
    settings = ClassificationSettings(data=str(tmp_path / "empty"))
    assert adapt_to_data("convnet", settings, {}) == (settings, ())


def test_a_resumed_run_keeps_the_settings_that_were_chosen(make_images: Callable[..., Path]) -> None:
    folder = make_images({"dark": 6, "light": 6}, size=20)
    notes = Notes()
    train("convnet", data=folder, epochs=2, out="run", callback=notes)
    config = read_config(Path("run"))
    assert config and config.settings["batch_size"] == 8
    assert [line for line in notes.lines if line.startswith("settings for your images")]
    assert "2 classes: dark (5), light (5)" in notes.lines
    make_images({"dark": 6, "light": 300}, size=20, where="other")  # a survey now would choose other values
    again = Notes()
    train("convnet", out="run", resume=True, callback=again)
    assert not [line for line in again.lines if line.startswith("settings for")]
    assert read_config(Path("run")) == config


def test_the_original_size_of_images_is_known_after_the_training(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", size=(120, 80), count=2)
    assert original_side(str(photos), 32) == 120
    assert original_side("digits", 16) == 16 and original_side(str(tmp_path / "none"), 8) == 8


def test_drawings_are_told_from_photographs(tmp_path: Path) -> None:
    drawing = survey_folder(draw_shapes(tmp_path / "shapes", count=4))
    photos = survey_folder(write_photos(tmp_path / "photos", size=(90, 60)))
    assert drawing and photos
    assert (drawing.is_photographic, photos.is_photographic) == (False, True)
    assert (photos.side, photos.median_size, photos.train_images, photos.classes) == (90, (90, 60), 10, 2)
    assert photos.upper_aspect == 1.5
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    assert not is_photographic(Image.fromarray(noise))
    assert not is_photographic(Image.fromarray(noise).convert("RGB"))  # gray


@pytest.mark.slow
def test_circles_and_squares_are_learned_without_any_option(tmp_path: Path) -> None:
    result = train("convnet", data=draw_shapes(tmp_path / "shapes"), out="run")
    assert result.metrics["accuracy"] >= 0.95
