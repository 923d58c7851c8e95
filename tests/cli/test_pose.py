"""`firstsight pose` as a user types it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import firstsight
from firstsight.cli import pose_told
from firstsight.data.photo import sample_photo
from firstsight.pose import create_pose
from firstsight.pose.skeleton import LSP_14, OPENPOSE_18
from firstsight.weights.classifier import write
from firstsight.weights.pose import make_card
from helpers.blob_people import scene, seeing, stick

Run = Callable[..., tuple[int, str, str]]
PEOPLE = [stick(180, 240, size=300), stick(440, 220, size=240)]


@pytest.fixture
def sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any --model is a network that sees."""
    monkeypatch.setattr("firstsight.tasks.top_down_pose.load_network", lambda name, notify: seeing())


@pytest.fixture
def photo() -> Path:
    scene(PEOPLE, size=(640, 470)).save("photo.png")
    return Path("photo.png")


@pytest.mark.usefixtures("sees")
def test_one_picture(run: Run, photo: Path) -> None:
    code, out, err = run("pose", photo, "--model", "x", "--out", "people.png", "--maps", "--json", "--coco", "r.json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert list(told) == ["image", "people", "skeleton", "seconds"]
    assert list(told["seconds"]) == ["read", "network", "decode"]
    assert told["skeleton"] == {
        "name": "lsp-14", "joints": list(LSP_14.joints), "limbs": [list(limb) for limb in LSP_14.limbs],
    }  # fmt: skip
    assert [list(person) for person in told["people"]] == [["score", "box", "keypoints"]] * 2
    nearest = min(told["people"], key=lambda person: person["box"][0])
    np.testing.assert_allclose(np.array(nearest["keypoints"])[:, :2], np.rint(PEOPLE[0]), atol=1)
    before, drawn = (np.asarray(Image.open(name)).astype(int) for name in (photo, "people.png"))
    changed = np.abs(before - drawn).sum(2) > 60
    assert drawn.shape == before.shape and 0.005 < changed.mean() < 0.1
    seen = set()
    for person in PEOPLE:
        knee, hip = (np.rint(person[LSP_14.joints.index(f"left_{name}")]).astype(int) for name in ("knee", "hip"))
        assert drawn[knee[1], knee[0]].tolist() == [255, 255, 255]
        x, y = (knee + hip) // 2
        assert drawn[y, x].max() > 200 and changed[y, x]
        ankle = np.rint(person[LSP_14.joints.index("left_ankle")]).astype(int)
        below = (ankle + knee) // 2
        assert drawn[below[1], below[0]].tolist() == drawn[y, x].tolist()  # of several people each has one colour
        seen.add(tuple(drawn[y, x].tolist()))
    assert len(seen) == 2
    assert Image.open("people-maps.png").size[0] > 1000
    results = json.loads(Path("r.json").read_text())
    assert [(result["image_id"], len(result["keypoints"])) for result in results] == [(1, 42)] * 2


@pytest.mark.usefixtures("sees")
def test_folders_and_pictures_that_cannot_be_read(run: Run, photo: Path) -> None:
    """All that can be read are answered; the others named on stderr, exit 1."""
    for name in ("one/img_007.png", "two/img_012.png", "two/img_013.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(photo.read_bytes())
    Path("two/notes.txt").write_text("not a picture")
    Path("two/img_014.jpg").write_text("not a picture either")
    Path("empty").mkdir()
    arguments = ("one", "two", "gone.png", "empty", "--model", "x", "--out", "drawn", "--coco", "r.json")
    code, out, err = run("pose", *arguments)
    assert code == 1
    lines = out.splitlines()
    assert lines[0].split() == ["picture", "people", "joints", "seconds"]
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["one/img_007.png", "2", "28"], ["two/img_012.png", "2", "28"], ["two/img_013.png", "2", "28"],
    ]  # fmt: skip
    assert "img_007-pose.png to img_013-pose.png" in out
    assert {line.split(": ")[1] for line in err.splitlines()} == {"two/img_014.jpg", "gone.png", "empty"}
    assert sorted(path.name for path in Path("drawn").iterdir()) == [f"img_{n}-pose.png" for n in ("007", "012", "013")]
    assert [result["image_id"] for result in json.loads(Path("r.json").read_text())] == [7, 7, 12, 12, 13, 13]
    code, out, err = run("pose", "one", "--model", "x", "--json")
    assert code == 0 and len(json.loads(out)) == 1
    code, out, err = run("pose", "gone.png", "--model", "x", "--json")
    assert (code, out) == (1, "[]\n") and "gone.png: No such file" in err


@pytest.mark.usefixtures("sees")
def test_fragments_are_told(run: Run) -> None:
    """Of the second person five joints are left of fourteen."""
    pixels = np.array(scene(PEOPLE, size=(640, 470)))
    arm = ("left_wrist", "left_elbow", "left_shoulder", "neck", "head_top")
    for joint, (x, y) in zip(LSP_14.joints, np.rint(PEOPLE[1]).astype(int), strict=True):
        if joint not in arm:
            pixels[y - 8 : y + 9, x - 8 : x + 9] = 0
    Image.fromarray(pixels).save("part.png")
    code, out, err = run("pose", "part.png", "--model", "x")
    assert code == 0 and out.splitlines()[1].split()[:3] == ["part.png", "2", "19"]
    assert "1 of 2 people have fewer than 7 joints; --min-joints 7 leaves such parts out" in err
    code, out, err = run("pose", "part.png", "--model", "x", "--min-joints", 7)
    assert code == 0 and out.splitlines()[1].split()[:3] == ["part.png", "1", "14"] and "fewer" not in err


@pytest.mark.usefixtures("sees")
def test_pictures_of_one_name(run: Run, photo: Path) -> None:
    Path("sub").mkdir()
    Path("sub/photo.png").write_bytes(photo.read_bytes())
    code, _, err = run("pose", photo, "sub", "--model", "x", "--out", "d", "--coco", "r.json", "--maps")
    assert code == 0 and "image_id counts them from 1" in err
    assert sorted(path.name for path in Path("d").iterdir()) == [
        "photo-2-maps.png", "photo-2-pose.png", "photo-maps.png", "photo-pose.png",
    ]  # fmt: skip
    assert [result["image_id"] for result in json.loads(Path("r.json").read_text())] == [1, 1, 2, 2]


def test_real_networks(run: Run, photo: Path) -> None:
    """The published file and one of ours; with and without what costs more."""
    torch.manual_seed(0)
    torch.save(create_pose("openpose-mobilenet", skeleton=OPENPOSE_18).state_dict(), "checkpoint_iter_370000.pth")
    code, out, err = run("pose", photo, "--model", "checkpoint_iter_370000.pth")
    assert code == 0 and "photo.png" in out and "to see them drawn: --out" in err
    card = make_card(model="openpose-tiny", skeleton=LSP_14, stages=1, height=128, about={})
    write(Path("tiny.safetensors"), create_pose("openpose-tiny", skeleton=LSP_14).state_dict(), card)
    extra = ("--method", "exact", "--flip", "--scales", "0.5,1", "--height", "160", "--json")
    code, out, _ = run("pose", photo, "--model", "tiny.safetensors", *extra)
    assert code == 0 and json.loads(out)["skeleton"]["name"] == "lsp-14"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("", "missing: IMAGE_OR_FOLDER"),
        ("x.png --maps", "--maps draws the maps beside the people; say where with --out"),
        ("x.png --out x.gif", "--out must be a .png or .jpg file or a folder; got x.gif"),
        ("x.png y.png --out x.png", "several pictures need a folder"),
        ("x.png --out no/x.png", "there is no folder no"),
        ("x.png --coco r.txt", "--coco must be a .json file; got r.txt"),
        ("x.png --model m --scales a,b", "--scales a,b: not understood"),
        ("x.png --model m --scales 0", "--scales must lie between 0.1 and 4; got 0"),
        ("x.png --model m --height 5", "--height must lie between 32 and 2,000 pixels; got 5"),
        ("x.png --model m --min-joints 2", "--min-joints must lie between 3 and 14, all joints; got 2"),
        ("x.png --method slow", "--method"),
    ],
)
@pytest.mark.usefixtures("sees")
def test_usage(run: Run, photo: Path, arguments: str, told: str) -> None:
    photo.rename("x.png")
    code, out, err = run("pose", *arguments.split())
    assert (code, out) == (2, "")
    assert err.startswith("firstsight: ") and told in err


