"""Scenes: the same from the same numbers, joints where they are drawn, and nothing learnt from what cannot be seen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from firstsight.data.affine import Affine
from firstsight.data.keypoints import KeypointSet, load_keypoints
from firstsight.data.people import load_people
from firstsight.data.pool import Pool
from firstsight.data.scenes import Scenes
from firstsight.data.staging import Kind
from firstsight.errors import DataError

RED, GREEN, BLUE = range(3)
COLOURS = np.array([GREEN, RED, BLUE, RED, BLUE])
"""Of the joints in the drawings."""


@pytest.fixture
def people(sticks: Callable[..., Path]) -> KeypointSet:
    return load_keypoints(sticks())


def scenes(people: KeypointSet, kind: Kind = "composed", **changes: Any) -> Scenes:
    return Scenes(people, kind, **{"batch_size": 4, "epochs": 2, "seed": 3, "side": 184} | changes)


def test_scenes_are_pure_functions_of_seed_epoch_and_sample(people: KeypointSet) -> None:
    """Whatever was asked before, in batches of any size, on any number of processes."""
    one, other = scenes(people), scenes(people, batch_size=6)
    by_id = {}
    for index in range(other.steps):
        batch = other.get(1, index)
        by_id |= {int(i): batch.images[place] for place, i in enumerate(batch.ids)}
    assert sorted(by_id) == list(range(12))
    for index in range(one.steps):
        batch = one.get(1, index)
        halves = [scenes(people, rank=rank, world=2).get(1, index) for rank in range(2)]
        assert [int(i) for half in halves for i in half.ids] == [*batch.ids[::2], *batch.ids[1::2]]
        assert {half.global_size for half in halves} == {len(batch.ids)} and halves[0].world == 2
        for part in (batch, *halves):
            assert all(torch.equal(image, by_id[int(i)]) for image, i in zip(part.images, part.ids, strict=True))
    assert not np.array_equal(one.scene(0, 5).image, one.scene(1, 5).image)
    assert not np.array_equal(one.scene(0, 5).image, scenes(people, seed=4).scene(0, 5).image)


def test_early_epochs_are_on_smaller_scenes(people: KeypointSet) -> None:
    """Of five epochs three (0.6); the same people in the same places; each part counts from 0."""
    made = scenes(people, epochs=5, early=0.6, early_side=64)
    assert [made.get(epoch, 0).images.shape[2] for epoch in (0, 2, 3, 4)] == [64, 64, 184, 184]
    assert [made.get(epoch, 2).progress for epoch in (0, 2, 3, 4)] == pytest.approx([2 / 9, 8 / 9, 2 / 6, 5 / 6])
    small, large = made.get(1, 0), made.made(1, made.get(1, 0).ids, side=184)
    places = [(batch.keypoints.double() + 0.5) / batch.images.shape[2] for batch in (small, large)]
    torch.testing.assert_close(*places, rtol=0, atol=0.02)
    assert made.fitted(np.arange(2)).images.shape[2] == 184 and made.fitted(np.arange(2), side=64).counts.shape[1] == 8
    assert torch.equal(made.get(1, 0).images, scenes(people, side=64).get(1, 0).images)


def centre(image: Any, place: Any, reach: int) -> Any:
    """Of the brightness around a place: x, y."""
    x, y = np.rint(place).astype(int)
    window = image[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].max(-1).astype(float)
    window = np.maximum(window - window.max() / 4, 0)  # leaves out the background
    rows, columns = np.mgrid[: window.shape[0], : window.shape[1]]
    left, top = max(x - reach, 0), max(y - reach, 0)
    return np.array([(columns * window).sum(), (rows * window).sum()]) / window.sum() + (left, top)


@pytest.mark.parametrize(("kind", "smallest"), [("composed", 0.5), ("photographs", 0.3), ("photographs", 0.2)])
def test_dots_are_where_the_joints_are(people: KeypointSet, kind: Kind, smallest: float) -> None:
    """After enlarging, reducing, turning, mirroring and moving, to well under a pixel; also in the fitted picture."""
    made = scenes(people, kind, most=1, smallest=smallest, largest=smallest + 0.1, rotate=40)
    measured = 0
    worst = 0.0
    for epoch in range(3):
        for sample in range(12):
            scene = made.scene(epoch, sample)
            for joint in np.flatnonzero(scene.visible[0]):
                place = scene.keypoints[0, joint]
                if (place > 8).all() and (place < 175).all():
                    worst = max(worst, float(np.abs(centre(scene.image, place, 6) - place).max()))
                    measured += 1
    assert measured > 120 and worst < 0.35
    fitted = made.fitted(np.arange(12))
    for image, joints in zip(fitted.images, fitted.keypoints, strict=True):
        for place in joints[0].numpy():
            assert np.abs(centre(image.permute(1, 2, 0).numpy(), place, 8) - place).max() < 0.35


@pytest.mark.parametrize("kind", ["composed", "photographs"])
def test_left_and_right_change_places_in_a_mirror_image(people: KeypointSet, kind: Kind) -> None:
    """A left joint lies on a red dot, or with all others of that person on the colour of the other side."""
    turned = set()
    for flip in (True, False):
        made = scenes(people, kind, most=1, flip=flip, smallest=0.4, largest=0.5)
        for sample in range(12):
            scene = made.scene(0, sample)
            seen = np.flatnonzero(scene.visible[0])
            x, y = np.rint(scene.keypoints[0, seen]).astype(int).clip(0, 183).T
            found = scene.image[y, x].argmax(1)
            straight = (found == COLOURS[seen]).all()
            assert straight or (found == np.array([GREEN, BLUE, RED, BLUE, RED])[seen]).all()
            turned.add((flip, bool(straight)))
    assert turned == {(True, True), (True, False), (False, True)}


def test_what_a_later_person_covers_is_no_label(people: KeypointSet) -> None:
    """A visible joint of whomever shows its dot; a joint that is labelled, inside and not visible shows none."""
    made = scenes(people, most=6, smallest=0.4, largest=0.6)
    shown, covered = [], []
    for epoch in range(4):
        for sample in range(12):
            scene = made.scene(epoch, sample)
            assert scene.visible[-1].any() and len(scene.areas) <= 6  # the sample's own person comes last
            inside = ((scene.keypoints >= 0) & (scene.keypoints < 183.5)).all(-1)
            for seen, kept in ((scene.visible & inside, shown), (~scene.visible & inside, covered)):
                x, y = np.rint(scene.keypoints[seen]).astype(int).clip(0, 183).T
                kept.extend(scene.image[y, x].max(1).tolist())
    assert len(covered) > 50
    assert min(shown) > 60 and np.median(shown) > 150
    assert np.mean(np.array(covered) < 60) > 0.85  # others' dots are somewhere


def test_crowds_and_people_without_labels_do_not_count(sticks: Callable[..., Path], tmp_path: Path) -> None:
    """Cells whose middle lies on what is to be ignored, wherever it was moved to; drawn here in white."""
    path = sticks(6)
    content = json.loads(path.read_text())
    for i in range(1, 7):
        file = path.parent / "images" / f"{path.stem}-{i}.png"
        image = Image.open(file)
        image.paste("white", (0, 60, 30, 120))
        image.save(file)
    extra = [
        {"id": 100 + i, "image_id": i, "category_id": 1, "bbox": [0, 60, 30, 60], "area": 1800.0, "iscrowd": i % 2,
         "keypoints": [0] * 15} for i in range(1, 7)
    ]  # fmt: skip
    path.write_text(json.dumps(content | {"annotations": content["annotations"] + extra}))
    made = scenes(load_keypoints(path), "photographs")
    batch = made.get(0, 0)
    middles = batch.images[:, :, 4::8, 4::8].amin(1)
    white = middles > 128
    assert (white == ~batch.counts).float().mean() > 0.97 and (~batch.counts).sum() > 30  # borders are blurred
    assert batch.keypoints.shape[1] == 1
    with pytest.raises(DataError, match="no picture of one person alone"):
        scenes(load_keypoints(path))


def test_areas_and_boxes_grow_with_the_picture(people: KeypointSet) -> None:
    scene = scenes(people, most=1, rotate=0, flip=False).scene(0, 2)
    scale = scene.boxes[0, 3] / people.boxes[2, 3]
    assert scene.areas[0] == pytest.approx(3000 * scale**2, rel=1e-6)
    low, high = scene.keypoints[0].min(0), scene.keypoints[0].max(0)
    np.testing.assert_allclose(scene.boxes[0], [*low, *(high - low)], atol=1e-4)


def test_people_are_as_large_as_asked(people: KeypointSet) -> None:
    made = scenes(people, most=1, rotate=0, smallest=0.3, largest=0.5)
    sizes = [made.scene(e, i).boxes[0, 2:].max() / 184 for e in range(3) for i in range(12)]
    assert 0.3 <= min(sizes) < 0.35 and 0.45 < max(sizes) <= 0.5


def test_affine_goes_there_and_back() -> None:
    move = Affine(scale=0.7, degrees=33, mirrored=True, origin=(4, 5), target=(20, 9))
    places = np.random.default_rng(0).uniform(-20, 20, (7, 2))
    np.testing.assert_allclose(move.back(move(places)), places, atol=1e-12)
    np.testing.assert_allclose(move([[4, 5]]), [[20, 9]])


def test_large_pictures_are_made_smaller_and_kept_as_far_as_there_is_room(people: KeypointSet) -> None:
    pool = Pool(people, longest=60, room=60 * 48 * 3 * 2)
    assert pool.size(0) == (48, 60) and pool.factor(0).tolist() == [0.5, 0.5]
    first = [pool.pixels(i) for i in range(4)]
    assert [pool.pixels(i) is first[i] for i in range(4)] == [True, True, False, False]
    assert np.array_equal(pool.pixels(3), first[3])


def test_files_are_found_by_rule(sticks: Callable[..., Path]) -> None:
    single = sticks(10)
    train, test = load_people(single)
    assert (len(train), len(test)) == (8, 2) and "measured on 2 of 10 pictures" in train.notes[0]
    assert not {p.path for p in train.pictures} & {p.path for p in test.pictures}
    again, _ = load_people(single.parent)
    assert [p.path for p in again.pictures] == [p.path for p in train.pictures]
    both = sticks(6, where="both/person_keypoints_train.json")
    sticks(3, where="both/person_keypoints_val.json")
    train, test = load_people(both.parent)
    assert (len(train), len(test), train.notes) == (6, 3, ())
    train, test = load_people(both.parent, share=0.5)
    assert (len(train), len(test)) == (3, 3) and "--holdout 0.5" in train.notes[0]
    with pytest.raises(DataError, match="no such file or folder"):
        load_people("nowhere")
    with pytest.raises(DataError, match="no person_keypoints file"):
        load_people(both.parent / "images")
    with pytest.raises(DataError, match="one picture is too few"):
        load_people(sticks(1, where="one/person_keypoints.json"))


def test_folders_as_coco_has_them(sticks: Callable[..., Path]) -> None:
    for split in ("train2017", "val2017"):
        path = sticks(3, where=f"coco/annotations/person_keypoints_{split}.json")
        (path.parent / "images").rename(path.parent.parent / split)
    train, test = load_people(path.parent.parent)
    assert train.open(0).size == test.open(2).size == (96, 120)


def test_real_pictures(shared: Path) -> None:
    """Composed of athletes, and parts of photographs with crowds."""
    athletes = load_keypoints(shared / "lspet" / "person_keypoints_val.json")
    batch = scenes(athletes, batch_size=16).get(0, 3)
    assert batch.images.shape == (16, 3, 184, 184) and batch.visible.any(2).sum() > 16 and batch.counts.all()
    photographs = load_keypoints(shared / "coco-mini" / "person_keypoints.json")
    made = scenes(photographs, "photographs", batch_size=12, smallest=0.3, largest=0.66)
    batches = [made.get(0, index) for index in range(made.steps)]
    assert all(batch.visible.any(2).any(1).all() for batch in batches)
    assert not all(batch.counts.all() for batch in batches)
