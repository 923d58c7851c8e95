"""Wrong input: one clear sentence on stderr, nothing on stdout, the documented exit code, no data lost."""

import gzip
import json
import re
import shutil
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from firstsight.engine import checkpoint
from firstsight.engine.rundir import RunDirectory
from firstsight.errors import UsageError
from firstsight.recipes.train import train
from helpers.files import MaliciousPickle, bomb, idx, write_pair

Run = Callable[..., tuple[int, str, str]]


def refused(outcome: tuple[int, str, str], code: int, *parts: str) -> None:
    """Assert the exit code, an empty stdout, and a last line on stderr that contains ``parts``."""
    exit_code, out, err = outcome
    assert exit_code == code, outcome
    assert out == ""
    lines = err.strip().splitlines()
    assert 1 <= len(lines) <= 5
    assert lines[-1].startswith("firstsight: ")
    assert "Traceback" not in err
    for part in parts:
        assert part in lines[-1], lines[-1]


@pytest.fixture(scope="module")
def lenet(trained: Callable[[str], Path]) -> Path:
    """Return a trained run of LeNet, for reading only."""
    return trained("lenet")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("train lenett", ["unknown recipe or model 'lenett'", "did you mean lenet"]),
        ("train lenet --epochz 3", ["unrecognized options: --epochz", "did you mean --epochs"]),
        ("train lenet --brightness 3 --epochs 1", ["unrecognized options: --brightness (see"]),
        (
            "train lenet --conditional",
            ["lenet has no --conditional; dcgan-fashion has it (see: firstsight train lenet --help-all)"],
        ),
        (
            "train gan --min-scale=0.3",
            ["gan has no --min-scale; openpose-tiny-lsp has it (see: firstsight train gan --help-all)"],
        ),
        ("train lenet --epochs three", ["--epochs must be a whole number; got 'three'"]),
        ("train lenet --epochs 0", ["--epochs must be between 1 and 100000; got 0"]),
        ("train lenet --lr -1", ["--lr must be above 0"]),
        ("train lenet --lr nan", ["--lr must be a number; got nan"]),
        ("train lenet --batch-size 0", ["--batch-size must be between"]),
        (
            "train lenet --optimizer rmsprop",
            ["--optimizer must be one of 'adam', ", "'muon'; got 'rmsprop'"],
        ),
        (
            "train gan --loss hing",
            ["--loss must be one of non-saturating, saturating, least-squares, ", "wasserstein; got hing"],
        ),
        ("train gan --flip", ["--flip needs a value (see"]),
        ("train lenet --image-size 28", ["lenet needs images of 32x32 pixels; got 28"]),
        ("train lenet --device cuda", ["--device cuda", "use --device cpu"]),
        ("train lenet --precision float16 --device cpu", ["float16 needs a CUDA GPU"]),
        ("train lenet --data nowhere/at/all", ["no such file or folder"]),
        ("train lenet --data digit", ["'digit' is neither a data set", "nor an existing path; did you mean digits?"]),
        ("train", ["missing: RECIPE_OR_MODEL"]),
        ("tran lenet", ["unknown command 'tran': did you mean train"]),
        ("evaluate lenet-digit", ["unknown weights or run 'lenet-digit'"]),
        ("evaluate", ["missing: RUN_OR_WEIGHTS"]),
        ("predict lenet-digits", ["missing: IMAGE"]),
        ("predict lenet-digits x.png --top x", ["--top"]),
        ("models zzzzz", ["unknown model or recipe 'zzzzz'"]),
        ("models lenet --brightness", ["unrecognized options: --brightness"]),
    ],
)
def test_usage_errors_exit_with_2_and_start_no_run(run: Run, arguments: str, parts: list[str]) -> None:
    refused(run(*arguments.split()), 2, *parts)
    assert not Path("runs").exists()


def test_without_a_command_the_help_is_printed_on_stderr(run: Run) -> None:
    code, out, err = run()
    assert (code, out) == (2, "")
    assert "usage: firstsight COMMAND" in err


def test_debug_raises_the_error(run: Run) -> None:
    with pytest.raises(UsageError):
        run("train", "lenett", "--debug")


