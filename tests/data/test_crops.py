"""Crops for training: pure functions of seed, epoch and sample; keypoints follow every augmentation."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from firstsight.data.keypoints import crops as crops_module
from firstsight.data.keypoints.crop import inverse, transform_points
from firstsight.data.keypoints.crops import DRAWS, Crops
from firstsight.data.keypoints.keypoint_set import load_keypoints
from firstsight.errors import DataError

EVERYTHING: dict[str, Any] = {
    "rotate": 90.0,
    "scale": 0.3,
    "translate_fraction": 0.1,
    "half_body": 0.5,
    "random_erasing": 0.5,
}


def crops(path: Path, **changes: Any) -> Crops:
    options: dict[str, Any] = {"batch_size": 4, "epochs": 2, "seed": 0, "size": (128, 96)}
    return Crops(load_keypoints(path), **(options | changes))


def test_sample_is_a_function_of_seed_epoch_and_number(sticks: Callable[..., Path]) -> None:
    batches, again = crops(sticks(), **EVERYTHING), crops(sticks(), **EVERYTHING)
    one, other = batches.get(1, 2), again.get(1, 2)
    assert torch.equal(one.images, other.images) and torch.equal(one.keypoints, other.keypoints)
    assert not torch.equal(one.images, batches.get(0, 2).images)
    seeded = crops(sticks(), seed=1, **EVERYTHING)
    whole = np.concatenate([seeded.get(0, i).ids for i in range(seeded.steps)])
    assert sorted(whole.tolist()) == list(range(12)) and batches.samples == 12 and batches.steps == 3


@pytest.mark.parametrize("world_size", [2, 3])
def test_shares_of_all_processes_are_the_batch(sticks: Callable[..., Path], world_size: int) -> None:
    whole = crops(sticks(), **EVERYTHING).get(0, 1)
    shares = [crops(sticks(), rank=rank, world_size=world_size, **EVERYTHING).get(0, 1) for rank in range(world_size)]
    for rank, share in enumerate(shares):
        assert share.global_size == 4 and share.world_size == world_size
        assert torch.equal(share.images, whole.images[rank::world_size])
        assert torch.equal(share.visible, whole.visible[rank::world_size])


def test_keypoints_stay_on_their_joints_under_augmentation(sticks: Callable[..., Path]) -> None:
    """Rotated, scaled, shifted, flipped: heads are green, left joints red, right ones blue, or swapped."""
    batches = crops(sticks(24), batch_size=24, **(EVERYTHING | {"random_erasing": 0.0, "half_body": 0.0}))
    batch = batches.get(0, 0)
    colors = {0: 1, 1: 0, 3: 0, 2: 2, 4: 2}  # joint to channel
    checked = flipped = 0
    for image, joints, visible, matrix in zip(
        batch.images, batch.keypoints, batch.visible, batch.matrices, strict=True
    ):
        flipped += int(torch.linalg.det(matrix[:, :2]) < 0)
        swapped = torch.linalg.det(matrix[:, :2]) < 0
        for k in torch.nonzero(visible)[:, 0].tolist():
            x, y = joints[k].round().int().tolist()
            if not (4 <= x < 92 and 4 <= y < 124):
                continue
            channel = colors[k] if not swapped or k == 0 else 2 - colors[k]
            patch = image[:, y - 1 : y + 2, x - 1 : x + 2].mean((1, 2))
            assert patch.argmax() == channel and patch[channel] > 90
            checked += 1
    assert checked > 60 and 4 < flipped < 20


def test_matrices_map_keypoints_back_to_the_labels(sticks: Callable[..., Path]) -> None:
    people = load_keypoints(sticks())
    batch = crops(sticks(), **EVERYTHING).get(0, 0)
    back = transform_points(batch.keypoints.double(), inverse(batch.matrices))
    labels = torch.from_numpy(people.keypoints[batch.people, :, :2]).double() - 0.5
    flipped = torch.linalg.det(batch.matrices[:, :, :2]) < 0
    labels[flipped] = labels[flipped][:, list(people.skeleton.flip)]
    assert (back - labels).abs().max() < 1e-3


def test_crops_without_augmentation_contain_the_box_enlarged_by_a_quarter(sticks: Callable[..., Path]) -> None:
    batch = crops(sticks()).get_unaugmented(np.arange(12))
    assert batch.visible.all()
    low, high = batch.keypoints.amin(1), batch.keypoints.amax(1)
    center = (low + high) / 2
    torch.testing.assert_close(center, torch.tensor([47.5, 63.5]).expand(12, 2), rtol=0, atol=1e-3)
    size = high - low
    torch.testing.assert_close(torch.maximum(size[:, 0] / 96, size[:, 1] / 128), torch.full((12,), 0.8))


def use_draws(monkeypatch: pytest.MonkeyPatch, **changes: float) -> None:
    """Replace the random numbers of every sample: draw_0=0.25 is the first one; the others are 0.5."""
    draws = np.full(DRAWS, 0.5)
    for name, value in changes.items():
        draws[int(name.removeprefix("draw_"))] = value
    monkeypatch.setattr(crops_module, "uniform", lambda ids, **_: np.resize(draws, ids.shape))


@pytest.mark.parametrize(
    ("draws", "degrees", "factor", "flipped", "shift"),
    [
        ({}, 0, 1, False, (0, 0)),
        ({"draw_0": 0.0}, -40, 1, False, (0, 0)),
        ({"draw_0": 0.75}, 20, 1, False, (0, 0)),
        ({"draw_1": 0.0}, 0, 0.7, False, (0, 0)),
        ({"draw_1": 0.75}, 0, 1.15, False, (0, 0)),
        ({"draw_2": 0.49}, 0, 1, True, (0, 0)),
        ({"draw_3": 0.0}, 0, 1, False, (-0.2, 0)),
        ({"draw_4": 0.75}, 0, 1, False, (0, 0.1)),
        ({"draw_0": 0.25, "draw_1": 0.9, "draw_2": 0.1, "draw_3": 0.6, "draw_4": 0.3}, -20, 1.24, True, (0.04, -0.08)),
    ],
)
def test_random_numbers_give_rotation_scale_flip_and_shift(
    sticks: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    draws: dict[str, float],
    degrees: float,
    factor: float,
    flipped: bool,
    shift: tuple[float, float],
) -> None:
    """A random number u gives ``rotate * (2 u - 1)``, and so on; shifts are fractions of the region's size."""
    use_draws(monkeypatch, **draws)
    batches = crops(sticks(), rotate=40.0, scale=0.3, translate_fraction=0.2)
    batch = batches.get(0, 0)
    plain = batches.get_unaugmented(batch.ids)
    for matrix, before in zip(batch.matrices, plain.matrices, strict=True):
        sign = -1 if flipped else 1
        angle = np.radians(degrees)
        rotation = [[sign * np.cos(angle), -np.sin(angle)], [sign * np.sin(angle), np.cos(angle)]]
        expected = factor * before[0, 0] * torch.tensor(rotation, dtype=torch.float64)
        torch.testing.assert_close(matrix[:, :2], expected)
    center = torch.tensor([[47.5, 63.5]], dtype=torch.float64).expand(4, 1, 2)
    moved = (transform_points(center, inverse(each.matrices))[:, 0] for each in (batch, plain))
    size = torch.tensor([96.0, 128.0]).double() / plain.matrices[:, 0, 0, None]
    torch.testing.assert_close(next(moved) - next(moved), size * torch.tensor(shift, dtype=torch.float64))


