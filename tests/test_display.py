"""Results in notebooks, terminals and files: escaped, small, and with the same methods."""

import base64
import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageShow

import firstsight
from firstsight import display
from firstsight.data.images.image_set import ImageSet, SkippedImage
from firstsight.errors import UsageError
from firstsight.pose.parts import Pose
from firstsight.pose.skeleton import COCO_17
from firstsight.recipes.train import TrainResult
from firstsight.tasks.classification.classifier import ClassProbability, Prediction
from firstsight.tasks.evaluation import Evaluation
from firstsight.tasks.gan.image_grid import ImageGrid
from firstsight.tasks.pose.result import PoseResult
from firstsight.tasks.pose.video import FramePoses

MARKUP = "<script>alert('x')</script>&amp;\x1b[2J"
TAGS = {"p", "table", "tr", "td", "th", "div", "img"}
VOID = {"img"}
NOISE = torch.randint(0, 256, (16, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
POSE = Pose(np.full((17, 3), 0.5), 0.9, (0.0, 0.0, 1.0, 1.0))
RESULTS: dict[str, Callable[[], Any]] = {
    "prediction": lambda: Prediction(MARKUP, (ClassProbability(MARKUP, 0.75), ClassProbability("b", 0.25))),
    "evaluation": lambda: Evaluation(metrics={MARKUP: 0.5, "x": None}, n=3, model=MARKUP, data=MARKUP, notes=(MARKUP,)),
    "grid": lambda: ImageGrid(torch.zeros(16, 4), NOISE, 8, notes=(MARKUP,), seeds=(0,)),
    "named grid": lambda: ImageGrid(torch.zeros(2, 4), NOISE[:2], 2, rows=(MARKUP,), heads=("a", "b")),
    "poses": lambda: PoseResult([POSE], COCO_17, Image.fromarray(np.tile(NOISE[0, 0].numpy(), (6, 6))), {"read": 1.0}),
    "training": lambda: TrainResult(MARKUP, Path(MARKUP), 3, MARKUP, {"accuracy": 0.5, MARKUP: 1.0}, 2.0, 100.0, 61706),
    "frame": lambda: FramePoses(
        poses=[POSE], skeleton=COCO_17, image=Image.new("RGB", (90, 60)), timings={"read": 1.0}, number=3, seconds=0.1,
        identities=[7],
    ),
    "filter": lambda: firstsight.apply_filter(Image.linear_gradient("L").rotate(90)),
    "summary": lambda: firstsight.summary("lenet"),
    "images": lambda: ImageSet(
        NOISE, torch.arange(16), tuple(f"{i}{MARKUP}" for i in range(16)), MARKUP, "train", notes=(MARKUP,),
        skipped=(SkippedImage(MARKUP, MARKUP),),
    ),
    "features": lambda: firstsight.compute_features("lenet-digits", Image.linear_gradient("L")),
    "classifier": lambda: firstsight.load("lenet-digits"),
    "generator": lambda: firstsight.load("gan-digits"),
    "estimator": lambda: firstsight.load("pose-tiny-lsp"),
}  # fmt: skip
SAVED = ("prediction", "evaluation", "grid", "poses", "frame", "filter", "training", "summary", "images", "features")


class Checker(HTMLParser):
    """Checks that HTML has known tags only, and that each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        assert {name for name, _ in attrs} <= {"style", "src", "alt"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", RESULTS)
def test_html_is_escaped_closed_and_small(name: str) -> None:
    html = RESULTS[name]()._repr_html_()
    checker = Checker()
    checker.feed(html)
    assert not checker.open and "\x1b" not in html and len(html) < 300_000
    for data in re.findall("base64,([^']*)'", html):
        content = base64.b64decode(data)
        assert content.startswith((b"\x89PNG", b"\xff\xd8")) and len(content) <= display.MAX_BYTES
    if name not in (
        "grid",
        "named grid",
        "poses",
        "frame",
        "filter",
        "features",
        "summary",
        "classifier",
        "generator",
        "estimator",
    ):
        assert "<script>" in checker.text  # as text


@pytest.mark.parametrize("name", RESULTS)
def test_repr_is_short_and_names_the_kind(name: str) -> None:
    result = RESULTS[name]()
    assert len(repr(result)) < 1500 and "tensor(" not in repr(result)
    if name not in ("evaluation", "summary"):  # they print as a table
        assert repr(result).startswith(f"{type(result).__name__}(") and "\n" not in repr(result)


@pytest.mark.parametrize("name", SAVED)
def test_every_result_is_saved_as_json_html_and_text(name: str, tmp_path: Path) -> None:
    result = RESULTS[name]()
    data = json.loads(result.save(tmp_path / "x.json").read_text("ascii"))
    assert data == json.loads(json.dumps(result.to_dict()))
    page = result.save(str(tmp_path / "x.HTML")).read_text("utf-8")
    assert page.startswith("<!doctype html>") and result._repr_html_() in page
    text = result.save(tmp_path / "x.txt").read_text("utf-8")
    assert "\x1b" not in text and text.splitlines()[0] == str(result).splitlines()[0].replace("\x1b", "\\x1b")
    with pytest.raises(UsageError, match=r"`path` must end in .*\.json, \.html or \.txt; got x\.docx"):
        result.save("x.docx")
    with pytest.raises(UsageError, match="`path` must be a string or a path; got 3"):
        result.save(3)
    with pytest.raises(UsageError, match="cannot be written"):
        result.save(tmp_path / "missing" / "x.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.HTML", "x.json", "x.txt"]


@pytest.mark.parametrize("name", ["prediction", "evaluation", "training", "summary"])
def test_a_table_is_printed_in_a_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = RESULTS[name]()
    result.show()
    out = capsys.readouterr().out
    assert "\x1b" not in out and out.splitlines()[0] == str(result).splitlines()[0].replace("\x1b", "\\x1b")


@pytest.mark.parametrize("name", ["grid", "poses", "features"])
def test_an_image_is_opened_in_a_viewer_or_else_written_to_a_file(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sizes: list[tuple[int, int]] = []

    def view(image: Image.Image) -> bool:
        sizes.append(image.size)
        return len(sizes) == 1

    monkeypatch.setattr(ImageShow, "show", view)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":0")
    RESULTS[name]().show()
    assert len(sizes) == 1 and capsys.readouterr().out == "" and not [*tmp_path.iterdir()]
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    RESULTS[name]().show()
    path = capsys.readouterr().out.strip().rpartition(" ")[2]
    with Image.open(path) as image:
        assert image.size == sizes[0]


def test_a_notebook_displays_the_result_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    displayed: list[object] = []
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1)))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=displayed.append))
    result = RESULTS["evaluation"]()
    result.show()
    assert displayed == [result]


def test_the_table_of_a_network_has_its_layers_and_their_parameters() -> None:
    html = firstsight.load("lenet-digits")._repr_html_()
    for cells in (("conv1", "Conv2d", "6x28x28", "156"), ("fc3", "Linear", "10", "850")):
        assert re.search("".join(rf">{cell}</td><td[^>]*" for cell in cells[:-1]) + f">{cells[-1]}<", html), cells
    assert "accuracy 0.9972" in html
    two_parts = firstsight.load("pose-tiny-lsp")._repr_html_()
    assert "<td style='text-align:left'>net." in two_parts  # the parts of its only part with parameters


def test_a_large_photograph_is_reduced_and_a_small_image_enlarged() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8))
    assert len(display.embed(noise)) < 4 / 3 * display.MAX_BYTES + 200
    small = display.embed(Image.new("L", (8, 8)), scale=4)
    assert "image/png" in small and "width:32px" in small
