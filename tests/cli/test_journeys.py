"""As a user goes: the tour, training, evaluating, predicting, with pictures of one's own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from firstsight.data.photo import sample_photo
from firstsight.weights.shipped import shipped

Run = Callable[..., tuple[int, str, str]]


def firstsight(*arguments: object, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-m", "firstsight", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_the_tour_with_the_network_cut() -> None:
    """`firstsight demo` in a network namespace without any interface, loopback included."""
    unshare = ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--net", "--map-root-user")
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        assert not os.environ.get("CI"), "CI must not skip"
        pytest.skip("cannot cut the network here")
    done = firstsight("demo", "--json", prefix=unshare)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["metrics"]["accuracy"] >= 0.98
    assert [answer["label"] for answer in told["predictions"]] == ["0", "2", "4", "6", "8"]
    page = Path(told["report"]).read_text()
    assert page.count("data:image/png;base64") == 4
    assert "http://" not in page
    assert "https://" not in page
    assert "3. Let it read five of them" in done.stderr


def test_train_evaluate_predict(run: Run, pictures: Callable[..., Path]) -> None:
    """A folder of one's own, from the first command to an answer."""
    path = pictures({"dark": 30, "light": 30}, size=40)
    code, out, err = run("train", "convnet", "--data", path, "--epochs", "8", "--json", "--seed", "3")
    assert code == 0, err
    told = json.loads(out)
    assert list(told) == [
        "recipe", "run_dir", "epochs", "headline", "metrics", "seconds", "samples_per_second", "parameters",
    ]  # fmt: skip
    assert (told["recipe"], told["run_dir"], told["epochs"]) == ("convnet-pictures", "runs/convnet-pictures/1", 8)
    assert told["metrics"]["accuracy"] == 1.0
    assert "12 of 60 pictures (20% of each class) held out" in err
    code, out, _ = run("evaluate", told["run_dir"], "--json")
    found = json.loads(out)
    assert list(found) == ["metrics", "n", "model", "data"]
    assert (code, found["n"], found["model"], found["data"]) == (0, 12, "convnet", "pictures")
    assert found["metrics"]["accuracy"] == told["metrics"]["accuracy"]
    Image.new("RGB", (200, 150), (190, 185, 180)).save("bright.jpg")
    code, out, _ = run("predict", told["run_dir"], "bright.jpg", path / "dark" / "000.png", "--json")
    answers = json.loads(out)
    assert [list(answer) for answer in answers] == [["image", "top"]] * 2
    assert [answer["top"][0]["label"] for answer in answers] == ["light", "dark"]
    assert sum(guess["probability"] for guess in answers[0]["top"]) == pytest.approx(1, abs=1e-5)
    code, out, _ = run("predict", told["run_dir"], "bright.jpg")
    assert "bright.jpg" in out
    assert "light" in out
    assert run("train", "convnet", "--data", path, "--epochs", "1")[0] == 0
    assert Path("runs/convnet-pictures/2/report.html").exists()


def test_resume_finds_the_latest_run_and_its_settings(run: Run) -> None:
    assert run("train", "two_layer", "--epochs", "2", "--seed", "5")[0] == 0
    code, out, err = run("train", "two_layer", "--resume", "--json")
    assert code == 0
    assert json.loads(out)["epochs"] == 2
    assert "runs/two_layer-digits/1 is finished, nothing is left to train" in err
    code, _, err = run("train", "two_layer", "--resume", "--out", "fresh", "--epochs", "1")
    assert code == 0
    assert "nothing to resume in fresh: a new run begins" in err


def test_a_run_begun_before_a_setting_existed_goes_on(run: Run) -> None:
    """It goes on as it was, to the same bits; to give the setting another value is refused like any change."""
    assert run("train", "two_layer", "--epochs", "2", "--out", "old")[0] == 0
    whole = Path("old/model.safetensors").read_bytes()
    config = json.loads(Path("old/config.json").read_text())
    assert config["settings"].pop("label_smoothing") == 0
    Path("old/config.json").write_text(json.dumps(config))
    for left in ("old/model.safetensors", "old/report.html"):
        Path(left).unlink()
    shutil.rmtree(max(Path("old/checkpoints").iterdir()))
    code, _, err = run("train", "two_layer", "--resume", "--out", "old", "--label-smoothing", "0.1")
    assert code == 2 and "started with other settings: label_smoothing was 0.0, now 0.1" in err
    assert run("train", "two_layer", "--resume", "--out", "old")[0] == 0
    assert Path("old/model.safetensors").read_bytes() == whole


def test_published_data_by_path(run: Run, shared: Path) -> None:
    code, out, _ = run("train", "two_layer", "--data", shared / "mnist-t10k", "--epochs", "1", "--json")
    assert code == 0
    assert json.loads(out)["metrics"]["accuracy"] > 0.7
    config = json.loads(Path("runs/two_layer-mnist/1/config.json").read_text())
    assert config["data"]["name"] == "mnist"
    assert "only the test files are there" in config["notes"][0]


