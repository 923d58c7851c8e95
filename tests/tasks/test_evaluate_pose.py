"""Evaluation of pose networks: its metrics are those of pycocotools on the results file that it writes."""

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

from firstsight.data.keypoints.keypoint_set import KeypointSet, convert_skeleton, load_keypoints
from firstsight.errors import DataError, UsageError
from firstsight.models.pose import create_bottom_up
from firstsight.pose.letterbox import Letterbox
from firstsight.pose.skeleton import COCO_17, LSP_14, OPENPOSE_18, Skeleton
from firstsight.pose.targets import heatmap_targets, paf_targets
from firstsight.tasks.pose.bottom_up.network import BottomUpNetwork
from firstsight.tasks.pose.evaluate import PoseEvaluation, evaluate_pose, ground_truth
from firstsight.weights.bundled import bundled, card_of
from firstsight.weights.io import write_weights
from helpers.blob_people import blob_network, scene, stick
from helpers.cards import bottom_up_card
from helpers.colored_people import BODY, color_weights, draw, person

Run = Callable[..., tuple[int, str, str]]
Joints = NDArray[np.float64]
COCO_METRICS = ("ap", "ap50", "ap75", "ap_medium", "ap_large", "ar", "ar50", "ar75", "ar_medium", "ar_large")
SIZE = (480, 256)
FIRST, SECOND = (120.0, 130.0), (350.0, 126.0)


def untrained_weights(name: str = "net.safetensors", skeleton: Skeleton = COCO_17, **about: Any) -> Path:
    """Write a weights file of a small network that was never trained, for images of 64 pixels in height."""
    torch.manual_seed(0)
    net = create_bottom_up("openpose-tiny", skeleton=skeleton)
    card = bottom_up_card(skeleton=skeleton, height=64, about=about)
    write_weights(Path(name), net.state_dict(), card)
    return Path(name)


