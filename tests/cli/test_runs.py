"""``firstsight runs`` and ``runs compare``; ``latest`` in commands; reports in the browser."""

import json
import shutil
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from firstsight.cli.console import open_in_browser

Run = Callable[..., tuple[int, str, str]]


class Browser(webbrowser.BaseBrowser):
    """Browser that keeps the addresses, and answers whether it could open them."""

    def __init__(self, *, works: bool) -> None:
        super().__init__("test")
        self.works = works
        self.urls: list[str] = []

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        """Keep the address."""
        self.urls.append(url)
        return self.works


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """Make a browser the only one of this machine."""
    only = Browser(works=True)
    monkeypatch.setattr(webbrowser, "_tryorder", ["test"])
    monkeypatch.setattr(webbrowser, "_browsers", {"test": [None, only]})
    yield only


@pytest.fixture
def runs(trained: Callable[[str], Path]) -> list[Path]:
    """Copy two runs of different kinds, of which LeNet's is the newest, below ``runs``."""
    paths = [Path("runs/gan-digits/1"), Path("runs/lenet-digits/1")]
    for path, kind in zip(paths, ("gan", "lenet"), strict=True):
        shutil.copytree(trained(kind), path, copy_function=shutil.copy)
    return paths


def test_runs_are_listed_and_a_damaged_one_is_a_warning(run: Run, runs: list[Path]) -> None:
    code, out, err = run("runs")
    assert code == 0 and not err
    header, first, second = out.splitlines()
    assert header.split()[:2] == ["run", "recipe"]
    assert first.split()[:5] == ["runs/lenet-digits/1", "lenet-digits", "lenet", "digits", "3/3"]
    assert second.split()[0] == "runs/gan-digits/1" and second.split()[-1] == "finished"
    (runs[0] / "config.json").write_text("{")
    code, out, err = run("runs")
    assert code == 0 and out.splitlines()[-1].split()[::9] == ["runs/gan-digits/1", "damaged"]
    assert err.startswith("warning: runs/gan-digits/1/config.json: not the configuration of a run")
    code, out, _ = run("runs", "--recipe", "lenet", "--finished", "--best", "--json")
    assert code == 0 and [item["model"] for item in json.loads(out)["runs"]] == ["lenet"]


def test_no_runs_is_no_error_and_an_unknown_folder_is_one(run: Run) -> None:
    code, out, err = run("runs")
    assert (code, err) == (0, "") and out.startswith("no runs in runs")
    code, out, err = run("runs", "nowhere")
    assert (code, out) == (2, "") and "no such folder: nowhere" in err


def test_comparison_is_printed_and_written(run: Run, runs: list[Path]) -> None:
    code, out, err = run("runs", "compare", *runs, "--out", "both.png")
    assert code == 0, err
    assert "setting that differs" in out and "test accuracy" in out
    assert Image.open("both.png").size[0] > 1000
    code, _, err = run("runs", "compare", *runs, "--out", "both.png")
    assert code == 2 and "both.png: exists; replace it with --force" in err
    code, out, err = run("runs", "compare", "gan-digits/1", "latest", "--out", "both.html", "--json")
    assert code == 0 and [item["model"] for item in json.loads(out)["runs"]] == ["gan", "lenet"]
    assert "<h1>Comparison of 2 runs</h1>" in Path("both.html").read_text()
    code, out, err = run("runs", "compare", *runs, "--out", "both.txt")
    assert code == 2 and "--out must be a .html, .png, .jpg, .jpeg, .svg or .pdf file" in err


def test_the_page_of_a_comparison_is_opened(run: Run, runs: list[Path], browser: Browser) -> None:
    for name in ("runs-compare.html", "runs-compare-2.html"):
        code, _, err = run("runs", "compare", *runs, "--open")
        assert code == 0, err
        assert browser.urls[-1] == Path(name).resolve().as_uri()
    code, _, err = run("runs", "compare", *runs, "--open", "--out", "x.png")
    assert code == 2 and "--open needs an .html file" in err and len(browser.urls) == 2


def test_without_a_browser_the_file_is_named(browser: Browser, capsys: pytest.CaptureFixture[str]) -> None:
    browser.works = False
    open_in_browser(Path("report.html"))
    assert capsys.readouterr().err == "no browser was found on this machine; open report.html yourself\n"


def test_latest_is_evaluated_and_named_once(run: Run, runs: list[Path]) -> None:
    code, out, err = run("evaluate", "latest", "--json")
    assert code == 0 and json.loads(out)["n"] == 359
    assert err.count("latest: runs/lenet-digits/1\n") == 1
    code, _, err = run("generate", "latest", "--out", "x.png")
    assert code == 1 and "holds a classifier, not a generator" in err
