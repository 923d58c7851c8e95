"""`firstsight evaluate` of pose networks: its numbers are those of pycocotools on the file that it writes."""

import contextlib
import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn

from firstsight import measure_pose
from firstsight.data.keypoints import KeypointSet, load_keypoints, with_skeleton
from firstsight.errors import DataError, UsageError
from firstsight.pose import create_pose
from firstsight.pose.frame import Frame
from firstsight.pose.skeleton import COCO_17, LSP_14, OPENPOSE_18, Skeleton
from firstsight.pose.targets import heatmap_targets, paf_targets
from firstsight.tasks.measure_pose import truth_of
from firstsight.weights.classifier import write
from firstsight.weights.pose import PoseNetwork, make_card
from helpers.blob_people import scene, seeing, stick

Run = Callable[..., tuple[int, str, str]]
Joints = NDArray[np.float64]
TEN = ("ap", "ap50", "ap75", "ap_medium", "ap_large", "ar", "ar50", "ar75", "ar_medium", "ar_large")
SIZE = (480, 256)
FIRST, SECOND = (120.0, 130.0), (350.0, 126.0)


def pose_file(name: str = "net.safetensors", skeleton: Skeleton = COCO_17, **about: Any) -> Path:
    """A true weights file of a small network that was never trained."""
    torch.manual_seed(0)
    net = create_pose("openpose-tiny", skeleton=skeleton)
    card = make_card(model="openpose-tiny", skeleton=skeleton, stages=1, height=256, about=about)
    write(Path(name), net.state_dict(), card)
    return Path(name)


@pytest.fixture
def sees(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A weights file whose network sees the joints that are drawn: the file is read for its kind, the network given."""

    def make(network: PoseNetwork | Skeleton = COCO_17) -> Path:
        given = seeing(network) if isinstance(network, Skeleton) else network
        monkeypatch.setattr("firstsight.tasks.top_down_pose.load_network", lambda name, notify: given)
        return pose_file(skeleton=given.skeleton)

    return make


def annotation(joints: Joints, **changes: Any) -> dict[str, Any]:
    """A person whose joints are drawn there: the centre of pixel i is at i + 1/2."""
    places = np.rint(joints) + 0.5
    low, high = places.min(0), places.max(0)
    flat = np.concatenate([places, np.full((len(joints), 1), 2)], 1).ravel().tolist()
    return {"category_id": 1, "iscrowd": 0, "area": 15000.0, "bbox": [*low, *(high - low)], "keypoints": flat,
            "num_keypoints": len(joints)} | changes  # fmt: skip


def write_set(
    drawn: Sequence[Sequence[Joints]], labelled: Sequence[Sequence[dict[str, Any]]], *, skeleton: Skeleton = COCO_17,
    where: str = "people.json", category: int = 1,
) -> Path:  # fmt: skip
    """Pictures with blobs at joints, and what annotations say of them; ids from 11."""
    path = Path(where)
    (path.parent / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, (people, there) in enumerate(zip(drawn, labelled, strict=True), 11):
        image = scene(list(people), size=SIZE) if people else Image.new("RGB", SIZE)
        image.save(path.parent / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": SIZE[0], "height": SIZE[1]})
        annotations += [
            {"id": 1000 + len(annotations) + i, "image_id": number} | person for i, person in enumerate(there)
        ]
    content = {"images": images, "annotations": annotations, "categories": [skeleton.category() | {"id": category}]}
    path.write_text(json.dumps(content))
    return path


def peer(
    truth: Path, results: Path, *, ids: Sequence[int] | None = None, sigmas: Sequence[float] | None = None
) -> list[float]:
    """Pycocotools' own ten numbers."""
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO(str(truth))
        evaluation = COCOeval(known, known.loadRes(str(results)), "keypoints")
        if ids is not None:
            evaluation.params.imgIds = list(ids)
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]