def test_unusable_data_sets_are_refused(run: Run, make_images: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(run("train", "lenet", "--data", "empty"), 1, "empty: no images")
    make_images({"only": 6}, where="one")
    refused(run("train", "lenet", "--data", "one"), 1, "one: only one class (only)")
    with zipfile.ZipFile("evil.zip", "w") as archive:
        archive.writestr("a/../../x.png", b"x")
    refused(run("train", "lenet", "--data", "evil.zip"), 1, "points outside the archive; refused")
    write_pair(tmp_path / "short")
    cut = tmp_path / "short" / "train-images-idx3-ubyte.gz"
    cut.write_bytes(cut.read_bytes()[:-20])
    refused(run("train", "lenet", "--data", "short"), 1, "truncated or damaged gzip", "get the file again")
    write_pair(tmp_path / "magic")
    (tmp_path / "magic" / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x0b\x01" + bytes(16))
    refused(run("train", "lenet", "--data", "magic"), 1, "not an IDX file of bytes", "00 00 0b 01")
    write_pair(tmp_path / "differ", n=12, labels=9)
    refused(run("train", "lenet", "--data", "differ"), 1, "12 images but 9 labels")
    (tmp_path / "onelabel").mkdir()
    (tmp_path / "onelabel" / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((6, 8, 8))))
    (tmp_path / "onelabel" / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(6)))
    refused(run("train", "lenet", "--data", "onelabel"), 1, "only one class (0)")
    (tmp_path / "notes.txt").write_text("hello")
    refused(run("train", "lenet", "--data", "notes.txt"), 1, "not a data set")
    refused(run("train", "lenet", "--data", "kmnist"), 1, "FIRSTSIGHT_OFFLINE is set")
    assert not Path("runs").exists()


def test_a_failed_download_names_the_file_and_the_reason(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request goes to a proxy on a port that refuses connections."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, so that no other process takes the port, but not listening
        for scheme in ("http", "https"):
            monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "0")
        code, out, err = run("train", "lenet", "--data", "kmnist")
    assert (code, out) == (1, "")
    assert "kmnist could not be downloaded (no connection); try again, or pass a folder" in err
    assert "train-images-idx3-ubyte.gz" in err  # the file that was requested
    assert err.count("firstsight: ") == 1


def test_damaged_images_are_left_out_unless_strict(run: Run, make_images: Callable[..., Path]) -> None:
    path = make_images({"a": 20, "b": 20}, size=24)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    noise.save(path / "a" / "cut.jpg")
    (path / "a" / "cut.jpg").write_bytes((path / "a" / "cut.jpg").read_bytes()[:900])
    (path / "b" / "text.png").write_text("I am a text")
    (path / "b" / "bomb.png").write_bytes(bomb(50_000, 50_000))
    Image.new("RGB", (1, 1)).save(path / "b" / "tiny.png")
    code, out, err = run("train", "convnet", "--data", path, "--epochs", "1", "--json", "--out", "r")
    assert code == 0
    assert set(json.loads(out)["metrics"]) == {"accuracy", "loss", "train_accuracy"}
    for name in (
        "a/cut.jpg: damaged",
        "b/text.png: not an image",
        "b/bomb.png: declares",
        "b/tiny.png: 1x1 pixels is too small",
    ):
        assert name in err
    assert "images were left out as unusable" in err
    assert "left out as unusable" in Path("r/report.html").read_text()
    refused(run("train", "convnet", "--data", path, "--strict"), 1, "images are unusable, the first")


def test_predict_classifies_readable_images_and_names_the_others(run: Run, lenet: Path) -> None:
    Image.new("L", (40, 40), 128).save("good.png")
    Path("text.png").write_text("I am a text")
    Path("bomb.png").write_bytes(bomb(50_000, 50_000))
    Image.new("L", (1, 1)).save("tiny.png")
    code, out, err = run("predict", lenet, "good.png", "text.png", "bomb.png", "tiny.png", "gone.png", "--json")
    assert code == 1
    items = json.loads(out)
    assert [item["image"] for item in items] == ["good.png", "text.png", "bomb.png", "tiny.png", "gone.png"]
    assert ["error" in item for item in items] == [False, True, True, True, True]
    failures = [line for line in err.splitlines() if line.startswith("firstsight: ")]
    assert [line.split(": ")[1] for line in failures] == ["text.png", "bomb.png", "tiny.png", "gone.png"]


