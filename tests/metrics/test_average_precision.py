"""COCO's metrics compared with pycocotools; percentage of correct keypoints (PCK) by hand."""

import contextlib
import io
import json
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from firstsight.metrics.average_precision import Detections, GroundTruth, Precision, average_precision
from firstsight.metrics.pck import pck, pckh, poses_of_people
from firstsight.pose.oks import object_keypoint_similarity
from firstsight.pose.skeleton import COCO_17, LSP_14, OPENPOSE_18, Skeleton

PAIR = Skeleton(name="pair", joints=("a", "b"), limbs=((0, 1),), flip_pairs=((0, 1),), sigmas=(0.1, 0.1))
NOTHING = Precision(**dict.fromkeys(Precision.__dataclass_fields__, -1.0))


def coco_eval(truths: list[GroundTruth], found: list[Detections], sigmas: tuple[float, ...]) -> COCOeval:
    """Return the evaluation of pycocotools on the same images, whose ids are their indices."""
    people = [
        {
            "image_id": image, "category_id": 1, "iscrowd": int(crowd), "area": float(area), "bbox": box.tolist(),
            "keypoints": joints.ravel().tolist(), "num_keypoints": int((joints[:, 2] > 0).sum()),
        }
        for image, truth in enumerate(truths)
        for joints, area, box, crowd in zip(truth.keypoints, truth.areas, truth.boxes, truth.crowd, strict=True)
    ]  # fmt: skip
    poses = [
        {"image_id": image, "category_id": 1, "keypoints": joints.ravel().tolist(), "score": float(score)}
        for image, one in enumerate(found)
        for joints, score in zip(one.keypoints, one.scores, strict=True)
    ]
    known = COCO()
    known.dataset = {
        "images": [{"id": image} for image in range(len(truths))],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [person | {"id": i + 1} for i, person in enumerate(people)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        known.createIndex()
        results = known.loadRes(poses) if poses else COCO()
        if not poses:  # loadRes takes no empty list
            results.dataset = known.dataset | {"annotations": []}
            results.createIndex()
        evaluation = COCOeval(known, results, "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def random_image(rng: np.random.Generator, joints: int, *, empty: float) -> tuple[GroundTruth, Detections]:
    """Return people of all sizes, and poses near some of them: exact, noisy, duplicated, or of no one."""
    people = 0 if rng.random() < empty else int(rng.integers(1, 5))
    side = rng.choice([8.0, 32, 60, 96, 150, 400], (people, 1, 1))
    keypoints = np.zeros((people, joints, 3))
    keypoints[..., :2] = np.round(rng.uniform(0, 300, (people, 1, 2)) + side * rng.random((people, joints, 2)), 1)
    keypoints[..., 2] = rng.integers(0, 3, (people, joints)) * (rng.random((people, 1)) < 0.8)
    keypoints[keypoints[..., 2] == 0] = 0
    if people > 1 and rng.random() < 0.3:
        keypoints[-1] = keypoints[0]  # the same OKS with every pose
    place = np.array([joint.min(0) for joint in keypoints[..., :2]]).reshape(-1, 2)
    truth = GroundTruth(
        keypoints=keypoints,
        areas=(side[:, 0, 0] * rng.choice([1, 0.6, 0], people, p=[0.6, 0.35, 0.05])) ** 2,
        boxes=np.concatenate([place, side[:, 0].repeat(2, 1)], 1),
        crowd=rng.random(people) < 0.2,
    )
    poses = [rng.uniform(0, 400, (int(rng.integers(0, 3)), joints, 3))]
    for _ in range(0 if rng.random() < empty else int(rng.choice([1, 1, 2, 9]))):
        shake = side * rng.choice([0, 0.02, 0.05, 0.1], (people, 1, 1))
        poses.append(keypoints + shake * rng.standard_normal(keypoints.shape))
    near = rng.permutation(np.concatenate(poses))
    return truth, Detections(keypoints=near, scores=np.round(rng.random(len(near)), int(rng.integers(1, 4))))


@pytest.mark.parametrize("skeleton", [LSP_14, COCO_17, OPENPOSE_18], ids=lambda skeleton: skeleton.name)
def test_oks_equals_pycocotools_bit_by_bit(skeleton: Skeleton) -> None:
    """People without labeled joints and crowds among them."""
    rng = np.random.default_rng(5)
    images = [random_image(rng, len(skeleton), empty=0) for _ in range(40)]
    expected = coco_eval([truth for truth, _ in images], [found for _, found in images], skeleton.sigmas).ious
    for image, (truth, found) in enumerate(images):
        best = np.argsort(-found.scores, kind="stable")[:20]
        similarity = object_keypoint_similarity(
            found.keypoints[best], truth.keypoints, areas=truth.areas, boxes=truth.boxes, sigmas=skeleton.sigmas
        )
        assert similarity.dtype == np.float64
        np.testing.assert_array_equal(similarity, expected[image, 1])
        assert similarity.shape == (min(len(found.scores), 20), len(truth.areas))


def test_oks_by_hand() -> None:
    """An area of 50 and sigmas of 0.1: exp(-d^2 / 4) for each joint; without labels d is from (-8, -4) to (16, 8)."""
    poses = np.array([[[3.0, 5], [7, 9]], [[5, 5], [7, 5]], [[-10, 0], [17, 11]]])
    sides: dict[str, Any] = {"areas": [50], "boxes": [[0, 0, 8, 4]], "sigmas": PAIR.sigmas}
    one = object_keypoint_similarity(poses, [[[3, 5, 2], [0, 0, 0]]], **sides)
    assert one[:, 0].tolist() == pytest.approx([1, np.exp(-1), np.exp(-194 / 4)], rel=1e-12)
    none = object_keypoint_similarity(poses, [[[3, 5, 0], [0, 0, 0]]], **sides)
    expected = [(1 + np.exp(-1 / 4)) / 2, 1, (np.exp(-1) + np.exp(-10 / 4)) / 2]
    assert none[:, 0].tolist() == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match=r"as many joints as sigmas \(2\); got poses \(3, 1, 2\)"):
        object_keypoint_similarity(poses[:, :1], [[[3, 5, 2], [0, 0, 0]]], **sides)


def test_average_precision_equals_pycocotools() -> None:
    """Two hundred sets of images, some of them empty, some without poses, some without people to be found."""
    metrics = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        skeleton = (LSP_14, COCO_17, OPENPOSE_18)[seed % 3]
        empty = (0.1, 0.4, 0.95)[seed % 7 % 3]
        images = [random_image(rng, len(skeleton), empty=empty) for _ in range(rng.integers(1, 9))]
        truths, found = [truth for truth, _ in images], [found for _, found in images]
        if seed % 20 == 0:
            found = [Detections(keypoints=one.keypoints[:0], scores=one.scores[:0]) for one in found]
        result = average_precision(truths, found, skeleton.sigmas)
        np.testing.assert_allclose(astuple(result), coco_eval(truths, found, skeleton.sigmas).stats, rtol=0, atol=1e-9)
        metrics.append(astuple(result))
    numbers = np.array(metrics)
    assert ((numbers > 0) & (numbers < 1)).sum(0).min() > 50  # every metric was neither 0 nor 1 often enough
    assert (numbers == -1).any(0).all() and (numbers == 0).any(0).all()


def test_average_precision_equals_pycocotools_on_coco_people(shared: Path) -> None:
    """Poses are the labeled ones with noise, some duplicated, some with swapped sides, some in another image."""
    file = json.loads((shared / "coco-mini/person_keypoints.json").read_text())
    people: dict[int, list[dict[str, Any]]] = {image: [] for image in sorted(i["id"] for i in file["images"])}
    for person in file["annotations"]:
        people[person["image_id"]].append(person)
    truths = [
        GroundTruth(
            keypoints=np.array([p["keypoints"] for p in here], float).reshape(-1, 17, 3),
            areas=np.array([p["area"] for p in here], float),
            boxes=np.array([p["bbox"] for p in here], float).reshape(-1, 4),
            crowd=np.array([p["iscrowd"] for p in here], bool),
        )
        for here in people.values()
    ]
    assert sum(truth.crowd.sum() for truth in truths) == 5
    rng = np.random.default_rng(1)
    found = []
    for image, truth in enumerate(truths):
        other = truths[image - 1].keypoints[:1]
        shake = np.sqrt(truth.areas)[:, None, None] * rng.choice([0.01, 0.05, 0.1], (len(truth.areas), 1, 1))
        near = truth.keypoints + shake * rng.standard_normal(truth.keypoints.shape)
        poses = np.concatenate([near, near[::2] + 3, near[:1][:, list(COCO_17.flip)], other])
        found.append(Detections(keypoints=poses, scores=np.round(rng.random(len(poses)), 2)))
    result = average_precision(truths, found, COCO_17.sigmas)
    np.testing.assert_allclose(astuple(result), coco_eval(truths, found, COCO_17.sigmas).stats, rtol=0, atol=1e-9)
    assert 0.1 < result.ap < result.ap50 < 0.9

    labeled = [truth.keypoints[truth.keypoints[..., 2].any(1)] for truth in truths]
    exact = [Detections(keypoints=poses, scores=np.ones(len(poses))) for poses in labeled]
    assert astuple(average_precision(truths, exact, COCO_17.sigmas)) == pytest.approx([1] * 10, abs=1e-12)
    swapped = [Detections(keypoints=one.keypoints[:, list(COCO_17.flip)], scores=one.scores) for one in exact]
    assert average_precision(truths, swapped, COCO_17.sigmas).ap < 0.5


def test_poses_are_matched_to_people_as_in_pycocotools() -> None:
    """At an OKS of 0.5; crowds and people without labels take their poses as well."""
    rng, pairs = np.random.default_rng(8), 0
    images = [random_image(rng, 17, empty=0.05) for _ in range(150)]
    evaluation = coco_eval([truth for truth, _ in images], [found for _, found in images], COCO_17.sigmas)
    first = 1  # results are numbered from 1, image by image
    for image, (truth, found) in enumerate(images):
        poses, similarity = poses_of_people(truth, found, COCO_17.sigmas)
        wanted = ~truth.crowd & (truth.keypoints[..., 2] > 0).any(1)
        peer = evaluation.evalImgs[image]  # of people of all sizes
        if peer is not None and len(truth.areas):
            numbers = [person["id"] for person in evaluation.cocoGt.imgToAnns[image]]
            places = [peer["gtIds"].index(number) for number in numbers]
            theirs = peer["gtMatches"][0][places].astype(int) - first if len(found.scores) else np.full(len(poses), -9)
            np.testing.assert_array_equal(poses[wanted], np.maximum(theirs, -1)[wanted])
            pairs += (poses[wanted] >= 0).sum()
        own = object_keypoint_similarity(
            found.keypoints, truth.keypoints, areas=truth.areas, boxes=truth.boxes, sigmas=COCO_17.sigmas
        )
        expected = [own[pose, person] if pose >= 0 else 0 for person, pose in enumerate(poses)]
        assert similarity.tolist() == expected
        first += len(found.scores)
    assert pairs > 50


def test_only_the_most_confident_detections_count() -> None:
    rng = np.random.default_rng(2)
    images = [random_image(rng, 17, empty=0.1) for _ in range(20)]
    truths, found = [truth for truth, _ in images], [found for _, found in images]
    first = [np.sort(np.argsort(-one.scores, kind="stable")[:2]) for one in found]
    cut = [
        Detections(keypoints=one.keypoints[best], scores=one.scores[best])
        for one, best in zip(found, first, strict=True)
    ]
    two = average_precision(truths, found, COCO_17.sigmas, max_detections=2)
    assert two == average_precision(truths, cut, COCO_17.sigmas) != average_precision(truths, found, COCO_17.sigmas)


def test_empty_inputs_score_minus_one_and_wrong_shapes_are_refused() -> None:
    nobody = GroundTruth(
        keypoints=np.zeros((0, 2, 3)), areas=np.zeros(0), boxes=np.zeros((0, 4)), crowd=np.zeros(0, bool)
    )
    ghost = Detections(keypoints=np.ones((1, 2, 3)), scores=np.ones(1))
    assert average_precision([], [], PAIR.sigmas) == NOTHING
    assert average_precision([nobody], [ghost], PAIR.sigmas) == NOTHING
    with pytest.raises(ValueError, match="truths of 1 pictures, but poses of 0"):
        average_precision([nobody], [], PAIR.sigmas)
    with pytest.raises(ValueError, match=r"a truth has keypoints \(G, K, 3\).*got \[\(1, 2, 3\), \(0,\)"):
        GroundTruth(keypoints=np.zeros((1, 2, 3)), areas=nobody.areas, boxes=nobody.boxes, crowd=nobody.crowd)
    with pytest.raises(ValueError, match=r"keypoints \(D, K, 3\) and scores \(D,\); got \[\(1, 2, 3\), \(2,\)\]"):
        Detections(keypoints=ghost.keypoints, scores=np.ones(2))
    with pytest.raises(ValueError, match="must be finite"):
        Detections(keypoints=ghost.keypoints, scores=np.array([np.nan]))
    with pytest.raises(ValueError, match=r"as many joints as sigmas \(3\)"):
        average_precision([nobody], [ghost], (0.1, 0.1, 0.1))


def lsp_person(**places: tuple[float, float]) -> np.ndarray[Any, Any]:
    """Return (14, 3) joints of Leeds Sports Poses, labeled where a position is given."""
    joints = np.zeros((14, 3))
    for name, (x, y) in places.items():
        joints[LSP_14.joints.index(name)] = x, y, 1
    return joints


def test_pck_by_hand() -> None:
    """Torsos of 50, of 100 by the other diagonal, none, and of length 0: the thresholds are 10 and 20 pixels."""
    truth = np.stack([
        lsp_person(left_shoulder=(40, 10), right_hip=(10, 50), right_shoulder=(10, 10), left_hip=(40, 90), neck=(5, 5)),
        lsp_person(right_shoulder=(0, 0), left_hip=(60, 80), left_shoulder=(60, 0), neck=(30, 0)),
        lsp_person(right_shoulder=(0, 0), right_hip=(0, 80), neck=(30, 0)),
        lsp_person(left_shoulder=(5, 5), right_hip=(5, 5), neck=(30, 0)),
    ])  # fmt: skip
    found = truth[..., :2].copy()
    hip, shoulder, neck = (LSP_14.joints.index(name) for name in ("left_hip", "left_shoulder", "neck"))
    found[0, hip] = 46, 98  # 10 away
    found[0, shoulder] = 40, 20.01
    found[0, neck] = -1, 5  # near, but negative: not found
    found[1, neck] = 30, 19.99
    found[1, hip] = np.nan
    found[2:] = 1000  # without torso, not counted
    result = pck(found, truth, LSP_14)
    share = dict(zip(LSP_14.joints, result.per_joint.tolist(), strict=True))
    labeled = {name: value for name, value in share.items() if value == value}
    assert labeled == {
        "right_hip": 1, "right_shoulder": 1, "left_shoulder": 0.5, "left_hip": 0.5, "neck": 0.5,
    }  # fmt: skip
    assert (result.mean, result.joints, result.kept, result.left_out) == (6 / 9, 9, 2, 2)
    assert result.counts.sum() == 9 and result.counts[neck] == 2 and result.counts[0] == 0
    assert pck(found, truth, LSP_14, threshold=0.201).mean == 7 / 9

    boxes = [[0, 0, 30, 80], [0, 0, 60, 40], [0, 0, 10, 10], [0, 0, 0, 0]]  # 16, 12 and 2 pixels, and none
    boxed = pck(found, truth, LSP_14, norm="box", boxes=boxes)
    assert (boxed.mean, boxed.joints, boxed.kept, boxed.left_out) == (6 / 12, 12, 3, 1)

    heads = [[0, 0, 30, 40], [0, 0, 24, 32], [0, 0, 0, 0], [0, 0, 0, 0]]  # 15 and 12 pixels at one half
    headed = pckh(found, truth, heads)
    assert (headed.mean, headed.joints, headed.kept, headed.left_out) == (6 / 9, 9, 2, 2)
    assert pckh(found, truth, heads, threshold=1.0).mean == 7 / 9


@pytest.mark.parametrize("skeleton", [LSP_14, COCO_17, OPENPOSE_18], ids=lambda skeleton: skeleton.name)
def test_pck_of_the_truth_is_one_and_of_swapped_sides_low(skeleton: Skeleton) -> None:
    rng = np.random.default_rng(4)
    truth = np.concatenate([rng.uniform(0, 200, (50, len(skeleton), 2)), rng.integers(0, 3, (50, len(skeleton), 1))], 2)
    exact, boxes = truth[..., :2], np.full((50, 4), 200.0)
    for threshold in (0.0, 0.2):
        perfect = pck(exact, truth, skeleton, threshold=threshold)
        assert perfect.mean == 1 == perfect.per_joint.min() and perfect.kept + perfect.left_out == 50
        assert perfect.left_out > 0
    swapped = exact[:, list(skeleton.flip)]
    assert pck(swapped, truth, skeleton).mean < 0.5
    assert pck(swapped, truth, skeleton, norm="box", boxes=boxes).mean < 0.5
    assert pckh(exact, truth, boxes).mean == 1 > pckh(swapped, truth, boxes).mean


def test_pck_refuses_wrong_shapes_and_missing_torsos() -> None:
    truth = np.ones((3, 14, 3))
    nothing = pck(truth[:0, :, :2], truth[:0], LSP_14)
    assert np.isnan(nothing.mean) and np.isnan(nothing.per_joint).all() and nothing.joints == nothing.kept == 0
    with pytest.raises(ValueError, match="pair has no torso"):
        pck(truth[:, :2, :2], truth[:, :2], PAIR)
    with pytest.raises(ValueError, match="needs boxes"):
        pck(truth[..., :2], truth, LSP_14, norm="box")
    wrong: Any = "head"
    with pytest.raises(ValueError, match="norm is 'torso' or 'box'; got 'head'"):
        pck(truth[..., :2], truth, LSP_14, norm=wrong)
    with pytest.raises(ValueError, match=r"coco-17 has 17 joints, each x, y, v; got truths \(3, 14, 3\)"):
        pck(truth[..., :2], truth, COCO_17)
    with pytest.raises(ValueError, match=r"got \(\(2, 14, 2\), \(3, 14, 3\), \(3,\)\)"):
        pck(truth[:2, :, :2], truth, LSP_14)
