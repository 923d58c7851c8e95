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

from firstsight.metrics.average_precision import CocoMetrics, Detections, GroundTruth, average_precision
from firstsight.metrics.pck import match_poses, pck, pckh
from firstsight.pose.oks import object_keypoint_similarity
from firstsight.pose.skeleton import COCO_17, LSP_14, OPENPOSE_18, Skeleton

PAIR = Skeleton(name="pair", joints=("a", "b"), limbs=((0, 1),), flip_pairs=((0, 1),), sigmas=(0.1, 0.1))
UNDEFINED = CocoMetrics(**dict.fromkeys(CocoMetrics.__dataclass_fields__, -1.0))


def coco_eval(truths: list[GroundTruth], detections: list[Detections], sigmas: tuple[float, ...]) -> COCOeval:
    """Return the evaluation of pycocotools on the same images, whose ids are their indices."""
    people = [
        {
            "image_id": image,
            "category_id": 1,
            "iscrowd": int(crowd),
            "area": float(area),
            "bbox": box.tolist(),
            "keypoints": joints.ravel().tolist(),
            "num_keypoints": int((joints[:, 2] > 0).sum()),
        }
        for image, truth in enumerate(truths)
        for joints, area, box, crowd in zip(truth.keypoints, truth.areas, truth.boxes, truth.crowd, strict=True)
    ]
    poses = [
        {"image_id": image, "category_id": 1, "keypoints": joints.ravel().tolist(), "score": float(score)}
        for image, one in enumerate(detections)
        for joints, score in zip(one.keypoints, one.scores, strict=True)
    ]
    truth_api = COCO()
    truth_api.dataset = {
        "images": [{"id": image} for image in range(len(truths))],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [person | {"id": i + 1} for i, person in enumerate(people)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth_api.createIndex()
        results = truth_api.loadRes(poses) if poses else COCO()
        if not poses:  # loadRes does not accept an empty list
            results.dataset = truth_api.dataset | {"annotations": []}
            results.createIndex()
        evaluation = COCOeval(truth_api, results, "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def random_image(rng: np.random.Generator, joints: int, *, empty: float) -> tuple[GroundTruth, Detections]:
    """Return people of all sizes, and poses near some of them (exact, noisy or duplicated) or near no person."""
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
    """The images contain people without labeled joints and crowds."""
    rng = np.random.default_rng(5)
    images = [random_image(rng, len(skeleton), empty=0) for _ in range(40)]
    expected = coco_eval([truth for truth, _ in images], [detections for _, detections in images], skeleton.sigmas).ious
    for image, (truth, detections) in enumerate(images):
        best = np.argsort(-detections.scores, kind="stable")[:20]
        similarity = object_keypoint_similarity(
            detections.keypoints[best], truth.keypoints, areas=truth.areas, boxes=truth.boxes, sigmas=skeleton.sigmas
        )
        assert similarity.dtype == np.float64
        np.testing.assert_array_equal(similarity, expected[image, 1])
        assert similarity.shape == (min(len(detections.scores), 20), len(truth.areas))


def test_oks_by_hand() -> None:
    """An area of 50 and sigmas of 0.1: exp(-d^2 / 4) for each joint; without labels d is from (-8, -4) to (16, 8)."""
    poses = np.array([[[3.0, 5], [7, 9]], [[5, 5], [7, 5]], [[-10, 0], [17, 11]]])
    sides: dict[str, Any] = {"areas": [50], "boxes": [[0, 0, 8, 4]], "sigmas": PAIR.sigmas}
    one = object_keypoint_similarity(poses, [[[3, 5, 2], [0, 0, 0]]], **sides)
    assert one[:, 0].tolist() == pytest.approx([1, np.exp(-1), np.exp(-194 / 4)], rel=1e-12)
    none = object_keypoint_similarity(poses, [[[3, 5, 0], [0, 0, 0]]], **sides)
    expected = [(1 + np.exp(-1 / 4)) / 2, 1, (np.exp(-1) + np.exp(-10 / 4)) / 2]
    assert none[:, 0].tolist() == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match=r"one joint for each of the 2 `sigmas`, got \(3, 1, 2\)"):
        object_keypoint_similarity(poses[:, :1], [[[3, 5, 2], [0, 0, 0]]], **sides)


def test_average_precision_equals_pycocotools() -> None:
    """There are 200 sets of images: some empty, some without poses, some without people to detect."""
    metrics = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        skeleton = (LSP_14, COCO_17, OPENPOSE_18)[seed % 3]
        empty = (0.1, 0.4, 0.95)[seed % 7 % 3]
        images = [random_image(rng, len(skeleton), empty=empty) for _ in range(rng.integers(1, 9))]
        truths, detections = [truth for truth, _ in images], [detections for _, detections in images]
        if seed % 20 == 0:
            detections = [Detections(keypoints=one.keypoints[:0], scores=one.scores[:0]) for one in detections]
        result = average_precision(truths, detections, skeleton.sigmas)
        expected = coco_eval(truths, detections, skeleton.sigmas).stats
        np.testing.assert_allclose(astuple(result), expected, rtol=0, atol=1e-9)
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
    detections = []
    for image, truth in enumerate(truths):
        other = truths[image - 1].keypoints[:1]
        shake = np.sqrt(truth.areas)[:, None, None] * rng.choice([0.01, 0.05, 0.1], (len(truth.areas), 1, 1))
        near = truth.keypoints + shake * rng.standard_normal(truth.keypoints.shape)
        poses = np.concatenate([near, near[::2] + 3, near[:1][:, list(COCO_17.flip)], other])
        detections.append(Detections(keypoints=poses, scores=np.round(rng.random(len(poses)), 2)))
    result = average_precision(truths, detections, COCO_17.sigmas)
    np.testing.assert_allclose(astuple(result), coco_eval(truths, detections, COCO_17.sigmas).stats, rtol=0, atol=1e-9)
    assert 0.1 < result.ap < result.ap50 < 0.9

    labeled = [truth.keypoints[truth.keypoints[..., 2].any(1)] for truth in truths]
    exact = [Detections(keypoints=poses, scores=np.ones(len(poses))) for poses in labeled]
    assert astuple(average_precision(truths, exact, COCO_17.sigmas)) == pytest.approx([1] * 10, abs=1e-12)
    swapped = [Detections(keypoints=one.keypoints[:, list(COCO_17.flip)], scores=one.scores) for one in exact]
    assert average_precision(truths, swapped, COCO_17.sigmas).ap < 0.5


def test_poses_are_matched_to_people_as_in_pycocotools() -> None:
    """The minimum OKS is 0.5; crowds and people without labels are matched too."""
    rng, pairs = np.random.default_rng(8), 0
    images = [random_image(rng, 17, empty=0.05) for _ in range(150)]
    evaluation = coco_eval([truth for truth, _ in images], [detections for _, detections in images], COCO_17.sigmas)
    first = 1  # results are numbered from 1, image by image
    for image, (truth, detections) in enumerate(images):
        poses, similarity = match_poses(truth, detections, COCO_17.sigmas)
        relevant = ~truth.crowd & (truth.keypoints[..., 2] > 0).any(1)
        peer = evaluation.evalImgs[image]  # of people of all sizes
        if peer is not None and len(truth.areas):
            numbers = [person["id"] for person in evaluation.cocoGt.imgToAnns[image]]
            columns = [peer["gtIds"].index(number) for number in numbers]
            theirs = np.full(len(poses), -9)
            if len(detections.scores):
                theirs = peer["gtMatches"][0][columns].astype(int) - first
            np.testing.assert_array_equal(poses[relevant], np.maximum(theirs, -1)[relevant])
            pairs += (poses[relevant] >= 0).sum()
        own = object_keypoint_similarity(
            detections.keypoints, truth.keypoints, areas=truth.areas, boxes=truth.boxes, sigmas=COCO_17.sigmas
        )
        expected = [own[pose, person] if pose >= 0 else 0 for person, pose in enumerate(poses)]
        assert similarity.tolist() == expected
        first += len(detections.scores)
    assert pairs > 50


def test_only_the_most_confident_detections_count() -> None:
    rng = np.random.default_rng(2)
    images = [random_image(rng, 17, empty=0.1) for _ in range(20)]
    truths, detections = [truth for truth, _ in images], [detections for _, detections in images]
    first = [np.sort(np.argsort(-one.scores, kind="stable")[:2]) for one in detections]
    cut = [
        Detections(keypoints=one.keypoints[best], scores=one.scores[best])
        for one, best in zip(detections, first, strict=True)
    ]
    two = average_precision(truths, detections, COCO_17.sigmas, max_detections=2)
    assert two == average_precision(truths, cut, COCO_17.sigmas)
    assert two != average_precision(truths, detections, COCO_17.sigmas)


def test_empty_inputs_score_minus_one_and_wrong_shapes_are_refused() -> None:
    no_people = GroundTruth(
        keypoints=np.zeros((0, 2, 3)), areas=np.zeros(0), boxes=np.zeros((0, 4)), crowd=np.zeros(0, bool)
    )
    false_positive = Detections(keypoints=np.ones((1, 2, 3)), scores=np.ones(1))
    assert average_precision([], [], PAIR.sigmas) == UNDEFINED
    assert average_precision([no_people], [false_positive], PAIR.sigmas) == UNDEFINED
    with pytest.raises(ValueError, match="`ground_truths` has 1 images, but `detections` has 0"):
        average_precision([no_people], [], PAIR.sigmas)
    with pytest.raises(ValueError, match=r"`keypoints` must have shape \(G, K, 3\).*got \[\(1, 2, 3\), \(0,\)"):
        GroundTruth(keypoints=np.zeros((1, 2, 3)), areas=no_people.areas, boxes=no_people.boxes, crowd=no_people.crowd)
    with pytest.raises(ValueError, match=r"\(D, K, 3\) and `scores` \(D,\), got \[\(1, 2, 3\), \(2,\)\]"):
        Detections(keypoints=false_positive.keypoints, scores=np.ones(2))
    with pytest.raises(ValueError, match="must be finite"):
        Detections(keypoints=false_positive.keypoints, scores=np.array([np.nan]))
    with pytest.raises(ValueError, match="one joint for each of the 3 `sigmas`"):
        average_precision([no_people], [false_positive], (0.1, 0.1, 0.1))
    for wrong in (0, -1):  # a slice to -1 would drop the last pose
        with pytest.raises(ValueError, match=f"`max_detections` must be at least 1, got {wrong}"):
            average_precision([no_people], [false_positive], PAIR.sigmas, max_detections=wrong)
        with pytest.raises(ValueError, match=f"`max_detections` must be at least 1, got {wrong}"):
            match_poses(no_people, false_positive, PAIR.sigmas, max_detections=wrong)


def lsp_person(**positions: tuple[float, float]) -> np.ndarray[Any, Any]:
    """Return (14, 3) joints of Leeds Sports Poses, labeled where a position is given."""
    joints = np.zeros((14, 3))
    for name, (x, y) in positions.items():
        joints[LSP_14.joints.index(name)] = x, y, 1
    return joints


def test_pck_by_hand() -> None:
    """The torsos are 50 pixels, 100 (by the other diagonal), unlabeled and 0: the thresholds are 10 and 20 pixels."""
    truth = np.stack(
        [
            lsp_person(
                left_shoulder=(40, 10), right_hip=(10, 50), right_shoulder=(10, 10), left_hip=(40, 90), neck=(5, 5)
            ),
            lsp_person(right_shoulder=(0, 0), left_hip=(60, 80), left_shoulder=(60, 0), neck=(30, 0)),
            lsp_person(right_shoulder=(0, 0), right_hip=(0, 80), neck=(30, 0)),
            lsp_person(left_shoulder=(5, 5), right_hip=(5, 5), neck=(30, 0)),
        ]
    )
    keypoints = truth[..., :2].copy()
    hip, shoulder, neck = (LSP_14.joints.index(name) for name in ("left_hip", "left_shoulder", "neck"))
    keypoints[0, hip] = 46, 98  # distance 10
    keypoints[0, shoulder] = 40, 20.01
    keypoints[0, neck] = -1, 5  # near, but negative: not detected
    keypoints[1, neck] = 30, 19.99
    keypoints[1, hip] = np.nan
    keypoints[2:] = 1000  # no torso: skipped
    result = pck(keypoints, truth, LSP_14)
    fractions = dict(zip(LSP_14.joints, result.per_joint.tolist(), strict=True))
    labeled = {name: value for name, value in fractions.items() if value == value}
    assert labeled == {"right_hip": 1, "right_shoulder": 1, "left_shoulder": 0.5, "left_hip": 0.5, "neck": 0.5}
    assert (result.mean, result.num_joints, result.num_images, result.num_skipped) == (6 / 9, 9, 2, 2)
    assert result.counts.sum() == 9 and result.counts[neck] == 2 and result.counts[0] == 0
    assert pck(keypoints, truth, LSP_14, threshold=0.201).mean == 7 / 9

    boxes = [[0, 0, 30, 80], [0, 0, 60, 40], [0, 0, 10, 10], [0, 0, 0, 0]]  # thresholds 16, 12, 2 pixels and none
    boxed = pck(keypoints, truth, LSP_14, norm="box", boxes=boxes)
    assert (boxed.mean, boxed.num_joints, boxed.num_images, boxed.num_skipped) == (6 / 12, 12, 3, 1)

    heads = [[0, 0, 30, 40], [0, 0, 24, 32], [0, 0, 0, 0], [0, 0, 0, 0]]  # thresholds of 15 and 12 pixels
    headed = pckh(keypoints, truth, heads)
    assert (headed.mean, headed.num_joints, headed.num_images, headed.num_skipped) == (6 / 9, 9, 2, 2)
    assert pckh(keypoints, truth, heads, threshold=1.0).mean == 7 / 9


@pytest.mark.parametrize("skeleton", [LSP_14, COCO_17, OPENPOSE_18], ids=lambda skeleton: skeleton.name)
def test_pck_of_the_truth_is_one_and_of_swapped_sides_low(skeleton: Skeleton) -> None:
    rng = np.random.default_rng(4)
    truth = np.concatenate([rng.uniform(0, 200, (50, len(skeleton), 2)), rng.integers(0, 3, (50, len(skeleton), 1))], 2)
    exact = truth[..., :2]
    boxes = np.full((50, 4), 200.0)
    for threshold in (0.0, 0.2):
        perfect = pck(exact, truth, skeleton, threshold=threshold)
        assert perfect.mean == 1 == perfect.per_joint.min() and perfect.num_images + perfect.num_skipped == 50
        assert perfect.num_skipped > 0
    swapped = exact[:, list(skeleton.flip)]
    assert pck(swapped, truth, skeleton).mean < 0.5
    assert pck(swapped, truth, skeleton, norm="box", boxes=boxes).mean < 0.5
    assert pckh(exact, truth, boxes).mean == 1 > pckh(swapped, truth, boxes).mean


def test_pck_refuses_wrong_shapes_and_missing_torsos() -> None:
    truth = np.ones((3, 14, 3))
    empty = pck(truth[:0, :, :2], truth[:0], LSP_14)
    assert np.isnan(empty.mean) and np.isnan(empty.per_joint).all() and empty.num_joints == empty.num_images == 0
    with pytest.raises(ValueError, match="pair has no torso"):
        pck(truth[:, :2, :2], truth[:, :2], PAIR)
    with pytest.raises(ValueError, match="needs `boxes`"):
        pck(truth[..., :2], truth, LSP_14, norm="box")
    wrong: Any = "head"
    with pytest.raises(ValueError, match='`norm` must be "torso" or "box", got "head"'):
        pck(truth[..., :2], truth, LSP_14, norm=wrong)
    with pytest.raises(ValueError, match=r"shape \(N, 17, 3\) for the skeleton coco-17, got \(3, 14, 3\)"):
        pck(truth[..., :2], truth, COCO_17)
    with pytest.raises(ValueError, match=r"got \(\(2, 14, 2\), \(3, 14, 3\), \(3,\)\)"):
        pck(truth[:2, :, :2], truth, LSP_14)
    with pytest.raises(ValueError, match=r"`boxes` must have shape \(N, 4\), got \(3, 2\)"):
        pck(truth[..., :2], truth, LSP_14, norm="box", boxes=np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"`head_boxes` must have shape \(N, 4\), got \(0,\)"):
        pckh(truth[:0, :, :2], truth[:0], [])
