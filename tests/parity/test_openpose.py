"""Lightweight OpenPose equals the published code: outputs of the network, training labels, decoded people."""

from typing import Any

import numpy as np
import pytest
import torch
from formula import tensor
from numpy.typing import NDArray
from published_openpose import oracle

from firstsight.models.pose.openpose_mobilenet import openpose_mobilenet
from firstsight.pose.decode import decode
from firstsight.pose.exact import find_limbs, find_peaks
from firstsight.pose.parts import assemble
from firstsight.pose.skeleton import OPENPOSE_18, Skeleton
from firstsight.pose.targets import heatmap_targets, paf_targets


@pytest.mark.parametrize("stages", [1, 2])
def test_the_network_equals_the_published_one(stages: int) -> None:
    """Names and shapes of all tensors, 4,091,698 parameters, and the maps of every stage for the same weights."""
    theirs = oracle("models.with_mobilenet").PoseEstimationWithMobileNet(num_refinement_stages=stages).eval()
    ours = openpose_mobilenet(stages=stages).eval()
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    filled = {key: torch.from_numpy(tensor(key, tuple(v.shape))).to(v.dtype) for key, v in state.items()}
    theirs.load_state_dict(filled)
    ours.load_state_dict(filled)
    assert stages > 1 or sum(p.numel() for p in ours.parameters()) == 4_091_698
    images = torch.rand(1, 3, 56, 72, generator=torch.Generator().manual_seed(1)) - 0.5
    with torch.inference_mode():
        expected, maps = theirs(images), ours(images)
    assert len(maps) == 2 * (1 + stages) and maps[0].shape == (1, 19, 7, 9) and maps[1].shape == (1, 38, 7, 9)
    torch.testing.assert_close(maps, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("people", [1, 2, 20])
@pytest.mark.parametrize("seed", range(4))
def test_labels_equal_the_published_ones(people: int, seed: int) -> None:
    """Heatmaps and fields of people inside, across and outside the image, with hidden and coinciding joints."""
    coco = oracle("datasets.coco")
    labels = coco.CocoTrainDataset.__new__(coco.CocoTrainDataset)
    labels._stride, labels._sigma, labels._paf_thickness = 8, 7, 1
    rng = np.random.default_rng(seed)
    height, width = (46, 46) if seed % 2 else (30, 55)
    joints = rng.uniform(-40, 420, (people, 1, 2)) + rng.normal(0, 60, (people, 18, 2))
    joints[0, 1] = joints[0, 2]  # a limb without length
    joints[:, 5] = joints[:, 5].round()
    joints[-1, 8, 1] = joints[-1, 9, 1]  # a horizontal one
    visible = rng.random((people, 18)) < 0.85
    annotations = [
        {"keypoints": [[*map(float, joints[p, j]), 0 if visible[p, j] else 2] for j in range(18)]}
        for p in range(people)
    ]
    label = {**annotations[0], "processed_other_annotations": annotations[1:]}
    sample = {"image": np.zeros((8 * height, 8 * width, 3)), "label": label}
    limbs = tuple((a, b) for a, b in coco.BODY_PARTS_KPT_IDS)
    channels = {limb: 2 * i for i, limb in enumerate(limbs)}
    in_order = [channels[limb] for limb in OPENPOSE_18.limbs]
    assert in_order == list(OPENPOSE_18.paf_channels)
    keypoints, shown = torch.from_numpy(joints)[None], torch.from_numpy(visible)[None]
    heatmaps = heatmap_targets(keypoints, shown, size=(height, width), merge="sum")[0]
    np.testing.assert_allclose(heatmaps.numpy(), labels._generate_keypoint_maps(sample), atol=1e-6)
    pafs = paf_targets(keypoints, shown, OPENPOSE_18, size=(height, width), merge="last", align="reference")[0]
    np.testing.assert_allclose(pafs.numpy(), labels._generate_paf_maps(sample), atol=1e-6)
    assert isinstance(OPENPOSE_18, Skeleton) and pafs.abs().sum() > 0


def scene(seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return heatmaps and fields as of a network: up to 50 people who overlap, and what makes decoding hard.

    Noise, ties and plateaus (values in coarse steps), missing joints, doubled peaks, empty maps, narrow images.
    """
    rng = np.random.default_rng(seed)
    height, width = int(rng.integers(12, 64)), int(rng.integers(12, 90))
    people = int(rng.choice([0, 1, 2, 3, 5, 8, 12, 20, 50]))
    center = rng.uniform(0, 1, (people, 1, 2)) * (width, height)
    spread = rng.uniform(2, 25, (people, 1, 1))
    joints = center + rng.normal(0, 1, (people, 18, 2)) * spread
    shown = rng.random((people, 18)) < rng.choice([0.5, 0.9, 1.0])
    keypoints, visible = torch.from_numpy(joints)[None], torch.from_numpy(shown)[None]
    size, merge = (height, width), bool(rng.integers(2))
    heat = heatmap_targets(
        keypoints, visible, size=size, stride=1, sigma=float(rng.uniform(0.7, 2.5)), merge="sum" if merge else "maximum"
    )[0].numpy()
    thickness = float(rng.uniform(0.6, 2.5))
    fields = paf_targets(keypoints, visible, OPENPOSE_18, size=size, stride=1, thickness=thickness, align="reference")[
        0
    ].numpy()
    noise = float(rng.choice([0, 0.02, 0.1, 0.4], p=[0.4, 0.3, 0.25, 0.05]))
    heat = heat + noise * rng.normal(0, 1, heat.shape)
    fields = fields + noise * rng.normal(0, 1, fields.shape)
    coarse = int(rng.choice([0, 0, 4, 16]))
    if coarse:
        heat, fields = np.round(heat * coarse) / coarse, np.round(fields * coarse) / coarse
    return heat.astype(np.float32), fields.astype(np.float32)


def reference(heat: NDArray[np.float32], fields: NDArray[np.float32]) -> tuple[Any, Any, Any]:
    """Return the peaks of each joint, the people, and all joints, as the published code decodes them."""
    keypoints = oracle("modules.keypoints")
    by_kind: list[Any] = []
    total = 0
    for joint in range(18):
        total += keypoints.extract_keypoints(heat[joint].copy(), by_kind, total)
    return (by_kind, *keypoints.group_keypoints(by_kind, np.ascontiguousarray(fields.transpose(1, 2, 0))))


def compare_decoding(seeds: range) -> int:
    """Assert that scenes are decoded as by the published code; returns the number of people."""
    total = 0
    for seed in seeds:
        heat, fields = scene(seed)
        by_kind, entries, everything = reference(heat, fields)
        maps, pafs = torch.from_numpy(heat), torch.from_numpy(fields)
        before = maps.clone()
        peaks = find_peaks(maps[:18])
        assert torch.equal(maps, before)
        assert peaks.offsets.tolist() == [0, *np.cumsum([len(kind) for kind in by_kind]).tolist()], seed
        if len(everything):
            np.testing.assert_array_equal(peaks.xy, everything[:, :2])
            np.testing.assert_array_equal(peaks.scores, everything[:, 2].astype(np.float32))
        people = assemble(peaks, find_limbs(pafs, peaks, OPENPOSE_18), OPENPOSE_18)
        assert len(people.joints) == len(entries), seed
        if len(entries):
            np.testing.assert_array_equal(people.joints, entries[:, :18], str(seed))
            np.testing.assert_array_equal(people.counts, entries[:, 19], str(seed))
            np.testing.assert_allclose(people.scores, entries[:, 18], atol=1e-6, err_msg=str(seed))
        if seed % 10 == 0:
            poses = decode(maps, pafs, OPENPOSE_18, method="exact")
            assert [pose.score for pose in poses] == people.scores.tolist()
        total += len(entries)
    return total


def test_decoding_of_twenty_scenes_equals_the_published_code() -> None:
    """The same joints at the same positions, the same people with the same scores."""
    assert compare_decoding(range(20)) > 100


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_decoding_of_a_thousand_scenes_equals_the_published_code(part: int) -> None:
    assert compare_decoding(range(100 * part, 100 * (part + 1))) > 100
