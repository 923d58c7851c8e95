"""What a user can get wrong: one clear sentence on stderr, nothing on stdout, the right exit code, nothing lost."""

import gzip
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from firstsight.recipes.train import train
from helpers.files import bomb, idx, write_pair

Run = Callable[..., tuple[int, str, str]]


def refused(answer: tuple[int, str, str], code: int, *parts: str) -> None:
    """An exit code, an empty stdout, and a last line on stderr that holds these parts."""
    assert answer[0] == code, answer
    assert answer[1] == ""
    said = answer[2].strip().splitlines()
    assert 1 <= len(said) <= 5
    assert said[-1].startswith("firstsight: ")
    assert "Traceback" not in answer[2]
    for part in parts:
        assert part in said[-1], said[-1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train("lenet", out=tmp_path_factory.mktemp("run") / "r", epochs=2).run_dir


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("train lenett", ["unknown recipe or model 'lenett'", "did you mean lenet"]),
        ("train lenet --epochz 3", ["unrecognized options: --epochz", "did you mean --epochs"]),
        ("train lenet --colour 3 --epochs 1", ["unrecognized options: --colour (see"]),
        (
            "train lenet --conditional",
            ["lenet has no --conditional, as dcgan-fashion has (see: "],
        ),
        ("train gan --smallest=0.3", ["gan has no --smallest, as openpose-tiny-lsp has"]),
        ("train lenet --epochs three", ["--epochs must be a whole number; got 'three'"]),
        ("train lenet --epochs 0", ["--epochs must lie between 1 and 100000; got 0"]),
        ("train lenet --lr -1", ["--lr must be above 0"]),
        ("train lenet --lr nan", ["--lr must be above 0"]),
        ("train lenet --batch-size 0", ["--batch-size must lie between"]),
        (
            "train lenet --optimizer rmsprop",
            ["--optimizer must be one of 'adam', ", "'muon'; got 'rmsprop'"],
        ),
        ("train gan --loss hing", ["'non-saturating', 'saturating', 'least-squares', ", "'wasserstein'; got 'hing'"]),
        ("train gan --flip", ["--flip needs a value (see"]),
        ("train lenet --image-size 28", ["lenet needs images of 32x32 pixels; got 28"]),
        ("train lenet --device cuda", ["--device cuda", "use --device cpu"]),
        ("train lenet --precision float16 --device cpu", ["float16 needs a CUDA GPU"]),
        ("train lenet --data nowhere/at/all", ["no such file or folder"]),
        ("train lenet --data digit", ["unknown data set 'digit': did you mean digits"]),
        ("train", ["missing: RECIPE_OR_MODEL"]),
        ("tran lenet", ["unknown command 'tran': did you mean train"]),
        ("evaluate lenet-digit", ["unknown weights or run 'lenet-digit'"]),
        ("evaluate", ["missing: RUN_OR_WEIGHTS"]),
        ("predict lenet-digits", ["missing: IMAGE"]),
        ("predict lenet-digits x.png --top x", ["--top"]),
        ("models zzzzz", ["unknown model or recipe 'zzzzz'"]),
        ("models lenet --colour", ["unrecognized options: --colour"]),
    ],
)
def test_usage(run: Run, arguments: str, parts: list[str]) -> None:
    refused(run(*arguments.split()), 2, *parts)
    assert not Path("runs").exists()


def test_no_command_shows_the_help_on_stderr(run: Run) -> None:
    code, out, err = run()
    assert (code, out) == (2, "")
    assert "usage: firstsight COMMAND" in err


def test_debug_shows_the_traceback(run: Run) -> None:
    from firstsight.errors import UsageError

    with pytest.raises(UsageError):
        run("train", "lenett", "--debug")