def test_flip_can_be_turned_off(sticks: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    use_draws(monkeypatch, draw_2=0.0)
    for flip in (True, False):
        matrices = crops(sticks(), flip=flip).get(0, 0).matrices
        assert ((torch.linalg.det(matrices[:, :, :2]) < 0) == flip).all()


HALVES = ["head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_hip", "right_hip", "left_knee"]
HALVES_X = [50, 40, 60, 30, 70, 44, 56, 40]
HALVES_Y = [10, 20, 20, 40, 40, 60, 60, 90]


@pytest.mark.parametrize(
    ("draws", "flags", "box"),
    [
        ({"draw_6": 0.29, "draw_7": 0.49}, [2] * 8, (40, 60, 16, 30)),  # hips and knee
        ({"draw_6": 0.29, "draw_7": 0.5}, [2] * 8, (30, 10, 40, 30)),  # head, shoulders and elbows
        ({"draw_6": 0.3, "draw_7": 0.49}, [2] * 8, (30, 10, 40, 80)),  # 70 % of the samples show the whole body
        ({"draw_6": 0.29, "draw_7": 0.49}, [2] * 7 + [0], (30, 10, 40, 50)),  # seven joints are too few
    ],
)
def test_half_body_is_the_box_of_its_joints(
    sticks: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    draws: dict[str, float],
    flags: list[int],
    box: tuple[float, ...],
) -> None:
    use_draws(monkeypatch, **draws)
    path = sticks(
        4,
        category={"keypoints": HALVES, "skeleton": [[1, 2], [1, 3], [2, 4], [3, 5], [2, 6], [3, 7], [6, 8]]},
        keypoints=[value for joint in zip(HALVES_X, HALVES_Y, flags, strict=True) for value in joint],
        bbox=[40, 20, 20, 20],
    )
    batch = crops(path, half_body=0.3).get(0, 0)
    left, top, width, height = box
    size = max(height, width / 0.75) * 1.25
    corner = torch.tensor([left + width / 2 - 0.375 * size, top + height / 2 - size / 2]).double() - 0.5
    scale = 128 / size
    expected = (torch.tensor([HALVES_X, HALVES_Y]).T.double() - 0.5 - corner) * scale - 0.5
    torch.testing.assert_close(batch.keypoints[0].double(), expected, rtol=0, atol=1e-3)


def test_half_body_needs_three_joints_in_that_half(
    sticks: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_draws(monkeypatch, draw_6=0.0, draw_7=0.0)
    names = [*HALVES[:-1], "nose"]
    path = sticks(
        4,
        category={"keypoints": names, "skeleton": [[1, 2], [1, 3], [2, 4], [3, 5], [2, 6], [3, 7], [6, 8]]},
        keypoints=[value for joint in zip(HALVES_X, HALVES_Y, [2] * 8, strict=True) for value in joint],
    )
    batches = crops(path, half_body=1.0)
    batch = batches.get(0, 0)
    torch.testing.assert_close(batch.matrices, batches.get_unaugmented(batch.ids).matrices)


def test_random_numbers_give_the_rectangle_and_color_of_random_erasing(
    sticks: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sides of 128 (0.1 + 0.4 * 0.25) = 25.6 and 96 (0.1 + 0.4 * 0.75) = 38.4 pixels, rounded."""
    draws = {"draw_9": 0.25, "draw_10": 0.75, "draw_11": 0.1, "draw_12": 0.8}
    draws |= {"draw_13": 0.2, "draw_14": 0.4, "draw_15": 1.0}
    use_draws(monkeypatch, draw_8=0.5, **draws)
    batch = crops(sticks(), random_erasing=0.6).get(0, 0)
    plain = crops(sticks(), random_erasing=0.5).get(0, 0)  # 0.5 is not below 0.5
    expected = plain.images.clone()
    top, left = round(0.1 * (128 - 26)), round(0.8 * (96 - 38))
    expected[:, :, top : top + 26, left : left + 38] = torch.tensor([51.0, 102.0, 255.0])[:, None, None]
    torch.testing.assert_close(batch.images, expected)
    assert torch.equal(plain.images, crops(sticks()).get(0, 0).images)


def test_random_erasing_covers_one_rectangle_and_few_joints_make_no_half_body(sticks: Callable[..., Path]) -> None:
    names = ["neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip"]
    path = sticks(category={"keypoints": names})
    plain = crops(path, rotate=0.0, scale=0.0, flip=False).get(0, 0)
    few = crops(path, rotate=0.0, scale=0.0, flip=False, half_body=1.0).get(0, 0)  # five joints are too few for halves
    assert torch.equal(plain.images, few.images)
    hidden = crops(path, rotate=0.0, scale=0.0, flip=False, random_erasing=1.0).get(0, 0)
    changed = (hidden.images != plain.images).any(1)
    for part in changed:
        rows, columns = torch.nonzero(part.any(1))[:, 0], torch.nonzero(part.any(0))[:, 0]
        high, wide = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
        assert 0.1 * 128 - 1 <= high <= 0.5 * 128 + 1 and 0.1 * 96 - 1 <= wide <= 0.5 * 96 + 1
        assert part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].float().mean() > 0.95
    assert torch.equal(hidden.visible, plain.visible)


def test_low_resolution_epochs_use_smaller_crops(sticks: Callable[..., Path]) -> None:
    """Three of five epochs (0.6), none of one: the last one always has the full size. Progress restarts at 0."""
    batches = crops(sticks(), epochs=5, low_res_fraction=0.6, low_res_size=(64, 48))
    assert [batches.get(epoch, 0).images.shape[2:] for epoch in range(5)] == [(64, 48)] * 3 + [(128, 96)] * 2
    progress = [[batches.get(epoch, index).progress for index in range(3)] for epoch in range(5)]
    np.testing.assert_allclose(progress[:3], np.arange(9).reshape(3, 3) / 9)
    np.testing.assert_allclose(progress[3:], np.arange(6).reshape(2, 3) / 6)
    assert crops(sticks(), epochs=1, low_res_fraction=0.9, low_res_size=(64, 48)).get(0, 0).images.shape[2:] == (
        128,
        96,
    )
    small, large = batches.get_unaugmented(np.arange(4), size=(64, 48)), batches.get_unaugmented(np.arange(4))
    back = [transform_points(each.keypoints.double(), inverse(each.matrices)) for each in (small, large)]
    torch.testing.assert_close(*back, rtol=0, atol=1e-3)


def test_people_with_one_visible_joint_are_used_and_those_without_are_not(sticks: Callable[..., Path]) -> None:
    people = load_keypoints(sticks())
    keypoints = people.keypoints.copy()
    keypoints[0, 1:, 2] = 0
    keypoints[1, :, 2] = 0
    batches = Crops(replace(people, keypoints=keypoints), batch_size=4, epochs=1, seed=0, size=(64, 64), **EVERYTHING)
    assert batches.samples == 11 and 1 not in batches.used
    batch = batches.get_unaugmented(np.array([0]))
    assert batch.visible[0].tolist() == [True, False, False, False, False] and batch.images.isfinite().all()
    keypoints[..., 2] = 0
    with pytest.raises(DataError, match="no person has a labeled joint"):
        Crops(replace(people, keypoints=keypoints), batch_size=4, epochs=1, seed=0, size=(64, 64))
