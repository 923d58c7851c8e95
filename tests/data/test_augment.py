"""Augmentation: against numpy's padding, and by its effect on single pixels."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstsight.data.augment import ANGLE, SCALE, Augmentation, _reflect
from firstsight.data.rng import uniform

IMAGES = torch.randint(1, 256, (40, 3, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
IDS = np.array([3, 17, 4, 39, 0])


@given(st.integers(-40, 40), st.integers(1, 9))
def test_positions_outside_are_reflected_as_numpy_does(position: int, size: int) -> None:
    padded = np.pad(np.arange(size), 40, mode="reflect") if size > 1 else np.zeros(81, dtype=int)
    assert _reflect(np.array([position]), size)[0] == padded[position + 40]


@pytest.mark.parametrize(
    "augmentation",
    [Augmentation(translate=2), Augmentation(flip="random"), Augmentation(translate=1, flip="alternating")],
)
def test_shifted_and_flipped_images_are_crops_of_padded_images(augmentation: Augmentation) -> None:
    """Every result is the crop (and flip) of its image with reflected edges, for one of the possible offsets."""
    results = augmentation.gather(IMAGES, IDS, seed=5, epoch=3)
    flips = augmentation.flip_mask(IDS, seed=5, epoch=3) if augmentation.flip != "none" else np.zeros(len(IDS), bool)
    s = augmentation.translate
    for result, i, flip in zip(results.numpy(), IDS, flips, strict=True):
        padded = np.pad(IMAGES[i].numpy(), ((0, 0), (s, s), (s, s)), mode="reflect")
        crops = [padded[:, y : y + 9, x : x + 7] for y in range(2 * s + 1) for x in range(2 * s + 1)]
        assert any((result == (crop[..., ::-1] if flip else crop)).all() for crop in crops)


def test_default_augmentation_changes_nothing() -> None:
    assert (Augmentation().gather(IMAGES, IDS, seed=0, epoch=0) == IMAGES[IDS]).all()
    values = IMAGES.float()
    assert Augmentation().warp(values, np.arange(40), seed=0, epoch=0, fill=torch.zeros(3)) is values


@given(st.integers(0, 1000), st.integers(0, 30))
def test_augmentation_of_a_sample_does_not_depend_on_its_batch(seed: int, epoch: int) -> None:
    augmentation = Augmentation(translate=2, flip="random", rotate=20, scale=0.2, cutout=3)

    def views(ids: np.ndarray) -> torch.Tensor:
        images = augmentation.gather(IMAGES, ids, seed=seed, epoch=epoch)
        return augmentation.warp(images.float(), ids, seed=seed, epoch=epoch, fill=torch.zeros(3))

    joint_batch, alone = views(IDS), views(IDS[2:3])
    torch.testing.assert_close(joint_batch[2:3], alone)


def test_alternating_flip_shows_both_views_in_two_epochs() -> None:
    augmentation = Augmentation(flip="alternating")
    ids = np.arange(1000)
    first, second, third = (augmentation.flip_mask(ids, seed=1, epoch=e) for e in range(3))
    assert (first != second).all()
    assert (first == third).all()
    assert 400 < first.sum() < 600


def test_shifts_are_uniformly_distributed() -> None:
    ids = np.arange(9000)
    offsets = Augmentation(translate=1)._offsets(ids, 3, 0, 0, 2).ravel()
    counts = np.bincount(offsets + 1)
    assert len(counts) == 3
    assert abs(counts - 3000).max() < 5 * math.sqrt(3000 * 2 / 3)


def sample_with_the_largest_number(stream: int) -> np.ndarray:
    """Return the id, among many, whose random number of a stream is the largest: almost 1."""
    ids = np.arange(100_000)
    numbers = uniform(ids, seed=0, epoch=0, stream=stream)
    assert numbers.max() > 0.9999
    return ids[[numbers.argmax()]]


def test_rotation_moves_a_pixel_by_the_angle() -> None:
    """A bright pixel right of the center goes where the rotation matrix says, for the largest angle."""
    ids = sample_with_the_largest_number(ANGLE)
    image = torch.zeros(1, 1, 41, 41)
    image[0, 0, 20, 30] = 1
    turned = Augmentation(rotate=90).warp(image, ids, seed=0, epoch=0, fill=torch.zeros(1))
    row, column = divmod(int(turned.argmax()), 41)
    assert (abs(row - 20), column) == (10, 20)
    half = Augmentation(rotate=30).warp(image, ids, seed=0, epoch=0, fill=torch.zeros(1))
    rows, columns = torch.meshgrid(torch.arange(41.0), torch.arange(41.0), indexing="ij")
    mass = half[0, 0] / half.sum()
    angle = math.degrees(math.atan2(abs(float((mass * (rows - 20)).sum())), float((mass * (columns - 20)).sum())))
    assert angle == pytest.approx(30, abs=1)


def test_scale_multiplies_distances_from_the_center() -> None:
    ids = sample_with_the_largest_number(SCALE)
    image = torch.zeros(1, 1, 41, 41)
    image[0, 0, 20, 30] = 1
    larger = Augmentation(scale=0.5).warp(image, ids, seed=0, epoch=0, fill=torch.zeros(1))
    assert divmod(int(larger.argmax()), 41) == (20, 35)


def test_cutout_fills_one_square_with_black() -> None:
    fill = torch.tensor([-1.0, -2.0, -3.0])
    out = Augmentation(cutout=3).warp(IMAGES.float(), np.arange(40), seed=0, epoch=0, fill=fill)
    blank = out == fill.view(1, 3, 1, 1)
    assert (blank.all(1) == blank.any(1)).all()
    counts = blank[:, 0].flatten(1).sum(1)
    assert counts.max() == 9
    assert counts.min() >= 4  # at a corner a quarter of it and more remains inside