def test_data_that_cannot_be_used(run: Run, pictures: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(run("train", "lenet", "--data", "empty"), 1, "empty: no pictures")
    pictures({"only": 6}, where="one")
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


def test_no_network(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Online, but nobody answers: the mirrors are loopback ports that nobody listens on."""
    from dataclasses import replace

    from firstsight.data.sources import SOURCES

    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "0")
    monkeypatch.setitem(
        SOURCES, "kmnist", replace(SOURCES["kmnist"], mirrors=("http://127.0.0.1:9/", "http://127.0.0.1:7/"))
    )
    code, out, err = run("train", "lenet", "--data", "kmnist")
    assert (code, out) == (1, "")
    assert "train-images-idx3-ubyte.gz could not be downloaded" in err
    assert "no connection" in err
    assert err.count("firstsight: ") == 1


def test_damaged_pictures_among_good_ones(run: Run, pictures: Callable[..., Path]) -> None:
    path = pictures({"a": 20, "b": 20}, size=24)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    noise.save(path / "a" / "cut.jpg")
    (path / "a" / "cut.jpg").write_bytes((path / "a" / "cut.jpg").read_bytes()[:900])
    (path / "b" / "text.png").write_text("I am a text")
    (path / "b" / "bomb.png").write_bytes(bomb(50_000, 50_000))
    Image.new("RGB", (1, 1)).save(path / "b" / "tiny.png")
    code, out, err = run("train", "convnet", "--data", path, "--epochs", "1", "--json", "--out", "r")
    assert code == 0
    assert set(json.loads(out)["metrics"]) == {"accuracy", "loss"}
    for name in (
        "a/cut.jpg: damaged",
        "b/text.png: not a picture",
        "b/bomb.png: declares",
        "b/tiny.png: 1x1 pixels is too small",
    ):
        assert name in err
    assert "pictures were left out as unusable" in err
    assert "left out as unusable" in Path("r/report.html").read_text()
    refused(run("train", "convnet", "--data", path, "--strict"), 1, "pictures are unusable, the first")


def test_pictures_that_cannot_be_read(run: Run, trained: Path, tmp_path: Path) -> None:
    Image.new("L", (40, 40), 128).save("good.png")
    Path("text.png").write_text("I am a text")
    Path("bomb.png").write_bytes(bomb(50_000, 50_000))
    Image.new("L", (1, 1)).save("tiny.png")
    code, out, err = run("predict", trained, "good.png", "text.png", "bomb.png", "tiny.png", "gone.png", "--json")
    assert code == 1
    assert [answer["image"] for answer in json.loads(out)] == ["good.png"]  # what can be answered is
    assert [line.split(": ")[1] for line in err.splitlines()] == ["text.png", "bomb.png", "tiny.png", "gone.png"]


def test_weights_files(run: Run, trained: Path, tmp_path: Path) -> None:
    whole = (trained / "model.safetensors").read_bytes()
    Path("cut.safetensors").write_bytes(whole[:5000])
    refused(run("evaluate", "cut.safetensors"), 1, "not a readable safetensors file")
    Path("text.safetensors").write_text("hello")
    refused(run("evaluate", "text.safetensors"), 1, "not a readable safetensors file")
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, "plain.safetensors")
    refused(run("evaluate", "plain.safetensors"), 1, "has no firstsight card")
    save_file({"a": torch.zeros(2)}, "other.safetensors", {"firstsight": card_of(trained)})
    refused(run("evaluate", "other.safetensors"), 1, "does not fit its network lenet: missing")
    Path("folder").mkdir()
    refused(run("evaluate", "folder"), 1, "no trained weights in it")


def card_of(trained: Path) -> str:
    from safetensors import safe_open

    with safe_open(trained / "model.safetensors", framework="pt") as file:
        return str(file.metadata()["firstsight"])


class Bomb:
    """What a malicious file holds: an object whose unpickling runs a command."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch executed",)


@pytest.mark.parametrize("legacy", [True, False])
def test_code_in_a_pth_file_is_never_executed(run: Run, legacy: bool) -> None:
    torch.save({"weight": torch.zeros(3), "extra": Bomb()}, "evil.pth", _use_new_zipfile_serialization=not legacy)
    refused(run("evaluate", "evil.pth"), 1, "evil.pth: refused", "nothing was run")
    Image.new("L", (32, 32)).save("x.png")
    refused(run("predict", "evil.pth", "x.png"), 1, "refused")
    assert not Path("executed").exists()
    torch.save({"weight": torch.zeros(3)}, "plain.pth")
    refused(run("evaluate", "plain.pth"), 1, "holds tensors but no card")
    Path("junk.pth").write_bytes(b"junk")
    refused(run("evaluate", "junk.pth"), 1, "junk.pth")


def test_no_network_is_downloaded_where_there_is_no_picture(run: Run) -> None:
    refused(run("predict", "resnet34", "gone.png"), 1, "gone.png: No such file")


def copy_of(trained: Path, tmp_path: Path, name: str) -> Path:
    import shutil

    return Path(shutil.copytree(trained, tmp_path / name))


def newest(path: Path) -> Path:
    return max((path / "checkpoints").iterdir())


def test_damaged_checkpoints_at_resume(run: Run, trained: Path, tmp_path: Path) -> None:
    whole = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])["test/accuracy"]
    for name, damage in (("cut", lambda c: c[:3000]), ("flipped", lambda c: c[:-50] + bytes([c[-50] ^ 1]) + c[-49:])):
        path = train("lenet", out=tmp_path / name, epochs=2, where=None).run_dir
        file = newest(path) / "net.safetensors"
        file.write_bytes(damage(file.read_bytes()))
        refused(run("train", "lenet", "--out", path, "--resume"), 1, "no usable checkpoint", "net.safetensors")
        from firstsight.recipes.train import Where

        path = train("lenet", where=Where(out=tmp_path / f"{name}-two", checkpoint_seconds=0), epochs=2).run_dir
        file = newest(path) / "net.safetensors"
        file.write_bytes(damage(file.read_bytes()))
        code, out, err = run("train", "lenet", "--out", path, "--resume", "--json")
        assert code == 0
        assert "the checkpoint before it is used" in err
        assert json.loads(out)["metrics"]["accuracy"] == whole  # the lost steps were trained again


