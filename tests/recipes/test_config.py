"""Training again with the configuration of a run, extending a finished run, and naming a run to continue."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from firstsight.engine.rundir import read_metrics
from firstsight.errors import RunError, UsageError
from firstsight.optim.schedule import learning_rate_factor
from firstsight.recipes.config import load_config
from firstsight.recipes.resolve import resolve
from firstsight.recipes.train import NullCallback, train
from firstsight.tasks.classification.train import ClassificationTask
from firstsight.weights.resolve import weights_of_run

Make = Callable[..., Path]


class Listener(NullCallback):
    """Keeps the notes, and stops the training like a kill after some epoch or step."""

    def __init__(self, *, epoch: int = 0, step: int = 0) -> None:
        self.stop = (epoch, step)
        self.notes: list[str] = []

    def note(self, line: str) -> None:
        self.notes.append(line)

    def on_step_end(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        if (epoch, index) == self.stop:
            raise Killed


class Killed(Exception):
    """Stands for the end of a process."""


@pytest.fixture
def data(make_images: Make) -> str:
    """Return a folder of images of two classes: two steps per epoch with the settings of `SMALL`."""
    return str(make_images({"dark": 10, "light": 10}, size=8))


SMALL: Any = {"image_size": 8, "batch_size": 8}


def tensors(run: Path) -> Mapping[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def are_equal(one: Path, other: Path) -> bool:
    first, second = tensors(one), tensors(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_is_repeated_from_its_configuration_with_the_same_bits(data: str) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        first = train("mlp", data=data, epochs=2, lr=0.02, seed=5, **SMALL)
        torch.set_num_threads(1)
        listener = Listener()
        again = train(config=first.run_dir / "config.json", callback=listener)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert again.run_dir == first.run_dir.with_name("2") and again.recipe == "mlp-photos"
    assert are_equal(first.run_dir, again.run_dir)
    assert listener.notes[0] == "2 classes: dark (8), light (8)"
    assert listener.notes[1] == "settings of runs/mlp-photos/1/config.json"
    before, now = (json.loads((run / "config.json").read_text()) for run in (first.run_dir, again.run_dir))
    assert before == now


def test_explicit_settings_replace_those_of_the_configuration_and_are_named(data: str) -> None:
    first = train("mlp", data=data, epochs=1, **SMALL)
    listener = Listener()
    other = train("mlp", config="latest", lr=0.05, epochs=2, callback=listener)
    assert listener.notes[0] == "latest: runs/mlp-photos/1"
    assert listener.notes[2].startswith(
        "settings of runs/mlp-photos/1/config.json, except for: epochs was 1, now 2; lr was"
    )
    settings = json.loads((other.run_dir / "config.json").read_text())["settings"]
    assert (settings["lr"], settings["epochs"], settings["batch_size"]) == (0.05, 2, 8)
    assert not are_equal(first.run_dir, other.run_dir)


def test_data_that_have_changed_are_named(data: str) -> None:
    first = train("mlp", data=data, epochs=1, **SMALL)
    (Path(data) / "dark" / "000.png").unlink()
    listener = Listener()
    train(config=first.run_dir, callback=listener)
    assert listener.notes[2].startswith("the data are not those of runs/mlp-photos/1/config.json: ")


def test_other_data_give_the_run_another_name(data: str, make_images: Make) -> None:
    train("mlp", data=data, epochs=1, **SMALL)
    other = make_images({"dark": 10, "light": 10}, where="others", size=8)
    assert train(config="latest", data=str(other)).run_dir == Path("runs/mlp-others/1")


def test_a_training_from_a_configuration_can_be_resumed(data: str) -> None:
    first = train("mlp", data=data, epochs=2, **SMALL)
    with pytest.raises(Killed):
        train(config=first.run_dir, out="own", checkpoint_seconds=0, callback=Listener(epoch=2, step=1))
    assert train(config=first.run_dir, out="own", resume=True).run_dir == Path("own")
    assert are_equal(first.run_dir, Path("own"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "c.json: not the configuration of a run (not valid JSON"),
        ('{"model_type": "vit"}', "c.json: not the configuration of a run (object missing required field recipe)"),
        (
            '{"recipe": "x", "model": "vit", "settings": {}, "data": {}}',
            "c.json: its network vit is not one of this",
        ),
        ('{"recipe": "x", "model": "mlp", "settings": {"lr": -1.0}, "data": {}}', "c.json: `lr` must be above 0"),
        ('{"recipe": "x", "model": "mlp", "settings": {"momenta": 3}, "data": {}}', "with other settings (momenta)"),
    ],
)
def test_a_damaged_or_foreign_configuration_is_refused_in_one_line(content: str, message: str) -> None:
    Path("c.json").write_text(content)
    with pytest.raises((RunError, UsageError)) as error:
        train(config="c.json")
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not Path("runs").exists()


def test_names_that_fit_no_configuration_are_refused(data: str) -> None:
    train("mlp", data=data, epochs=1, **SMALL)
    with pytest.raises(UsageError, match="is of a run of mlp, not of lenet"):
        train("lenet", config="latest")
    with pytest.raises(UsageError, match="`config=nowhere`: there is no file nowhere"):
        train(config="nowhere")
    with pytest.raises(UsageError, match="mlp has no setting 'latent_dim'"):
        train(config="latest", latent_dim=3)
    with pytest.raises(UsageError, match="latest: is a run; continue it with `resume=True`"):
        train("latest")
    with pytest.raises(UsageError, match="name a recipe or a network, or use `config`"):
        train()


def test_an_extended_run_is_trained_as_the_end_of_a_longer_one(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The learning rate is that of the longer schedule, from the first step after the extension on."""
    rates: list[float] = []
    original = ClassificationTask.train_step

    def train_step(self: ClassificationTask, batch: Any) -> Any:
        scalars = original(self, batch)
        rates.append(self.optimizers["net"].param_groups[0]["lr"])
        return scalars

    monkeypatch.setattr(ClassificationTask, "train_step", train_step)
    settings = {"lr": 0.01, "schedule": "cosine", "warmup": 0.0, "optimizer": "adamw", **SMALL}
    run = train("mlp", data=data, epochs=3, **settings).run_dir
    listener = Listener()
    result = train("mlp", resume=True, epochs=5, callback=listener)
    assert result.run_dir == run and result.epochs == 5
    expected = [0.01 * learning_rate_factor(step / 6, "cosine", 0.0) for step in range(6)]
    expected += [0.01 * learning_rate_factor(step / 10, "cosine", 0.0) for step in range(6, 10)]
    assert rates == pytest.approx(expected)
    note = "extended to 5 epochs; the rest is trained as in a run of 5 epochs: the cosine schedule continues at 35% of"
    assert any(line.startswith(note) for line in listener.notes)
    assert [line["epoch"] for line in read_metrics(run).lines] == [1, 2, 3, 4, 5]
    assert "the run was extended (planned epochs: 3, then 5)" in (run / "report.html").read_text()
    config = load_config(run).config
    assert config.settings["epochs"] == 5 and config.extended == [3]