def numbers(told: dict[str, Any]) -> list[float]:
    return [-1.0 if told["metrics"][name] is None else told["metrics"][name] for name in TEN]


def one_and_two(skeleton: Skeleton = COCO_17) -> list[list[Joints]]:
    return [
        [stick(*FIRST, skeleton=skeleton, size=220)],
        [stick(*place, skeleton=skeleton, size=200) for place in (FIRST, SECOND)],
    ]


def labels(drawn: Sequence[Sequence[Joints]], **changes: Any) -> list[list[dict[str, Any]]]:
    return [[annotation(person, **changes) for person in people] for people in drawn]


def test_who_is_found_everywhere_scores_one(run: Run, sees: Callable[..., Path]) -> None:
    """The document's shape; as a table; the mirrored people of the same places are caught."""
    drawn = one_and_two()
    path = write_set(drawn, labels(drawn))
    code, out, err = run("evaluate", sees(), "--data", path, "--images", "images", "--json", "--results", "r.json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert list(told) == [
        "metrics", "joints", "n", "people", "model", "data", "skeleton", "height", "method", "seconds_per_picture",
        "notes",
    ]  # fmt: skip
    assert list(told["metrics"]) == [*TEN, "oks", "pck"]
    assert [told["metrics"][name] for name in ("ap", "ap50", "ap75", "ap_large", "ar")] == pytest.approx([1] * 5)
    assert told["metrics"]["ap_medium"] is None and told["metrics"]["pck"] == 1 and told["metrics"]["oks"] > 0.98
    assert told["joints"] == {name: {"pck": 1.0, "n": 3} for name in COCO_17.joints}
    assert (told["n"], told["people"], told["model"], told["data"]) == (2, 3, "seeing", "people")
    assert (told["skeleton"], told["height"], told["method"], told["notes"]) == ("coco-17", 256, "fast", [])
    assert told["seconds_per_picture"] > 0
    np.testing.assert_allclose(numbers(told), peer(path, Path("r.json")), rtol=0, atol=1e-9)
    code, out, _ = run("evaluate", "net.safetensors", "--data", path, "--flip", "--scales", "1,1.25", "--height", 240)
    assert code == 0 and "2 pictures, 3 people" in out and "s for a picture of 240 pixels" in out
    for row in ("AP +100.00%", "AR75 +100.00%", "PCK@0.2 +100.00%", "AP medium +-", "left_wrist +100.00% +3"):
        assert re.search(f"^{row}", out, flags=re.MULTILINE), row

    swapped = [[person[list(COCO_17.flip)] for person in people] for people in drawn]
    wrong = write_set(drawn, labels(swapped), where="swapped/people.json")
    code, out, _ = run("evaluate", "net.safetensors", "--data", wrong, "--json")
    turned = json.loads(out)
    assert code == 0 and turned["metrics"]["ap"] < 0.1 and turned["metrics"]["oks"] < 0.5
    assert turned["metrics"]["pck"] < 0.3
    assert turned["joints"]["left_wrist"]["pck"] == 0 and turned["joints"]["nose"]["pck"] == pytest.approx(1 / 3)


def shaken(rng: np.random.Generator, count: int) -> tuple[list[list[Joints]], list[list[dict[str, Any]]]]:
    """Pictures in which people are drawn where they are labelled to a pixel or many away; some not at all."""
    drawn, labelled = [], []
    for _ in range(count):
        people, there = [], []
        for place in (FIRST, SECOND):
            person = stick(*place, size=200, skeleton=COCO_17) + rng.uniform(-6, 6, (17, 2))
            error = rng.choice([0, 2, 5, 9]) * rng.standard_normal((17, 2))
            area = float(rng.choice([5000, 9000, 12000, 20000]))
            if rng.random() < 0.85:
                there.append(annotation(person + error, area=area))
            if rng.random() < 0.85:
                people.append(person)
        drawn.append(people)
        labelled.append(there)
    return drawn, labelled