def test_checkpoint_of_another_network(run: Run, trained: Path, tmp_path: Path) -> None:
    import shutil

    path = copy_of(trained, tmp_path, "mixed")
    other = train("convnet-digits", out=tmp_path / "other", epochs=1).run_dir
    shutil.rmtree(path / "checkpoints")
    shutil.copytree(other / "checkpoints", path / "checkpoints")
    refused(run("train", "lenet", "--out", path, "--resume"), 1, "is of another network than this run's net: missing")
    refused(run("train", "convnet", "--out", path, "--resume"), 2, "was trained as lenet-digits, not as convnet")


def test_settings_that_differ_at_resume(run: Run, trained: Path, tmp_path: Path, pictures: Callable[..., Path]) -> None:
    answer = run("train", "lenet", "--out", trained, "--resume", "--lr", "0.5", "--batch-size", "32")
    refused(answer, 2, "lr was 0.003, now 0.5", "batch_size was 64, now 32")
    refused(run("train", "lenet", "--out", trained), 2, "already holds a run; continue it with --resume")
    path = pictures({"a": 8, "b": 8})
    train("lenet", out=tmp_path / "own", data=str(path), epochs=1)
    Image.new("RGB", (12, 12), "red").save(path / "a" / "new.png")
    refused(run("train", "lenet", "--out", tmp_path / "own", "--resume"), 2, "sha256 was")


def test_not_a_number(run: Run, tmp_path: Path) -> None:
    answer = run("train", "lenet", "--optimizer", "sgd", "--lr", "900", "--warmup", "0", "--out", "r", "--quiet")
    refused(answer, 1, "loss ", "epoch 1, batch ", "samples ", "A smaller --lr usually helps")
    assert not list(Path("r").glob("model.safetensors"))


def test_not_a_number_keeps_the_last_good_checkpoint(run: Run, tmp_path: Path) -> None:
    """The data turn bad halfway: a weight becomes infinite by hand after the second epoch's checkpoint."""
    from firstsight.engine import checkpoint
    from firstsight.errors import RunError
    from firstsight.recipes.train import Silent, Where

    class Poison(Silent):
        def __init__(self) -> None:
            self.epochs_seen = 0

        def epoch(self, line: object, epochs: int) -> None:
            self.epochs_seen += 1

        def step(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
            if (epoch, index) == (3, 5):
                for thing in gc_modules():
                    with torch.no_grad():
                        thing.fc1.weight[0, 0] = float("inf")

    with pytest.raises(RunError, match=r"(nan|inf|not finite).*the checkpoint of step \d+ is (kept|safe)"):
        train("lenet", where=Where(out=tmp_path / "r", checkpoint_seconds=0), epochs=4, observer=Poison())
    state, troubles = checkpoint.newest(tmp_path / "r" / "checkpoints")
    assert state is not None
    assert troubles == []
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state.models["net"].values())


def gc_modules() -> list[torch.nn.Module]:
    """The networks in training in this process."""
    import gc

    from firstsight.nets.lenet import LeNet

    return [thing for thing in gc.get_objects() if type(thing) is LeNet]


def test_two_processes_on_one_directory(run: Run, tmp_path: Path) -> None:
    from firstsight.engine.rundir import RunDirectory

    held = RunDirectory(tmp_path / "r")
    refused(run("train", "lenet", "--out", tmp_path / "r"), 1, "another process is training in this directory")
    held.close()


def test_a_file_in_the_way(run: Run, tmp_path: Path) -> None:
    Path("file").write_text("x")
    refused(run("train", "lenet", "--out", "file/r"), 1, "file")
    refused(run("train", "lenet", "--out", "file"), 1, "file")
    assert Path("file").read_text() == "x"


def test_gzip_that_unpacks_to_more_than_it_says(run: Run, tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "train-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(idx(np.zeros((2, 4, 4))) + bytes(50_000_000))
    )
    (tmp_path / "big" / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(2)))
    refused(run("train", "lenet", "--data", "big"), 1, "declares 2 x 4 x 4 values but holds more")
