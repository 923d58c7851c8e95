"""Batches: every sample once an epoch, on any number of processes; images fitted to the network's input."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from firstsight.data.augment import Augmentation
from firstsight.data.batches import Batches, batch_offsets, fit_images
from firstsight.data.image_io import Preprocess
from firstsight.data.images.image_set import ImageSet


def make(n: int = 37, **options: object) -> Batches:
    images = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 1, 4, 4).contiguous()
    source = ImageSet(images, torch.arange(n) % 3, ("a", "b", "c"), "x", "train")
    prepare = Preprocess(channels=1, resize=4, pad=0, mean=(0.0,), std=(1 / 255,))  # pixel values do not change
    settings: dict[str, object] = {"batch_size": 8, "epochs": 2, "seed": 1} | options
    return Batches(source, prepare, **settings)  # type: ignore[arg-type]


@given(st.integers(1, 2000), st.integers(1, 300))
def test_batches_have_sizes_that_differ_by_one_at_most(n: int, size: int) -> None:
    sizes = np.diff(batch_offsets(n, size))
    assert sizes.sum() == n
    assert len(sizes) == -(-n // size)
    assert 1 <= sizes.min() <= sizes.max() <= size
    assert sizes.max() - sizes.min() <= 1


@given(st.integers(2, 60), st.integers(1, 20), st.integers(1, 5))
def test_shares_of_all_processes_are_the_batch_of_one_process(n: int, size: int, world_size: int) -> None:
    whole, parts = (
        make(n, batch_size=size),
        [make(n, batch_size=size, rank=r, world_size=world_size) for r in range(world_size)],
    )
    epoch: list[int] = []
    for index in range(whole.steps):
        shares = [part.get(1, index) for part in parts]
        one = whole.get(1, index)
        assert sorted(i for share in shares for i in share.ids) == sorted(one.ids)
        assert {share.global_size for share in shares} == {len(one.ids)}
        assert max(len(s.ids) for s in shares) - min(len(s.ids) for s in shares) <= 1
        values = one.images.double().mean((1, 2, 3))
        joint_batch = sum(float(s.mean(s.images.double().mean((1, 2, 3)))) for s in shares) / world_size
        assert joint_batch == pytest.approx(float(values.mean()), rel=1e-6, abs=1e-5)
        epoch += one.ids.tolist()
    assert sorted(epoch) == list(range(n))


def test_batch_has_the_images_and_labels_of_its_ids() -> None:
    batch = make().get(0, 2)
    assert batch.images[:, 0, 0, 0].round().int().tolist() == batch.ids.tolist()
    assert batch.labels.tolist() == [i % 3 for i in batch.ids]


def test_order_depends_on_epoch_and_seed_alone() -> None:
    assert make().ids(0, 0).tolist() == make().ids(0, 0).tolist()
    assert make().ids(0, 0).tolist() != make().ids(1, 0).tolist()
    assert make().ids(0, 0).tolist() != make(seed=2).ids(0, 0).tolist()


def test_progress_is_the_share_of_batches_done() -> None:
    batches = make(n=32)
    assert [batches.get(e, i).progress for e in (0, 1) for i in range(4)] == [i / 8 for i in range(8)]


def test_augmented_batches_are_channels_last_and_hold_the_images_of_their_ids() -> None:
    batch = make(augmentation=Augmentation(translate=1)).get(0, 0)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.images[:, 0, 0, 0].round().int().tolist() == batch.ids.tolist()  # constant images do not move


def test_images_are_resized_padded_and_converted_to_the_number_of_channels() -> None:
    images = torch.randint(0, 256, (3, 3, 10, 14), dtype=torch.uint8)
    source = ImageSet(images, torch.tensor([0, 1, 0]), ("a", "b"), "x", "train")
    fitted = fit_images(source, Preprocess(channels=1, resize=8, pad=2, mean=(0.0,), std=(1.0,)))
    assert fitted.shape == (3, 1, 12, 12)
    assert (fitted[..., :2] == 0).all()
    gray = ImageSet(images[:, :1], source.labels, ("a", "b"), "x", "train")
    tripled = fit_images(gray, Preprocess(channels=3, resize=10, pad=0, mean=(0.0,) * 3, std=(1.0,) * 3))
    assert (tripled[:, 0] == tripled[:, 2]).all()


def test_images_of_a_set_are_cropped_as_single_images_are() -> None:
    """The difference is at most one of 255 levels (see `Preprocess.to_pixels`)."""
    images = torch.randint(0, 256, (3, 3, 20, 28), dtype=torch.uint8)
    source = ImageSet(images, torch.tensor([0, 1, 0]), ("a", "b"), "x", "train")
    for shorter in (0, 16, 32):
        prepare = Preprocess(channels=3, resize=14, pad=1, mean=(0.0,) * 3, std=(1.0,) * 3, shorter=shorter)
        one_by_one = [prepare.to_pixels(Image.fromarray(i.permute(1, 2, 0).numpy())) for i in images]
        difference = fit_images(source, prepare).int() - torch.from_numpy(np.stack(one_by_one)).int()
        assert int(difference.abs().max()) <= 1
