"""``firstsight predict`` with folders, patterns, a CSV file and the figure of what the network sees."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from firstsight import load_data
from firstsight.cli.predict import Remarks
from firstsight.tasks.classification.classifier import ClassProbability, Prediction

Run = Callable[..., tuple[int, str, str]]
KEEP = "(--invert no keeps the image)"


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write six digits to a folder ``photos`` with a damaged image, and work in the folder above."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, image in enumerate(load_data("digits", "test").images[:6]):
        Image.fromarray(image[0].numpy()).save(folder / f"{index}, a.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def rows_of(path: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_folder_is_predicted_into_a_csv_file(run: Run) -> None:
    code, out, err = run("predict", "lenet-digits", "photos", "--csv", "classes.csv", "--top", 2, "--batch-size", 4)
    assert code == 1 and "photos/broken.png: damaged image" in err
    assert out.startswith("6 images (") and ", 1 not readable" in out and out.splitlines()[-1] == "table: classes.csv"
    rows = rows_of("classes.csv")
    assert list(rows[0]) == ["image", "class", "probability", "class_2", "probability_2", "remarks", "error"]
    assert [row["image"] for row in rows] == [*(f"photos/{index}, a.png" for index in range(6)), "photos/broken.png"]
    *rows, broken = rows
    assert broken["error"].startswith("damaged image") and not broken["class"] + broken["remarks"]
    assert {row["error"] for row in rows} == {""}
    _, out, _ = run("predict", "lenet-digits", "photos/[0-5]*.png", "--json", "--top", 2)
    for row, prediction in zip(rows, json.loads(out), strict=True):
        assert (row["image"], row["class"]) == (prediction["image"], prediction["top"][0]["label"])
        assert float(row["probability"]) == pytest.approx(prediction["top"][0]["probability"], abs=1e-5)


def test_files_are_never_replaced_without_force(run: Run, photos: Path) -> None:
    Path("classes.csv").write_text("mine")
    code, _, err = run("predict", "lenet-digits", photos, "--csv", "classes.csv")
    assert code == 2 and "classes.csv: exists; replace it with --force" in err
    assert Path("classes.csv").read_text() == "mine"
    assert run("predict", "lenet-digits", "photos/0*", "--csv", "classes.csv", "--force")[0] == 0
    assert len(rows_of("classes.csv")) == 1
    code, _, err = run("predict", "lenet-digits", photos, "--csv", "classes.txt")
    assert code == 2 and "--csv must be a .csv file" in err
    code, _, err = run("predict", "lenet-digits", "photos/0, a.png", "--show-input", "photos/0, a.png", "--force")
    assert code == 2 and "is an input of this command" in err


def test_what_the_network_sees_is_drawn(run: Run) -> None:
    """A dark one on gray paper: the right half of the figure has it light on black."""
    photo = Image.new("L", (400, 300), 200)
    ImageDraw.Draw(photo).line((100, 80, 100, 200), fill=30, width=12)
    photo.save("one.jpg")
    code, out, err = run("predict", "lenet-mnist", "one.jpg", "--show-input", "seen.png")
    assert code == 0 and "one.jpg" in out and "figure: seen.png" in out
    assert err == f"one.jpg: inverted: dark digit on a light background, cropped to it {KEEP}\n"
    seen = np.asarray(Image.open("seen.png").convert("L"))
    right = seen[:, seen.shape[1] // 2 :]
    assert (right < 10).mean() > 0.3 and (right > 240).mean() > 0.02
    code, _, err = run("predict", "lenet-mnist", "one.jpg", "--invert", "no")
    assert code == 0 and "inverted" not in err


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["gone.png"], "gone.png: No such file or directory"),
        (["gone/*.png"], "gone/*.png: no file matches this pattern"),
        (["photos/../empty"], "photos/../empty: there are no images in this folder"),
    ],
)
def test_nothing_is_loaded_if_there_is_no_image(run: Run, names: list[str], message: str) -> None:
    Path("empty").mkdir()
    code, out, err = run("predict", "vgg16", *names)
    assert (code, out) == (2, "") and err == f"firstsight: {message}\n"
    code, out, err = run("predict", "vgg16", *names, "--json", "--csv", "classes.csv", "--top", 2)
    assert code == 1 and err.splitlines() == [
        "0 images, 1 not readable",
        "table: classes.csv",
        f"firstsight: {message}",
    ]
    name, _, reason = message.partition(": ")
    assert json.loads(out) == [{"image": name, "error": reason}]
    assert [(row["image"], row["error"], row["class_2"]) for row in rows_of("classes.csv")] == [(name, reason, "")]


@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_unreadable_images_are_listed_in_their_place(run: Run, photos: Path, batch_size: int) -> None:
    for name in ("0b.png", "3, b.png"):
        (photos / name).write_text("no image")
    names = ["none/*.png", "photos/0*", "gone.png", "photos/3*"]
    code, out, err = run("predict", "lenet-digits", *names, "--json", "--batch-size", batch_size)
    listed = json.loads(out)
    readable = ["photos/0, a.png", "photos/3, a.png"]
    assert code == 1 and "and 0 more" not in err
    assert [item["image"] for item in listed] == [
        "none/*.png", "photos/0, a.png", "photos/0b.png", "gone.png", "photos/3, a.png", "photos/3, b.png",
    ]  # fmt: skip
    assert [item["image"] for item in listed if "error" not in item] == readable
    assert listed[3] == {"image": "gone.png", "error": "No such file or directory"}


def test_the_table_ends_with_the_counts_per_class_and_has_no_empty_column(run: Run) -> None:
    load_data("digits", "test")[:3].save("mine")
    code, out, _ = run("predict", "lenet-digits", "mine", "--top", "1")
    assert code == 0 and out.splitlines()[0].split() == ["image", "class", "probability"]
    assert out.splitlines()[-1] == "3 images (9: 2, 8: 1)"
    assert " 0.0%" not in run("predict", "lenet-digits", "mine")[1]


def test_remarks_are_counted_by_kind(capsys: pytest.CaptureFixture[str]) -> None:
    remarks = Remarks()
    for name, texts in (("a", ("low confidence: 45%",)), ("b", ("low confidence: 30%", "inverted: x")), ("c", ())):
        remarks.add(Prediction(name, (ClassProbability("cat", 0.4),), texts))
    remarks.print()
    assert capsys.readouterr().err.splitlines() == ["warning: a and 1 more: low confidence: 45%", "b: inverted: x"]
