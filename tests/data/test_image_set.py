"""Image sets: mean and standard deviation, held-out images, fingerprints, what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstsight.data.images.image_set import ImageSet, holdout_fraction, stratified_split
from firstsight.data.images.loading import load_data
from firstsight.errors import DataError


def make(n: int = 6, classes: tuple[str, ...] = ("a", "b", "c"), channels: int = 1) -> ImageSet:
    images = torch.randint(0, 256, (n, channels, 5, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageSet(images, torch.arange(n) % len(classes), classes, "some", "train")


def test_mean_and_std_are_those_of_the_pixels() -> None:
    images = make(n=100, channels=3)
    mean, std = images.mean_std()
    values = images.images.double() / 255
    assert mean == pytest.approx(values.mean((0, 2, 3)).tolist(), rel=1e-12)
    assert std == pytest.approx(values.std((0, 2, 3), correction=0).tolist(), rel=1e-12)


def test_constant_channel_has_a_standard_deviation_of_one() -> None:
    images = ImageSet(
        torch.full((4, 1, 3, 3), 51, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]), ("a", "b"), "x", "train"
    )
    assert images.mean_std() == ((0.2,), (1.0,))


def test_fashion_mnist_has_its_published_mean_and_std(shared: Path) -> None:
    mean, std = load_data(shared / "fashion-mnist").mean_std()
    assert (round(mean[0], 4), round(std[0], 4)) == (0.2860, 0.3530)  # the figures everyone normalizes with


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(6, 1, 5, 4)}, "images must be uint8"),
        ({"labels": torch.zeros(6)}, "labels must be int64"),
        ({"labels": torch.zeros(5, dtype=torch.int64)}, "6 images but 5 labels"),
        ({"labels": torch.full((6,), 3)}, "labels run to 3 but there are 3 classes"),
        ({"classes": ()}, "no class"),
        (
            {"images": torch.zeros(0, 1, 5, 4, dtype=torch.uint8), "labels": torch.zeros(0, dtype=torch.int64)},
            "no images",
        ),
    ],
)
def test_images_and_labels_that_do_not_match_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(make(), **change)  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 4), min_size=10, max_size=200), st.sampled_from([0.1, 0.2, 0.5]))
def test_held_out_images_are_a_share_of_every_class(labels: list[int], share: float) -> None:
    array = np.array(labels)
    kept, held = stratified_split([f"file-{i}" for i in range(len(array))], array, share)
    assert sorted([*kept, *held]) == list(range(len(array)))
    for label in set(labels):
        members = int((array == label).sum())
        out = int((array[held] == label).sum())
        assert out == (0 if members == 1 else min(max(1, round(share * members)), members - 1))


def test_held_out_images_depend_on_names_not_on_their_order() -> None:
    names, labels = [f"{i}.png" for i in range(40)], np.arange(40) % 2
    held = {names[i] for i in stratified_split(names, labels, 0.2)[1]}
    reverse = names[::-1]
    assert held == {reverse[i] for i in stratified_split(reverse, labels[::-1], 0.2)[1]}


def test_sets_of_ten_thousand_images_hold_out_less() -> None:
    assert (holdout_fraction(9_999), holdout_fraction(10_000)) == (0.2, 0.1)


def test_fingerprint_changes_with_one_pixel_and_with_one_label() -> None:
    images = make()
    same = make()
    assert images.fingerprint() == same.fingerprint()
    same.images[3, 0, 2, 2] ^= 1
    assert images.fingerprint() != same.fingerprint()
    other = make()
    other.labels[0] = 2
    assert images.fingerprint() != other.fingerprint()
