"""Fast decoding of the network's own maps: subpixel peaks, suppression of close peaks, comparison with "exact"."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from firstsight.pose import exact, fast
from firstsight.pose.decode import Method, decode, decode_steps
from firstsight.pose.parts import Peaks, Pose, assemble
from firstsight.pose.skeleton import LSP_14, OPENPOSE_18, Skeleton
from firstsight.pose.targets import heatmap_targets, paf_targets
from helpers.blob_people import stick


def gaussian(x: float, y: float, *, sigma: float = 0.9, size: tuple[int, int] = (12, 16)) -> Tensor:
    rows, columns = torch.arange(size[0])[:, None], torch.arange(size[1])[None]
    return torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))


@pytest.mark.parametrize("x", [3.0, 3.2, 3.5, 3.9, 8.01])
@pytest.mark.parametrize("y", [5.0, 5.49, 6.7])
def test_peaks_of_a_gaussian_are_found_to_a_thousandth_of_a_cell(x: float, y: float) -> None:
    """The peak value is also found to a thousandth."""
    peaks = fast.find_peaks(0.8 * gaussian(x, y)[None])
    np.testing.assert_allclose(peaks.xy, [[x, y]], atol=1e-3)
    assert peaks.scores.tolist() == pytest.approx([0.8], abs=1e-3)


def test_of_near_peaks_the_highest_stays() -> None:
    heat = torch.zeros(2, 9, 20)
    heat[0, 4, 3], heat[0, 5, 4] = 0.5, 0.9  # corner to corner: 1.4 cells
    heat[0, 4, 12], heat[0, 4, 14] = 0.5, 0.9  # two cells: both stay
    heat[1, 2, 2] = heat[1, 2, 3] = 0.8  # a plateau is one peak, at its center
    peaks = fast.find_peaks(heat)
    assert peaks.offsets.tolist() == [0, 3, 4]
    np.testing.assert_allclose(peaks.xy, [[4, 5], [12, 4], [14, 4], [2.5, 2]], atol=1e-5)


def test_peaks_in_a_corner_stay_inside() -> None:
    """A peak in the corner counts."""
    heat = torch.zeros(1, 6, 6)
    heat[0, 0, 0], heat[0, 5, 5], heat[0, 5, 4] = 1.0, 0.9, 0.8
    peaks = fast.find_peaks(heat)
    assert len(peaks.xy) == 2 and (peaks.xy >= 0).all() and (peaks.xy <= 5).all()


def walkers(skeleton: Skeleton, people: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return joints and visibility of people side by side in an image of 512x688, with limbs of 30 to 60 pixels."""
    rng = np.random.default_rng(seed)
    joints = np.zeros((people, len(skeleton), 2))
    for person in range(people):
        joints[person, skeleton.limbs[0][0]] = (60 + 620 * person / people, rng.uniform(150, 300))
        for a, b in skeleton.limbs[: len(skeleton) - 1]:
            angle = rng.uniform(0, 2 * np.pi)
            joints[person, b] = joints[person, a] + rng.uniform(30, 60) * np.array([0.5 * np.cos(angle), np.sin(angle)])
    return torch.from_numpy(joints)[None], torch.ones(1, people, len(skeleton), dtype=torch.bool)


