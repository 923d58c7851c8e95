"""Summaries, filters and comparisons of runs, from their files alone; damaged runs; the newest run."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from firstsight import compare_runs, list_runs
from firstsight.engine.rundir import RunDirectory, find_latest, newest_run
from firstsight.errors import RunError, UsageError
from firstsight.recipes.runs import find_run
from firstsight.weights.resolve import resolve

Lines = Sequence[Mapping[str, Any]]
SETTINGS = {"data": "digits", "epochs": 3, "lr": 0.01, "max_steps": 0, "seed": 0}


def write_run(
    where: str,
    accuracies: Sequence[float | None],
    *,
    age: int = 0,
    model: str = "lenet",
    key: str = "test/accuracy",
    finished: bool = True,
    **changes: Any,
) -> Path:
    """Write the files of a run with one step of 10 samples per epoch, started ``age`` seconds ago."""
    run = Path(where)
    run.mkdir(parents=True)
    settings = {**SETTINGS, **changes}
    config = {"recipe": f"{model}-{settings['data']}", "model": model, "settings": settings}
    data = {"name": settings["data"], "train_sha256": "ab" * 32}
    (run / "config.json").write_text(json.dumps({**config, "data": data}))
    moment = 1_700_000_000 - age
    os.utime(run / "config.json", (moment, moment))
    lines = [
        {"epoch": i, "step": 10 * i, "train/loss": 1 / i, "seconds": 50.0 * i} | ({} if value is None else {key: value})
        for i, value in enumerate(accuracies, 1)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if finished:
        (run / "model.safetensors").touch()
    return run


def test_runs_are_compared_by_path_by_summary_and_as_one_list() -> None:
    write_run("runs/a/1", [0.5, 0.9])
    write_run("runs/b/1", [0.6, 0.7])
    expected = compare_runs("a/1", "b/1").to_dict()
    assert compare_runs(["a/1", Path("runs/b/1")]).to_dict() == expected
    by_name = sorted(list_runs(), key=lambda run: run.path)
    assert compare_runs(by_name).to_dict() == compare_runs(*by_name).to_dict() == expected


def test_repr_of_a_run_and_of_a_comparison_is_one_short_line() -> None:
    write_run("runs/a/1", [0.5, 0.9], epochs=2)
    write_run("runs/b/1", [0.6, 0.7], lr=0.1)
    (run,) = list_runs("runs/a")
    assert repr(run).startswith("RunSummary(runs/a/1, finished: lenet-digits, 2 of 2 epochs, best ")
    assert repr(compare_runs("a/1", "b/1")) == "RunComparison(a/1, b/1; 2 settings differ)"


def test_comparison_refuses_what_is_no_run() -> None:
    with pytest.raises(UsageError, match="`run` must be a string or a path or the result of a training; got 3"):
        compare_runs(3, 4)  # type: ignore[arg-type]


def test_summary_has_the_best_and_the_last_value_of_the_main_metric() -> None:
    write_run("runs/a/1", [0.5, 0.9, None, 0.8], epochs=4)
    (run,) = list_runs()
    assert (run.last, run.best, run.best_epoch) == (0.8, 0.9, 2)
    assert (run.epochs, run.planned_epochs, run.seconds, run.state) == (4, 4, 200.0, "finished")
    assert run.text_of(run.best) == "90.00%"
    document = json.loads(json.dumps(run.to_dict()))
    assert document["run"] == "runs/a/1" and document["metric"] == "accuracy" and document["best"] == 0.9


def test_state_follows_from_the_epochs_the_result_and_the_lock() -> None:
    write_run("runs/a/1", [0.5, 0.6], finished=False)
    write_run("runs/a/2", [0.5, 0.6, 0.7], finished=False)  # killed before the result was written
    write_run("runs/a/3", [0.5, 0.6, 0.7])
    write_run("runs/a/4", [0.5, 0.6], max_steps=25)  # 2 epochs of 10 steps
    write_run("runs/mine", [])
    lock = RunDirectory(Path("runs/mine"))
    states = {run.path.name: run.state for run in list_runs()}
    lock.close()
    assert states == {"1": "interrupted", "2": "interrupted", "3": "finished", "4": "finished", "mine": "running"}
    assert {run.path.name: run.state for run in list_runs()}["mine"] == "interrupted"
    assert not Path("runs/a/1/.lock").exists()  # listing writes nothing


def test_a_run_that_stopped_early_is_finished_with_the_result_of_the_kept_epoch() -> None:
    def add_losses(run: Path, losses: Sequence[float]) -> None:
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        lines = [{**line, "val/loss": loss} for line, loss in zip(lines, losses, strict=True)]
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    add_losses(write_run("runs/a/1", [0.5, 0.6, 0.9, 0.7], patience=2, epochs=20), [3, 1, 2, 1])
    add_losses(write_run("runs/a/2", [0.5, 0.6, 0.9], patience=2, epochs=20), [3, 1, 2])  # epoch 4 is missing
    add_losses(write_run("runs/a/3", [0.5, 0.6, 0.9], patience=2, epochs=3), [3, 1, 2])
    add_losses(write_run("runs/a/4", [0.5, 0.6, 0.9, 0.7], patience=2, epochs=20, finished=False), [3, 1, 2, 1])
    runs = {run.path.name: (run.state, run.last, run.kept_epoch) for run in list_runs()}
    assert runs["1"] == runs["3"] == ("finished", 0.6, 2)
    assert runs["2"] == ("interrupted", 0.9, None) and runs["4"] == ("interrupted", 0.7, None)
    assert {run.path.name for run in list_runs(finished=True)} == {"1", "3"}
    comparison = compare_runs("runs/a/1", "runs/a/2")
    assert comparison.metrics["test accuracy"] == ["60.00%", "90.00%"]
    assert comparison.metrics["epochs"] == ["4 of 20 (epoch 2 is kept)", "3 of 20"]


def test_listing_while_another_process_starts_a_run_does_not_stop_it() -> None:
    write_run("runs/a/1", [0.5])
    code = "from firstsight.recipes.runs import list_runs; print('ready', flush=True)\nfor _ in range(400): list_runs()"
    RunDirectory(Path("runs/a/1")).close()  # creates the lock
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        while process.poll() is None:
            RunDirectory(Path("runs/a/1")).close()
    assert process.returncode == 0


def test_runs_are_sorted_by_age_or_by_result() -> None:
    write_run("runs/a/1", [0.7], age=3)
    write_run("runs/a/2", [0.9], age=2)
    write_run("runs/b/1", [300.0, 200.0], age=1, model="gan", key="test/frechet")
    write_run("runs/b/2", [100.0], age=4, model="gan", key="test/frechet")
    write_run("runs/c", [], age=0)
    assert [str(run.path) for run in list_runs()] == ["runs/c", "runs/b/1", "runs/a/2", "runs/a/1", "runs/b/2"]
    by_result = [str(run.path) for run in list_runs(best_first=True)]
    assert by_result == ["runs/a/2", "runs/a/1", "runs/b/2", "runs/b/1", "runs/c"]  # a small distance is better


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, {"1", "2", "3"}),
        ({"recipe": "lenet"}, {"1", "3"}),
        ({"recipe": "lenet-f*"}, {"3"}),
        ({"recipe": "mlp-digits"}, {"2"}),
        ({"data": "fashion"}, {"3"}),
        ({"data": "digits", "finished": True}, {"2"}),
        ({"data": "cifar"}, set()),
    ],
)
def test_filters(filters: dict[str, Any], names: set[str]) -> None:
    write_run("runs/x/1", [0.5], finished=False)
    write_run("runs/x/2", [0.5, 0.5, 0.5], model="mlp")
    write_run("runs/x/3", [0.5], data="fashion-mnist")
    assert {run.path.name for run in list_runs(**filters)} == names


DAMAGED = ["{", "[]", "{}", '{"recipe": "a", "model": "b", "settings": {}, "data": {}}', "\x00" * 99, '{"lr": {']


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_run_is_named_and_does_not_hide_the_others(content: str) -> None:
    write_run("runs/a/1", [0.5])
    other = write_run("runs/a/2", [0.5])
    (other / "config.json").write_text(content)
    lost = write_run("runs/a/3", [0.5])
    (lost / "config.json").unlink()
    Path("runs/a/4").mkdir()  # killed before it began
    Path("runs/file").touch()
    states = {run.path.name: (run.state, len(run.problems)) for run in list_runs()}
    assert states == {"1": ("interrupted", 0), "2": ("damaged", 1), "3": ("damaged", 1)}
    for run in list_runs():
        assert all(str(run.path) in problem and "\n" not in problem for problem in run.problems)
    with pytest.raises(RunError, match=r"runs/a/2/config\.json: not the configuration of a run"):
        compare_runs("runs/a/1", "runs/a/2")


def test_a_damaged_line_of_metrics_is_named_and_the_others_are_used() -> None:
    run = write_run("runs/a/1", [0.5, 0.6, 0.7])
    first, _, third = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text(f"{first}\n{{x\n{third}\n")
    (summary,) = list_runs()
    assert (summary.state, summary.best) == ("finished", 0.7)
    assert [problem.partition(": ")[2][:8] for problem in summary.problems] == ["line 2: "]


def test_a_network_that_is_not_registered_has_no_metric() -> None:
    write_run("runs/a/1", [0.5, 0.6, 0.7], model="of-a-plugin")
    (summary,) = list_runs()
    assert (summary.state, summary.metric, summary.text_of(summary.best)) == ("finished", None, "-")


def test_a_folder_of_runs_can_be_given() -> None:
    run = write_run("elsewhere/mine", [0.5])
    assert [item.path for item in list_runs("elsewhere")] == [item.path for item in list_runs(run)] == [run]
    assert list_runs() == []
    with pytest.raises(UsageError, match="no such folder: nowhere"):
        list_runs("nowhere")


def test_latest_is_the_run_that_was_started_last_wherever_weights_are_named() -> None:
    write_run("runs/a/9", [0.5], age=9)
    newest = write_run("runs/mine", [0.5], age=1)
    write_run("runs/b/1", [0.5], age=5)
    Path("runs/b/2").mkdir()  # not begun
    lines: list[str] = []
    assert newest_run(Path("runs")) == newest
    assert resolve("latest", notify=lines.append) == newest / "model.safetensors"
    assert find_run("latest") == newest
    assert lines == ["latest: runs/mine"]


def test_a_folder_called_latest_is_used_and_named() -> None:
    write_run("runs/a/1", [0.5])
    own = write_run("latest", [0.5])
    lines: list[str] = []
    assert resolve("latest", notify=lines.append) == own / "model.safetensors"
    assert find_run("latest") == own
    assert len(lines) == 1 and "folder has this name and is used" in lines[0]


def test_latest_without_runs_is_refused() -> None:
    for function in (resolve, find_run, find_latest):
        with pytest.raises(UsageError, match="latest: there is no run in the folder runs; train one"):
            function("latest")


def test_comparison_has_the_settings_that_differ_and_the_last_metrics() -> None:
    write_run("runs/lenet-digits/1", [0.5, 0.9, 0.8], lr=0.02, data="/home/me/one/photos")
    write_run("runs/lenet-digits/2", [0.5, 0.6, 0.7], lr=0.3, data="/home/me/two/photos")
    comparison = compare_runs("lenet-digits/1", "runs/lenet-digits/2")
    assert comparison.labels == ["lenet-digits/1", "lenet-digits/2"]
    assert comparison.settings["lr"] == ["0.02", "0.3"]
    assert comparison.settings["data"] == ["one/photos", "two/photos"]  # the shortest paths that differ
    assert "epochs" not in comparison.settings and "seed" not in comparison.settings
    assert comparison.metrics["test accuracy"] == ["80.00%", "70.00%"]
    assert comparison.metrics["best test accuracy"] == ["90.00% (epoch 2)", "70.00% (epoch 3)"]
    assert comparison.metrics["time"] == ["2 min 30 s"] * 2
    assert list(comparison.notes) == []


def test_page_of_a_comparison_has_its_figure_and_no_external_resource() -> None:
    names = [str(write_run(f"runs/lenet-digits/{i}", [0.5, 0.6, 0.7], lr=i / 100)) for i in range(1, 7)]
    comparison = compare_runs(*names)
    page = comparison.html()
    assert page.count("data:image/png;base64,") == 1 and "http" not in page.replace("http-equiv", "")
    assert all(f"<th>lenet-digits/{i}</th>" in page for i in range(1, 7))
    assert "<td>0.06</td>" in page
    loss, accuracy = comparison.figure().axes
    assert [list(line.get_ydata()) for line in accuracy.lines] == [[50.0, 60.0, 70.0]] * 6
    curves = [line for line in loss.lines if len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in curves] == [[1, 2, 3]] * 6
    assert len({line.get_color() for line in curves}) == 6
    assert "<td>0.06</td>" in comparison._repr_html_()


def test_runs_of_different_kinds_have_their_own_panels_and_the_settings_of_both() -> None:
    write_run("runs/a", [0.5, 0.6, 0.7])
    write_run("runs/b", [9.0, 8.0, 7.0], model="gan", key="test/frechet", latent_dim=64, lr=0.5)
    comparison = compare_runs("a", "b")
    assert set(comparison.settings) == {"recipe", "model", "lr"}
    assert comparison.metrics["FD"] == ["-", "7.00"]
    assert len([ax for ax in comparison.figure().axes if ax.get_visible()]) == 3  # gan: no D loss in these files
    assert "different kinds" in comparison.notes[-1]


def test_runs_without_an_epoch_can_be_compared() -> None:
    write_run("runs/a", [], finished=False)
    write_run("runs/b", [])
    assert "no epoch of these runs is finished" in compare_runs("a", "b").figure().texts[0].get_text()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/1"], "needs 2 to 12 runs; got 1"),
        (["a/1"] * 13, "needs 2 to 12 runs; got 13"),
        (["a/1", "runs/a/1"], "runs/a/1: is named twice"),
        (["a/1", "runs/a/3"], "unknown run 'runs/a/3': did you mean runs/a/"),
        (["a/1", "a"], "runs/a: holds several runs; name one of them, as in runs/a/2"),
    ],
)
def test_comparisons_that_make_no_sense_are_refused(names: list[str], message: str) -> None:
    write_run("runs/a/1", [0.5])
    write_run("runs/a/2", [0.5])
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        compare_runs(*names)