def test_no_network_is_looked_for_where_there_is_no_picture(run: Run) -> None:
    code, out, err = run("pose", "gone.png", "--model", "nowhere.safetensors")
    assert (code, out) == (1, "") and err == "firstsight: gone.png: No such file or directory\n"


def test_weights_that_are_not_there(run: Run, photo: Path) -> None:
    code, _, err = run("pose", photo, "--model", "nowhere/net.safetensors")
    assert code == 2 and "no such file or run directory: nowhere/net.safetensors" in err
    code, _, err = run("pose", photo, "--model", "lenet-digits")
    assert code == 1 and "holds a classifier, not a bottom-up pose network" in err


def test_the_weights_that_come_along_say_what_they_know(run: Run) -> None:
    photo = sample_photo()
    code, out, err = run("pose", photo, "--out", "people.jpg", "--json")
    assert code == 0 and "openpose-tiny-lsp comes along: it is small, knows people seen from" in err
    assert Image.open("people.jpg").format == "JPEG" and Image.open("people.jpg").size == Image.open(photo).size
    told = json.loads(out)
    assert told["people"] == [pose_told.person(pose) for pose in firstsight.PoseEstimator()(photo)]
    first = told["people"][0]["keypoints"][0]
    assert f"        {json.dumps(first)},\n" in out  # x, y, score in one line
    code, _, err = run("pose", photo, "--model", "pose-tiny-lsp", "--detector", "openpose-tiny-lsp")
    assert code == 0 and "pose-tiny-lsp comes along" in err and "mostly finds several people in one" in err
