"""Fine-tuning: transferred, frozen and new weights, and the preprocessing of images."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from firstsight import load
from firstsight.errors import UsageError, WeightsError
from firstsight.models.classification import create_model
from firstsight.recipes.train import NullCallback, train
from firstsight.tasks.classification.transfer import freeze, head_of, restore_train_mode
from helpers.stand_ins import store_published

Run = Callable[..., tuple[int, str, str]]
SMALL = {"epochs": 1, "batch_size": 6, "image_size": 48}


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ``resnet18.pth`` and, below ``home``, ``resnet18-imagenet``, both of random weights."""
    folder = tmp_path_factory.mktemp("resnet18")
    torch.manual_seed(4)
    store_published("resnet18", folder)
    return folder


@pytest.fixture
def imagenet(resnet18: Path, tmp_path: Path) -> Path:
    """Link these files into the current folder, and return the cached weights file."""
    shutil.copytree(resnet18, tmp_path, dirs_exist_ok=True, copy_function=os.link)
    return tmp_path / "home" / "weights" / "resnet18-imagenet.safetensors"


def test_freeze_trains_only_a_new_head_with_the_published_preprocessing(
    imagenet: Path, make_images: Callable[..., Path]
) -> None:
    folder = make_images({"cat": 8, "dog": 8, "owl": 8}, size=60)
    result = train("resnet18", data=str(folder), weights="imagenet", freeze=True, out="run", **SMALL)
    before, after = load_file(imagenet), load_file(result.run_dir / "model.safetensors")
    assert {name for name in after if not torch.equal(before[name], after[name])} == {"fc.weight", "fc.bias"}
    assert after["fc.weight"].shape == (3, 512)
    network = load(result.run_dir)
    assert network.preprocess.mean == (0.485, 0.456, 0.406)
    assert (network.preprocess.resize, network.preprocess.shorter) == (48, 55)  # 256 / 224 of 48
    assert network.card["about"]["began_with"]["weights"] == "resnet18-imagenet.safetensors"
    assert network.classes == ("cat", "dog", "owl")


def test_without_freeze_all_layers_are_fine_tuned(imagenet: Path, make_images: Callable[..., Path], run: Run) -> None:
    """The command line starts from the original file; gray images are repeated in three channels."""
    folder = make_images({"cat": 8, "dog": 8}, size=20, mode="L")
    code, out, err = run(
        "train",
        "resnet18",
        "--data",
        folder,
        "--weights",
        "resnet18.pth",
        "--epochs",
        2,
        "--image-size",
        40,
        "--out",
        "run",
        "--json",
    )
    assert code == 0, err
    before, after = load_file(imagenet), load_file(Path(json.loads(out)["run_dir"]) / "model.safetensors")
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert {"conv1.weight", "layer4.1.conv2.weight", "bn1.running_mean", "fc.weight"} <= changed
    change = (after["conv1.weight"] - before["conv1.weight"]).abs().mean() / before["conv1.weight"].abs().mean()
    assert change < 0.1  # training started from the file
    assert "resnet18-photos" in json.loads(out)["recipe"]


def test_the_head_is_kept_if_the_classes_are_the_same(trained: Callable[[str], Path]) -> None:
    """LeNet is fine-tuned on digits again; with a tiny learning rate its accuracy does not change."""
    first = json.loads((trained("lenet") / "metrics.jsonl").read_text().splitlines()[-1])["test/accuracy"]
    again = train("lenet", weights=str(trained("lenet")), epochs=1, lr=1e-7, warmup=0.0, out="again")
    assert again.metrics["accuracy"] == pytest.approx(first, abs=0.01)
    assert first > 0.8


@pytest.mark.parametrize("weights", ["convnet-fashion", "run"])
def test_bundled_weights_and_those_of_a_run_are_tuned_offline(
    make_images: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    """Color images become gray ones, because the bundled network was trained on these."""
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "1")
    folder = str(make_images({"cat": 6, "dog": 6}, size=30))
    first = load("convnet-fashion").model.state_dict()
    if weights == "run":
        run = train("convnet", data=folder, epochs=1, batch_size=5, lr=1e-7, weights="convnet-fashion", out="run")
        first = load(run.run_dir).model.state_dict()
    tuned = load(train("convnet", data=folder, epochs=1, batch_size=5, lr=1e-7, weights=weights, out="tuned").run_dir)
    assert tuned.classes == ("cat", "dog") and tuned.preprocess.channels == 1
    backbone = {name: value for name, value in tuned.model.named_parameters() if value.shape == first[name].shape}
    assert len(backbone) > 4
    for name, value in backbone.items():
        torch.testing.assert_close(value, first[name], rtol=0, atol=1e-5)


