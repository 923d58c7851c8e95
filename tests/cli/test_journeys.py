"""Journeys through the command line: the demo, training, evaluating and predicting, with the user's own images."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import firstsight
from conftest import unavailable
from firstsight.cli import COMMANDS
from firstsight.data.sample_image import sample_photo
from firstsight.migrate import SETTINGS
from firstsight.recipes.resolve import resolve
from firstsight.weights.bundled import bundled

Run = Callable[..., tuple[int, str, str]]


def demo_without_network(*options: str) -> subprocess.CompletedProcess[str]:
    """Run `firstsight demo` in a network namespace without any interface, loopback included."""
    unshare = ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--net", "--map-root-user")
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        unavailable("unshare cannot cut the network here")
    command = [*unshare, sys.executable, "-m", "firstsight", "demo", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_demo_works_without_network() -> None:
    done = demo_without_network("--epochs", "2")
    assert done.returncode == 0, done.stderr
    accuracy = re.search(r"LeNet classified (\d+\.\d\d)% of 359 test images correctly", done.stdout)
    assert accuracy and float(accuracy[1]) > 60
    run_dir = Path("runs/lenet-digits/1")
    assert f"Open the report: {run_dir}/report.html" in done.stdout
    assert [path.name for path in sorted((run_dir / "digits").iterdir())] == [f"a-{digit}.png" for digit in "02468"]
    assert all(str(path) in done.stdout for path in (run_dir / "digits").iterdir())
    assert "2 epochs on cpu" in done.stderr
    assert "3. Predict five of them (firstsight predict" in done.stderr
    page = (run_dir / "report.html").read_text()
    assert page.count("data:image/png;base64") == 4
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.slow
def test_the_whole_demo_predicts_all_five_digits() -> None:
    done = demo_without_network("--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["metrics"]["accuracy"] >= 0.98
    assert [prediction["label"] for prediction in result["predictions"]] == ["0", "2", "4", "6", "8"]
    assert Path(result["report"]).is_file()


def test_a_folder_of_images_is_trained_evaluated_and_predicted(run: Run, make_images: Callable[..., Path]) -> None:
    path = make_images({"dark": 30, "light": 30}, size=40)
    code, out, err = run("train", "convnet", "--data", path, "--epochs", "8", "--json", "--seed", "3")
    assert code == 0, err
    result = json.loads(out)
    assert list(result) == [
        "recipe",
        "run_dir",
        "epochs",
        "headline",
        "metrics",
        "seconds",
        "samples_per_second",
        "parameters",
        "diagnosis",
        "early_stopping",
        "kept_epoch",
    ]
    assert (result["recipe"], result["run_dir"], result["epochs"]) == (
        "convnet-photos",
        "runs/convnet-photos/1",
        8,
    )
    assert result["metrics"]["accuracy"] == 1.0
    assert "holding out 20% of the images of each class" in err
    assert "settings for your images" in err and "--batch-size 8" in err and "--epochs" not in err
    assert "2 classes: dark (24), light (24)" in err
    assert "good" in result["diagnosis"] and result["metrics"]["train_accuracy"] == 1.0
    code, out, _ = run("evaluate", result["run_dir"], "--json")
    evaluation = json.loads(out)
    assert list(evaluation) == ["metrics", "n", "model", "data", "notes"]
    assert (code, evaluation["n"], evaluation["model"], evaluation["data"]) == (0, 12, "convnet", "photos")
    assert evaluation["metrics"]["accuracy"] == result["metrics"]["accuracy"]
    Image.new("RGB", (200, 150), (190, 185, 180)).save("bright.jpg")
    code, out, _ = run("predict", result["run_dir"], "bright.jpg", path / "dark" / "000.png", "--json")
    predictions = json.loads(out)
    assert [list(prediction) for prediction in predictions] == [["image", "top", "remarks", "index"]] * 2
    assert [prediction["top"][0]["label"] for prediction in predictions] == ["light", "dark"]
    assert sum(guess["probability"] for guess in predictions[0]["top"]) == pytest.approx(1, abs=1e-5)
    code, out, _ = run("predict", result["run_dir"], "bright.jpg")
    assert "bright.jpg" in out
    assert "light" in out
    assert run("train", "convnet", "--data", path, "--epochs", "1")[0] == 0
    assert Path("runs/convnet-photos/2/report.html").exists()


def test_a_folder_of_two_zip_files_is_trained_on_one_and_evaluated_on_the_other(
    run: Run, make_images: Callable[..., Path], tmp_path: Path
) -> None:
    for split, count in (("train", 20), ("test", 7)):
        make_images({"dark": count, "light": count}, where=f"photos/{split}")
        shutil.make_archive(str(tmp_path / "zips" / f"pets-{split}"), "zip", tmp_path / "photos", split)
    code, out, err = run("data", "zips")
    assert code == 0 and "zips: 2 classes, 40 train images, 14 test images" in out and "note" not in out
    code, out, err = run("train", "convnet", "--data", "zips", "--epochs", "1", "--json")
    assert code == 0, err
    run_dir = Path(json.loads(out)["run_dir"])
    assert "40 training images, 14 test images" in err and "holding out" not in err
    for data in ((), ("--data", "zips"), ("--data", "zips/pets-test.zip"), ("--data", "photos/test")):
        code, out, err = run("evaluate", run_dir, *data, "--json")
        assert code == 0 and json.loads(out)["n"] == 14, err
    code, out, _ = run("evaluate", run_dir, "--data", "zips/pets-test.zip")
    assert " of 14 images)" in out
    fingerprints = json.loads((run_dir / "config.json").read_text())["data"]
    code, _, err = run("train", "convnet", "--data", "zips", "--epochs", "2", "--out", run_dir, "--resume")
    assert code == 0 and "2/2" in err, err
    code, _, err = run("train", "convnet", "--data", "photos", "--epochs", "1", "--out", "folders")
    same = json.loads(Path("folders/config.json").read_text())["data"]
    assert {**same, "name": "zips"} == fingerprints


def test_resume_finds_the_latest_run_and_its_settings(run: Run, trained: Callable[[str], Path]) -> None:
    shutil.copytree(trained("lenet"), "runs/lenet-digits/1")
    code, out, err = run("train", "lenet", "--resume", "--json")
    assert code == 0
    assert json.loads(out)["epochs"] == 3
    assert "runs/lenet-digits/1 is finished, nothing is left to train" in err
    code, _, err = run("train", "mlp", "--resume", "--out", "fresh", "--epochs", "1")
    assert code == 0
    assert "nothing to resume in fresh: a new run begins" in err
    code, _, err = run("train", "--resume")
    assert code == 2 and "as in firstsight train runs/lenet-digits/1 --resume" in err
    Path("runs/lenet-digits/1/model.safetensors").unlink()
    code, _, err = run("train", "--resume", "--json")
    assert code == 0 and "the newest interrupted run: runs/lenet-digits/1" in err


def test_a_run_older_than_a_setting_resumes_with_the_same_bits(run: Run, many_checkpoints: Path) -> None:
    """The missing setting takes its neutral value; another value is refused like any other change."""
    shutil.copytree(many_checkpoints, "old")
    config = json.loads(Path("old/config.json").read_text())
    assert config["settings"].pop("label_smoothing") == 0
    old_names = {new: old for old, new in SETTINGS.items()}
    config["settings"] = {old_names.get(name, name): value for name, value in config["settings"].items()}
    config["model"] = "two_layer"
    assert {"shift", "zoom", "holdout", "bias_lr"} <= config["settings"].keys()
    Path("old/config.json").write_text(json.dumps(config))
    Path("old/model.safetensors").unlink()
    Path("old/report.html").unlink()
    shutil.rmtree(max(Path("old/checkpoints").iterdir()))
    code, _, err = run("train", "mlp", "--resume", "--out", "old", "--label-smoothing", "0.1")
    assert code == 2 and "with other settings (label_smoothing was 0.0, now 0.1); omit them, or start a new" in err
    code, _, err = run("train", "mlp", "--resume", "--out", "old")
    assert code == 0 and "continues after step 22 of 23" in err
    assert Path("old/model.safetensors").read_bytes() == (many_checkpoints / "model.safetensors").read_bytes()


def test_a_published_data_set_is_recognized_by_its_files(run: Run, shared: Path) -> None:
    code, out, _ = run("train", "mlp", "--data", shared / "mnist-t10k", "--epochs", "1", "--json")
    assert code == 0
    assert json.loads(out)["metrics"]["accuracy"] > 0.7
    config = json.loads(Path("runs/mlp-mnist/1/config.json").read_text())
    assert config["data"]["name"] == "mnist"
    assert "only the test files were found" in config["notes"][0]


def test_a_model_name_selects_the_recipe_made_for_the_data() -> None:
    assert resolve("lenet", {})[0].name == "lenet-digits"
    recipe, settings, _ = resolve("lenet", {"data": "fashion-mnist", "epochs": 2})
    assert (recipe.name, settings.epochs, settings.batch_size) == ("lenet-fashion", 2, 256)
    recipe, settings, _ = resolve("lenet-digits", {"data": "fashion-mnist"})
    assert (recipe.name, settings.batch_size) == ("lenet-fashion-mnist", 64)


def test_a_model_name_selects_the_recipe_of_a_published_data_set_in_a_folder(shared: Path) -> None:
    recipe, settings, _ = resolve("lenet", {"data": str(shared / "fashion-mnist"), "epochs": 2})
    assert (recipe.name, settings.epochs, settings.batch_size) == ("lenet-fashion", 2, 256)


def test_holdout_evaluates_on_training_images_only(run: Run) -> None:
    code, _, err = run("train", "mlp", "--epochs", "1", "--val-fraction", "0.2", "--json")
    assert code == 0
    config = json.loads(Path("runs/mlp-digits/1/config.json").read_text())
    assert (config["data"]["train_images"], config["data"]["test_images"]) == (1151, 287)  # 20 % of each class, rounded
    assert "held-out training images" in err


def test_tensorboard_receives_the_metrics_of_every_epoch(run: Run) -> None:
    assert run("train", "mlp", "--epochs", "3", "--log", "tensorboard", "--out", "r")[0] == 0
    events = EventAccumulator("r/tensorboard")
    events.Reload()
    lines = [json.loads(line) for line in Path("r/metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    assert "test/accuracy" in events.Tags()["scalars"]
    logged = [(event.step, event.value) for event in events.Scalars("test/accuracy")]
    assert logged == [(line["step"], pytest.approx(line["test/accuracy"], abs=1e-6)) for line in lines]


def test_the_report_shows_settings_figures_and_environment(run: Run) -> None:
    assert run("train", "mlp", "--epochs", "1", "--lr", "0.00234", "--out", "r")[0] == 0
    page = Path("r/report.html").read_text()
    for text in (
        "Learning curves",
        "Confusion matrix",
        "Wrong predictions",
        "Correct predictions",
        "0.00234",
        "torch",
        "train_sha256",
    ):
        assert text in page
    for name in ("learning-curves", "confusion-matrix", "wrong-predictions", "correct-predictions"):
        with Image.open(f"r/figures/{name}.png") as figure:
            assert figure.width > 400


def test_models_and_data_list_what_is_available(run: Run) -> None:
    code, out, _ = run("models", "--json")
    listing = json.loads(out)
    assert code == 0
    sizes = {m["name"]: m["parameters"] for m in listing["models"]}
    assert sizes.items() >= {"mlp": 103_510, "convnet": 84_010, "lenet": 61_706, "resnet34": 21_797_672}.items()
    assert all(recipe["result"] for recipe in listing["recipes"])
    weights = {r["name"] for r in listing["recipes"] if r["weights"]}
    assert weights == set(bundled()) and "lenet-fashion" in weights
    code, out, _ = run("models", "lenet")
    assert "lenet-fashion" in out
    assert "convnet" not in out
    code, out, _ = run("data", "--json")
    places = {item["name"]: item["found"] for item in json.loads(out)}
    assert places["digits"]
    assert places["kmnist"] is None
    code, out, _ = run("data")
    assert "in the package" in out
    assert "CC BY-SA 4.0" in out


def test_data_describes_a_folder_and_draws_a_contact_sheet(run: Run, make_images: Callable[..., Path]) -> None:
    path = make_images({"dark": 10, "light": 5}, size=30)
    Image.new("RGB", (90, 60)).save(path / "light" / "wide.png")
    (path / "light" / "text.png").write_text("I am a text")
    Image.new("RGB", (9, 9)).save(path / "outside.png")
    code, out, _ = run("data", path, "--out", "sheet.png")
    assert code == 0
    assert "photos: 2 classes, 13 train images, 3 test images" in out
    assert re.search(r"dark +8 +2\n", out) and re.search(r"light +5 +1\n", out)
    assert "width x height: min 30x30, median 30x30, max 90x60 pixels" in out and "modes: RGB (16)" in out
    assert "left out light/text.png: not an image" in out and "left out 1 image: 1 in no class folder" in out
    with Image.open("sheet.png") as sheet:
        levels = [sheet.convert("L").getpixel((318, y)) for y in (58, 175)]  # the first image of each class
        assert levels[0] < 80 < 150 < levels[1] < 220
    assert run("data", path, "--out", "sheet.png")[0] == 2  # exists
    code, out, _ = run("data", path, "--json")
    description = json.loads(out)
    assert description["counts"] == {"train": {"dark": 8, "light": 5}, "test": {"dark": 2, "light": 1}}
    assert description["sizes"]["max"] == [90, 60]
    assert [item["path"] for item in description["skipped"]] == ["light/text.png"]
    assert json.loads(run("data", "digits", "--json")[1])["sizes"]["min"] == [32, 32]
    assert run("data", "--out", "sheet.png")[0] == 2
    assert "no such file or folder" in run("data", "none/at/all")[2]


def test_every_command_has_a_help(run: Run) -> None:
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


@pytest.mark.parametrize("arguments", [["models"], ["data", "--json"], ["--help"]], ids=" ".join)
def test_a_closed_pipe_is_no_error(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader of the output has exited, for example in `firstsight models | head -1`."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # short output is then written at the very end
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "firstsight", *arguments]
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_results_that_cannot_be_written_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    if not Path("/dev/full").exists():
        unavailable("this system has no /dev/full")
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "firstsight", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "firstsight: the disk is full\n")


def test_training_evaluating_and_predicting_from_python() -> None:
    result = firstsight.train("mlp", epochs=1, out="r")
    assert result.run_dir == Path("r")
    network = firstsight.load("r")
    assert firstsight.evaluate(network).metrics["accuracy"] == pytest.approx(result.metrics["accuracy"])
    digits = firstsight.load_data("digits", "test")
    image = Image.fromarray(digits.images[0, 0].numpy())
    prediction = firstsight.predict(network, [image], top=2)[0]
    assert len(prediction.top) == 2
    with pytest.raises(
        firstsight.UsageError, match=r"no setting 'epoch'; did you mean epochs\? \(all: firstsight train lenet"
    ):
        firstsight.train("lenet", epoch=3)


def test_predict_warns_of_a_large_color_photo_given_to_a_network_of_digits(run: Run) -> None:
    """Images in which there is no digit are warned of, too."""
    code, out, err = run("predict", "lenet-digits", sample_photo())
    assert code == 0 and out and err.startswith("warning: ")
    assert "a large color image, but lenet-digits was trained on gray images of 32x32" in err
    Image.new("L", (300, 300), 9).save("gray.png")
    Image.new("RGB", (32, 32), (190, 185, 180)).save("small.png")
    code, _, err = run("predict", "lenet-digits", "gray.png", "small.png")
    assert code == 0
    assert err.startswith("warning: gray.png and 1 more: no digit found on a plain background")
