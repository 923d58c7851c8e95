"""``firstsight weights`` on the command line, and commands with the weights that it stores."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from firstsight import create_model, evaluate, load, predict
from firstsight.weights.bundled import cache_dir
from firstsight.weights.table import PUBLISHED, imagenet_classes
from helpers.files import MaliciousPickle
from helpers.state_dicts import RESNET18_FILE

Run = Callable[..., tuple[int, str, str]]
RESNET18 = PUBLISHED["resnet18"]


@pytest.fixture
def photo() -> Path:
    """Write an image of noise."""
    values = np.random.default_rng(3).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(values).save("photo.png")
    return Path("photo.png")


def test_imported_weights_predict_by_the_name_of_their_network(run: Run, photo: Path) -> None:
    code, out, err = run("weights", "import", RESNET18_FILE, "--model", "resnet18")
    assert (code, err) == (0, "")
    target = cache_dir() / "resnet18-imagenet.safetensors"
    assert out.splitlines()[:2] == [
        "resnet18-imagenet: resnet18, 1,000 classes, 69.76% on ImageNet as published;"
        " from https://download.pytorch.org/models/resnet18-f37072fd.pth",
        f"stored at {target}",
    ]
    assert out.splitlines()[-1] == "use it: firstsight predict resnet18-imagenet PHOTO"
    code, out, err = run("predict", "resnet18", photo, "--json", "--top", 1000)
    assert code == 0 and err.startswith("warning: photo.png: low confidence: ")  # its weights are random
    top = json.loads(out)[0]["top"]
    assert {guess["label"] for guess in top} == set(imagenet_classes())
    assert sum(guess["probability"] for guess in top) == pytest.approx(1, abs=1e-3)
    assert run("predict", "resnet18-imagenet", photo)[0] == 0


def test_import_and_get_print_the_same_json(run: Run) -> None:
    code, out, _ = run("weights", "import", RESNET18_FILE, "--model", "resnet18", "--json")
    entry = json.loads(out)
    assert code == 0
    assert (entry["name"], entry["model"], entry["classes"]) == ("resnet18-imagenet", "resnet18", 1000)
    assert entry["path"] == str(PUBLISHED["resnet18"].target)
    assert entry["sha256"] == hashlib.sha256(RESNET18_FILE.read_bytes()).hexdigest()
    assert entry["published_accuracy"] == pytest.approx(0.69758)
    assert json.loads(run("weights", "get", "resnet18", "--json")[1]) == entry  # stored: nothing to download


def test_stored_weights_of_another_file_are_replaced_with_force_only(run: Run) -> None:
    """The import of the same file again, for example with other classes, is no surprise; it is said."""
    for folder, seed in (("a", 0), ("b", 1)):
        Path(folder).mkdir()
        torch.manual_seed(seed)
        torch.save(create_model("resnet18", num_classes=2).state_dict(), f"{folder}/pets.pth")
    Path("names.txt").write_text("cat\ndog\n")
    command = ("weights", "import", "--model", "resnet18")
    assert run(*command, "a/pets.pth")[0] == 0
    target = cache_dir() / "resnet18-pets.safetensors"
    before = target.read_bytes()
    code, out, err = run(*command, "b/pets.pth")
    assert (code, out) == (2, "") and target.read_bytes() == before
    assert err == (
        f"firstsight: {target} exists already, from pets.pth; replace it with --force, or choose another file with"
        " --out\n"
    )
    code, _, err = run(*command, "a/pets.pth", "--classes", "names.txt")
    assert code == 0 and err.startswith(f"replacing {target}, which came from the same file\n")
    assert load("resnet18-pets").classes == ("cat", "dog")
    code, _, err = run(*command, "b/pets.pth", "--force")
    assert code == 0 and err.startswith(f"replacing {target}, which came from pets.pth\n")
    assert load("resnet18-pets").card["about"]["sha256"] == hashlib.sha256(Path("b/pets.pth").read_bytes()).hexdigest()
    assert [path.name for path in cache_dir().iterdir()] == [target.name]


def test_stored_weights_are_no_source_of_themselves(run: Run) -> None:
    """Neither by their path, nor through a link, nor with --force."""
    assert run("weights", "import", RESNET18_FILE, "--model", "resnet18")[0] == 0
    target = cache_dir() / "resnet18-imagenet.safetensors"
    before = target.read_bytes()
    Path("link.safetensors").symlink_to(target)
    for file in (target, "link.safetensors", Path("home/../home/weights") / target.name):
        code, out, err = run("weights", "import", file, "--model", "resnet18", "--force")
        assert (code, out, err) == (
            2,
            "",
            f"firstsight: {target}: is the file to import; choose another file with --out\n",
        )
        assert target.read_bytes() == before


def test_names_of_weights_have_no_control_sequences(run: Run) -> None:
    name = "a\x1b[2Jb\nc[red]d.safetensors"
    code, out, _ = run("weights", "import", RESNET18_FILE, "--model", "resnet18", "--out", name)
    assert code == 0 and r"stored at a\x1b[2Jb\nc[red]d.safetensors" in out.splitlines()
    cache_dir().mkdir(parents=True)
    (cache_dir() / "x\x1b[2J.safetensors").write_bytes(b"junk")
    code, out, _ = run("weights", "list")
    assert code == 0 and "\x1b" not in out and out.count(r"x\x1b[2J") == 2


def test_evaluate_measures_own_classes_as_predict_sees_them(run: Run, make_images: Callable[..., Path]) -> None:
    """A fine-tuned network on a folder: the shorter side is resized to 256 pixels, and 224 are cropped."""
    torch.manual_seed(1)
    torch.save(create_model("resnet18", num_classes=2).state_dict(), "pets.pth")
    Path("names.txt").write_text("cat\ndog\n")
    code, out, err = run("weights", "import", "pets.pth", "--model", "resnet18", "--classes", "names.txt")
    assert code == 0
    assert out.startswith("resnet18-pets: resnet18, 2 classes; from pets.pth\n")
    assert err.startswith("pets.pth is not the published")
    folder = make_images({"cat": 3, "dog": 3}, where="pets/test", size=280).parent
    shutil.copytree(folder / "test", folder / "train")
    network = load("resnet18-pets")
    files = sorted((folder / "test").rglob("*.png"))
    predictions = list(zip(predict(network, files), [path.parent.name for path in files], strict=True))
    correct = sum(prediction.top[0].label == label for prediction, label in predictions)
    probabilities = [{g.label: g.probability for g in prediction.top}[label] for prediction, label in predictions]
    evaluation = evaluate(network, folder)
    assert evaluation.metrics["accuracy"] == correct / len(files)
    assert evaluation.metrics["loss"] == pytest.approx(float(-np.log(probabilities).mean()), abs=1e-4)
    code, out, _ = run("evaluate", "resnet18-pets", "--data", folder, "--json")
    assert code == 0
    assert json.loads(out)["n"] == len(files)


def test_evaluate_needs_data_with_the_same_classes(run: Run, make_images: Callable[..., Path]) -> None:
    run("weights", "import", RESNET18_FILE, "--model", "resnet18")
    code, out, err = run("evaluate", "resnet18", "--data", make_images({"cat": 5, "dog": 5}))
    assert (code, out) == (1, "")
    message = "photos has the classes cat, dog, but resnet18 was trained for tench, goldfish, great white shark, "
    assert message in err.splitlines()[-1]
    code, out, err = run("evaluate", "resnet18")
    assert (code, out) == (2, "")
    assert "its training data (imagenet) were not found; name a data set with --data" in err


def test_list_shows_bundled_published_and_imported_weights(run: Run) -> None:
    for name, classes in (("mine", 1000), ("flowers", 3)):
        torch.save(create_model("resnet18", num_classes=classes).state_dict(), f"{name}.pth")
        run("weights", "import", f"{name}.pth", "--model", "resnet18")
    (cache_dir() / "broken.safetensors").write_bytes(b"junk")
    code, out, err = run("weights", "list")
    assert (code, err) == (0, "")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines() if line}
    assert lines["lenet-fashion"] == "classifier accuracy 91.15% in the package"
    assert lines["resnet34-imagenet"] == "classifier accuracy 73.31% download 87 MB"
    assert lines["resnet18-imagenet"] == "classifier - stored"  # not the published file: no known accuracy
    assert lines["resnet18-flowers"] == "classifier - stored"
    assert lines["broken"] == "not known - not usable"
    assert lines["gan-digits"].startswith("generator FD ")
    assert lines["openpose-tiny-lsp"].startswith("bottom-up pose network AP ")
    assert lines["pose-tiny-lsp"].startswith("top-down pose network PCK@0.2 ")
    entries = {entry["name"]: entry for entry in json.loads(run("weights", "list", "--json")[1])}
    broken = str(cache_dir() / "broken.safetensors")
    assert lines[f"{broken}:"].startswith("not a readable safetensors file (")
    assert set(entries) == set(lines) - {"weights", "The", "Published", "firstsight", f"{broken}:"}
    published = entries["resnet34-imagenet"]
    assert (published["source"], published["path"], published["usable"]) == ("published", None, False)
    assert published["url"].endswith("/resnet34-b627a593.pth")
    assert published["metrics"] == {"accuracy": pytest.approx(0.73314)}
    flowers = entries["resnet18-flowers"]
    assert (flowers["source"], flowers["classes"], flowers["metrics"], flowers["usable"]) == ("imported", 3, {}, True)
    entry = entries["broken"]
    assert (entry["source"], entry["kind"], entry["usable"]) == ("imported", "not known", False)
    assert entry["error"].startswith(broken) and entries["lenet-fashion"]["error"] is None
    convnet = entries["convnet-fashion"]
    assert (convnet["source"], convnet["kind"], convnet["parameters"]) == ("bundled", "classifier", 84_010)
    assert convnet["metrics"]["accuracy"] == pytest.approx(0.9333)
    assert (entries["pose-tiny-lsp"]["skeleton"], entries["pose-tiny-lsp"]["joints"]) == ("lsp-14", 14)
    assert all(entry.keys() >= convnet.keys() for entry in entries.values())


def test_a_wide_list_has_the_data_of_the_results(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstsight.cli.console.PIPE_WIDTH", 160)
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in run("weights", "list")[1].splitlines() if line}
    assert lines["lenet-fashion"] == "classifier accuracy 91.15% fashion-mnist, test images in the package"
    assert lines["resnet34-imagenet"] == "classifier accuracy 73.31% ImageNet, as published download 87 MB"


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        ("", 2, "missing: list, get or import (see: firstsight weights --help)"),
        ("--json", 2, "missing: list, get or import"),
        ("imprt x", 2, "unknown action 'imprt': did you mean import?"),
        ("get", 2, "missing: NAME"),
        ("get resnet35", 2, "unknown published weights 'resnet35': did you mean resnet"),
        ("get lenet", 2, "no weights of lenet are published"),
        ("get resnet34", 1, "download https://download.pytorch.org/models/resnet34-b627a593.pth and then: firstsight"),
        ("import", 2, "missing: FILE"),
        ("import x.pth", 2, "missing: --model"),
        ("import x.pth --model resnet34", 2, "no such file: x.pth"),
        ("import x.pth --model resnet34 --classes names.txt", 2, "no such file: names.txt"),
        ("import junk.pth --model resnet34", 1, "junk.pth: not a readable PyTorch file"),
        ("import junk.pth --model resnet34 --varient paper", 2, "did you mean --variant"),
        ("list --jsn", 2, "did you mean --json"),
    ],
)
def test_errors_are_explained_in_one_line(run: Run, arguments: str, code: int, part: str) -> None:
    Path("junk.pth").write_bytes(b"junk" * 99)
    exit_code, out, err = run("weights", *arguments.split())
    assert (exit_code, out) == (code, "")
    assert err.startswith("firstsight: ")
    assert part in err
    assert err.count("\n") == 1


def test_predict_offline_says_how_to_import_missing_weights(run: Run, photo: Path) -> None:
    code, out, err = run("predict", "vgg16", photo)
    assert (code, out) == (1, "")
    assert f"then: firstsight weights import {PUBLISHED['vgg16'].file} --model vgg16" in err
    code, _, err = run("predict", "vgg61", photo)
    assert code == 2
    assert "unknown weights or run 'vgg61': did you mean vgg1" in err


def test_every_action_has_a_help(run: Run) -> None:
    for arguments in (["--help"], ["list", "--help"], ["get", "--help"], ["import", "--help"]):
        code, out, err = run("weights", *arguments)
        assert (code, err) == (0, "")
        assert out.startswith("usage: firstsight weights")


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["import", "--help"]])
def test_torch_is_not_imported_without_need(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom firstsight.cli import main\n"
        f"try: main(['weights', *{arguments}])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_code_in_an_imported_file_is_not_executed(run: Run) -> None:
    torch.save({**torch.load(RESNET18_FILE, weights_only=True), "extra": MaliciousPickle()}, "evil.pth")
    code, out, err = run("weights", "import", "evil.pth", "--model", "resnet18")
    assert (code, out) == (1, "")
    assert "evil.pth: refused" in err
    assert not Path("executed").exists()
    assert not cache_dir().exists()