@pytest.mark.parametrize("options", [(), ("--method", "exact"), ("--limit", 9)])
def test_numbers_are_those_of_pycocotools(run: Run, sees: Callable[..., Path], options: tuple[object, ...]) -> None:
    """Errors of all sizes, people that are missing and people too many; another category id than 1."""
    drawn, labelled = shaken(np.random.default_rng(0), 14)
    labelled = [[person | {"category_id": 7} for person in there] for there in labelled]
    path = write_set(drawn, labelled, category=7)
    code, out, err = run("evaluate", sees(), "--data", path, "--json", "--results", "r.json", *options)
    told = json.loads(out)
    assert code == 0 and ("measured on the first 9 of 14 pictures" in err) == ("--limit" in options)
    expected = peer(path, Path("r.json"), ids=range(11, 20) if "--limit" in options else None)
    np.testing.assert_allclose(numbers(told), expected, rtol=0, atol=1e-9)
    assert 0.1 < told["metrics"]["ap"] < 0.9 and len(set(numbers(told))) > 6
    assert min(numbers(told)) > 0 and 0.1 < told["metrics"]["pck"] < 0.95
    code, out, _ = run("evaluate", "net.safetensors", "--data", path, *options)
    assert re.search(rf"^AP +{100 * expected[0]:.2f}% ", out, flags=re.MULTILINE)


