"""Which run is resumed, with which state; runs that were killed before they began, damaged or of another program."""

import json
import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from firstsight.engine import checkpoint
from firstsight.engine.rundir import create_run
from firstsight.errors import CheckpointError, RunError, UsageError, WeightsError
from firstsight.recipes.resolve import resolve
from firstsight.recipes.train import NullCallback, train
from firstsight.tasks.load import load, read_any, read_resolved
from firstsight.tasks.provenance import run_settings

Settings = dict[str, Any]


class Listener(NullCallback):
    """Keeps the warnings, and stops the training before its first checkpoint if ``stops`` is set."""

    def __init__(self, *, stops: bool = False) -> None:
        self.stops = stops
        self.warnings: list[str] = []

    def warn(self, line: str) -> None:
        self.warnings.append(line)

    def on_step_end(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        if self.stops:
            raise Killed


class Killed(Exception):
    """Stands for the end of a process."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    """Return the directory of a finished run and its settings: two epochs of two steps, a checkpoint after each."""
    folder = tmp_path_factory.mktemp("finished")
    rng = np.random.default_rng(7)
    for label, level in (("dark", 50), ("light", 200)):
        (folder / "photos" / label).mkdir(parents=True)
        for i in range(10):
            pixels = rng.normal(level, 12, (8, 8)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / label / f"{i}.png")
    settings = {"data": str(folder / "photos"), "image_size": 8, "batch_size": 8, "epochs": 2}
    train("mlp", out=folder / "run", checkpoint_seconds=0, **settings)
    return folder / "run", settings


@pytest.fixture
def small(finished: tuple[Path, Settings]) -> Settings:
    """Return settings of a training that takes a moment."""
    return finished[1]


@pytest.fixture
def run(finished: tuple[Path, Settings], tmp_path: Path) -> Path:
    """Return the directory of a finished run."""
    return Path(shutil.copytree(finished[0], tmp_path / "run"))


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def move_to(run: Path, where: str) -> Path:
    """Move a run directory into the current folder."""
    Path(where).parent.mkdir(parents=True, exist_ok=True)
    return run.rename(where)


def test_run_without_configuration_does_not_hide_the_one_before(run: Path) -> None:
    """A process was killed after it had made the directory, and another one after it had locked it."""
    first = move_to(run, "runs/mlp-photos/1")
    for name in ("2", "3"):
        (first.parent / name).mkdir()
    (first.parent / "3" / ".lock").touch()
    assert resolve("mlp", {}, resume=True)[2] == first
    assert train("mlp", resume=True).run_dir == first
    assert create_run(first.parent).name == "4"


def copy_as(run: Path, where: str, *, data: str = "", age: int = 0) -> Path:
    """Copy a run as an interrupted one, with its newest checkpoint removed; ``age`` in seconds."""
    copy = Path(shutil.copytree(run, where))
    (copy / "model.safetensors").unlink()
    shutil.rmtree(max((copy / "checkpoints").iterdir(), key=lambda path: int(path.name.split("-")[-1])))
    lines = (copy / "metrics.jsonl").read_text().splitlines(keepends=True)
    (copy / "metrics.jsonl").write_text("".join(lines[:1]))
    if data:
        name = Path(data).name
        edit(copy / "config.json", lambda config: config.update(recipe=f"mlp-{name}"))
        edit(copy / "config.json", lambda config: config["settings"].update(data=data))
    seconds = (copy / "config.json").stat().st_mtime - age
    os.utime(copy / "config.json", (seconds, seconds))
    return copy


def test_a_run_with_a_directory_of_its_own_is_resumed_too(run: Path) -> None:
    numbered = copy_as(run, "runs/mlp-photos/1", age=60)
    own = copy_as(run, "runs/a")
    assert resolve("mlp", {}, resume=True)[2] == own
    os.utime(numbered / "config.json")
    assert resolve("mlp", {}, resume=True)[2] == numbered


def test_the_run_on_the_given_data_is_resumed(run: Path, small: Settings) -> None:
    on_photos = copy_as(run, "runs/mlp-photos/2", age=60)
    copy_as(run, "runs/mlp-digits/2", data="digits")
    assert resolve("mlp", {"data": small["data"]}, resume=True)[2] == on_photos
    assert resolve("mlp", {"data": "mnist"}, resume=True)[2] is None


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("내사진", "mlp-내사진"),
        (unicodedata.normalize("NFD", "내사진"), "mlp-내사진"),
        ("मेरी तस्वीरें.zip", "mlp-मेरी-तस्वीरें"),
        ("my photos (2)!", "mlp-my-photos-2"),
        ("a_b.c-d", "mlp-a_b"),
        ("a$b`c\udce9|d", "mlp-a-b-c-d"),
        ("...", "mlp-data"),
        ("사" * 84, "mlp-" + "사" * 66),
    ],
)
def test_the_name_of_a_run_keeps_letters_of_all_scripts(data: str, name: str) -> None:
    assert resolve("mlp", {"data": data})[0].name == name


def test_a_larger_length_of_a_run_that_does_not_exist_is_refused(run: Path) -> None:
    assert resolve("mlp", {"epochs": 70}, resume=True)[2] is None
    copy_as(run, "runs/a")
    with pytest.raises(UsageError) as error:
        resolve("mlp", {"epochs": 70, "data": "mnist"}, resume=True)
    for part in ("mlp-mnist has no run", "`train('runs/a', resume=True)` `epochs=70`", "omit `resume`"):
        assert part in str(error.value)
    assert resolve("lenet", {"epochs": 70}, resume=True)[2] is None


def test_the_newest_interrupted_run_is_resumed_without_a_name(run: Path) -> None:
    with pytest.raises(UsageError, match="no interrupted run in runs; name a recipe"):
        train(resume=True)
    shutil.copytree(run, "runs/finished")
    with pytest.raises(UsageError, match=r"larger `epochs`, as in `train\('runs/finished', resume=True\)`"):
        train(resume=True)
    copy_as(run, "runs/mlp-photos/1", age=120)
    newer = copy_as(run, "runs/mine", age=60)
    assert train(resume=True).run_dir == newer
    assert (newer / "report.html").is_file()
    assert train(resume=True, out="runs/mlp-photos/1").epochs == 2
    with pytest.raises(UsageError, match="empty: holds no run to continue"):
        train(resume=True, out="empty")


@pytest.mark.parametrize("content", ["{", "[]", '{"model_type": "vit"}', "\x00" * 100, '{"settings": {"lr": {}}}'])
def test_damaged_configuration_of_another_run_does_not_matter(run: Path, content: str) -> None:
    first = move_to(run, "runs/mlp-photos/1")
    for other in (Path("runs/lenet-digits/1"), first.parent / "0", Path("runs/notes/7")):
        other.mkdir(parents=True)
        (other / "config.json").write_text(content)
    assert resolve("mlp", {}, resume=True)[2] == first
    own = Path("runs/mlp/9")
    own.mkdir(parents=True)
    (own / "config.json").write_text(content)
    with pytest.raises(RunError, match=r"^runs/mlp/9/config.json: not the configuration of a run"):
        resolve("mlp", {}, resume=True)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", 1.5, "`epochs` must be an integer; got 1.5"),
        ("image_size", "digits", "`image_size` must be an integer; got the text 'digits'"),
        ("lr", None, "`lr` must be a number; got None"),
        ("batch_size", 2**62, "`batch_size` must be between 1 and 1000000"),
        ("weights", 9, "`weights` must be a string; got 9"),
    ],
)
def test_saved_settings_are_checked_and_the_file_is_named(run: Path, name: str, value: Any, message: str) -> None:
    edit(run / "config.json", lambda config: config["settings"].update({name: value}))
    with pytest.raises(RunError) as error:
        train("mlp", out=run, resume=True)
    assert str(error.value).startswith(f"{run}/config.json: {message}")


def test_run_stopped_before_its_first_checkpoint_is_resumed_with_its_number_of_threads(
    tmp_path: Path, small: Settings
) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with pytest.raises(Killed):
            train("mlp", out=tmp_path / "run", callback=Listener(stops=True), **small)
        assert not (tmp_path / "run" / "checkpoints").exists()
        torch.set_num_threads(1)
        train("mlp", out=tmp_path / "run", resume=True)
        assert torch.get_num_threads() == 3
        saved, _ = checkpoint.load_newest(tmp_path / "run" / "checkpoints")
        assert saved is not None and saved.progress.threads == 3
    finally:
        torch.set_num_threads(threads)


def test_checkpoints_of_an_earlier_run_are_not_taken_for_those_of_a_new_one(run: Path, small: Settings) -> None:
    (run / "config.json").unlink()
    for resume in (True, False):
        with pytest.raises(RunError, match=r"holds checkpoints of a run, but no config\.json"):
            train("mlp", out=run, resume=resume, **small | {"epochs": 1})


def test_damaged_line_of_metrics_is_named_once_and_the_later_ones_are_in_the_report(run: Path) -> None:
    first, second = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text(f'{{"epoch": 0, "st\n{first}\n{second}\n')
    listener = Listener()
    train("mlp", out=run, resume=True, callback=listener)
    (warning,) = listener.warnings[-1:]
    assert warning.startswith(f"{run}/metrics.jsonl: line 1: ") and warning.endswith("; the line is left out")
    assert [json.loads(line)["epoch"] for line in (run / "metrics.jsonl").read_text().splitlines()] == [1, 2]
    again = Listener()
    train("mlp", out=run, resume=True, callback=again)
    assert warning not in again.warnings


@pytest.mark.parametrize("line", ["", '{"epoch": 1, "step": 2}\n', '{"epoch": 1, "step": 2, "train/loss": 1}\n'])
def test_metrics_that_lack_those_of_the_report_are_refused(run: Path, line: str) -> None:
    (run / "metrics.jsonl").write_text(line)
    with pytest.raises(RunError, match="its metrics are not those of such a training") as error:
        train("mlp", out=run, resume=True)
    assert "\n" not in str(error.value)


def test_resuming_a_finished_run_removes_what_killed_processes_left(run: Path) -> None:
    """A checkpoint that was being written, one that was being removed, an older one, and files of atomic writes."""
    before = sorted(run.rglob("*"))
    for name in (".00000007.tmp", ".00000001.old.tmp", "00000001"):
        shutil.copytree(max((run / "checkpoints").iterdir()), run / "checkpoints" / name)
    for name in (".report.html.99.tmp", "figures/.learning-curves.png.12.tmp", "checkpoints/.x.12.tmp"):
        (run / name).write_text("x")
    train("mlp", out=run, resume=True)
    kept = [path for path in sorted(run.rglob("*")) if path not in before]
    assert kept == []
    assert checkpoint.list_steps(run / "checkpoints") == [3, 4]


CONFIGS_OF_OTHERS = ['{"model_type": "vit", "settings": {}}', "not JSON", '{"settings": {"data": "elsewhere"}}', "[]"]


@pytest.mark.parametrize("content", CONFIGS_OF_OTHERS)
def test_configuration_of_another_program_beside_a_weights_file_is_ignored(
    run: Path, tmp_path: Path, content: str
) -> None:
    copy = tmp_path / "a" / "b" / "model.safetensors"
    copy.parent.mkdir(parents=True)
    shutil.copy(run / "model.safetensors", copy)
    for folder in (copy.parent, copy.parent.parent, tmp_path):
        (folder / "config.json").write_text(content)
        assert run_settings(copy) is None


def test_settings_of_a_run_are_found_from_its_weights_and_checkpoints_only(run: Path, tmp_path: Path) -> None:
    newest = max((run / "checkpoints").iterdir())
    data = json.loads((run / "config.json").read_text())["settings"]["data"]
    for path in (run, run / "model.safetensors", newest / "net.safetensors"):
        settings = run_settings(path)
        assert settings is not None and settings["data"] == data
    (run / "x" / "y").mkdir(parents=True)
    for path in (run / "figures" / "x.png", run / "x" / "y" / "z.safetensors"):
        assert run_settings(path) is None


def test_checkpoint_that_is_removed_while_it_is_loaded_is_replaced_by_the_newest(run: Path) -> None:
    (run / "model.safetensors").unlink()
    root = run / "checkpoints"
    paths = []

    def read_late(path: Path) -> str:
        """Read a file after the training has saved two more checkpoints, and removed this one."""
        paths.append(path)
        if len(paths) == 1:
            path.parent.rename(root / "00000099")
        return read_any(path)[0].name

    assert read_resolved(run, read_late) == "classification"
    assert [path.parent.name for path in paths] == [paths[0].parent.name, "00000099"]
    for path in root.iterdir():
        (path / "net.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="no usable checkpoint"):
        load(run)


def test_checkpoint_without_a_card_is_refused(run: Path) -> None:
    (run / "model.safetensors").unlink()
    saved, _ = checkpoint.load_newest(run / "checkpoints")
    assert saved is not None
    shutil.rmtree(run / "checkpoints")
    net = torch.nn.Linear(2, 2)
    checkpoint.save(
        run / "checkpoints", 4, models={"net": net}, optimizers={}, progress=saved.progress, cards={}, versions={}
    )
    with pytest.raises(WeightsError, match="00000004: no weights file with a usable card in it"):
        load(run)


def test_run_of_another_network_is_refused_in_one_line(run: Path) -> None:
    edit(run / "config.json", lambda config: config.update(recipe="x\n" * 500))
    with pytest.raises(UsageError, match="was trained as x") as error:
        train("lenet", out=run, resume=True)
    assert len(str(error.value)) <= 300 and "\n" not in str(error.value)


def test_configuration_of_an_earlier_version_is_read(run: Path) -> None:
    """It lacks what later versions record."""

    def strip(config: dict[str, Any]) -> None:
        for name in ("threads", "launcher", "processes", "notes", "device", "versions"):
            del config[name]

    edit(run / "config.json", strip)
    assert train("mlp", out=run, resume=True).epochs == 2