@pytest.fixture(scope="module")
def colors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a weights file of a network that finds people drawn in colors."""
    return color_weights(tmp_path_factory.mktemp("colors") / "net.safetensors")


def annotation(joints: Joints, **changes: Any) -> dict[str, Any]:
    """Label a person whose joints are drawn there; the center of pixel i is at i + 1/2."""
    places = np.rint(joints) + 0.5
    low, high = places.min(0), places.max(0)
    flat = np.concatenate([places, np.full((len(joints), 1), 2)], 1).ravel().tolist()
    return {
        "category_id": 1,
        "iscrowd": 0,
        "area": 15000.0,
        "bbox": [*low, *(high - low)],
        "keypoints": flat,
        "num_keypoints": len(joints),
    } | changes


def labels(drawn: Sequence[Sequence[Joints]], **changes: Any) -> list[list[dict[str, Any]]]:
    return [[annotation(joints, **changes) for joints in people] for people in drawn]


def write_set(
    drawn: Sequence[Sequence[Joints]],
    labeled: Sequence[Sequence[dict[str, Any]]],
    *,
    skeleton: Skeleton = COCO_17,
    where: str = "people.json",
    category: int = 1,
) -> Path:
    """Write images of people as COCO keypoints, with ids from 11: drawn in colors for `BODY`, else as blobs."""
    path = Path(where)
    (path.parent / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, (people, truth) in enumerate(zip(drawn, labeled, strict=True), 11):
        if skeleton is BODY:
            image = draw(people)
        else:
            image = scene(list(people), size=SIZE) if people else Image.new("RGB", SIZE)
        image.save(path.parent / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": image.width, "height": image.height})
        annotations += [
            {"id": 1000 + len(annotations) + i, "image_id": number} | person for i, person in enumerate(truth)
        ]
    content = {"images": images, "annotations": annotations, "categories": [skeleton.to_category() | {"id": category}]}
    path.write_text(json.dumps(content))
    return path


def one_and_two(skeleton: Skeleton = COCO_17) -> list[list[Joints]]:
    """Return the people of two images, one person and two."""
    if skeleton is BODY:
        return [[person(90, 90)], [person(90, 90), person(230, 100)]]
    return [
        [stick(*FIRST, skeleton=skeleton, size=220)],
        [stick(*place, skeleton=skeleton, size=200) for place in (FIRST, SECOND)],
    ]


def colored_set(where: str = "people.json") -> Path:
    return write_set(one_and_two(BODY), labels(one_and_two(BODY)), skeleton=BODY, where=where)


def evaluated(network: BottomUpNetwork, data: Path, results: str = "r.json", **options: Any) -> PoseEvaluation:
    """Evaluate a network, and write its results file."""
    result = evaluate_pose(network, data, **options)
    Path(results).write_text(json.dumps(result.results))
    return result


def pycocotools_metrics(
    truth: Path, results: Path, *, ids: Sequence[int] | None = None, sigmas: Sequence[float] | None = None
) -> list[float]:
    """Return the ten metrics of pycocotools, -1 if no person is labeled."""
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


def coco_metrics(metrics: Any) -> list[float]:
    return [-1.0 if metrics[name] is None else metrics[name] for name in COCO_METRICS]


def assert_as_pycocotools(result: PoseEvaluation, truth: Path, results: str = "r.json", **options: Any) -> None:
    expected = pycocotools_metrics(truth, Path(results), **options)
    np.testing.assert_allclose(coco_metrics(result.metrics), expected, rtol=0, atol=1e-9)


def test_perfect_poses_score_one_and_swapped_sides_score_low() -> None:
    drawn = one_and_two()
    path = write_set(drawn, labels(drawn))
    for options in ({}, {"flip": True, "scales": (1, 1.25), "height": 240}):
        result = evaluated(blob_network(COCO_17), path, **options)
        assert_as_pycocotools(result, path)
        assert [result.metrics[name] for name in ("ap", "ap50", "ap75", "ap_large", "ar")] == pytest.approx([1] * 5)
        assert result.metrics["ap_medium"] is None and result.metrics["pck"] == 1 and result.metrics["oks"] > 0.98
        assert result.joints == dict.fromkeys(COCO_17.joints, (1.0, 3))
        assert (result.n, result.people, result.model, result.data) == (2, 3, "blob_network", "people")
        assert (result.skeleton, result.height, result.method) == (
            "coco-17",
            options.get("height", 256),
            "fast",
        )
        assert result.notes == ("measured on all 2 images of people.json",) and result.seconds > 0

    swapped = [[joints[list(COCO_17.flip)] for joints in people] for people in drawn]
    result = evaluate_pose(blob_network(COCO_17), write_set(drawn, labels(swapped), where="swapped/people.json"))
    assert result.metrics["ap"] < 0.1 and result.metrics["oks"] < 0.5 and result.metrics["pck"] < 0.3
    assert result.joints["left_wrist"] == (0, 3) and result.joints["nose"] == (pytest.approx(1 / 3), 3)


def test_evaluate_prints_json_or_a_table_and_writes_the_results_file(run: Run, colors: Path) -> None:
    path = colored_set()
    code, out, err = run("evaluate", colors, "--data", path, "--images", "images", "--json", "--results", "r.json")
    document, result = json.loads(out), evaluate_pose(colors, path)
    assert (code, err) == (0, "people: measured on all 2 images of people.json\n")
    assert list(document) == [
        "metrics",
        "joints",
        "n",
        "people",
        "model",
        "data",
        "skeleton",
        "height",
        "method",
        "seconds_per_image",
        "notes",
    ]
    assert list(document["metrics"]) == [*COCO_METRICS, "oks", "pck"] and document["metrics"] == result.metrics
    assert document["metrics"]["ap"] == document["metrics"]["pck"] == 1
    assert document["joints"] == {name: {"pck": 1.0, "n": 3} for name in BODY.joints}
    assert (document["n"], document["people"], document["model"]) == (2, 3, "openpose-tiny")
    assert (document["data"], document["skeleton"], document["height"]) == ("people", "body", 192)
    assert document["notes"] == ["measured on all 2 images of people.json"]
    assert document["method"] == "fast" and document["seconds_per_image"] > 0
    assert json.loads(Path("r.json").read_text()) == result.results and len(result.results) == 3
    expected = pycocotools_metrics(path, Path("r.json"), sigmas=BODY.sigmas)
    np.testing.assert_allclose(coco_metrics(document["metrics"]), expected, rtol=0, atol=1e-9)

    code, out, _ = run("evaluate", colors, "--data", path, "--results", "r.json", "--force")
    assert code == 0 and "openpose-tiny on people: 2 images, 3 people" in out
    assert "s per image at a height of 192 pixels, fast" in out
    for row in ("AP +100.00%", "AR75 +100.00%", "PCK@0.2 +100.00%", "AP medium +-", "PCK@0.2 left_hip +100.00% +n = 3"):
        assert re.search(f"^{row}", out, flags=re.MULTILINE), row


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ("--flip --height 160", {"flip": True, "height": 160}),
        ("--scales 1,1.25 --method exact", {"scales": (1, 1.25), "method": "exact"}),
    ],
)
def test_evaluate_passes_its_options_on(run: Run, colors: Path, arguments: str, options: dict[str, Any]) -> None:
    path = colored_set()
    code, out, _ = run("evaluate", colors, "--data", path, "--json", *arguments.split())
    document, result, plain = json.loads(out), evaluate_pose(colors, path, **options), evaluate_pose(colors, path)
    assert code == 0 and document["metrics"] == result.metrics and document["metrics"]["oks"] != plain.metrics["oks"]
    assert (document["height"], document["method"]) == (options.get("height", 192), options.get("method", "fast"))


def perturbed(rng: np.random.Generator, count: int) -> tuple[list[list[Joints]], list[list[dict[str, Any]]]]:
    """Return drawn people and their labels for some images: labels have random errors, and some are missing."""
    drawn, labeled = [], []
    for _ in range(count):
        people, truth = [], []
        for place in (FIRST, SECOND):
            joints = stick(*place, size=200, skeleton=COCO_17) + rng.uniform(-6, 6, (17, 2))
            error = rng.choice([0, 2, 5, 9]) * rng.standard_normal((17, 2))
            area = float(rng.choice([5000, 9000, 12000, 20000]))
            if rng.random() < 0.85:
                truth.append(annotation(joints + error, area=area, category_id=7))
            if rng.random() < 0.85:
                people.append(joints)
        drawn.append(people)
        labeled.append(truth)
    return drawn, labeled


@pytest.mark.parametrize("options", [{}, {"method": "exact"}, {"limit": 7}], ids=["fast", "exact", "limit"])
def test_metrics_are_those_of_pycocotools(options: dict[str, Any]) -> None:
    """Errors of all sizes, missing people and false ones; the category's id is not 1."""
    drawn, labeled = perturbed(np.random.default_rng(0), 10)
    path = write_set(drawn, labeled, category=7)
    result = evaluated(blob_network(COCO_17), path, **options)
    assert ("evaluated on the first 7 of 10 images" in result.notes) == ("limit" in options)
    assert any(note.startswith("measured on all 10 images of ") for note in result.notes) == ("limit" not in options)
    assert_as_pycocotools(result, path, ids=range(11, 18) if "limit" in options else None)
    numbers = coco_metrics(result.metrics)
    assert 0.1 < result.metrics["ap"] < 0.9 and len(set(numbers)) > 6
    assert min(numbers) > 0 and 0.1 < result.metrics["pck"] < 0.95