@pytest.mark.parametrize("skeleton", [LSP_14, OPENPOSE_18], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("seed", range(5))
def test_fast_finds_the_people_of_exact_with_smaller_errors(skeleton: Skeleton, seed: int) -> None:
    """Three people apart from each other; "exact" decodes maps enlarged fourfold."""
    keypoints, visible = walkers(skeleton, 3, seed)
    inside = ((keypoints >= 4) & (keypoints < torch.tensor([684, 508]))).all(-1)
    heat = heatmap_targets(keypoints, visible & inside, size=(64, 86))[0].float()
    fields = paf_targets(keypoints, visible & inside, skeleton, size=(64, 86))[0].float()
    large_heat, large_fields = (
        F.interpolate(maps[None], scale_factor=4, mode="bicubic", align_corners=False)[0] for maps in (heat, fields)
    )
    found = decode(heat, fields, skeleton)
    exact = decode(large_heat, large_fields, skeleton, method="exact")
    assert len(found) == 3 and len(exact) >= 3

    def errors(poses: list[Pose], stride: int) -> NDArray[np.float64]:
        """Return the distance from each joint found to the nearest true one of its type, in image pixels."""
        joints = np.stack([pose.keypoints for pose in poses])
        pixels = stride * joints[:, None, :, :2] + (stride - 1) / 2
        distances = np.linalg.norm(keypoints[0].numpy()[None] - pixels, axis=3).min(1)
        return np.asarray(distances[joints[:, :, 2] >= 0])

    fast_errors = errors(found, 8)
    assert len(fast_errors) >= int(inside.sum()) - 1 and fast_errors.max() < 4
    assert np.median(fast_errors) < 0.05 < 0.3 < np.median(errors(exact, 2))


@pytest.mark.parametrize("method", ["fast", "exact"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_maps_of_every_number_type_decode_to_the_people_of_float32(method: Method, dtype: torch.dtype) -> None:
    """The reference has the same values, which are already rounded."""
    keypoints, visible = walkers(LSP_14, 3, 0)
    heat = heatmap_targets(keypoints, visible, size=(64, 86))[0].to(dtype).requires_grad_()
    fields = paf_targets(keypoints, visible, LSP_14, size=(64, 86))[0].to(dtype)
    if method == "exact":  # a plateau of equal values has no peak by its rules
        heat = heat + torch.linspace(0, 1e-3, 86).to(dtype)
    poses = decode(heat, fields, LSP_14, method=method)
    expected = decode(heat.float(), fields.float(), LSP_14, method=method)
    assert len(poses) == len(expected) >= 2
    for pose, same in zip(poses, expected, strict=True):
        np.testing.assert_array_equal(pose.keypoints, same.keypoints)
        assert (pose.score, pose.box) == (same.score, same.box)


def test_decode_steps_returns_peaks_limbs_and_people() -> None:
    keypoints, visible = walkers(LSP_14, 2, 0)
    heat = heatmap_targets(keypoints, visible, size=(64, 86))[0]
    fields = paf_targets(keypoints, visible, LSP_14, size=(64, 86))[0]
    steps = decode_steps(heat, fields, LSP_14)
    assert len(steps.limbs) == len(LSP_14.limbs) and steps.people.joints.shape == (len(steps.poses), 14)
    assert steps.peaks.offsets[-1] == len(steps.peaks.xy) and all(len(limb.ends) <= 4 for limb in steps.limbs)
    assert steps.people.joints.max() < len(steps.peaks.xy)


def test_fast_joins_the_fragments_of_a_person_and_exact_does_not() -> None:
    """The fields from the neck to both hips are missing, and a wrist has no limb."""
    joints = torch.from_numpy(stick(240, 250))[None, None]
    visible = torch.ones(1, 1, 14, dtype=torch.bool)
    heat = heatmap_targets(joints, visible, size=(64, 64))[0]
    fields = paf_targets(joints, visible, LSP_14, size=(64, 64))[0]
    for limb in ((12, 2), (12, 3), (10, 11)):
        channel = LSP_14.paf_channels[LSP_14.limbs.index(limb)]
        fields[channel : channel + 2] = 0
    assert len(decode(heat, fields, LSP_14, method="exact")) == 3
    steps = decode_steps(heat, fields, LSP_14)
    fragments = assemble(steps.peaks, steps.limbs, LSP_14).joints
    assert sorted((fragments >= 0).sum(1)) == [3, 3, 7]  # two legs, and the rest without a wrist
    assert len(steps.poses) == len(steps.people.joints) == 1
    np.testing.assert_allclose(steps.poses[0].keypoints[:, :2] * 8 + 3.5, joints[0, 0], atol=0.1)


@pytest.mark.parametrize("find_peaks", [fast.find_peaks, exact.find_peaks])
def test_peak_at_the_threshold_is_found(find_peaks: Callable[[Tensor], Peaks]) -> None:
    """The published code, too, sets only values below 0.1 to 0, in single precision."""
    threshold = np.float32(0.1)
    heat = torch.zeros(1, 5, 9)
    heat[0, 2, 2] = float(threshold)
    heat[0, 2, 6] = float(np.nextafter(threshold, np.float32(0)))
    assert find_peaks(heat).xy.tolist() == [[2, 2]]


def test_empty_maps_give_no_people_and_unknown_methods_are_refused() -> None:
    assert decode(torch.zeros(19, 8, 8), torch.zeros(38, 8, 8), OPENPOSE_18) == []
    assert decode(torch.zeros(19, 1, 1), torch.zeros(38, 1, 1), OPENPOSE_18) == []
    assert decode(torch.full((18, 8, 8), torch.nan), torch.zeros(38, 8, 8), OPENPOSE_18) == []
    wrong: Any = "slow"
    with pytest.raises(ValueError, match=r"`method` must be one of fast, exact, got 'slow'"):
        decode(torch.zeros(19, 8, 8), torch.zeros(38, 8, 8), OPENPOSE_18, method=wrong)