class StopAfterOneEpoch(NullCallback):
    """Callback that ends the training as Ctrl-C does."""

    def on_epoch_end(self, line: object, epochs: int) -> None:
        raise KeyboardInterrupt


def test_resume_of_a_fine_tuning_continues_with_the_same_bits(imagenet: Path, make_images: Callable[..., Path]) -> None:
    folder = str(make_images({"cat": 8, "dog": 8}, size=40))
    settings = {**SMALL, "epochs": 2, "image_size": 40, "weights": "imagenet", "freeze": True, "data": folder}
    whole = train("resnet18", out="whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        train("resnet18", out="stopped", checkpoint_seconds=0, callback=StopAfterOneEpoch(), **settings)
    resumed = train("resnet18", out="stopped", resume=True)
    one, two = (load_file(result.run_dir / "model.safetensors") for result in (whole, resumed))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("model", "head"),
    [
        ("lenet", {"fc3.weight", "fc3.bias"}),
        ("alexnet", {"classifier.6.weight", "classifier.6.bias"}),
        ("googlenet", {f"{part}.{kind}" for part in ("fc", "aux1.fc2", "aux2.fc2") for kind in ("weight", "bias")}),
        ("resnet50", {"fc.weight", "fc.bias"}),
    ],
)
def test_the_head_is_the_layers_that_depend_on_the_classes(model: str, head: set[str]) -> None:
    assert head_of({"model": model, "options": {}}, 7) == head


def test_frozen_batch_norms_keep_their_statistics() -> None:
    net = create_model("resnet20")
    freeze(net, frozenset({"fc.weight", "fc.bias"}))
    before = {name: value.clone() for name, value in net.named_buffers()}
    restore_train_mode(net)
    net(torch.randn(4, 3, 32, 32))
    assert net.training and all(torch.equal(before[name], value) for name, value in net.named_buffers())
    air = create_model("airbench")  # its norms have a trainable bias, so they are not frozen
    restore_train_mode(air)
    air(torch.randn(4, 3, 32, 32))
    assert all(float(v.abs().sum()) > 0 for name, v in air.named_buffers() if name.endswith("running_mean"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("resnet18 --freeze", "--freeze needs --weights"),
        (
            "resnet18 --weights lenet-digits",
            "holds weights of lenet, not of resnet18; type: firstsight train lenet with --weights lenet-digits",
        ),
        (
            "airbench --weights imagenet --data digits",
            "type: firstsight train airbench --weights airbench-cifar10 --data digits",
        ),
        ("resnet20 --weights imagenet", "no weights of resnet20 are published"),
        ("resnet34 --weights imagenet", "firstsight weights import resnet34-b627a593.pth --model resnet34"),
        ("resnet34 --weights imagenet --data no/photos", "no such file or folder: no/photos"),  # before a download
        ("resnet18 --weights nowhere.pth", "no such file or run directory: nowhere.pth"),
    ],
)
def test_unusable_weights_are_refused(run: Run, arguments: str, message: str) -> None:
    code, out, err = run("train", *arguments.split())
    assert code in (1, 2) and not out and message in err, err


def test_weights_of_other_shapes_are_refused() -> None:
    """The first layer of the MLP depends on the image size."""
    train("mlp", epochs=1, out="first")
    with pytest.raises((UsageError, WeightsError), match=r"does not fit this mlp: .*fc1.weight"):
        train("mlp", weights="first", epochs=1, image_size=16, out="second")


def test_a_variant_is_trained_saved_and_kept_by_fine_tuning(tmp_path: Path, make_images: Callable[..., Path]) -> None:
    folder = make_images({"cat": 8, "dog": 8}, size=32)
    settings = {"epochs": 1, "batch_size": 8, "image_size": 32}
    run = train("alexnet_cifar", data=str(folder), variant="tanh", out=tmp_path / "run", **settings).run_dir
    network = load(run)
    assert network.card["options"]["variant"] == "tanh"
    assert isinstance(network.model.activation, torch.nn.Tanh)
    tuned = load(train("alexnet_cifar", data=str(folder), weights=run, out=tmp_path / "tuned", **settings).run_dir)
    assert tuned.card["options"]["variant"] == "tanh"
    assert isinstance(tuned.model.activation, torch.nn.Tanh)


def test_an_unknown_variant_is_refused_before_the_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"alexnet_cifar has no variant 'elu' \(relu or tanh or no-dropout\)"):
        train("alexnet_cifar", data=str(tmp_path / "absent"), variant="elu", out=tmp_path / "run")
    with pytest.raises(UsageError, match=r"lenet has no variant 'paper' \(it has only one\)"):
        train("lenet", data=str(tmp_path / "absent"), variant="paper", out=tmp_path / "run")