class LabelNetwork(nn.Module):
    """Returns the maps of the labeled people of a set, image by image in its order, with random joint errors."""

    def __init__(self, people: KeypointSet, *, height: int, error: float) -> None:
        super().__init__()
        self.people, self.height, self.error, self.calls = people, height, error, 0

    def forward(self, images: Tensor) -> list[Tensor]:
        index, rng = self.calls % len(self.people), np.random.default_rng(self.calls % len(self.people))
        self.calls += 1
        image, ids = self.people.images[index], self.people.people_in(index)
        letterbox = Letterbox.for_image((image.width, image.height), height=self.height)
        truth = self.people.keypoints[ids].astype(np.float64)
        shake = self.error * np.sqrt(self.people.areas[ids])[:, None, None] * rng.choice([0.1, 1], (len(ids), 1, 1))
        xy = truth[..., :2] + shake * rng.standard_normal(truth[..., :2].shape)
        scale = (letterbox.resized_width / letterbox.width, letterbox.resized_height / letterbox.height)
        xy = xy * scale + (letterbox.pad_left - 0.5, letterbox.pad_top - 0.5)
        keypoints, visible = torch.tensor(xy)[None], torch.tensor(truth[..., 2] > 0)[None]
        size = (images.shape[2] // 8, images.shape[3] // 8)
        heatmaps, pafs = (
            heatmap_targets(keypoints, visible, size=size),
            paf_targets(keypoints, visible, self.people.skeleton, size=size),
        )
        return [heatmaps.float(), pafs.float()]


def label_network(people: KeypointSet, *, height: int, error: float) -> BottomUpNetwork:
    net = LabelNetwork(people, height=height, error=error).eval()
    return BottomUpNetwork(net, people.skeleton, height, {"model": "labels"}, "a test", "labels")


def test_metrics_on_coco_photographs_are_those_of_pycocotools(shared: Path) -> None:
    """Crowds and people without labels among them; estimated by a network of eighteen joints."""
    path = shared / "coco-mini/person_keypoints.json"
    people = load_keypoints(path)
    network = label_network(convert_skeleton(people, OPENPOSE_18), height=368, error=0.03)
    result = evaluated(network, path)
    assert any("have no labeled torso: left out of PCK" in note for note in result.notes)
    assert_as_pycocotools(result, path)
    assert 0.1 < result.metrics["ap"] < 0.9 and min(coco_metrics(result.metrics)) > 0
    assert 0.2 < result.metrics["pck"] < 0.98 and 0.2 < result.metrics["oks"] < 0.98
    wanted = ~people.crowd & people.keypoints[..., 2].any(1)
    assert (result.n, result.people) == (80, wanted.sum()) and wanted.sum() < len(people.ids) - 5
    assert {len(entry["keypoints"]) for entry in result.results} == {51}


def test_a_folder_is_evaluated_on_its_validation_file_with_the_sigmas_of_its_skeleton(shared: Path) -> None:
    """One person per image; coordinates with decimals."""
    path = shared / "lspet/person_keypoints_val.json"
    people = load_keypoints(path, shared / "lspet/images")
    result = evaluated(label_network(people, height=256, error=0.09), path.parent, limit=25)
    ids = [image.id for image in people.images[:25]]
    assert (result.n, result.people, result.data) == (25, 25, "person_keypoints_val")
    assert_as_pycocotools(result, path, ids=ids, sigmas=LSP_14.sigmas)
    assert 0.1 < result.metrics["ap"] < 0.9 and 0.3 < result.metrics["pck"] < 1
    for index, record in enumerate(json.loads(path.read_text())["annotations"][:25]):
        truth = ground_truth(people, index)
        assert (truth.keypoints.ravel().tolist(), truth.boxes[0].tolist()) == (record["keypoints"], record["bbox"])


def test_pck_by_hand() -> None:
    """Torsos of about 80 pixels allow 16: a wrist 20 away misses, an ankle 10 away does not; a missing pose misses all.

    With one of two people detected, all of the second one's joints miss.
    """
    drawn = one_and_two()
    moved = [[joints.copy() for joints in people] for people in drawn]
    wrist, ankle, ear = (COCO_17.joints.index(name) for name in ("left_wrist", "right_ankle", "left_ear"))
    moved[1][1][wrist] += (0, 20)
    moved[1][0][ankle] += (10, 0)
    truth = labels(moved)
    truth[0][0]["keypoints"][3 * ear + 2] = 0
    result = evaluate_pose(blob_network(COCO_17), write_set(drawn, truth))
    others = {name: row for name, row in result.joints.items() if name not in ("left_wrist", "left_ear")}
    assert set(others.values()) == {(1.0, 3)}
    assert result.joints["left_wrist"] == (pytest.approx(2 / 3), 3) and result.joints["left_ear"] == (1.0, 2)
    assert result.metrics["pck"] == pytest.approx(49 / 50)
    result = evaluate_pose(blob_network(COCO_17), write_set([drawn[0], drawn[1][:1]], truth, where="less/people.json"))
    assert result.metrics["pck"] == pytest.approx(33 / 50) and result.metrics["oks"] < 0.67
    assert result.joints["nose"] == (pytest.approx(2 / 3), 3)


def test_joints_are_matched_by_name_and_unknown_ones_count_as_missed() -> None:
    """The neck of eighteen joints is dropped; a network of fourteen joints does not know five of COCO's."""
    path = write_set(one_and_two(OPENPOSE_18), labels(one_and_two()))
    result = evaluated(blob_network(OPENPOSE_18), path)
    assert result.notes == ("measured on all 2 images of people.json",) and result.skeleton == "coco-17"
    assert result.metrics["ap"] == pytest.approx(1) and result.metrics["pck"] == 1
    assert_as_pycocotools(result, path)

    path = write_set(one_and_two(LSP_14), labels(one_and_two()), where="fewer/people.json")
    result = evaluated(blob_network(LSP_14), path)
    missing = ["nose", "left_eye", "right_eye", "left_ear", "right_ear"]
    assert result.notes[1:] == (f"the network has no {', '.join(missing)}: these keypoints count as missed",)
    assert_as_pycocotools(result, path)
    assert result.metrics["ap50"] == pytest.approx(1) and result.metrics["ap75"] == 0
    assert {name: share for name, (share, _) in result.joints.items()} == {
        name: 0.0 if name in missing else 1.0 for name in COCO_17.joints
    }
    assert result.metrics["pck"] == pytest.approx(12 / 17)


def test_poses_on_crowds_and_on_people_without_labels_are_ignored() -> None:
    """The same pose without an annotation is a false positive."""
    drawn = one_and_two()
    legs = [COCO_17.joints.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]
    drawn[1][0][legs] = -50  # outside: the pose has a lower score than that of the other person
    nothing = {"keypoints": [0] * 51, "num_keypoints": 0}
    precision = {}
    for kind in ("crowd", "unlabeled", "absent"):
        truth = labels(drawn)
        for joint in legs:
            truth[1][0]["keypoints"][3 * joint : 3 * joint + 3] = [0, 0, 0]
        if kind == "absent":
            del truth[1][1]
        else:
            truth[1][1] |= nothing | {"iscrowd": int(kind == "crowd")}
        path = write_set(drawn, truth, where=f"{kind}/people.json")
        result = evaluated(blob_network(COCO_17), path)
        assert_as_pycocotools(result, path)
        assert result.people == 2
        alone = 17 / 30  # with one labeled person the most confident pose counts, and that is the other one's
        assert result.metrics["pck"] == pytest.approx(alone if kind == "absent" else 1)
        precision[kind] = result.metrics["ap"]
    assert precision["crowd"] == precision["unlabeled"] == pytest.approx(1) and precision["absent"] < 1


def test_without_labeled_people_there_are_no_metrics(run: Run, colors: Path) -> None:
    drawn = one_and_two(BODY)
    truth = labels(drawn)
    truth[0][0] |= {"keypoints": [0] * 15, "num_keypoints": 0}
    path = write_set(drawn, truth, skeleton=BODY)
    code, out, err = run("evaluate", colors, "--data", path, "--limit", 1)
    assert code == 0 and "1 images, 0 people" in out and "AP" not in out
    assert "no person is labeled in these images, so there is nothing to measure" in err
    assert "evaluated on the first 1 of 2 images" in err


def test_unusable_images_are_named_and_left_out_or_refused_with_strict(run: Run, colors: Path) -> None:
    """A damaged one, and one of another size than annotated."""
    drawn = one_and_two(BODY)[:1] * 3
    path = write_set(drawn, labels(drawn), skeleton=BODY)
    Path("images/12.png").write_bytes(Path("images/12.png").read_bytes()[:800])
    Image.new("RGB", (100, 90)).save("images/13.png")
    code, out, err = run("evaluate", colors, "--data", path, "--json")
    document = json.loads(out)
    assert code == 0 and (document["n"], document["people"]) == (1, 1)
    assert document["metrics"]["ap"] == pytest.approx(1)
    assert err.count("\n") == 1 and err.startswith("people: 2 of 3 images cannot be used and are left out (")
    assert "12.png: damaged image" in err and "13.png: is 100x90 pixels" in err
    code, out, err = run("evaluate", colors, "--data", path, "--strict")
    assert (code, out) == (1, "") and "12.png: damaged image" in err
    Path("images/11.png").write_text("not an image")
    code, out, err = run("evaluate", colors, "--data", path)
    assert (code, out) == (1, "") and "none of its 3 images can be used" in err and "11.png: not an image" in err
    Path("images/11.png").unlink()
    code, out, err = run("evaluate", colors, "--data", path)
    assert (code, out) == (1, "") and "none of its 3 images can be used" in err and "11.png: No such file" in err


def test_an_image_too_wide_for_the_network_is_named_and_left_out(run: Run, colors: Path) -> None:
    path = colored_set()
    Image.new("RGB", (1000, 25)).save("images/long.png")
    content = json.loads(path.read_text())
    content["images"].append({"id": 1, "file_name": "long.png", "width": 1000, "height": 25})
    path.write_text(json.dumps(content))
    code, out, err = run("evaluate", colors, "--data", path, "--height", 256, "--json")
    assert code == 0 and json.loads(out)["n"] == 2
    assert "1 of 3 images" in err and "images/long.png: 1000x25 pixels would be 10240x256" in err


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of usable and unusable files."""
    folder = tmp_path_factory.mktemp("mistakes")
    with contextlib.chdir(folder):
        untrained_weights()
        hand = {"keypoints": ["palm", "tip"], "skeleton": [[1, 2]]}
        untrained_weights("hand.safetensors", Skeleton.from_category(hand))
        colored_set()
        Path("bad.json").write_text('{"images": [')
        Path("list.json").write_text("[1]")
        Path("empty").mkdir()
    return folder


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("net.safetensors", 2, "its training data (not known) were not found; name a JSON file of COCO keypoints"),
        ("net.safetensors --data gone.json", 1, "gone.json: no such file or folder"),
        ("net.safetensors --data bad.json", 1, "bad.json: not valid JSON"),
        ("net.safetensors --data list.json", 1, "list.json: expected an object, got a list"),
        ("net.safetensors --data people.json --images gone", 1, "--images gone: there is no such folder"),
        ("net.safetensors --data people.json --images empty", 1, "2 of 2 images are missing"),
        ("net.safetensors --data . --images images", 1, "--images images requires a JSON file as --data"),
        ("net.safetensors --images images", 2, "needs the JSON file of these images; name it with --data"),
        ("net.safetensors --data empty", 1, "contains no person_keypoints file"),
        ("net.safetensors --data digits", 1, "digits: no such file or folder"),
        ("hand.safetensors --data people.json", 1, "have no keypoint in common"),
        ("net.safetensors --data people.json --height 5", 2, "--height must be between 32 and 2,000 pixels; got 5"),
        ("net.safetensors --data people.json --scales 0,5", 2, "--scales must be between 0.1 and 4; got 0, 5"),
        ("net.safetensors --data people.json --scales one", 2, "--scales must be numbers separated by commas"),
        ("net.safetensors --data people.json --limit 0", 2, "--limit must be at least 1; got 0"),
        ("net.safetensors --data people.json --method slow", 2, "--method"),
        ("net.safetensors --data people.json --results r.txt", 2, "--results must be a .json file; got r.txt"),
        ("net.safetensors --data people.json --results no/r.json", 2, "r.json: the folder no does not exist"),
        ("lenet-digits --height 256", 2, "--height is not for a classifier, which lenet-digits is"),
        ("lenet-digits --flip", 2, "--flip is not for a classifier, which lenet-digits is"),
        ("lenet-digits --limit 0", 2, "--limit is not for a classifier, which lenet-digits is"),
        ("gan-digits --results r.json", 2, "--results is not for a generator, which gan-digits is"),
    ],
)
def test_every_mistake_gets_one_sentence(
    run: Run, mistakes: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, code: int, message: str
) -> None:
    monkeypatch.chdir(mistakes)
    exit_code, out, err = run("evaluate", *arguments.split())
    assert (exit_code, out) == (code, "")
    assert err.startswith("firstsight: ") and message in err and err.count("\n") == 1


def test_the_published_checkpoint_needs_no_card(run: Run) -> None:
    torch.manual_seed(0)
    net = create_bottom_up("openpose-mobilenet", skeleton=OPENPOSE_18, stages=1)
    torch.save({"state_dict": net.state_dict()}, "checkpoint_iter_370000.pth")
    path = colored_set()
    code, out, _ = run("evaluate", "checkpoint_iter_370000.pth", "--data", path, "--height", 64, "--json")
    document = json.loads(out)
    assert code == 0 and (document["model"], document["height"]) == ("openpose-mobilenet", 64)
    assert document["metrics"]["ap"] == 0 and document["metrics"]["oks"] < 0.1  # it was never trained


def test_evaluate_pose_from_python(run: Run, sticks: Callable[..., Path]) -> None:
    """A progress bar gets the indices; a skeleton without torso has no PCK; one without common joints is refused."""
    path, indices = sticks(4), []
    net = untrained_weights()
    result = evaluate_pose(net, path, progress=lambda items: (indices.append(i) or i for i in items))
    assert indices == [0, 1, 2, 3] and result.n == 4
    assert {len(entry["keypoints"]) for entry in result.results} <= {15} and result.metrics["ap"] == 0
    assert result.notes[1:] == ("the network has no head: these keypoints count as missed",)
    with pytest.raises(UsageError, match="`limit` must be at least 1; got -1"):
        evaluate_pose(net, path, limit=-1)
    bare = sticks(4, where="bare.json", category={"keypoints": ["nose", "a", "b", "c", "d"]})
    without_torso = evaluate_pose(net, bare)
    assert run("evaluate", net, "--data", bare)[1].count("PCK@0.2") == 1  # a row, and no table of joints
    assert without_torso.metrics["pck"] is None and without_torso.joints == {}
    assert "has no shoulders and hips" in without_torso.notes[-1]
    with pytest.raises(DataError, match="have no keypoint in common"):
        evaluate_pose(net, sticks(4, where="none.json", category={"keypoints": list("abcde")}))


def test_the_data_named_by_the_card_are_looked_for_in_the_download_folder(
    run: Run, sticks: Callable[..., Path]
) -> None:
    """The validation file is taken; without one, what the training held out."""
    net = untrained_weights(settings={"data": "mine", "holdout": 0.0}, data="person_keypoints_train")
    code, _, err = run("evaluate", net)
    assert code == 2 and "its training data (mine) were not found" in err
    sticks(6, where="home/data/mine/person_keypoints_train.json")
    sticks(3, where="home/data/mine/person_keypoints_val.json")
    code, out, _ = run("evaluate", net, "--json")
    assert code == 0 and (json.loads(out)["n"], json.loads(out)["data"]) == (3, "person_keypoints_val")
    held = untrained_weights("held.safetensors", settings={"data": "mine", "holdout": 0.5})
    code, out, err = run("evaluate", held, "--json")
    assert json.loads(out)["data"] == "person_keypoints_train"
    assert "held out of training (val_fraction=0.5)" in err


def test_bundled_and_cached_pose_weights_are_listed_and_evaluated_by_name(
    run: Run, sticks: Callable[..., Path]
) -> None:
    Path("home/weights").mkdir(parents=True)
    untrained_weights("home/weights/my-poses.safetensors")
    card = card_of(bundled()["openpose-tiny-lsp"])
    assert card is not None
    metrics = card["about"]["metrics"]
    count = sum(p.numel() for p in create_bottom_up("openpose-tiny", skeleton=LSP_14).parameters())
    code, out, err = run("weights", "list")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines() if line}
    assert (code, err) == (0, "") and lines["openpose-tiny-lsp"] == (
        f"bottom-up pose network AP {metrics['ap']:.1%}, PCK@0.2 {metrics['pck']:.1%} in the package"
    )
    assert lines["my-poses"] == "bottom-up pose network - stored"
    entries = {entry["name"]: entry for entry in json.loads(run("weights", "list", "--json")[1])}
    entry = entries["openpose-tiny-lsp"]
    assert (entry["skeleton"], entry["joints"], entry["parameters"]) == ("lsp-14", 14, count)
    assert entry["metrics"] == metrics and {"ap", "pck"} <= metrics.keys()
    assert entries["resnet34-imagenet"]["skeleton"] is None
    sticks(4, where="home/data/lspet/person_keypoints_train.json")
    path = sticks(3, where="home/data/lspet/person_keypoints_val.json")
    alone = sticks(10, where="alone/person_keypoints.json").parent  # no data of a training: all images are measured
    for arguments, model, n in (
        (("openpose-tiny-lsp", "--data", path), "openpose-tiny-lsp", 3),
        (("openpose-tiny-lsp",), "openpose-tiny-lsp", 3),
        (("my-poses", "--data", alone), "my-poses", 10),
    ):
        code, out, _ = run("evaluate", *arguments, "--height", 64, "--json")
        assert code == 0 and (json.loads(out)["model"], json.loads(out)["n"]) == (model, n)


@pytest.mark.slow
def test_a_skeleton_of_five_joints_is_trained_drawn_and_evaluated(run: Run, sticks: Callable[..., Path]) -> None:
    """The skeleton is nowhere but in a JSON file; the network learns enough to find people in new images."""
    path = sticks(24, where="mine/person_keypoints.json")
    options = (
        "--image-size",
        64,
        "--batch-size",
        4,
        "--epochs",
        20,
        "--lr",
        3e-3,
        "--max-people",
        1,
        "--min-scale",
        0.7,
    )
    fixed = (
        "--rotate",
        0,
        "--ema-decay",
        0.9,
        "--low-res-fraction",
        0,
        "--filter-lr-mult",
        14,
        "--evaluate-every",
        20,
        "--out",
        "run",
    )
    assert run("train", "openpose-tiny", "--data", path, *options, *fixed)[0] == 0
    images = sorted(Path("mine/images").iterdir())[:2]
    code, out, _ = run("pose", *images, "--model", "run", "--out", "drawn", "--maps", "--json")
    documents = json.loads(out)
    names = ["head", "left_shoulder", "right_shoulder", "left_hip", "right_hip"]
    assert code == 0 and all(document["skeleton"]["joints"] == names for document in documents)
    assert any(document["people"] for document in documents)
    assert {len(one["keypoints"]) for document in documents for one in document["people"]} == {5}
    for image, document in zip(images, documents, strict=True):
        drawn = np.asarray(Image.open(f"drawn/{image.stem}-pose.png").convert("RGB")).astype(int)
        changed = np.abs(drawn - np.asarray(Image.open(image).convert("RGB"))).sum(2) > 60
        assert document["image"] == str(image) and changed.any() == bool(document["people"])
        assert Image.open(f"drawn/{image.stem}-maps.png").size[0] > 300
    code, out, err = run("evaluate", "run", "--json", "--results", "r.json")
    document = json.loads(out)
    assert code == 0 and "evaluated on 5 of 24 images, held out of training" in err
    assert list(document["joints"]) == names and document["n"] == document["people"] == 5
    assert document["metrics"]["ap50"] > 0.1 and document["metrics"]["pck"] > 0.2
    results, content = json.loads(Path("r.json").read_text()), json.loads(path.read_text())
    assert {result["image_id"] for result in results} <= {image["id"] for image in content["images"]}
    assert {len(result["keypoints"]) for result in results} == {15}
    code, out, err = run("evaluate", "run", "--data", path, "--json", "--results", "r.json", "--force")
    assert code == 0 and "was trained on most of these images" in err and json.loads(out)["n"] == 24
    for record in content["annotations"]:
        record |= {"iscrowd": 0, "num_keypoints": 5}
    Path("full.json").write_text(json.dumps(content))
    sigmas = load_keypoints(path).skeleton.sigmas
    expected = pycocotools_metrics(Path("full.json"), Path("r.json"), sigmas=sigmas)
    np.testing.assert_allclose(coco_metrics(json.loads(out)["metrics"]), expected, rtol=0, atol=1e-9)