@pytest.mark.parametrize(("epoch", "step"), [(3, 1), (4, 2)])
def test_an_extended_run_that_is_killed_ends_with_the_same_bits(data: str, epoch: int, step: int) -> None:
    run = train("mlp", data=data, epochs=2, **SMALL).run_dir
    killed = Path(shutil.copytree(run, "killed"))
    train("mlp", out=run, resume=True, epochs=4)
    with pytest.raises(Killed):
        train("mlp", out=killed, resume=True, epochs=4, checkpoint_seconds=0, callback=Listener(epoch=epoch, step=step))
    assert weights_of_run(killed).parent.parent == killed / "checkpoints"  # not the result of two epochs
    train("mlp", out=killed, resume=True)
    assert are_equal(run, killed)
    lines = [[{**line, "seconds": 0} for line in read_metrics(path).lines] for path in (run, killed)]
    assert lines[0] == lines[1] and len(lines[0]) == 4


def test_a_run_is_extended_twice_and_by_more_steps(data: str) -> None:
    run = train("mlp", data=data, epochs=9, max_steps=2, **SMALL).run_dir
    assert train("mlp", resume=True, max_steps=4).epochs == 2
    assert train("mlp", resume=True, max_steps=0, epochs=10).epochs == 10
    assert load_config(run).config.extended == [9, 9]


def test_a_run_cannot_become_shorter_or_change_its_other_settings(data: str) -> None:
    train("mlp", data=data, epochs=2, **SMALL)
    for changes, message in (({"epochs": 1}, "epochs was 2, now 1"), ({"epochs": 4, "lr": 1.0}, "lr was .*, now 1.0")):
        with pytest.raises(UsageError, match=message):
            train("mlp", resume=True, **changes)
    with pytest.raises(UsageError, match="no setting 'learning_rate'; did you mean lr"):
        train("mlp", resume=True, learning_rate=1.0)  # type: ignore[call-arg]
    assert load_config("latest").config.settings["epochs"] == 2


def test_a_run_to_continue_can_be_named_by_its_directory_or_as_the_latest(data: str) -> None:
    train("mlp", data=data, epochs=1, **SMALL)
    assert train("latest", resume=True, epochs=2).run_dir == Path("runs/mlp-photos/1")
    assert train("runs/mlp-photos/1", resume=True, epochs=3).epochs == 3


def test_latest_weights_are_recorded_as_the_run_that_they_are(data: str) -> None:
    """A resumed fine-tuning starts from the same run, although it is the newest one itself."""
    train("mlp", data=data, epochs=1, **SMALL)
    listener = Listener()
    tuned = train("mlp", data=data, epochs=1, weights="latest", callback=listener, **SMALL)
    assert load_config(tuned.run_dir).config.settings["weights"] == "runs/mlp-photos/1"
    assert any("the head is kept, because the 2 classes are the same" in line for line in listener.notes)


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        ({"dark": 5, "light": 5, "red": 5}, "the head is new, because the data have 3 classes, and the weights 2"),
        (
            {"dark": 5, "pale": 5},
            r"the head is new, because the classes have other names (light was trained, not pale)",
        ),
    ],
)
def test_a_new_head_is_named_with_its_reason(
    data: str, make_images: Make, classes: dict[str, int], reason: str
) -> None:
    run = train("mlp", data=data, epochs=1, **SMALL).run_dir
    listener = Listener()
    other = str(make_images(classes, where="others", size=8))
    train("mlp", data=other, epochs=1, weights=str(run), callback=listener, **SMALL)
    assert any(line.endswith(reason) for line in listener.notes), listener.notes


def test_augmentation_of_a_recipe_is_scaled_to_a_small_image_size() -> None:
    """airbench-cifar10 shifts by 4 pixels and blanks squares of 12 pixels, in images of 32."""
    settings = resolve("airbench-cifar10", {"image_size": 10})[1]
    assert (settings.translate, settings.cutout) == (4, 3)
    assert resolve("resnet20-cifar10", {"image_size": 4})[1].translate == 0
    assert resolve("airbench-cifar10", {"image_size": 64})[1].cutout == 12
    with pytest.raises(UsageError, match="`cutout` must be at most `image_size`, 10; got 12"):
        resolve("airbench-cifar10", {"image_size": 10, "cutout": 12})
