"""Fine-tuning: what is handed over, what is fixed, what is new, and how pictures are prepared."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from firstsight import load
from firstsight.errors import UsageError, WeightsError
from firstsight.nets import create_model
from firstsight.recipes.train import train
from firstsight.weights.published import import_weights
from firstsight.weights.transfer import freeze, head_of, train_mode

Run = Callable[..., tuple[int, str, str]]
SMALL = {"epochs": 1, "batch_size": 6, "image_size": 48}


@pytest.fixture
def imagenet() -> Path:
    """A stored ``resnet18-imagenet``, of fresh weights."""
    torch.manual_seed(4)
    torch.save(create_model("resnet18").state_dict(), "resnet18.pth")
    return import_weights("resnet18.pth", "resnet18")


def test_frozen_body_new_head_and_published_preprocessing(imagenet: Path, pictures: Callable[..., Path]) -> None:
    folder = pictures({"cat": 8, "dog": 8, "owl": 8}, size=60)
    result = train("resnet18", data=str(folder), weights="imagenet", freeze=True, out="run", **SMALL)
    before, after = load_file(imagenet), load_file(result.run_dir / "model.safetensors")
    assert {name for name in after if not torch.equal(before[name], after[name])} == {"fc.weight", "fc.bias"}
    assert after["fc.weight"].shape == (3, 512)
    network = load(result.run_dir)
    assert network.preprocess.mean == (0.485, 0.456, 0.406)
    assert (network.preprocess.resize, network.preprocess.shorter) == (48, 55)  # 256 / 224 of 48
    assert network.card["about"]["began_with"]["weights"] == "resnet18-imagenet.safetensors"
    assert network.classes == ("cat", "dog", "owl")


def test_everything_learns_without_freeze(imagenet: Path, pictures: Callable[..., Path], run: Run) -> None:
    """By the command, from the original file, on grey pictures: three channels all the same."""
    folder = pictures({"cat": 8, "dog": 8}, size=20, mode="L")
    code, out, err = run(
        "train", "resnet18", "--data", folder, "--weights", "resnet18.pth", "--epochs", 4, "--image-size", 40,
        "--out", "run", "--json",
    )  # fmt: skip
    assert code == 0, err
    before, after = load_file(imagenet), load_file(Path(json.loads(out)["run_dir"]) / "model.safetensors")
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert {"conv1.weight", "layer4.1.conv2.weight", "bn1.running_mean", "fc.weight"} <= moved
    change = (after["conv1.weight"] - before["conv1.weight"]).abs().mean() / before["conv1.weight"].abs().mean()
    assert change < 0.1  # it began with them
    assert "resnet18-pictures" in json.loads(out)["recipe"]


def test_same_classes_keep_the_head() -> None:
    """LeNet goes on with digits: before its first step it is as good as it was."""
    first = train("lenet", epochs=6, out="first")
    again = train("lenet", weights="first", epochs=1, lr=1e-7, warmup=0.0, out="again")
    assert again.metrics["accuracy"] == pytest.approx(first.metrics["accuracy"], abs=0.01)
    assert first.metrics["accuracy"] > 0.9


def test_resumed_it_is_the_same(imagenet: Path, pictures: Callable[..., Path]) -> None:
    folder = str(pictures({"cat": 8, "dog": 8}, size=40))
    settings = {**SMALL, "epochs": 2, "weights": "imagenet", "freeze": True, "data": folder}
    whole = train("resnet18", out="whole", **settings)
    from firstsight.recipes.train import Silent, Where

    class Stop(Silent):
        def epoch(self, line: object, epochs: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("resnet18", where=Where(out=Path("cut"), checkpoint_seconds=0), observer=Stop(), **settings)
    rest = train("resnet18", out="cut", resume=True)
    one, two = (load_file(r.run_dir / "model.safetensors") for r in (whole, rest))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("model", "head"),
    [
        ("lenet", {"fc3.weight", "fc3.bias"}),
        ("alexnet", {"classifier.6.weight", "classifier.6.bias"}),
        ("googlenet", {f"{part}.{kind}" for part in ("fc", "aux1.fc2", "aux2.fc2") for kind in ("weight", "bias")}),
        ("resnet50", {"fc.weight", "fc.bias"}),
    ],
)
def test_the_head_is_what_depends_on_the_classes(model: str, head: set[str]) -> None:
    assert head_of({"model": model, "options": {}}, 7) == head


def test_fixed_batch_norms_keep_their_statistics() -> None:
    net = create_model("resnet20")
    freeze(net, frozenset({"fc.weight", "fc.bias"}))
    before = {name: value.clone() for name, value in net.named_buffers()}
    train_mode(net)
    net(torch.randn(4, 3, 32, 32))
    assert net.training and all(torch.equal(before[name], value) for name, value in net.named_buffers())
    air = create_model("airbench")  # its norms have no scale to learn, but a shift: they go on
    train_mode(air)
    air(torch.randn(4, 3, 32, 32))
    assert all(float(v.abs().sum()) > 0 for name, v in air.named_buffers() if name.endswith("running_mean"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("resnet18 --freeze", "--freeze needs --weights"),
        ("resnet18 --weights lenet-digits", "--weights lenet-digits: holds a lenet, not a resnet18"),
        ("resnet20 --weights imagenet", "no weights of resnet20 are published"),
        ("resnet34 --weights imagenet", "firstsight weights import resnet34-b627a593.pth --model resnet34"),
        ("resnet34 --weights imagenet --data no/photos", "no such file or folder: no/photos"),  # before a download
        ("resnet18 --weights nowhere.pth", "no such file or run directory: nowhere.pth"),
    ],
)
def test_refused(run: Run, arguments: str, said: str) -> None:
    code, out, err = run("train", *arguments.split())
    assert code in (1, 2) and not out and said in err, err


def test_another_layout_is_refused() -> None:
    """The two-layer network's first layer depends on the image's size."""
    train("two_layer", epochs=1, out="first")
    with pytest.raises((UsageError, WeightsError), match=r"does not fit this two_layer: .*fc1.weight"):
        train("two_layer", weights="first", epochs=1, image_size=16, out="second")