class Knowing(nn.Module):
    """Shown the pictures of a set in order, it answers with maps of their people, each joint a little elsewhere."""

    def __init__(self, people: KeypointSet, *, height: int, error: float) -> None:
        super().__init__()
        self.people, self.height, self.error, self.asked = people, height, error, 0

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        index, rng = self.asked, np.random.default_rng(self.asked)
        self.asked = (self.asked + 1) % len(self.people)
        picture, here = self.people.pictures[index], self.people.people(index)
        frame = Frame.of((picture.width, picture.height), height=self.height)
        known = self.people.keypoints[here].astype(np.float64)
        shake = self.error * np.sqrt(self.people.areas[here])[:, None, None] * rng.choice([0.1, 1], (len(here), 1, 1))
        xy = known[..., :2] + shake * rng.standard_normal(known[..., :2].shape)
        xy = xy * (frame.wide / frame.width, frame.high / frame.height) + (frame.left - 0.5, frame.top - 0.5)
        places, seen = torch.tensor(xy)[None], torch.tensor(known[..., 2] > 0)[None]
        size = (images.shape[2] // 8, images.shape[3] // 8)
        heatmaps, pafs = (
            heatmap_targets(places, seen, size=size), paf_targets(places, seen, self.people.skeleton, size=size),
        )  # fmt: skip
        return [(heatmaps.float(), pafs.float())]


def knowing(people: KeypointSet, *, height: int, error: float) -> PoseNetwork:
    net = Knowing(people, height=height, error=error).eval()
    return PoseNetwork(net, people.skeleton, height, {"model": "knowing"}, "a test", "knowing")


def test_photographs(run: Run, sees: Callable[..., Path], shared: Path) -> None:
    """Real people, crowds among them and people without labels, found by a network of eighteen joints."""
    path = shared / "coco-mini/person_keypoints.json"
    people = load_keypoints(path)
    net = sees(knowing(with_skeleton(people, OPENPOSE_18), height=368, error=0.03))
    code, out, err = run("evaluate", net, "--data", path, "--json", "--results", "r.json")
    told = json.loads(out)
    assert code == 0 and "have no labelled torso: left out of PCK" in err
    np.testing.assert_allclose(numbers(told), peer(path, Path("r.json")), rtol=0, atol=1e-9)
    assert 0.1 < told["metrics"]["ap"] < 0.9 and min(numbers(told)) > 0
    assert 0.2 < told["metrics"]["pck"] < 0.95 and 0.2 < told["metrics"]["oks"] < 0.95
    wanted = ~people.crowd & people.keypoints[..., 2].any(1)
    assert (told["n"], told["people"]) == (80, wanted.sum()) and wanted.sum() < len(people.ids) - 5
    assert {len(result["keypoints"]) for result in json.loads(Path("r.json").read_text())} == {51}


def test_a_folder_of_one_person_a_picture(run: Run, sees: Callable[..., Path], shared: Path) -> None:
    """The file of those to measure on is found in it; sigmas are the skeleton's; coordinates with decimals."""
    path = shared / "lspet/person_keypoints_val.json"
    people = load_keypoints(path, shared / "lspet/images")
    net = sees(knowing(people, height=256, error=0.09))
    code, out, _ = run("evaluate", net, "--data", path.parent, "--limit", 25, "--json", "--results", "r.json")
    told = json.loads(out)
    ids = [picture.id for picture in people.pictures[:25]]
    assert code == 0 and (told["n"], told["people"], told["data"]) == (25, 25, "person_keypoints_val")
    expected = peer(path, Path("r.json"), ids=ids, sigmas=LSP_14.sigmas)
    np.testing.assert_allclose(numbers(told), expected, rtol=0, atol=1e-9)
    assert 0.1 < told["metrics"]["ap"] < 0.9 and 0.3 < told["metrics"]["pck"] < 1
    for index, record in enumerate(json.loads(path.read_text())["annotations"][:25]):
        truth = truth_of(people, index)
        assert (truth.keypoints.ravel().tolist(), truth.boxes[0].tolist()) == (record["keypoints"], record["bbox"])


def test_correct_keypoints_by_hand(run: Run, sees: Callable[..., Path]) -> None:
    """Torsos of about 80 pixels allow 16: a wrist 20 away misses, an ankle 10 away does not; nobody misses all."""
    drawn = one_and_two()
    moved = [[person.copy() for person in people] for people in drawn]
    wrist, ankle, ear = (COCO_17.joints.index(name) for name in ("left_wrist", "right_ankle", "left_ear"))
    moved[1][1][wrist] += (0, 20)
    moved[1][0][ankle] += (10, 0)
    there = labels(moved)
    there[0][0]["keypoints"][3 * ear + 2] = 0
    told = json.loads(run("evaluate", sees(), "--data", write_set(drawn, there), "--json")[1])
    others = {name: row for name, row in told["joints"].items() if name not in ("left_wrist", "left_ear")}
    assert {(row["pck"], row["n"]) for row in others.values()} == {(1.0, 3)}
    assert told["joints"]["left_wrist"] == {"pck": pytest.approx(2 / 3), "n": 3}
    assert told["joints"]["left_ear"] == {"pck": 1.0, "n": 2}
    assert told["metrics"]["pck"] == pytest.approx(49 / 50)
    alone = write_set([drawn[0], drawn[1][:1]], there, where="less/people.json")
    told = json.loads(run("evaluate", "net.safetensors", "--data", alone, "--json")[1])
    assert told["metrics"]["pck"] == pytest.approx(33 / 50) and told["metrics"]["oks"] < 0.67
    assert told["joints"]["nose"] == {"pck": pytest.approx(2 / 3), "n": 3}


def test_eighteen_joints_on_seventeen_and_fewer(run: Run, sees: Callable[..., Path]) -> None:
    """The neck is dropped; joints that the network does not know count as not found, and it is said which."""
    drawn = one_and_two(OPENPOSE_18)
    path = write_set(drawn, labels(one_and_two()))
    code, out, err = run("evaluate", sees(OPENPOSE_18), "--data", path, "--json", "--results", "r.json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert told["metrics"]["ap"] == pytest.approx(1) and told["metrics"]["pck"] == 1
    assert told["skeleton"] == "coco-17"
    np.testing.assert_allclose(numbers(told), peer(path, Path("r.json")), rtol=0, atol=1e-9)

    path = write_set(one_and_two(LSP_14), labels(one_and_two()), where="fewer/people.json")
    code, out, err = run("evaluate", sees(LSP_14), "--data", path, "--json", "--results", "r.json")
    told = json.loads(out)
    missing = ["nose", "left_eye", "right_eye", "left_ear", "right_ear"]
    assert code == 0 and f"the network does not know {', '.join(missing)}: counted as not found" in err
    np.testing.assert_allclose(numbers(told), peer(path, Path("r.json")), rtol=0, atol=1e-9)
    assert told["metrics"]["ap50"] == pytest.approx(1) and told["metrics"]["ap75"] == 0
    assert {name: row["pck"] for name, row in told["joints"].items()} == {
        name: 0.0 if name in missing else 1.0 for name in COCO_17.joints
    }
    assert told["metrics"]["pck"] == pytest.approx(12 / 17)


def test_crowds_and_people_without_labels_are_ignored(run: Run, sees: Callable[..., Path]) -> None:
    """Who stands in a crowd's outline, or where nobody labelled a joint, is neither right nor wrong."""
    drawn = one_and_two()
    legs = [COCO_17.joints.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]
    drawn[1][0][legs] = -50  # outside: found with less certainty than whoever stands beside
    nothing = {"keypoints": [0] * 51, "num_keypoints": 0}
    found = {}
    for kind in ("crowd", "unlabelled", "nobody"):
        there = labels(drawn)
        for joint in legs:
            there[1][0]["keypoints"][3 * joint : 3 * joint + 3] = [0, 0, 0]
        if kind == "nobody":
            del there[1][1]
        else:
            there[1][1] |= nothing | {"iscrowd": int(kind == "crowd")}
        path = write_set(drawn, there, where=f"{kind}/people.json")
        told = json.loads(run("evaluate", sees(), "--data", path, "--json", "--results", f"{kind}/r.json")[1])
        np.testing.assert_allclose(numbers(told), peer(path, Path(kind) / "r.json"), rtol=0, atol=1e-9)
        assert told["people"] == 2
        alone = 17 / 30  # of one person by the labels the surest pose is measured, and that is the bystander's
        assert told["metrics"]["pck"] == pytest.approx(alone if kind == "nobody" else 1)
        found[kind] = told["metrics"]["ap"]
    assert found["crowd"] == found["unlabelled"] == pytest.approx(1) and found["nobody"] < 1


def test_nobody_is_labelled(run: Run, sees: Callable[..., Path]) -> None:
    drawn = one_and_two()
    there = labels(drawn)
    for annotation in there[0]:
        annotation |= {"keypoints": [0] * 51, "num_keypoints": 0}
    path = write_set(drawn, there, where="nobody/people.json")
    code, out, err = run("evaluate", sees(), "--data", path, "--limit", 1)
    assert code == 0 and "0 people to be found" in out and "AP" not in out
    assert "in these pictures nobody is labelled, so there is nothing to measure" in err


def test_pictures_that_cannot_be_used(run: Run, sees: Callable[..., Path]) -> None:
    """Counted, named, left out; refused if that is wished; of another size than annotated among them."""
    drawn = one_and_two()[:1] * 3
    path, net = write_set(drawn, labels(drawn)), sees()
    Path("images/12.png").write_bytes(Path("images/12.png").read_bytes()[:2000])
    Image.new("RGB", (100, 90)).save("images/13.png")
    code, out, err = run("evaluate", net, "--data", path, "--json")
    told = json.loads(out)
    assert code == 0 and (told["n"], told["people"]) == (1, 1) and told["metrics"]["ap"] == pytest.approx(1)
    assert err.count("\n") == 1 and err.startswith("people: 2 of 3 pictures cannot be used and are left out (")
    assert "12.png: damaged picture" in err and "13.png: is 100x90 pixels" in err
    code, out, err = run("evaluate", net, "--data", path, "--strict")
    assert (code, out) == (1, "") and "12.png: damaged picture" in err
    Path("images/11.png").write_text("no picture")
    code, out, err = run("evaluate", net, "--data", path)
    assert (code, out) == (1, "") and "none of its 3 pictures can be used" in err and "11.png: not a picture" in err
    Path("images/11.png").unlink()
    code, out, err = run("evaluate", net, "--data", path)
    assert (code, out) == (1, "") and "1 of 3 pictures are missing, the first" in err


def test_too_long_a_picture_is_named(run: Run) -> None:
    path = write_set(one_and_two()[:1], labels(one_and_two()[:1]))
    Image.new("RGB", (1000, 25)).save("images/long.png")
    content = json.loads(path.read_text())
    content["images"].append({"id": 1, "file_name": "long.png", "width": 1000, "height": 25})
    path.write_text(json.dumps(content))
    code, out, err = run("evaluate", pose_file(), "--data", path, "--height", 256, "--json")
    assert code == 0 and json.loads(out)["n"] == 1
    assert "1 of 2 pictures" in err and "images/long.png: 1000x25 pixels would be 10240x256" in err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ("net.safetensors", 2, "its training data (not known) are not at hand; name a JSON file of COCO keypoints"),
        ("net.safetensors --data gone.json", 1, "gone.json: there is no such file or folder"),
        ("net.safetensors --data bad.json", 1, "bad.json: not JSON"),
        ("net.safetensors --data list.json", 1, "list.json: 'images' must be a list of objects"),
        ("net.safetensors --data people.json --images gone", 1, "--images gone: there is no such folder"),
        ("net.safetensors --data people.json --images empty", 1, "2 of 2 pictures are missing"),
        ("net.safetensors --data . --images images", 1, "--images images is for the pictures of a JSON file"),
        ("net.safetensors --images images", 2, "name the JSON file of these pictures with --data"),
        ("net.safetensors --data empty", 1, "holds no person_keypoints file"),
        ("net.safetensors --data digits", 1, "digits: there is no such file or folder"),
        ("hand.safetensors --data people.json", 1, "have no joint in common"),
        ("net.safetensors --data people.json --height 5", 2, "--height must lie between 32 and 2,000 pixels; got 5"),
        ("net.safetensors --data people.json --scales 0,5", 2, "--scales must lie between 0.1 and 4; got 0, 5"),
        ("net.safetensors --data people.json --scales one", 2, "--scales one: not understood"),
        ("net.safetensors --data people.json --limit 0", 2, "--limit must be at least 1; got 0"),
        ("net.safetensors --data people.json --method slow", 2, "--method"),
        ("net.safetensors --data people.json --results r.txt", 2, "--results must be a .json file; got r.txt"),
        ("net.safetensors --data people.json --results no/r.json", 2, "there is no folder no"),
        ("lenet-digits --height 256", 2, "--height is for pose networks; lenet-digits is a classifier"),
        ("lenet-digits --flip", 2, "--flip is for pose networks; lenet-digits is a classifier"),
        ("lenet-digits --limit 0", 2, "--limit is for pose networks"),
        ("gan-digits --results r.json", 2, "--results is for pose networks; gan-digits is a generator"),
    ],
)
def test_a_sentence_for_every_mistake(run: Run, arguments: str, code: int, told: str) -> None:
    pose_file()
    pose_file("hand.safetensors", Skeleton.from_category({"keypoints": ["palm", "tip"], "skeleton": [[1, 2]]}))
    write_set(one_and_two(), labels(one_and_two()))
    Path("bad.json").write_text('{"images": [')
    Path("list.json").write_text("[1]")
    Path("empty").mkdir()
    found, out, err = run("evaluate", *arguments.split())
    assert (found, out) == (code, "")
    assert err.startswith("firstsight: ") and told in err and err.count("\n") == 1


