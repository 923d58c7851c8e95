"""Image sets: indexing, mean and standard deviation, held-out images, fingerprints, what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from firstsight import evaluate, train
from firstsight.data.images.image_set import ImageSet, holdout_fraction, stratified_split
from firstsight.data.images.loading import load_data
from firstsight.errors import DataError, UsageError


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


@given(st.integers(-6, 5))
def test_an_index_gives_the_image_and_its_label(index: int) -> None:
    data = make()
    image, label = data[index]
    assert torch.equal(image, data.images[index]) and type(label) is int and label == int(data.labels[index])
    assert data[np.int64(index)].label == data[torch.tensor(index)].label == label


@given(st.slices(6))
def test_a_slice_gives_the_set_of_these_images(positions: slice) -> None:
    data = make()
    numbers = list(range(6))[positions]
    if not numbers:
        with pytest.raises(DataError, match="no images"):
            data[positions]
        return
    part = data[positions]
    assert torch.equal(part.images, data.images[numbers]) and part.labels.tolist() == [i % 3 for i in numbers]
    assert (part.classes, part.name, part.split) == (data.classes, data.name, data.split)


def test_lists_and_masks_select_images() -> None:
    data = make()
    for index in ([1, -2], (1, 4), np.array([1, 4]), torch.tensor([1, 4]), [False, True, False, False, True, False]):
        assert torch.equal(data[index].images, data.images[[1, 4]])
    assert data[data.labels == 2].labels.tolist() == [2, 2]


@pytest.mark.parametrize("index", ["a", 2.5, None, [0.5], [[1]], [True, False], {1}])
def test_an_index_of_another_type_is_refused(index: object) -> None:
    with pytest.raises(
        UsageError, match="an index must be an integer, a slice, a list of integers, or 6 booleans; got"
    ):
        make()[index]  # type: ignore[call-overload]


@pytest.mark.parametrize("index", [6, -7, [0, 6]])
def test_an_index_out_of_range_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError, match="is out of range for 6 images"):
        make()[index]


def test_iteration_gives_every_image_with_its_label() -> None:
    data = make()
    assert [label for _, label in data] == [0, 1, 2, 0, 1, 2] and len(data) == 6
    assert all(torch.equal(item.image, image) for item, image in zip(data, data.images, strict=True))
    assert data.counts == {"a": 2, "b": 2, "c": 2}
    assert repr(data) == "ImageSet(some, train: 6 images of 1x5x4, 3 classes)"
    assert repr(data[:1]) == "ImageSet(some, train: 1 image of 1x5x4, 3 classes)"


def test_a_data_loader_reads_it() -> None:
    data = make()
    images, labels = next(iter(DataLoader(data.to_torch(), batch_size=4)))
    assert torch.equal(images, data.images[:4].float() / 255) and labels.tolist() == [0, 1, 2, 0]
    doubled = data.to_torch(transform=lambda image: image * 2)
    assert torch.equal(doubled[1][0], data.images[1].float() / 255 * 2) and len(doubled) == 6
    batches = [*DataLoader(data, batch_size=3)]  # type: ignore[arg-type]
    assert [batch.label.tolist() for batch in batches] == [[0, 1, 2], [0, 1, 2]]


def test_saved_class_folders_are_read_as_the_same_data(tmp_path: Path) -> None:
    pixels = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = ImageSet(pixels, torch.tensor([1, 0, 1, 0, 1, 0]), ("a/b", "cat", "none"), "own", "train")
    assert data.save(tmp_path / "own" / "train") == tmp_path / "own" / "train"
    data[:2].save(tmp_path / "own" / "test")
    again = load_data(tmp_path / "own", size=8)
    assert again.classes == ("a-b", "cat")
    order = torch.argsort(data.labels, stable=True)
    assert torch.equal(again.images, pixels[order]) and torch.equal(again.labels, data.labels[order])
    assert len(load_data(tmp_path / "own", "test", size=8)) == 2
    with pytest.raises(UsageError, match="exists and is not empty; name a new folder"):
        data.save(tmp_path / "own" / "train")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="exists and is not empty"):
        data.save(tmp_path / "file")
    assert sorted(path.name for path in tmp_path.rglob("*tmp*")) == []


def test_a_contact_sheet_has_a_row_per_class_with_images(tmp_path: Path) -> None:
    images = torch.stack([torch.full((1, 8, 8), value, dtype=torch.uint8) for value in (10, 20, 30)])
    data = ImageSet(images, torch.tensor([2, 0, 2]), ("a", "b", "c"), "own", "train")
    with Image.open(data.save(tmp_path / "sheet.png")) as sheet:
        assert sheet.size == (128, 128)  # 8 pixels are enlarged to 64
        assert np.asarray(sheet)[::64, ::64].tolist() == [[20, 0], [10, 30]]


def test_a_set_in_the_place_of_a_path_says_how_to_write_it() -> None:
    data = load_data("digits", "test")
    for use in (lambda: train("lenet", data=data), lambda: evaluate("lenet-digits", data)):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"type ImageSet; write its images .*data\.save\('FOLDER'\)"):
            use()
