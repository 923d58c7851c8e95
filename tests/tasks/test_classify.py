"""The classification task against a few lines of plain torch; a trained network evaluated and used."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from firstsight import create_model, evaluate, load, plots, predict
from firstsight.data.batches import fit_images
from firstsight.data.images.loading import load_data
from firstsight.errors import DataError, UsageError
from firstsight.optim.config import OptimizerConfig, make_optimizer
from firstsight.recipes import find_recipe
from firstsight.recipes.train import NullCallback, RunOptions, TrainingRun, train
from firstsight.tasks.classification.classifier import average_over_views
from firstsight.tasks.classification.train import ClassificationTask, prediction_figures

Run = Callable[..., tuple[int, str, str]]


def make_task(**changes: object) -> ClassificationTask:
    """Return the task of lenet-digits, in float64 and without augmentation."""
    recipe = find_recipe("lenet-digits")
    plain = {"translate": 0, "rotate": 0.0, "scale": 0.0, "precision": "float64", "epochs": 2} | changes
    settings = replace(recipe.settings, **plain)  # type: ignore[arg-type]
    session = TrainingRun(recipe, settings, RunOptions(device="cpu"), NullCallback())
    task = session.make_task(load_data("digits"), load_data("digits", "test"))
    assert isinstance(task, ClassificationTask)
    return task


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_training_is_that_of_plain_torch(optimizer: str, smoothing: float) -> None:
    """Ten steps of the task and ten of a loop that is written out end in the same weights."""
    ours = make_task(optimizer=optimizer, label_smoothing=smoothing, weight_decay=0.01, schedule="constant", warmup=0.0)
    torch.manual_seed(0)
    net = create_model("lenet").double()
    decayed = [p for p in net.parameters() if p.ndim > 1]
    rest = [p for p in net.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    extra = {"momentum": 0.9, "nesterov": True} if optimizer == "sgd" else {}
    plain = kinds[optimizer](groups, lr=3e-3, **extra)
    train_set = load_data("digits")
    (mean,), (std,) = train_set.mean_std()
    values = (train_set.images.double() / 255 - mean) / std
    for index in range(10):
        batch = ours.batches.get(0, index)
        scalars = ours.train_step(batch)
        ids = torch.from_numpy(batch.ids)
        logits = net(values[ids])
        loss = F.cross_entropy(logits, train_set.labels[ids], label_smoothing=smoothing)
        plain.zero_grad()
        loss.backward()
        plain.step()
        assert float(scalars["loss"]) == pytest.approx(loss.item(), rel=1e-8)
        accuracy = (logits.argmax(1) == train_set.labels[ids]).double().mean()
        assert float(scalars["accuracy"]) == pytest.approx(float(accuracy))
    for a, b in zip(ours.models["net"].parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_evaluation_is_that_of_plain_torch() -> None:
    ours = make_task()
    test = load_data("digits", "test")
    images = ours.batches.preprocess.normalize(fit_images(test, ours.batches.preprocess), torch.float64)
    with torch.no_grad():
        logits = ours.models["net"](images)
    metrics = ours.evaluate()
    assert metrics["accuracy"] == pytest.approx(float((logits.argmax(1) == test.labels).double().mean()))
    assert metrics["loss"] == pytest.approx(float(F.cross_entropy(logits, test.labels)), rel=1e-9)
    assert ours.models["net"].training


def test_weight_decay_leaves_out_biases_and_batch_norm() -> None:
    optimizer = make_optimizer(
        create_model("convnet"),
        OptimizerConfig(optimizer="adamw", lr=0.1, schedule="constant", warmup=0.0, weight_decay=0.3),
    )
    assert [(group["weight_decay"], {p.ndim for p in group["params"]}) for group in optimizer.param_groups] == [
        (0.3, {2, 4}),
        (0.0, {1}),
    ]


def test_figures_are_drawn_when_all_predictions_are_correct_and_when_all_are_wrong() -> None:
    test = load_data("digits", "test")
    truth = F.one_hot(test.labels, 10).double()
    texts = []
    for probabilities in (truth, truth.roll(1, dims=1)):
        figures = prediction_figures(probabilities, test.labels, test)
        assert list(figures) == ["Confusion matrix", "Wrong predictions, most confident first", "Correct predictions"]
        assert all(plots.encode_png(figure).startswith(b"\x89PNG") for figure in figures.values())
        texts.append([text.get_text() for text in figures["Confusion matrix"].axes[0].texts])
    assert texts[0] == texts[1] == [str(int((test.labels == label).sum())) for label in range(10)]


@pytest.fixture
def lenet_run(trained: Callable[[str], Path]) -> Path:
    return trained("lenet")


def test_predictions_are_the_softmax_of_the_networks_logits(lenet_run: Path, tmp_path: Path) -> None:
    network = load(lenet_run)
    test = load_data("digits", "test")
    paths = []
    for i in range(6):
        Image.fromarray(test.images[i, 0].numpy()).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    values = network.preprocess.normalize(test.images[:6])
    with torch.no_grad():
        expected = torch.softmax(network.model(values), 1)
    for prediction, row in zip(predict(network, paths, top=3), expected, strict=True):
        assert len(prediction.top) == 3
        for guess in prediction.top:
            assert guess.probability == pytest.approx(float(row[int(guess.label)]), abs=1e-5)
    in_memory = predict(network, [Image.open(path) for path in paths], top=3)
    assert [a.top for a in in_memory] == [a.top for a in predict(lenet_run, paths, top=3)]
    assert predict(network, []) == []
    with pytest.raises(UsageError, match="at least 1"):
        predict(network, paths, top=0)


def test_evaluate_gives_the_metrics_of_the_last_epoch(lenet_run: Path) -> None:
    last = json.loads((lenet_run / "metrics.jsonl").read_text().splitlines()[-1])
    result = evaluate(lenet_run)
    assert result.metrics["accuracy"] == pytest.approx(last["test/accuracy"])
    assert result.metrics["loss"] == pytest.approx(last["test/loss"], rel=1e-5)
    assert (result.n, result.model, result.data) == (359, "lenet", "digits")


def test_evaluation_of_a_folder_says_which_images_are_measured(run: Run, make_images: Callable[..., Path]) -> None:
    """All images of a folder, its test split, or of the training data the images that were held out."""
    counts = {"dark": 10, "light": 10}
    photos = make_images(counts)
    for where in ("new", "other/photos", "split/train"):
        make_images(counts, where=where)
    make_images({"dark": 3, "light": 3}, where="split/test")
    train("convnet", data=str(photos), out="run", epochs=1)
    shutil.copy("run/model.safetensors", "alone.safetensors")
    expected = {
        ("run", None): "measured on the 4 images that training holds out",
        ("run", photos): "measured on the 4 images that training holds out",
        ("run", f"{photos}/../photos/"): "measured on the 4 images that training holds out",
        ("run", "new"): "measured on all 20 images",
        ("run", "other/photos"): "measured on all 20 images",
        ("run", "split"): "measured on the test split: 6 images",
        ("alone.safetensors", photos): "measured on the 4 images that training holds out",
        ("alone.safetensors", "other/photos"): "measured on the 4 images that training holds out",
        ("alone.safetensors", "new"): "measured on all 20 images",
    }
    assert {key: evaluate(*key).notes[0] for key in expected} == expected
    code, _, err = run("evaluate", "run", "--data", "new")
    assert code == 0 and err.startswith("new: measured on all 20 images\n")
    photos.rename("moved")
    Path("there").mkdir()
    Path("moved").rename("there/photos")
    assert evaluate("run", "there/photos").notes[0] == "measured on the 4 images that training holds out"


def test_all_images_of_a_lone_test_split_are_measured(make_images: Callable[..., Path]) -> None:
    """Data with the name of the training data are measured too, if the training measured as many images."""
    for where, count in (("here/set/train", 10), ("here/set/test", 3), ("lone/test", 6), ("val/val", 6)):
        make_images({"dark": count, "light": count}, where=where)
    make_images({"dark": 3, "light": 3}, where="there/set/test")
    make_images({"dark": 10, "light": 10}, where="more/set/test")
    make_images({"dark": 6, "light": 6}, where="both/test")
    make_images({"dark": 2, "light": 2}, where="both/val")
    shutil.make_archive("set-test", "zip", "lone")
    train("convnet", data="here/set", out="run", epochs=1)
    shutil.copy("run/model.safetensors", "alone.safetensors")
    for data, n in (("lone", 12), ("val", 12), ("both", 12), ("set-test.zip", 12), ("here/set", 6), ("there/set", 6)):
        for weights in ("run", "alone.safetensors"):
            assert evaluate(weights, data).notes == (f"measured on the test split: {n} images",)
    assert evaluate("alone.safetensors", "more/set").n == 4  # the training may have used the others
    assert evaluate("run", "more/set").n == 20
    train("convnet", data="lone", out="own", epochs=1)
    for weights, data in (("own", None), ("own", "lone"), ("own/model.safetensors", "lone")):
        assert evaluate(weights, data).notes == (
            "measured on the 2 images that training holds out",
            "only a test split was found: holding out 20% of the images of each class for testing",
        )
    with pytest.raises(DataError, match="no training images"):
        train("convnet", data="both", out="none", epochs=1)


def test_evaluating_on_data_of_other_classes_is_refused(lenet_run: Path, make_images: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="has the classes cat, dog, but lenet was trained for 0, 1, 2, 3"):
        evaluate(lenet_run, make_images({"cat": 5, "dog": 5}))


@pytest.mark.parametrize("views", [1, 2, 6])
def test_logits_are_averaged_over_shifted_and_flipped_views(views: int) -> None:
    """The network returns three pixels, and each view is computed by numpy's flip and padding."""

    class Corner(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, 0, 1, 0:3]

    images = torch.randn(4, 1, 5, 6, dtype=torch.float64)
    wide = np.pad(images.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    straight = [(1.0, images.numpy())]
    if views == 6:
        straight = [(0.5, images.numpy()), (0.25, wide[:, :, :5, :6]), (0.25, wide[:, :, 2:7, 2:8])]
    expected = sum(weight * view[:, 0, 1, 0:3] for weight, view in straight)
    if views > 1:
        flipped = sum(weight * np.flip(view, 3)[:, 0, 1, 0:3] for weight, view in straight)
        expected = (expected + flipped) / 2
    np.testing.assert_allclose(average_over_views(Corner(), images, views).numpy(), expected, atol=1e-12)


def test_bias_lr_multiplies_the_learning_rate_of_biases() -> None:
    """One step of SGD without momentum: biases move ``bias_lr`` times as far for their gradient."""
    ours = make_task(optimizer="sgd", momentum=0.0, lr=0.01, bias_lr_mult=8.0, schedule="constant", warmup=0.0)
    net = ours.models["net"]
    before = {name: value.detach().clone() for name, value in net.named_parameters()}
    batch = ours.batches.get(0, 0)
    F.cross_entropy(net(batch.images), batch.labels).backward()
    gradients = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    net.zero_grad()
    ours.train_step(batch)
    for name, value in net.named_parameters():
        lr = 0.01 * (8.0 if value.ndim == 1 else 1.0)
        torch.testing.assert_close(value.detach(), before[name] - lr * gradients[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "value"), [("tta_views", 3), ("optimizer", "lamb"), ("schedule", "step")])
def test_unknown_choice_is_refused_from_python_too(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"`{name}` must be one of .*; got {value}"):
        train("lenet", **{name: value})
