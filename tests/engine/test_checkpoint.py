"""Checkpoints: exact resume, detection of damage, no pickle."""

import errno
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import nn

from firstsight.documents.runs import RunProgress, TrainState
from firstsight.engine import checkpoint
from firstsight.errors import CheckpointError
from firstsight.models.classification import create_model
from firstsight.optim.config import OptimizerConfig, make_optimizer

Kind = Literal["adam", "adamw", "sgd", "muon"]
Pair = tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]


def trained_pair(kind: Kind = "adam", name: str = "lenet", steps: int = 3) -> Pair:
    """Return a network and its optimizer after some steps on random images."""
    torch.manual_seed(1)
    net = create_model(name)
    optimizer = make_optimizer(
        net, OptimizerConfig(optimizer=kind, lr=0.01, schedule="constant", warmup=0.0, weight_decay=0.1)
    )
    for _ in range(steps):
        net(torch.randn(4, 1, 32, 32)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return {"net": net}, {"net": optimizer}


def progress_at(step: int) -> RunProgress:
    return RunProgress(loop=TrainState(step=step, samples=4 * step), metrics={"loss": 0.5}, threads=1)


def save(root: Path, step: int, pair: Pair) -> Path:
    return checkpoint.save(
        root, step, models=pair[0], optimizers=pair[1], progress=progress_at(step), cards={"net": "{}"}, versions={}
    )


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd", "muon"])
@pytest.mark.parametrize("name", ["lenet", "convnet"])
def test_restored_network_and_optimizer_continue_with_the_same_bits(tmp_path: Path, kind: Kind, name: str) -> None:
    pair = trained_pair(kind, name)
    save(tmp_path, 3, pair)
    other = trained_pair(kind, name, steps=0)
    state, problems = checkpoint.load_newest(tmp_path)
    assert state is not None
    assert problems == []
    assert state.progress == progress_at(3)
    checkpoint.restore(state, models=other[0], optimizers=other[1])
    for models, optimizers in (pair, other):
        torch.manual_seed(9)
        models["net"](torch.randn(4, 1, 32, 32)).square().mean().backward()
        optimizers["net"].step()
    for ours, theirs in zip(pair[0]["net"].state_dict().values(), other[0]["net"].state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_optimizer_groups_of_earlier_versions_are_restored(tmp_path: Path) -> None:
    """They call the learning-rate multiplier "pace"."""
    models, optimizers = trained_pair()
    biases = optimizers["net"].param_groups[1]
    del biases["lr_mult"]
    biases["pace"] = 8.0
    save(tmp_path, 3, (models, optimizers))
    state, _ = checkpoint.load_newest(tmp_path)
    assert state is not None
    other = trained_pair(steps=0)
    checkpoint.restore(state, models=other[0], optimizers=other[1])
    restored = other[1]["net"].param_groups[1]
    assert restored["lr_mult"] == 8.0 and "pace" not in restored


def test_two_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    pair = trained_pair()
    for step in (1, 2, 3, 12):
        save(tmp_path, step, pair)
    assert checkpoint.list_steps(tmp_path) == [3, 12]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["00000003", "00000012"]


def test_saving_a_step_again_replaces_its_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 1, trained_pair(steps=1))
    save(tmp_path, 1, trained_pair(steps=2))
    assert checkpoint.list_steps(tmp_path) == [1]
    checkpoint.load(tmp_path / "00000001")


def test_saving_removes_unfinished_checkpoints_of_a_killed_process(tmp_path: Path) -> None:
    for step in (1, 7):
        (tmp_path / f".{step:08d}.tmp").mkdir()
        (tmp_path / f".{step:08d}.tmp" / "net.safetensors").write_bytes(b"x")
    save(tmp_path, 1, trained_pair())
    assert [item.name for item in tmp_path.iterdir()] == ["00000001"]


def test_failed_save_keeps_the_checkpoints_before_it(tmp_path: Path) -> None:
    """A file with the name of the new checkpoint makes the last operation, a rename, fail."""
    pair = trained_pair()
    save(tmp_path, 1, pair)
    (tmp_path / "00000002").write_bytes(b"x")
    with pytest.raises(OSError):
        save(tmp_path, 2, pair)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["00000001", "00000002"]
    checkpoint.load(tmp_path / "00000001")


def test_error_of_a_failed_save_is_that_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the checkpoint cannot be made, so there is nothing to remove."""

    def raise_disk_full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    pair = trained_pair()
    save(tmp_path, 1, pair)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", raise_disk_full)
        with pytest.raises(OSError) as error:
            save(tmp_path, 2, pair)
    assert error.value.errno == errno.ENOSPC
    assert [item.name for item in tmp_path.iterdir()] == ["00000001"]


def test_checkpoint_contains_only_json_and_safetensors(tmp_path: Path) -> None:
    folder = save(tmp_path, 1, trained_pair())
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "net-optimizer.safetensors",
        "net.safetensors",
    ]
    for path in folder.glob("*.safetensors"):
        header = int.from_bytes(path.read_bytes()[:8], "little")
        json.loads(path.read_bytes()[8 : 8 + header])


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(content)


DAMAGE = {
    "bit of a weight": lambda folder: flip(folder / "net.safetensors", -100),
    "bit of a header": lambda folder: flip(folder / "net.safetensors", 40),
    "bit of the optimizer": lambda folder: flip(folder / "net-optimizer.safetensors", -7),
    "bit of the manifest": lambda folder: flip(folder / "manifest.json", 30),
    "file truncated": lambda folder: (folder / "net.safetensors").write_bytes(
        (folder / "net.safetensors").read_bytes()[:5000]
    ),
    "file empty": lambda folder: (folder / "net-optimizer.safetensors").write_bytes(b""),
    "file missing": lambda folder: (folder / "net.safetensors").unlink(),
    "manifest missing": lambda folder: (folder / "manifest.json").unlink(),
    "manifest empty": lambda folder: (folder / "manifest.json").write_bytes(b""),
    "manifest of bytes": lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_checkpoint_before_a_damaged_one_is_used(tmp_path: Path, damage: str) -> None:
    pair = trained_pair()
    save(tmp_path, 1, pair)
    newest = save(tmp_path, 2, pair)
    DAMAGE[damage](newest)
    state, problems = checkpoint.load_newest(tmp_path)
    assert state is not None
    assert state.folder.name == "00000001"
    assert len(problems) == 1
    assert "00000002" in problems[0]
    assert "\n" not in problems[0]
    DAMAGE[damage](tmp_path / "00000001")
    with pytest.raises(CheckpointError, match="no usable checkpoint"):
        checkpoint.load_newest(tmp_path)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("bit of the manifest", "00000001: unreadable checkpoint (its manifest is damaged)"),
        ("manifest empty", "00000001: unreadable checkpoint (its manifest is damaged)"),
        ("manifest missing", "00000001: unreadable checkpoint (No such file or directory)"),
        ("file missing", "00000001: unreadable checkpoint (No such file or directory)"),
        ("file truncated", "00000001/net.safetensors: damaged (its SHA-256 differs from the manifest)"),
    ],
)
def test_damage_of_a_checkpoint_is_named(tmp_path: Path, damage: str, reason: str) -> None:
    folder = save(tmp_path, 1, trained_pair())
    DAMAGE[damage](folder)
    with pytest.raises(CheckpointError) as error:
        checkpoint.load(folder)
    assert str(error.value) == f"{tmp_path}/{reason}"


def test_flipped_bit_in_any_file_of_a_checkpoint_is_detected(tmp_path: Path) -> None:
    folder = save(tmp_path, 1, trained_pair(name="mlp", steps=1))
    for path in folder.iterdir():
        content = path.read_bytes()
        for position in range(0, len(content), max(1, len(content) // 37)):
            flip(path, position)
            with pytest.raises(CheckpointError):
                checkpoint.load(folder)
            path.write_bytes(content)
    checkpoint.load(folder)


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a manifest, with a checksum that is right."""
    manifest = json.loads(checkpoint._without_checksum((folder / "manifest.json").read_bytes()))
    change(manifest)
    (folder / "manifest.json").write_text(checkpoint._with_checksum(json.dumps(manifest)))


INVALID = {
    "no metrics": (lambda m: m["progress"].pop("metrics"), "progress: object missing required field metrics"),
    "progress": (lambda m: m.update(progress=[[1]]), r"progress: expected an object, got \[\[1\]\]"),
    "metric": (
        lambda m: m["progress"]["metrics"].update(loss="0.2"),
        r"progress.metrics\[...\]: expected an integer",
    ),
    "samples": (lambda m: m["progress"]["loop"].update(samples=[[]]), "progress.loop.samples: expected an integer"),
    "step": (lambda m: m["progress"]["loop"].update(step=-1), "progress.loop.step: expected an integer >= 0, got -1"),
    "threads": (lambda m: m["progress"].update(threads=10**9), "progress.threads: expected an integer <= 4096"),
    "groups": (lambda m: m.update(optimizers=10**30), "optimizers: expected an object"),
    "group": (lambda m: m["optimizers"].update(net=[0]), r"optimizers\[...\]\[0\]: expected an object"),
    "digest": (lambda m: m["sha256"].update({"net.safetensors": "0"}), r"sha256\[...\]: expected text matching"),
    "path": (lambda m: m["sha256"].update({"../x.safetensors": "0" * 64}), r"sha256: expected text matching"),
    "format": (lambda m: m.update(format="1"), 'format: expected an integer, got "1"'),
}


@pytest.mark.parametrize("name", INVALID)
def test_manifest_that_does_not_fit_its_schema_is_refused_like_a_damaged_one(tmp_path: Path, name: str) -> None:
    change, message = INVALID[name]
    pair = trained_pair(name="mlp", steps=1)
    save(tmp_path, 1, pair)
    edit_manifest(save(tmp_path, 2, pair), change)
    state, (problem,) = checkpoint.load_newest(tmp_path)
    assert state is not None and state.folder.name == "00000001"
    assert re.search(f"00000002/manifest.json: .*{message}", problem)
    assert len(problem) <= 300 and "\n" not in problem


def test_metrics_of_earlier_manifests_that_are_not_finite_are_read(tmp_path: Path) -> None:
    folder = save(tmp_path, 1, trained_pair(name="mlp", steps=1))
    edit_manifest(folder, lambda m: m["progress"].update(metrics={"ap": float("nan"), "loss": 1.5}))
    assert b"NaN" in (folder / "manifest.json").read_bytes()
    assert checkpoint.load(folder).progress.metrics == {"ap": None, "loss": 1.5}


FOREIGN = {
    "one group": lambda m: m["optimizers"]["net"].pop(),
    "text": lambda m: m["optimizers"]["net"][0].update(weight_decay="0.1"),
    "null": lambda m: m["optimizers"]["net"][0].update(eps=None),
    "flag": lambda m: m["optimizers"]["net"][1].update(amsgrad=None),
    "two implementations": lambda m: m["optimizers"]["net"][1].update(foreach=True, fused=True),
    "implementation": lambda m: m["optimizers"]["net"][0].update(fused=[1]),
    "betas": lambda m: m["optimizers"]["net"][1].update(betas=[0.9]),
    "parameters": lambda m: m["optimizers"]["net"][0]["params"].append(99),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_optimizer_state_of_another_training_is_refused(tmp_path: Path, name: str) -> None:
    folder = save(tmp_path, 3, trained_pair(name="mlp"))
    edit_manifest(folder, FOREIGN[name])
    models, optimizers = trained_pair(name="mlp", steps=0)
    with pytest.raises(CheckpointError, match=r"00000003: is not of this run's optimizer net \(") as error:
        checkpoint.restore(checkpoint.load(folder), models=models, optimizers=optimizers)
    assert len(str(error.value)) <= 300 and "\n" not in str(error.value)


def test_optimizer_tensors_of_other_shapes_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path, 3, trained_pair(name="mlp"))
    state = checkpoint.load(folder)
    state.optimizers["net"]["0.exp_avg"] = torch.zeros(3)
    models, optimizers = trained_pair(name="mlp", steps=0)
    with pytest.raises(CheckpointError, match=r"exp_avg has shape \(3,\), expected \("):
        checkpoint.restore(state, models=models, optimizers=optimizers)


def test_others_are_removed_as_a_whole_with_what_killed_processes_left(tmp_path: Path) -> None:
    """Checkpoint 9 is later than the one from which the training continues; ".notes" is not of a checkpoint."""
    for name in ("00000001", "00000003", "00000004", "00000009", ".00000003.tmp", ".00000001.old.tmp", ".notes.tmp"):
        (tmp_path / name / "folder").mkdir(parents=True)
    checkpoint.remove_others(tmp_path, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".notes.tmp", "00000003", "00000004"]
    checkpoint.remove_others(tmp_path / "none", 4)


def test_newest_checkpoint_is_read_while_another_thread_writes_and_removes_checkpoints(tmp_path: Path) -> None:
    pair = trained_pair(name="mlp", steps=1)
    save(tmp_path, 1, pair)
    is_done = threading.Event()

    def write() -> None:
        step = 1
        while not is_done.is_set():
            step += 1
            save(tmp_path, step, pair)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        states = [checkpoint.load_newest(tmp_path)[0] for _ in range(40)]
    finally:
        is_done.set()
        writer.join()
    steps = [state.progress.loop.step for state in states if state]
    assert len(steps) == 40
    assert steps == sorted(steps)


def test_checkpoint_of_another_architecture_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    save(tmp_path, 1, trained_pair(name="convnet"))
    state, _ = checkpoint.load_newest(tmp_path)
    models, optimizers = trained_pair()
    assert state is not None
    with pytest.raises(CheckpointError, match=r"another network.*missing conv1.weight.*unexpected classifier.bias, "):
        checkpoint.restore(state, models=models, optimizers=optimizers)
    save(tmp_path, 2, ({"net": create_model("lenet", num_classes=4)}, trained_pair()[1]))
    state, _ = checkpoint.load_newest(tmp_path)
    assert state is not None
    with pytest.raises(CheckpointError, match=r"misshapen fc3.weight \(4x84, expected 10x84\)"):
        checkpoint.restore(state, models=models, optimizers=optimizers)


def test_checkpoint_of_a_later_format_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path, 1, trained_pair())
    body = json.loads(checkpoint._without_checksum((folder / "manifest.json").read_bytes()))
    (folder / "manifest.json").write_text(checkpoint._with_checksum(json.dumps(body | {"format": 99})))
    with pytest.raises(CheckpointError, match="later version"):
        checkpoint.load(folder)


def test_missing_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert checkpoint.load_newest(tmp_path / "none") == (None, [])
