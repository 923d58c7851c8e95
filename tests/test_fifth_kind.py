"""A new kind of task, from the three files of tests/fifth_kind: no line of the package names it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import firstsight
from firstsight.cli import main
from firstsight.data.datasets import DATASETS
from firstsight.models.registry import MODELS, ModelInfo, register_model
from firstsight.recipes import RECIPES, Recipe, register_recipe
from firstsight.recipes.zoo import DEFAULTS
from firstsight.tasks.spec import TASKS, Metric, TaskSpec, register_task


@pytest.fixture
def denoising(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Register the kind, its network and a recipe; run in an empty folder."""
    from fifth_kind.settings import DenoisingSettings

    for table in (TASKS, MODELS, RECIPES, DEFAULTS):
        for key, value in table.items():
            monkeypatch.setitem(table, key, value)  # restores the tables afterwards
    before = [dict(table) for table in (TASKS, MODELS, RECIPES, DEFAULTS)]
    register_model(
        ModelInfo(
            name="denoiser",
            kind="denoising",
            summary="residual denoising network",
            parameters=2_625,
            module="fifth_kind.network",
        )
    )
    register_task(
        TaskSpec(
            name="denoising",
            title="denoising network",
            card_kind="denoiser",
            command="evaluate",
            settings="fifth_kind.settings:DenoisingSettings",
            default_settings="fifth_kind.settings:default_settings",
            create="fifth_kind.network:create_denoiser",
            build="fifth_kind.task:DenoisingBuilder",
            load="fifth_kind.task:load_denoiser",
            evaluate="fifth_kind.task:evaluate_denoiser",
            metrics=(Metric(key="test/mse", label="test MSE"),),
            results=(Metric(key="mse", label="MSE"),),
        )
    )
    settings = DenoisingSettings(data="digits", epochs=2, lr=3e-3)
    register_recipe(
        Recipe(name="denoiser-digits", model="denoiser", result="not measured", settings=settings), default=True
    )
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for table, content in zip((TASKS, MODELS, RECIPES, DEFAULTS), before, strict=True):
        table.clear()
        table.update(content)


def test_it_is_trained_evaluated_and_has_a_report(denoising: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "denoiser", "--out", "run", "--noise-std", "0.5", "--device", "cpu"]) == 0
    output = capsys.readouterr()
    assert "denoiser-digits: test MSE" in output.out and "test MSE 0." in output.err
    report = (denoising / "run/report.html").read_text()
    assert "test MSE" in report and "noise_std" in report
    metrics = [json.loads(line) for line in (denoising / "run/metrics.jsonl").read_text().splitlines()]
    assert metrics[-1]["test/mse"] < metrics[0]["test/mse"] < 0.25, "noise of variance 0.25 must be removed in part"

    assert main(["evaluate", "run", "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert evaluated["metrics"]["mse"] == pytest.approx(metrics[-1]["test/mse"], rel=1e-5)
    assert main(["evaluate", "run", "--height", "100"]) == 2
    assert "--height is not for a denoising network" in capsys.readouterr().err


def test_it_resumes_with_the_same_bits(denoising: Path, capsys: pytest.CaptureFixture[str]) -> None:
    firstsight.train("denoiser", out="whole", epochs=2, device="cpu")

    class StopAfterFirstEpoch:
        def note(self, line: str) -> None: ...
        def warn(self, line: str) -> None: ...
        def on_step_end(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
            if epoch == 2 and index == 3:
                raise KeyboardInterrupt

        def on_epoch_end(self, line: object, epochs: int) -> None: ...

    with pytest.raises(KeyboardInterrupt):
        firstsight.train(
            "denoiser", out="parts", epochs=2, device="cpu", checkpoint_seconds=0, callback=StopAfterFirstEpoch()
        )
    result = firstsight.train("denoiser", out="parts", resume=True, device="cpu")
    assert result.epochs == 2
    whole, parts = (load_file(denoising / run / "model.safetensors") for run in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert main(["train", "denoiser", "--out", "parts", "--resume", "--noise-std", "2"]) == 2
    assert "noise_std was 1.0, now 2.0" in capsys.readouterr().err.replace("--noise-std", "noise_std")


def test_it_is_listed_and_loaded(denoising: Path, capsys: pytest.CaptureFixture[str]) -> None:
    firstsight.train("denoiser", out="run", epochs=1, device="cpu")
    assert "denoiser" in firstsight.list_models(kind="denoising")
    assert main(["models", "denoiser"]) == 0
    assert "residual denoising network" in capsys.readouterr().out
    assert firstsight.load("run").task == "denoising"
    assert sum(p.numel() for p in firstsight.create_model("denoiser").parameters()) == MODELS["denoiser"].parameters
    with pytest.raises(firstsight.WeightsError, match="holds a denoising network, not a classifier"):
        firstsight.predict("run", torch.zeros(1, 32, 32))
    with pytest.raises(firstsight.UsageError, match="`width_mult` is not an option of denoiser"):
        firstsight.create_model("denoiser", width_mult=2)


def test_its_options_are_in_the_help(denoising: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "denoiser", "--help"])
    output = capsys.readouterr().out
    assert "--noise-std" in output and "Standard deviation of the noise." in output
    assert main(["train", "lenet", "--noise-std", "1"]) == 2
    assert "denoiser-digits has it" in capsys.readouterr().err


def test_it_trains_on_a_folder_of_the_user(denoising: Path) -> None:
    from PIL import Image

    for i in range(8):
        folder = denoising / f"photos/{'cats' if i % 2 else 'dogs'}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (i * 20, 100, 200)).save(folder / f"{i}.png")
    result = firstsight.train("denoiser", data="photos", out="run", epochs=1, batch_size=4, device="cpu")
    assert result.metrics["mse"] >= 0 and "photos" not in DATASETS