def test_a_models_name_takes_the_recipe_of_its_data(shared: Path) -> None:
    from firstsight.recipes.resolve import resolve

    recipe, settings, _ = resolve("lenet", {"data": str(shared / "fashion-mnist"), "epochs": 2})
    assert (recipe.name, settings.epochs, settings.batch_size) == ("lenet-fashion", 2, 256)
    assert resolve("lenet", {})[0].name == "lenet-digits"
    named, settings, _ = resolve("lenet-digits", {"data": "fashion-mnist"})
    assert (named.name, settings.batch_size) == ("lenet-fashion-mnist", 64)


def test_holdout_leaves_the_test_set_alone(run: Run) -> None:
    code, _, err = run("train", "lenet", "--epochs", "1", "--holdout", "0.2", "--json")
    assert code == 0
    config = json.loads(Path("runs/lenet-digits/1/config.json").read_text())
    assert (config["data"]["train_images"], config["data"]["test_images"]) == (1151, 287)  # 20 % of each class, rounded
    assert "held-out training images" in err


def test_tensorboard_holds_the_metrics(run: Run) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert run("train", "two_layer", "--epochs", "3", "--log", "tensorboard", "--out", "r")[0] == 0
    events = EventAccumulator("r/tensorboard")
    events.Reload()
    lines = [json.loads(line) for line in Path("r/metrics.jsonl").read_text().splitlines()]
    assert "test/accuracy" in events.Tags()["scalars"]
    logged = [(event.step, event.value) for event in events.Scalars("test/accuracy")]
    assert logged == [(line["step"], pytest.approx(line["test/accuracy"], abs=1e-6)) for line in lines]


def test_the_report_shows_what_was_run(run: Run) -> None:
    assert run("train", "lenet", "--epochs", "2", "--lr", "0.002", "--out", "r")[0] == 0
    page = Path("r/report.html").read_text()
    for text in (
        "Learning curves",
        "Confusion matrix",
        "Wrong answers",
        "Right answers",
        "0.002",
        "torch",
        "train_sha256",
    ):
        assert text in page
    for name in ("learning-curves", "confusion-matrix", "wrong-answers", "right-answers"):
        with Image.open(f"r/figures/{name}.png") as figure:
            assert figure.width > 400


def test_models_and_data(run: Run) -> None:
    code, out, _ = run("models", "--json")
    told = json.loads(out)
    assert code == 0
    sizes = {m["name"]: m["parameters"] for m in told["models"]}
    assert sizes.items() >= {"two_layer": 103_510, "convnet": 84_010, "lenet": 61_706, "resnet34": 21_797_672}.items()
    assert all(recipe["result"] for recipe in told["recipes"])
    weights = {r["name"] for r in told["recipes"] if r["weights"]}
    assert weights == set(shipped()) and "lenet-fashion" in weights
    code, out, _ = run("models", "lenet")
    assert "lenet-fashion" in out
    assert "convnet" not in out
    code, out, _ = run("data", "--json")
    places = {item["name"]: item["found"] for item in json.loads(out)}
    assert places["digits"]
    assert places["kmnist"] is None
    code, out, _ = run("data")
    assert "inside the package" in out
    assert "CC BY-SA 4.0" in out


def test_help_of_everything(run: Run) -> None:
    from firstsight.cli import COMMANDS

    code, out, _ = run("--help")
    assert code == 0
    assert all(command in out for command in COMMANDS)
    for command in COMMANDS:
        code, out, _ = run(command, "--help")
        assert code == 0
        assert "usage: firstsight" in out
    assert "(default: 0.003)" in run("train", "lenet", "--help")[1]
    assert "(default: 0.004)" in run("train", "convnet-fashion", "--help")[1]
    assert run("--version")[1].count(".") == 2


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m firstsight models | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_from_python() -> None:
    import firstsight

    result = firstsight.train("two_layer", epochs=2, out="r")
    assert result.run_dir == Path("r")
    network = firstsight.load("r")
    assert firstsight.evaluate(network).metrics["accuracy"] == pytest.approx(result.metrics["accuracy"])
    digits = firstsight.load_data("digits", "test")
    picture = Image.fromarray(digits.images[0, 0].numpy())
    answer = firstsight.predict(network, [picture], top=2)[0]
    assert len(answer.top) == 2
    with pytest.raises(firstsight.errors.UsageError, match="lenet-digits has no setting epoch; it has data, epochs"):
        firstsight.train("lenet", epoch=3)


def test_a_photograph_shown_to_a_network_of_digits(run: Run) -> None:
    """It answers with a digit whatever it is shown, and says so; of what it was trained on it says nothing."""
    code, out, err = run("predict", "lenet-digits", sample_photo())
    assert code == 0 and out and "large and in colour, and lenet-digits was trained on grey pictures of 32x32" in err
    Image.new("L", (300, 300), 9).save("grey.png")
    Image.new("RGB", (32, 32), (190, 185, 180)).save("small.png")
    code, _, err = run("predict", "lenet-digits", "grey.png", "small.png")
    assert (code, err) == (0, "")
