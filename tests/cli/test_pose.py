"""`firstsight pose` on images, with a weights file that detects people drawn in colors."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import firstsight
from firstsight import PoseEstimator, plots
from firstsight.cli.pose import output
from firstsight.cli.pose.arguments import Arguments
from firstsight.data.sample_image import sample_photo
from firstsight.errors import WeightsError
from firstsight.models.pose import create_bottom_up
from firstsight.pose.parts import Pose
from firstsight.pose.skeleton import LSP_14, OPENPOSE_18
from firstsight.tasks.pose.result import pose_to_dict, skeleton_to_dict
from firstsight.weights.io import read_weights, write_weights
from helpers.blob_people import stick
from helpers.colored_people import BODY, color_weights, draw, person

Run = Callable[..., tuple[int, str, str]]
PEOPLE = [person(90, 90), person(230, 100)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return color_weights(tmp_path_factory.mktemp("weights") / "net.safetensors")


@pytest.fixture
def pose(run: Run, weights: Path) -> Run:
    """Run ``firstsight pose`` with the weights file."""
    return lambda *arguments: run("pose", *arguments, "--model", weights)


@pytest.fixture
def photo() -> Path:
    draw(PEOPLE).save("photo.png")
    return Path("photo.png")


def test_one_image_gives_json_drawings_and_coco_results(pose: Run, photo: Path, weights: Path) -> None:
    code, out, err = pose(photo, "--out", "people.png", "--maps", "--json", "--coco", "r.json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert list(document) == ["image", "people", "skeleton", "timings"] and document["image"] == "photo.png"
    assert list(document["timings"]) == ["read", "network", "decode"]
    limbs = [list(limb) for limb in BODY.limbs]
    assert document["skeleton"] == {"name": "body", "joints": list(BODY.joints), "limbs": limbs}
    assert [list(one) for one in document["people"]] == [["score", "box", "keypoints"]] * 2
    found = sorted(document["people"], key=lambda one: one["box"][0])
    for one, joints in zip(found, PEOPLE, strict=True):
        np.testing.assert_allclose(np.array(one["keypoints"])[:, :2], joints, atol=0.5)
    poses = firstsight.PoseEstimator(weights)(photo)
    drawn = plots.draw_people(Image.open(photo), poses, BODY, color_by_person=True)
    assert np.array_equal(np.asarray(Image.open("people.png")), np.asarray(drawn))
    assert Image.open("people-maps.png").size[0] > 1000
    results = json.loads(Path("r.json").read_text())
    assert [(result["image_id"], len(result["keypoints"])) for result in results] == [(1, 15)] * 2


def test_people_are_drawn_with_white_joints_and_a_color_each() -> None:
    people = [stick(180, 240, size=300), stick(440, 220, size=240)]
    poses = [
        Pose(np.column_stack([one, np.full(14, 0.9)]), 9.0, (*one.min(0).tolist(), *np.ptp(one, axis=0).tolist()))
        for one in people
    ]
    black = Image.new("RGB", (640, 470))
    drawn = np.asarray(plots.draw_people(black, poses, LSP_14, color_by_person=True)).astype(int)
    assert drawn.shape == (470, 640, 3) and 0.005 < (drawn.sum(2) > 60).mean() < 0.1
    colors = set()
    for one in people:
        knee, hip, ankle = (
            np.rint(one[LSP_14.joints.index(f"left_{name}")]).astype(int) for name in ("knee", "hip", "ankle")
        )
        assert drawn[knee[1], knee[0]].tolist() == [255, 255, 255]
        (x, y), (below_x, below_y) = (knee + hip) // 2, (ankle + knee) // 2
        assert drawn[y, x].max() > 200 and drawn[below_y, below_x].tolist() == drawn[y, x].tolist()
        colors.add(tuple(drawn[y, x].tolist()))
    assert len(colors) == 2


def test_without_an_image_no_coco_results_are_written(pose: Run, photo: Path) -> None:
    Path("outer/inner").mkdir(parents=True)
    code, _, err = pose("outer", "--coco", "r.json")
    assert code == 1 and "outer: there are no images in this folder" in err and not Path("r.json").exists()
    Path("bad.png").write_text("not an image")
    assert pose("bad.png", "--coco", "r.json")[0] == 1 and not Path("r.json").exists()


def test_unreadable_images_are_named_with_exit_code_1_and_the_others_processed(pose: Run, photo: Path) -> None:
    for name in ("one/img_007.png", "two/img_012.png", "two/img_013.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(photo.read_bytes())
    Path("two/notes.txt").write_text("not an image")
    Path("two/img_014.jpg").write_text("not an image either")
    Path("empty").mkdir()
    code, out, err = pose("one", "two", "gone.png", "empty", "--out", "drawn", "--coco", "r.json")
    assert code == 1
    lines = out.splitlines()
    assert lines[0].split() == ["image", "people", "keypoints", "seconds"]
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["one/img_007.png", "2", "10"],
        ["two/img_012.png", "2", "10"],
        ["two/img_013.png", "2", "10"],
    ]
    assert "img_007-pose.png to img_013-pose.png" in out
    assert {line.split(": ")[1] for line in err.splitlines()} == {"two/img_014.jpg", "gone.png", "empty"}
    assert sorted(path.name for path in Path("drawn").iterdir()) == [f"img_{n}-pose.png" for n in ("007", "012", "013")]
    assert [result["image_id"] for result in json.loads(Path("r.json").read_text())] == [7, 7, 12, 12, 13, 13]
    code, out, err = pose("one", "--json")
    assert code == 0 and len(json.loads(out)) == 1
    code, out, err = pose("gone.png", "--json")
    assert (code, out) == (2, "") and "gone.png: No such file" in err


def test_min_joints_leaves_out_people_with_few_joints(pose: Run) -> None:
    """The second person shows the head and one side only."""
    side = PEOPLE[1].copy()
    side[[2, 4]] = -1
    draw([PEOPLE[0], side]).save("part.png")
    code, out, _ = pose("part.png")
    assert code == 0 and out.splitlines()[1].split()[:3] == ["part.png", "2", "8"]
    code, out, _ = pose("part.png", "--min-joints", 4)
    assert code == 0 and out.splitlines()[1].split()[:3] == ["part.png", "1", "5"]


def test_patterns_and_zip_files_are_read_as_by_predict(pose: Run, photo: Path) -> None:
    shutil.copy(photo, "second.png")
    with zipfile.ZipFile("photos.zip", "w") as archive:
        archive.write("second.png")
    code, out, _ = pose("*.png", "photos.zip", "--json")
    names = [entry["image"] for entry in json.loads(out)]
    assert code == 0 and names == ["photo.png", "second.png", "photos.zip/second.png"]
    assert pose("*.png", "--min-score", "1", "--out", "drawn")[0] == 0
    assert {path.name for path in Path("drawn").iterdir()} == {"photo-pose.png", "second-pose.png"}


def test_scores_are_between_0_and_1_and_low_ones_are_left_out(pose: Run, photo: Path, weights: Path) -> None:
    """Weights without calibration return all people."""
    code, out, _ = pose(photo, "--json")
    scores = [one["score"] for one in json.loads(out)["people"]]
    assert code == 0 and len(scores) == 2 and all(0 < score < 1 for score in scores)
    limit = (min(scores) + max(scores)) / 2
    if min(scores) < max(scores):
        code, out, _ = pose(photo, "--json", "--min-score", limit)
        assert [one["score"] for one in json.loads(out)["people"]] == [max(scores)]
    code, out, _ = pose(photo, "--min-score", "1")
    assert code == 0 and "no people found in photo.png (--min-score 0 shows uncertain detections)" in out
    code, out, _ = pose(photo, "--min-score", "1", "--json")
    assert code == 0 and json.loads(out)["people"] == []
    for option in ("--min-score", "--min-joint-score"):
        code, _, err = pose(photo, option, "1.5")
        assert code == 2 and f"{option} must be between 0 and 1; got 1.5" in err


def test_calibration_of_the_card_gives_score_and_default_threshold(photo: Path, weights: Path) -> None:
    card = read_weights(weights).card
    raw = [score / (1 - score) for score in PoseEstimator(with_calibration(weights, 1.0, 0.0, 0.0)).infer(photo).scores]
    calibrated = with_calibration(weights, 2.0, -3.0, 0.0)
    expected = [1 / (1 + np.exp(-(2 * np.log(value) - 3))) for value in raw]
    assert PoseEstimator(calibrated).infer(photo).scores == pytest.approx(expected)
    strict = PoseEstimator(with_calibration(weights, 2.0, -3.0, 0.9999))
    assert strict(photo) == [] and len(PoseEstimator(strict.network, min_score=0.0)(photo)) == 2
    for wrong in ({"coefficient": 1.0}, [1], {"coefficient": -1, "intercept": 0, "min_score": 0}):
        path = weights.with_name("wrong.safetensors")
        write_weights(path, read_weights(weights).tensors, json.dumps(card | {"score_calibration": wrong}))
        with pytest.raises(WeightsError, match="its card: score_calibration"):
            PoseEstimator(path)


def with_calibration(weights: Path, coefficient: float, intercept: float, min_score: float) -> Path:
    """Return a copy of a weights file with a calibration in its card."""
    entry = {"coefficient": coefficient, "intercept": intercept, "min_score": min_score}
    path = weights.with_name(f"calibrated-{coefficient}-{intercept}-{min_score}.safetensors")
    original = read_weights(weights)
    write_weights(path, original.tensors, json.dumps(original.card | {"score_calibration": entry}))
    return path


def test_joints_with_a_low_score_are_left_out(pose: Run, photo: Path) -> None:
    _, out, _ = pose(photo, "--json")
    scores = sorted(point[2] for one in json.loads(out)["people"] for point in one["keypoints"])
    limit = (scores[0] + scores[-1]) / 2
    code, out, _ = pose(photo, "--json", "--min-joint-score", limit)
    kept = [point[2] for one in json.loads(out)["people"] for point in one["keypoints"] if point[2] >= 0]
    assert code == 0 and all(score >= limit - 1e-4 for score in kept) and len(kept) < len(scores)


def test_fast_uses_a_height_of_256(run: Run, weights: Path) -> None:
    draw(PEOPLE).resize((640, 384)).save("large.png")
    results = []
    for option in (["--fast"], ["--height", 256], ["--height", 384]):
        code, out, _ = run("pose", "large.png", "--model", weights, "--json", *option)
        assert code == 0
        results.append(json.loads(out)["people"])
    assert results[0] == results[1] != results[2]
    code, _, err = run("pose", "large.png", "--model", weights, "--fast", "--height", "300")
    assert code == 2 and "--fast and --height exclude each other" in err


def test_downloaded_weights_are_the_default(run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTSIGHT_HOME", str(Path("home").absolute()))
    _, _, err = run("pose", photo)
    assert err.startswith("using openpose-") and "firstsight weights get openpose-mobilenet downloads 16 MB" in err
    net = create_bottom_up("openpose-mobilenet", skeleton=OPENPOSE_18, bridge="elu")
    torch.save(net.state_dict(), "other.pth")
    code, out, _ = run("weights", "import", "other.pth", "--no-verify")
    assert code == 0 and out.startswith("openpose-mobilenet-coco: openpose-mobilenet, 18 keypoints")
    code, _, err = run("pose", photo)
    assert code == 0 and "using openpose-mobilenet-coco (choose others with --model)" in err
    assert firstsight.PoseEstimator().network.name == "openpose-mobilenet-coco"
    assert firstsight.PoseEstimator().height == 368


def test_people_with_less_than_half_of_their_joints_are_reported(capfd: pytest.CaptureFixture[str]) -> None:
    """Unless --min-joints is given."""
    whole = np.column_stack([stick(180, 240, size=300), np.full(14, 0.9)])
    part = np.where(np.arange(14)[:, None] < 6, whole, -1.0)
    people = [pose_to_dict(Pose(keypoints, 9.0, (0.0, 0.0, 1.0, 1.0))) for keypoints in (whole, part)]
    entry = {"image": "a.png", "people": people, "skeleton": skeleton_to_dict(LSP_14), "timings": {"read": 0.1}}
    for least, is_reported in ((None, True), (3, False)):
        output.print_table(Arguments(images=("a.png",), min_joints=least), output.Results(entries=[entry]))
        printed = capfd.readouterr()
        assert printed.out.splitlines()[1].split() == ["a.png", "2", "20", "0.10"]
        sentence = "1 of 2 people have fewer than 7 keypoints; --min-joints 7 leaves them out"
        assert (sentence in printed.err) == is_reported


def test_images_with_the_same_name_get_numbered_files_and_ids(pose: Run, photo: Path) -> None:
    Path("sub").mkdir()
    Path("sub/photo.png").write_bytes(photo.read_bytes())
    code, _, err = pose(photo, "sub", "--out", "d", "--coco", "r.json", "--maps")
    assert code == 0 and "image_id counts the images from 1" in err
    assert sorted(path.name for path in Path("d").iterdir()) == [
        "photo-2-maps.png",
        "photo-2-pose.png",
        "photo-maps.png",
        "photo-pose.png",
    ]
    assert [result["image_id"] for result in json.loads(Path("r.json").read_text())] == [1, 1, 2, 2]


def test_the_published_checkpoint_runs_and_drawing_is_suggested(run: Run, photo: Path) -> None:
    torch.manual_seed(0)
    torch.save(create_bottom_up("openpose-mobilenet", skeleton=OPENPOSE_18).state_dict(), "checkpoint_iter_370000.pth")
    code, out, err = run("pose", photo, "--model", "checkpoint_iter_370000.pth", "--height", 64)
    assert code == 0 and "photo.png" in out and "to draw the poses: --out" in err


def test_options_are_those_of_the_estimator_in_python(pose: Run, photo: Path, weights: Path) -> None:
    code, out, _ = pose(
        photo, "--method", "exact", "--flip", "--scales", "0.5,1", "--height", 160, "--min-joints", 4, "--json"
    )
    options = {"method": "exact", "flip": True, "scales": (0.5, 1.0), "height": 160, "min_joints": 4}
    poses = firstsight.PoseEstimator(weights, **options)(photo)
    assert code == 0 and json.loads(out)["people"] == [pose_to_dict(one) for one in poses]
    assert json.loads(out)["people"] != [pose_to_dict(one) for one in firstsight.PoseEstimator(weights)(photo)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("x.png --maps", "--maps writes a file next to that of the poses; give --out too"),
        ("x.png --out x.gif", "--out must be a .png, .jpg, .svg or .pdf file or a folder; got x.gif"),
        ("x.png y.png --out x.png", "several images need a folder"),
        ("x.png --out no/x.png", "--out no/x.png: the folder no does not exist"),
        ("x.png --coco r.txt", "--coco must be a .json file; got r.txt"),
        ("x.png --scales a,b", "--scales must be numbers separated by commas, as in 0.5,1,1.5; got a,b"),
        ("x.png --scales 0", "--scales must be between 0.1 and 4; got 0"),
        ("x.png --height 5", "--height must be between 32 and 2,000 pixels; got 5"),
        ("x.png --min-joints 2", "--min-joints must be between 3 and 5, the number of keypoints; got 2"),
        ("x.png --method slow", "--method"),
    ],
)
def test_options_that_cannot_be_used_are_refused(pose: Run, photo: Path, arguments: str, message: str) -> None:
    photo.rename("x.png")
    code, out, err = pose(*arguments.split())
    assert (code, out) == (2, "")
    assert err.startswith("firstsight: ") and message in err


def test_a_missing_image_is_reported_before_the_weights_are_looked_for(run: Run) -> None:
    code, out, err = run("pose", "gone.png", "--model", "openpose-mobilenet")
    assert (code, out) == (2, "") and err == "firstsight: gone.png: No such file or directory\n"


def test_weights_that_are_missing_or_of_another_kind_are_refused(run: Run, photo: Path) -> None:
    code, _, err = run("pose", photo, "--model", "nowhere/net.safetensors")
    assert code == 2 and "no such file or run directory: nowhere/net.safetensors" in err
    code, _, err = run("pose", photo, "--model", "lenet-digits")
    assert code == 1 and "holds a classifier, not a pose network" in err


def test_the_limitations_of_bundled_networks_are_stated(run: Run) -> None:
    """The image is a portrait, and the networks were trained on full-body images."""
    photo = sample_photo()
    lesson = "openpose-tiny-lsp"
    code, out, err = run("pose", photo, "--model", lesson, "--out", "people.jpg", "--json")
    assert code == 0 and "warning: openpose-tiny-lsp is a small bundled network: works for one full-body person" in err
    assert Image.open("people.jpg").format == "JPEG" and Image.open("people.jpg").size == Image.open(photo).size
    people = json.loads(out)["people"]
    assert people == [pose_to_dict(one) for one in firstsight.PoseEstimator(lesson)(photo)]
    first = people[0]["keypoints"][0]
    assert f"        {json.dumps(first)},\n" in out  # x, y, score in one line
    code, _, err = run("pose", photo, "--model", "pose-tiny-lsp", "--detector", "openpose-tiny-lsp")
    assert (
        code == 0 and "pose-tiny-lsp is a small bundled network" in err and "expect false detections otherwise" in err
    )


def test_without_an_image_the_bundled_photograph_is_used(run: Run, weights: Path) -> None:
    code, out, err = run("pose", "--model", weights, "--json", "--out", "people.png")
    assert code == 0 and "no image given: using the bundled photograph people.jpg" in err
    assert json.loads(out)["image"].endswith("people.jpg")
    with Image.open("people.png") as drawn:
        assert drawn.size == (640, 422)