def test_unusable_weights_files_are_refused(run: Run, lenet: Path) -> None:
    content = (lenet / "model.safetensors").read_bytes()
    Path("truncated.safetensors").write_bytes(content[:5000])
    refused(run("evaluate", "truncated.safetensors"), 1, "not a readable safetensors file")
    Path("text.safetensors").write_text("hello")
    refused(run("evaluate", "text.safetensors"), 1, "not a readable safetensors file")
    save_file({"a": torch.zeros(2)}, "plain.safetensors")
    refused(run("evaluate", "plain.safetensors"), 1, "has no firstsight card")
    save_file({"a": torch.zeros(2)}, "other.safetensors", {"firstsight": card_of(lenet)})
    refused(run("evaluate", "other.safetensors"), 1, "does not fit its network lenet: missing")
    Path("folder").mkdir()
    refused(run("evaluate", "folder"), 1, "no trained weights in it")


def card_of(run_dir: Path) -> str:
    """Return the card of a run's weights as JSON."""
    with safe_open(run_dir / "model.safetensors", framework="pt") as file:
        return str(file.metadata()["firstsight"])


@pytest.mark.parametrize("legacy", [True, False])
def test_code_in_a_pth_file_is_never_executed(run: Run, legacy: bool) -> None:
    torch.save(
        {"weight": torch.zeros(3), "extra": MaliciousPickle()}, "evil.pth", _use_new_zipfile_serialization=not legacy
    )
    refused(run("evaluate", "evil.pth"), 1, "evil.pth: refused", "nothing was executed")
    Image.new("L", (32, 32)).save("x.png")
    refused(run("predict", "evil.pth", "x.png"), 1, "refused")
    assert not Path("executed").exists()
    torch.save({"weight": torch.zeros(3)}, "plain.pth")
    refused(run("evaluate", "plain.pth"), 1, "holds tensors but no card")
    Path("junk.pth").write_bytes(b"junk")
    refused(run("evaluate", "junk.pth"), 1, "junk.pth")


def test_a_missing_image_is_reported_before_weights_are_downloaded(run: Run) -> None:
    refused(run("predict", "resnet34", "gone.png"), 2, "gone.png: No such file")


def truncate(content: bytes) -> bytes:
    """Return all but the end of a file."""
    return content[:3000]


def flip_bit(content: bytes) -> bytes:
    """Return a file with one bit changed near its end."""
    return content[:-50] + bytes([content[-50] ^ 1]) + content[-49:]


def damage_newest_checkpoint(run_dir: Path, damage: Callable[[bytes], bytes]) -> None:
    """Change the weights in the last checkpoint of a run."""
    file = max((run_dir / "checkpoints").iterdir()) / "net.safetensors"
    file.write_bytes(damage(file.read_bytes()))


@pytest.mark.parametrize("damage", [truncate, flip_bit])
def test_resume_refuses_a_run_whose_only_checkpoint_is_damaged(
    run: Run, lenet: Path, damage: Callable[[bytes], bytes]
) -> None:
    shutil.copytree(lenet, "run")
    assert len(list(Path("run/checkpoints").iterdir())) == 1
    damage_newest_checkpoint(Path("run"), damage)
    refused(run("train", "lenet", "--out", "run", "--resume"), 1, "no usable checkpoint", "net.safetensors")


@pytest.mark.parametrize("damage", [truncate, flip_bit])
def test_resume_continues_from_the_checkpoint_before_a_damaged_one(
    run: Run, many_checkpoints: Path, damage: Callable[[bytes], bytes]
) -> None:
    """The lost steps are trained again, to the same bits."""
    shutil.copytree(many_checkpoints, "run")
    damage_newest_checkpoint(Path("run"), damage)
    Path("run/model.safetensors").unlink()
    code, out, err = run("train", "mlp", "--out", "run", "--resume", "--json")
    assert code == 0
    assert "the checkpoint before it is used" in err
    last_line = (many_checkpoints / "metrics.jsonl").read_text().splitlines()[-1]
    assert json.loads(out)["metrics"]["accuracy"] == json.loads(last_line)["test/accuracy"]
    assert Path("run/model.safetensors").read_bytes() == (many_checkpoints / "model.safetensors").read_bytes()