def test_the_published_checkpoint(run: Run) -> None:
    """A .pth file of a pose network needs no card."""
    torch.manual_seed(0)
    net = create_pose("openpose-mobilenet", skeleton=OPENPOSE_18, stages=1)
    torch.save({"state_dict": net.state_dict()}, "checkpoint_iter_370000.pth")
    path = write_set(one_and_two(), labels(one_and_two()))
    code, out, _ = run("evaluate", "checkpoint_iter_370000.pth", "--data", path, "--height", 128, "--json")
    told = json.loads(out)
    assert code == 0 and (told["model"], told["height"]) == ("openpose-mobilenet", 128)
    assert told["metrics"]["ap"] == 0 and told["metrics"]["oks"] < 0.1  # it was never trained


def test_from_python(run: Run, sticks: Callable[..., Path]) -> None:
    path, asked = sticks(4), []
    found = measure_pose(pose_file(), path, progress=lambda items: (asked.append(i) or i for i in items))
    assert asked == [0, 1, 2, 3] and found.n == 4
    assert {len(result["keypoints"]) for result in found.results} <= {15} and found.metrics["ap"] == 0
    assert found.notes == ("the network does not know head: counted as not found",)
    with pytest.raises(UsageError, match="--limit must be at least 1; got -1"):
        measure_pose(pose_file(), path, limit=-1)
    bare = sticks(4, where="bare.json", category={"keypoints": ["nose", "a", "b", "c", "d"]})
    loose = measure_pose(pose_file(), bare)
    assert run("evaluate", pose_file(), "--data", bare)[1].count("PCK@0.2") == 1  # a row, and no table of joints
    assert loose.metrics["pck"] is None and loose.joints == {} and "has no shoulders and hips" in loose.notes[-1]
    with pytest.raises(DataError, match="have no joint in common"):
        measure_pose(pose_file(), sticks(4, where="none.json", category={"keypoints": list("abcde")}))


