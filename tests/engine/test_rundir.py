"""Run directories: configuration, metrics, lock, numbering; the HTML report."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from firstsight.atomic_io import replace_file
from firstsight.documents.runs import RunConfig
from firstsight.engine import rundir
from firstsight.engine.report import Report
from firstsight.engine.rundir import RunDirectory
from firstsight.errors import RunError, UsageError

CONFIG = RunConfig(recipe="lenet-digits", model="lenet", settings={"lr": 0.1, "seed": 0}, data={"train_sha256": "abc"})


def test_run_is_continued_with_its_settings_and_refused_with_others(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "r")
    run.begin(CONFIG, resume=False)
    run.begin(CONFIG, resume=True)
    with pytest.raises(UsageError, match="already holds a run; continue it with `resume=True`"):
        run.begin(CONFIG, resume=False)
    other = replace(CONFIG, settings={"lr": 0.2, "seed": 0}, data={"train_sha256": "xyz"})
    with pytest.raises(UsageError, match=r"lr was 0.1, now 0.2; train_sha256 was abc, now xyz"):
        run.begin(other, resume=True)
    run.close()


def test_metrics_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for step in (10, 20, 30):
        run.append_metrics({"epoch": step // 10, "step": step, "loss": 1 / step})
    with (tmp_path / "metrics.jsonl").open("a") as out:
        out.write('{"step": 40, "lo')  # truncated by a crash
    history = rundir.read_metrics(tmp_path)
    assert [line["step"] for line in history.lines] == [10, 20, 30]
    assert history.problems == []
    assert run.rewind_metrics(20) == []
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [10, 20]
    run.close()


DAMAGED_LINES = [
    b'{"epoch": 2, "step": 20, "lo',
    b'{"epoch": 2, "step": 20, "loss": "0.1"}',
    b'{"epoch": 2, "loss": 0.1}',
    b"\x00\xff\x00",
    b"[[[[" * 50_000,
    b"",
]


@pytest.mark.parametrize("damage", DAMAGED_LINES)
def test_lines_after_a_damaged_line_are_kept_and_the_damage_is_named_once(tmp_path: Path, damage: bytes) -> None:
    run = RunDirectory(tmp_path)
    lines = [json.dumps({"epoch": epoch, "step": 10 * epoch, "loss": 0.5}).encode() for epoch in (1, 2, 3, 4)]
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join([lines[0], damage, *lines[2:], b""]))
    (problem,) = run.rewind_metrics(30)
    assert problem.startswith(f"{tmp_path}/metrics.jsonl: line 2: ") and len(problem) <= 300 and "\n" not in problem
    assert [line["epoch"] for line in rundir.read_metrics(tmp_path).lines] == [1, 3]
    assert run.rewind_metrics(30) == []
    run.close()


def test_last_line_without_a_line_break_is_kept_if_it_is_complete(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1, "step": 9}\n{"epoch": 2, "step": 18}')
    assert [line["step"] for line in rundir.read_metrics(tmp_path).lines] == [9, 18]


def test_metrics_that_are_not_finite_are_valid_json_and_those_of_earlier_versions_are_read(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1, "step": 9, "test/ap": NaN, "test/loss": -Infinity}\n')
    run = RunDirectory(tmp_path)
    run.append_metrics({"epoch": 2, "step": 18, "test/ap": float("nan"), "test/loss": 0.25})
    for _ in range(2):
        first, second = rundir.read_metrics(tmp_path).lines
        assert all(math.isnan(value) for value in (first["test/ap"], first["test/loss"], second["test/ap"]))
        assert second["test/loss"] == 0.25
        assert run.rewind_metrics(18) == []
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)
    run.close()


@pytest.mark.parametrize("name", ["checkpoints/00000007/manifest.json", "metrics.jsonl", "model.safetensors"])
@pytest.mark.parametrize("resume", [True, False])
def test_files_of_a_run_without_configuration_are_refused_and_kept(tmp_path: Path, name: str, resume: bool) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("of another run")
    run = RunDirectory(tmp_path)
    with pytest.raises(RunError, match=rf"holds {name.split('/')[0]} of a run, but no config.json"):
        run.begin(CONFIG, resume=resume)
    run.close()
    assert (tmp_path / name).exists() and not (tmp_path / "config.json").exists()


def test_differences_of_long_settings_are_one_short_line(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.begin(CONFIG, resume=False)
    with pytest.raises(UsageError, match="cannot resume with other settings or data") as error:
        run.begin(replace(CONFIG, data={"classes": ["\n"] * 1000}), resume=True)
    run.close()
    assert len(str(error.value)) <= 300 and "\n" not in str(error.value)


def test_run_directory_is_locked_against_a_second_process_until_the_first_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys; from pathlib import Path; from firstsight.engine.rundir import RunDirectory\n"
        f"run = RunDirectory(Path({str(tmp_path)!r})); print('open', flush=True); sys.stdin.readline()\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"

    waits: list[float] = []
    try:
        with monkeypatch.context() as patch, pytest.raises(RunError, match="another process is training in this dir"):
            patch.setattr(time, "sleep", waits.append)
            deadline = iter(range(1000))
            patch.setattr(time, "perf_counter", lambda: next(deadline) / 20)
            RunDirectory(tmp_path)
        assert sum(waits) < 0.5  # `firstsight runs` may hold the lock for a moment
    finally:
        holder.kill()  # this releases the lock, too
        holder.wait()
    RunDirectory(tmp_path).close()


def test_temporary_files_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    """Only the names of atomic writes are removed, in the folder and its direct subfolders."""
    (tmp_path / "figures").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    leftovers = [tmp_path / ".report.html.123.tmp", tmp_path / "figures" / ".curves.png.4965.tmp"]
    others = [tmp_path / ".notes.tmp", tmp_path / "x.1.tmp", tmp_path / "deep" / "er" / ".y.png.7.tmp"]
    for path in (*leftovers, *others):
        path.write_text("x")
    RunDirectory(tmp_path).close()
    assert not any(path.exists() for path in leftovers) and all(path.exists() for path in others)


def test_writing_a_file_removes_its_temporary_files_of_ended_processes_only(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    parent = os.getppid()
    removed = [f".image [1].png.{ended.pid}.tmp", ".image [1].png.4194999999.tmp"]
    kept = [f".image [1].png.{parent}.tmp", f".other.png.{ended.pid}.tmp", ".image [1].png.tmp"]
    for name in (*removed, *kept):
        (tmp_path / name).write_text("x")
    replace_file(tmp_path / "image [1].png", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "image [1].png"])
    assert (tmp_path / "image [1].png").read_bytes() == b"new"


def test_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    (tmp_path / "report.html").mkdir()  # a rename cannot replace a folder
    with pytest.raises(OSError):
        run.write("report.html", "x")
    run.close()
    assert {path.name for path in tmp_path.iterdir()} - {".lock"} == {"report.html"}


def test_run_directory_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"a part of the path is a file, not a folder; choose another folder with `out`"):
        RunDirectory(tmp_path / "file" / "run")


def test_new_run_gets_the_next_number(tmp_path: Path) -> None:
    root = tmp_path / "runs" / "x"
    assert rundir.latest_run(root) is None
    assert [rundir.create_run(root).name for _ in range(11)] == [str(i) for i in range(1, 12)]
    assert rundir.latest_run(root) is None  # none of them has begun
    (root / "notes").mkdir()
    assert rundir.create_run(root).name == "12"
    (root / "12" / ".lock").touch()
    assert rundir.create_run(root, reuse=True).name == "12"
    (root / "12" / "config.json").touch()
    assert rundir.create_run(root, reuse=True).name == "13"


def test_newest_run_is_the_newest_one_that_has_begun(tmp_path: Path) -> None:
    for name in ("1", "2", "10", "11", "²", "final"):
        (tmp_path / name).mkdir()
    for name in ("1", "2", "10", "final"):
        (tmp_path / name / "config.json").write_text("{}")
    assert [path.name for path in rundir.numbered_runs(tmp_path)] == ["11", "10", "2", "1"]
    assert rundir.latest_run(tmp_path) == tmp_path / "10"
    assert rundir.create_run(tmp_path) == tmp_path / "12"


def test_unreadable_config_is_refused(tmp_path: Path) -> None:
    assert rundir.read_config(tmp_path) is None
    for content, reason in (
        ('{"settings"', "not valid JSON"),
        ("{}", "object missing required field recipe"),
        ("[1]", "expected an object, got a list"),
        ('{"model_type": "vit"}', "object missing required field recipe"),
        ('{"recipe": "a", "model": "b", "settings": {"lr": [1]}, "data": {}}', r"settings\[...\]: expected"),
        (
            '{"recipe": "a", "model": "b", "settings": {}, "data": {}, "threads": 0}',
            "threads: expected an integer >= 1",
        ),
    ):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(RunError, match=rf"config.json: not the configuration of a run \({reason}") as error:
            rundir.read_config(tmp_path)
        assert len(str(error.value)) <= 300


def test_report_is_one_html_file_that_escapes_its_text() -> None:
    page = Report(
        title="<script>alert(1)</script>",
        subtitle="s",
        metrics=[("a", "1")],
        figures=[("p", b"\x89PNG", "<b>")],
        notes=["x & y"],
        commands=["firstsight evaluate <run>"],
        tables=[("T", {"k": "<v>"})],
    ).html()
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")  # no external resources
    assert 'src="data:image/png;base64,iVBORw=="' in page
    for text in ("&lt;script&gt;", "x &amp; y", "&lt;v&gt;", "&lt;b&gt;", "firstsight evaluate &lt;run&gt;"):
        assert text in page