def test_resume_refuses_checkpoints_of_another_network(run: Run, lenet: Path, many_checkpoints: Path) -> None:
    shutil.copytree(lenet, "mixed")
    shutil.rmtree("mixed/checkpoints")
    shutil.copytree(many_checkpoints / "checkpoints", "mixed/checkpoints")
    refused(run("train", "lenet", "--out", "mixed", "--resume"), 1, "of another network than this run's net: missing")
    refused(run("train", "convnet", "--out", "mixed", "--resume"), 2, "was trained as lenet-digits, not as convnet")


def test_resume_refuses_other_settings_and_changed_data(
    run: Run, lenet: Path, tmp_path: Path, make_images: Callable[..., Path]
) -> None:
    shutil.copytree(lenet, "run")
    outcome = run("train", "lenet", "--out", "run", "--resume", "--lr", "0.5", "--batch-size", "32")
    refused(outcome, 2, "lr was 0.003, now 0.5", "batch_size was 64, now 32")
    refused(run("train", "lenet", "--out", "run"), 2, "already holds a run; continue it with --resume")
    path = make_images({"a": 8, "b": 8})
    train("lenet", out=tmp_path / "own", data=str(path), epochs=1)
    Image.new("RGB", (12, 12), "red").save(path / "a" / "new.png")
    refused(run("train", "lenet", "--out", tmp_path / "own", "--resume"), 2, "sha256 was")


def test_a_loss_that_is_not_finite_ends_the_run(run: Run) -> None:
    outcome = run("train", "lenet", "--optimizer", "sgd", "--lr", "900", "--warmup", "0", "--out", "run", "--quiet")
    refused(outcome, 1, "loss ", "epoch 1, batch ", "samples ", "no checkpoint was saved yet", "A smaller --lr")
    assert not list(Path("run").glob("model.safetensors"))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("lenet", r"loss nan at epoch 1, batch .*; the checkpoint of step (\d+) is kept"),
        # batch norm keeps the loss finite while the variance overflows
        ("convnet", r"net\.\S+ is not finite after step \d+; the checkpoint of step (\d+) is kept"),
    ],
)
def test_values_that_are_not_finite_keep_the_last_good_checkpoint(run: Run, model: str, message: str) -> None:
    """The learning rate rises from zero to one that no network bears, with a checkpoint at every step."""
    options = ("--optimizer", "sgd", "--lr", 900, "--warmup", 0.99, "--epochs", 2, "--checkpoint-seconds", 0)
    code, _, err = run("train", model, *options, "--out", "run", "--quiet")
    assert code == 1
    step = re.search(message, err)
    assert step, err
    state, failures = checkpoint.load_newest(Path("run/checkpoints"))
    assert state is not None
    assert state.progress.loop.step == int(step[1]) > 0
    assert failures == []
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state.models["net"].values())


def test_a_run_directory_in_use_is_refused(run: Run, tmp_path: Path) -> None:
    held = RunDirectory(tmp_path / "r")
    refused(run("train", "lenet", "--out", tmp_path / "r"), 1, "another process is training in this directory")
    held.close()


def test_a_file_in_place_of_the_run_directory_is_kept_and_refused(run: Run) -> None:
    Path("file").write_text("x")
    refused(run("train", "lenet", "--out", "file/r"), 1, "file")
    refused(run("train", "lenet", "--out", "file"), 1, "file")
    assert Path("file").read_text() == "x"


def test_a_gzip_file_longer_than_its_header_declares_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "train-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(idx(np.zeros((2, 4, 4))) + bytes(50_000_000))
    )
    (tmp_path / "big" / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(2)))
    refused(run("train", "lenet", "--data", "big"), 1, "declares 2 x 4 x 4 values but has more")


@pytest.mark.parametrize("number", ["2²", "٣", "9" * 5001, "1e3", "3\n"])
def test_numbers_with_other_digits_are_refused(run: Run, number: str) -> None:
    Image.new("L", (8, 8)).save("x.png")
    for arguments, name in (
        (("summary", "lenet", "--input", f"1x32x{number}"), "--input must be"),
        (("filter", "x.png", "--kernel", "sharpen", "--padding", number), "--padding must be"),
        (("filter", "x.png", "--kernel", "sharpen", "--at", f"1,{number}"), "--at must be"),
    ):
        if number == "3\n" and "--at" in arguments:  # spaces around numbers are allowed
            continue
        refused(run(*arguments), 2, name)