def test_data_that_the_card_names(run: Run, sticks: Callable[..., Path]) -> None:
    """Looked for in the folder of downloads by its bare name; those to measure on are taken."""
    net = pose_file(settings={"data": "mine", "holdout": 0.0}, data="person_keypoints_train")
    code, _, err = run("evaluate", net)
    assert code == 2 and "its training data (mine) are not at hand" in err
    sticks(6, where="home/data/mine/person_keypoints_train.json")
    sticks(3, where="home/data/mine/person_keypoints_val.json")
    code, out, _ = run("evaluate", net, "--json")
    assert code == 0 and (json.loads(out)["n"], json.loads(out)["data"]) == (3, "person_keypoints_val")
    held = pose_file("held.safetensors", settings={"data": "mine", "holdout": 0.5})
    code, out, err = run("evaluate", held, "--json")
    assert (
        json.loads(out)["data"] == "person_keypoints_train" and "those that a training holds out (--holdout 0.5)" in err
    )


def test_weights_in_the_list_and_by_name(
    run: Run, sticks: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shipped in a package of one file, and stored."""
    monkeypatch.setattr("firstsight.weights.shipped.files", lambda package: tmp_path / "package")
    Path("package").mkdir()
    Path("home/weights").mkdir(parents=True)
    about = {"data": "lspet", "metrics": {"ap": 0.4123, "pck": 0.612}, "settings": {"data": "mine"}}
    pose_file("package/openpose-tiny-lsp.safetensors", LSP_14, **about)
    pose_file("home/weights/my-poses.safetensors", COCO_17)
    count = sum(p.numel() for p in create_pose("openpose-tiny", skeleton=LSP_14).parameters())
    code, out, err = run("weights", "list")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines() if line}
    shown = f"AP 41.2%, PCK@0.2 61.2% lspet; pose: lsp-14, 14 joints, {count:,} parameters inside the package"
    assert (code, err) == (0, "") and lines["openpose-tiny-lsp"] == shown
    assert lines["my-poses"].startswith("- not known; pose: coco-17, 17 joints,")
    assert lines["my-poses"].endswith("parameters stored")
    entries = {entry["name"]: entry for entry in json.loads(run("weights", "list", "--json")[1])}
    entry = entries["openpose-tiny-lsp"]
    assert (entry["skeleton"], entry["joints"], entry["parameters"]) == ("lsp-14", 14, count)
    assert (entry["ap"], entry["pck"], entry["accuracy"]) == (0.4123, 0.612, None)
    assert entries["resnet34-imagenet"]["skeleton"] is None
    path = sticks(4, where="home/data/mine/person_keypoints.json")
    for arguments in (("openpose-tiny-lsp", "--data", path), ("openpose-tiny-lsp",), ("my-poses", "--data", path)):
        code, out, _ = run("evaluate", *arguments, "--json")
        assert code == 0 and json.loads(out)["model"] == ("openpose-tiny" if "my" in arguments[0] else arguments[0])


@pytest.mark.slow
def test_five_joints_from_a_file_to_their_score(run: Run, sticks: Callable[..., Path]) -> None:
    """A skeleton that is nowhere but in a JSON file: trained, found in pictures, drawn with its maps, scored."""
    path = sticks(24, where="mine/person_keypoints.json")
    options = ("--image-size", 64, "--batch-size", 4, "--epochs", 60, "--lr", 3e-3, "--people", 1, "--smallest", 0.7)
    fixed = ("--rotate", 0, "--ema", 0.9, "--early", 0, "--filter-lr", 7, "--evaluate-every", 60, "--out", "run")
    assert run("train", "openpose-tiny", "--data", path, *options, *fixed)[0] == 0
    pictures = sorted(Path("mine/images").iterdir())[:3]
    code, out, _ = run("pose", *pictures, "--model", "run", "--out", "drawn", "--maps", "--json")
    told = json.loads(out)
    names = ["head", "left_shoulder", "right_shoulder", "left_hip", "right_hip"]
    assert code == 0 and all(picture["skeleton"]["joints"] == names for picture in told)
    assert any(picture["people"] for picture in told)
    assert {len(person["keypoints"]) for picture in told for person in picture["people"]} == {5}
    for picture in pictures:
        drawn = np.asarray(Image.open(f"drawn/{picture.stem}-pose.png").convert("RGB")).astype(int)
        people = next(one["people"] for one in told if one["image"] == str(picture))
        changed = np.abs(drawn - np.asarray(Image.open(picture).convert("RGB"))).sum(2) > 60
        assert changed.any() == bool(people)
        assert Image.open(f"drawn/{picture.stem}-maps.png").size[0] > 300
    code, out, err = run("evaluate", "run", "--json", "--results", "r.json")
    told = json.loads(out)
    assert code == 0 and "measured on 5 of 24 pictures, those that a training holds out" in err
    assert list(told["joints"]) == names and told["n"] == told["people"] == 5
    assert told["metrics"]["ap50"] > 0 and told["metrics"]["pck"] > 0.1
    results = json.loads(Path("r.json").read_text())
    ids = [picture["id"] for picture in json.loads(path.read_text())["images"]]
    assert {result["image_id"] for result in results} <= set(ids) and {len(r["keypoints"]) for r in results} == {15}
    code, out, err = run("evaluate", "run", "--data", path, "--json", "--results", "r.json")
    assert code == 0 and "was trained on most of these pictures" in err and json.loads(out)["n"] == 24
    sigmas = load_keypoints(path).skeleton.sigmas
    with_numbers = json.loads(path.read_text())
    for person in with_numbers["annotations"]:
        person |= {"iscrowd": 0, "num_keypoints": 5}
    Path("full.json").write_text(json.dumps(with_numbers))
    expected = peer(Path("full.json"), Path("r.json"), sigmas=sigmas)
    np.testing.assert_allclose(numbers(json.loads(out)), expected, rtol=0, atol=1e-9)
