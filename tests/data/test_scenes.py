"""Training scenes: pure functions of seed, epoch and sample; keypoints follow the pixels and can be occluded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from firstsight.data.affine import Affine
from firstsight.data.keypoints.image_cache import THUMBNAIL_SIZE, ImageCache
from firstsight.data.keypoints.keypoint_set import KeypointSet, load_keypoints
from firstsight.data.keypoints.scene_composer import Kind, SceneComposer
from firstsight.data.keypoints.scenes import Scenes
from firstsight.data.keypoints.splits import load_people
from firstsight.errors import DataError

RED, GREEN, BLUE = range(3)
COLORS = np.array([GREEN, RED, BLUE, RED, BLUE])
"""Colors of the joints in the drawings."""


@pytest.fixture
def people(sticks: Callable[..., Path]) -> KeypointSet:
    return load_keypoints(sticks())


def scenes(people: KeypointSet, kind: Kind = "composed", **changes: Any) -> Scenes:
    return Scenes(people, kind, **{"batch_size": 4, "epochs": 2, "seed": 3, "side": 184} | changes)


def test_scenes_are_pure_functions_of_seed_epoch_and_sample(people: KeypointSet) -> None:
    """The batch size and the number of processes do not matter."""
    one, other = scenes(people), scenes(people, batch_size=6)
    by_id: dict[int, torch.Tensor] = {}
    for index in range(other.steps):
        batch = other.get(1, index)
        by_id |= {int(i): image for image, i in zip(batch.images, batch.ids, strict=True)}
    assert sorted(by_id) == list(range(12))
    for index in range(one.steps):
        batch = one.get(1, index)
        halves = [scenes(people, rank=rank, world_size=2).get(1, index) for rank in range(2)]
        assert [int(i) for half in halves for i in half.ids] == [*batch.ids[::2], *batch.ids[1::2]]
        assert {half.global_size for half in halves} == {len(batch.ids)} and halves[0].world_size == 2
        for part in (batch, *halves):
            assert all(torch.equal(image, by_id[int(i)]) for image, i in zip(part.images, part.ids, strict=True))
    assert not np.array_equal(one.scene(0, 5).image, one.scene(1, 5).image)
    assert not np.array_equal(one.scene(0, 5).image, scenes(people, seed=4).scene(0, 5).image)


def test_low_resolution_epochs_use_smaller_scenes(people: KeypointSet) -> None:
    """Three of five epochs (0.6), with the same people at the same positions; progress restarts at 0."""
    batches = scenes(people, epochs=5, low_res_fraction=0.6, low_res_side=64)
    assert [batches.get(epoch, 0).images.shape[2] for epoch in (0, 2, 3, 4)] == [64, 64, 184, 184]
    assert [batches.get(epoch, 2).progress for epoch in (0, 2, 3, 4)] == pytest.approx([2 / 9, 8 / 9, 2 / 6, 5 / 6])
    small, large = batches.get(1, 0), batches.get_samples(1, batches.get(1, 0).ids, side=184)
    points = [(batch.keypoints.double() + 0.5) / batch.images.shape[2] for batch in (small, large)]
    torch.testing.assert_close(*points, rtol=0, atol=0.02)
    assert batches.get_letterboxed(np.arange(2)).images.shape[2] == 184
    assert batches.get_letterboxed(np.arange(2), side=64).loss_mask.shape[1] == 8
    assert torch.equal(batches.get(1, 0).images, scenes(people, side=64).get(1, 0).images)


def center_of_brightness(image: Any, point: Any, radius: int) -> Any:
    """Return x and y of the center of the brightness around a point."""
    x, y = np.rint(point).astype(int)
    left, top = max(x - radius, 0), max(y - radius, 0)
    window = image[top : y + radius + 1, left : x + radius + 1].max(-1).astype(float)
    window = np.maximum(window - window.max() / 4, 0)  # without the background
    rows, columns = np.mgrid[: window.shape[0], : window.shape[1]]
    return np.array([(columns * window).sum(), (rows * window).sum()]) / window.sum() + (left, top)


@pytest.mark.parametrize(("kind", "min_scale"), [("composed", 0.5), ("photographs", 0.3), ("photographs", 0.2)])
def test_keypoints_are_the_centers_of_their_dots(people: KeypointSet, kind: Kind, min_scale: float) -> None:
    """Enlarged, reduced, rotated, flipped and shifted; also in letterboxed images for evaluation."""
    batches = scenes(people, kind, max_people=1, min_scale=min_scale, max_scale=min_scale + 0.1, rotate=40)
    measured = 0
    worst = 0.0
    for epoch in range(3):
        for sample in range(12):
            scene = batches.scene(epoch, sample)
            for joint in np.flatnonzero(scene.visible[0]):
                point = scene.keypoints[0, joint]
                if (point > 8).all() and (point < 175).all():
                    worst = max(worst, float(np.abs(center_of_brightness(scene.image, point, 6) - point).max()))
                    measured += 1
    assert measured > 120 and worst < 0.35
    letterboxed = batches.get_letterboxed(np.arange(12))
    for image, joints in zip(letterboxed.images, letterboxed.keypoints, strict=True):
        for point in joints[0].numpy():
            center = center_of_brightness(image.permute(1, 2, 0).numpy(), point, 8)
            assert np.abs(center - point).max() < 0.35


@pytest.mark.parametrize("kind", ["composed", "photographs"])
def test_left_and_right_keypoints_are_swapped_in_a_flipped_scene(people: KeypointSet, kind: Kind) -> None:
    """Left joints are on red dots; in a flipped scene, all joints are on the color of the other side."""
    cases = set()
    for flip in (True, False):
        batches = scenes(people, kind, max_people=1, flip=flip, min_scale=0.4, max_scale=0.5)
        for sample in range(12):
            scene = batches.scene(0, sample)
            visible = np.flatnonzero(scene.visible[0])
            x, y = np.rint(scene.keypoints[0, visible]).astype(int).clip(0, 183).T
            colors = scene.image[y, x].argmax(1)
            straight = (colors == COLORS[visible]).all()
            assert straight or (colors == np.array([GREEN, BLUE, RED, BLUE, RED])[visible]).all()
            cases.add((flip, bool(straight)))
    assert cases == {(True, True), (True, False), (False, True)}


def test_occluded_keypoints_are_not_visible(people: KeypointSet) -> None:
    """A visible joint shows its dot; a joint inside the scene that is not visible shows none."""
    batches = scenes(people, max_people=6, min_scale=0.4, max_scale=0.6)
    visible, occluded = [], []
    for epoch in range(4):
        for sample in range(12):
            scene = batches.scene(epoch, sample)
            assert scene.visible[-1].any() and len(scene.areas) <= 6  # the sample's own person comes last
            inside = ((scene.keypoints >= 0) & (scene.keypoints < 183.5)).all(-1)
            for mask, values in ((scene.visible & inside, visible), (~scene.visible & inside, occluded)):
                x, y = np.rint(scene.keypoints[mask]).astype(int).clip(0, 183).T
                values.extend(scene.image[y, x].max(1).tolist())
    assert len(occluded) > 50
    assert min(visible) > 60 and np.median(visible) > 150
    assert np.mean(np.array(occluded) < 60) > 0.85  # others' dots are somewhere


def test_loss_leaves_out_crowds_and_people_without_labels(sticks: Callable[..., Path]) -> None:
    """Cells whose center is in an ignored region after the transform; the regions are white here."""
    path = sticks(6)
    content = json.loads(path.read_text())
    for i in range(1, 7):
        file = path.parent / "images" / f"{path.stem}-{i}.png"
        image = Image.open(file)
        image.paste("white", (0, 60, 30, 120))
        image.save(file)
    extra = [
        {
            "id": 100 + i,
            "image_id": i,
            "category_id": 1,
            "bbox": [0, 60, 30, 60],
            "area": 1800.0,
            "iscrowd": i % 2,
            "keypoints": [0] * 15,
        }
        for i in range(1, 7)
    ]
    path.write_text(json.dumps(content | {"annotations": content["annotations"] + extra}))
    batch = scenes(load_keypoints(path), "photographs").get(0, 0)
    centers = batch.images[:, :, 4::8, 4::8].amin(1)
    white = centers > 128
    assert (white == ~batch.loss_mask).float().mean() > 0.97 and (~batch.loss_mask).sum() > 30  # borders are blurred
    assert batch.keypoints.shape[1] == 1
    with pytest.raises(DataError, match="no image with exactly one person"):
        scenes(load_keypoints(path))


def test_areas_and_boxes_are_scaled_with_the_image(people: KeypointSet) -> None:
    scene = scenes(people, max_people=1, rotate=0, flip=False).scene(0, 2)
    scale = scene.boxes[0, 3] / people.boxes[2, 3]
    assert scene.areas[0] == pytest.approx(3000 * scale**2, rel=1e-6)
    low, high = scene.keypoints[0].min(0), scene.keypoints[0].max(0)
    np.testing.assert_allclose(scene.boxes[0], [*low, *(high - low)], atol=1e-4)


def test_people_have_sizes_between_min_scale_and_max_scale(people: KeypointSet) -> None:
    batches = scenes(people, max_people=1, rotate=0, min_scale=0.3, max_scale=0.5)
    sizes = [batches.scene(e, i).boxes[0, 2:].max() / 184 for e in range(3) for i in range(12)]
    assert 0.3 <= min(sizes) < 0.35 and 0.45 < max(sizes) <= 0.5


def composer(people: KeypointSet, kind: Kind, **changes: Any) -> SceneComposer:
    options = {"side": 184, "min_scale": 0.3, "max_scale": 0.5, "rotate": 40, "flip": True, "max_people": 2}
    return SceneComposer(people, kind, **{**options, "stride": 8, **changes})


WIDE = [[28, 50], [68, 50], [28, 70], [68, 70], [48, 60]]
"""Joints whose box is 40x20 pixels around (48, 60)."""


def draws_of(*people: list[float], count: float = 0.0) -> NDArray[np.float64]:
    """Return the random numbers of a scene with at most two people; both have the same ones if one list is given."""
    return np.array([count, 0.0, *people[0], *people[-1]])


def wide_people(sticks: Callable[..., Path], count: int) -> Path:
    return sticks(count, keypoints=[v for x, y in WIDE for v in (x, y, 2)], bbox=[28, 50, 40, 20])


@pytest.mark.parametrize(("draw", "height"), [(0.0, 0.3), (0.25, 0.35), (0.75, 0.45)])
def test_person_of_a_photograph_is_in_the_center_with_a_height_between_min_scale_and_max_scale(
    sticks: Callable[..., Path], draw: float, height: float
) -> None:
    scene = composer(load_keypoints(wide_people(sticks, 2)), "photographs").scene(
        1, draws_of([0, draw, 0.5, 0.5, 0, 0])
    )
    size = 184 * height
    np.testing.assert_allclose(scene.boxes, [[91.5 - size, 91.5 - size / 2, 2 * size, size]])
    expected = (np.array(WIDE) - [48, 60]) * size / 20 + 91.5
    np.testing.assert_allclose(scene.keypoints[0], expected)


def test_random_number_selects_the_person_in_the_center(sticks: Callable[..., Path]) -> None:
    path = wide_people(sticks, 1)
    content = json.loads(path.read_text())
    other = content["annotations"][0] | {"id": 2, "bbox": [8, 20, 40, 20]}
    other["keypoints"] = [v for x, y in WIDE for v in (x - 20, y - 30, 2)]
    path.write_text(json.dumps(content | {"annotations": [*content["annotations"], other]}))
    scenes_of_both = composer(load_keypoints(path), "photographs")
    for person, draw in ((0, 0.0), (0, 0.49), (1, 0.5), (1, 0.99)):
        scene = scenes_of_both.scene(0, draws_of([draw, 0.5, 0.5, 0.5, 0, 0]))
        np.testing.assert_allclose(scene.boxes[person, :2] + scene.boxes[person, 2:] / 2, 91.5)


@pytest.mark.parametrize(
    ("count_draw", "scale_draw", "size"),
    [
        (0.49, 0.0, 0.3),
        (0.49, 0.75, 0.45),
        (0.5, 0.0, 0.3),
        (0.5, 0.75, 0.3 + 0.75 * (0.5 / 2 ** (1 / 3) - 0.3)),  # two people are smaller
    ],
)
def test_random_numbers_give_number_size_and_position_of_pasted_people(
    sticks: Callable[..., Path], count_draw: float, scale_draw: float, size: float
) -> None:
    """The longer side of the box is ``size`` times the scene's, and its center at least 0.375 ``size`` inside."""
    person = [0, scale_draw, 0.5, 0.5, 0.1, 0.8]
    scene = composer(load_keypoints(wide_people(sticks, 2)), "composed").scene(1, draws_of(person, count=count_draw))
    center = 184 * (0.375 * size + (1 - 0.75 * size) * np.array([0.1, 0.8])) - 0.5
    longer = 184 * size
    box = [center[0] - longer / 2, center[1] - longer / 4, longer, longer / 2]
    np.testing.assert_allclose(scene.boxes, [box] * (1 if count_draw < 0.5 else 2))


@pytest.mark.parametrize("kind", ["composed", "photographs"])
@pytest.mark.parametrize(("draw", "degrees"), [(0.0, -40), (0.75, 20)])
@pytest.mark.parametrize(("flip_draw", "flipped"), [(0.49, True), (0.5, False)])
def test_random_numbers_give_rotation_and_flip(
    sticks: Callable[..., Path], kind: Kind, draw: float, degrees: float, flip_draw: float, flipped: bool
) -> None:
    draws = draws_of([0, 0.5, draw, flip_draw, 0.5, 0.5])
    scene = composer(load_keypoints(wide_people(sticks, 2)), kind, max_scale=0.3).scene(1, draws)
    scale = 184 * 0.3 / (40 if kind == "composed" else 20)
    angle = np.radians(degrees)
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])  # clockwise
    joints = np.array(WIDE) - [48, 60]
    if flipped:
        joints = joints[[0, 2, 1, 4, 3]] * [-1, 1]
    np.testing.assert_allclose(scene.keypoints[0], joints @ matrix.T + 91.5)


def test_pasted_region_is_the_box_with_a_margin_of_its_longer_side(sticks: Callable[..., Path]) -> None:
    """A white 40x20 box is pasted unscaled on black: 0.15 * 40 = 6 pixels on every side, within a soft border."""
    path = wide_people(sticks, 2)
    for i, color in ((1, "black"), (2, "white")):
        Image.new("RGB", (96, 120), color).save(path.parent / "images" / f"{path.stem}-{i}.png")
    size = 40 / 184
    pasted = composer(load_keypoints(path), "composed", min_scale=size, max_scale=size)
    scene = pasted.scene(1, draws_of([0, 0, 0.5, 0.5, 0.5, 0.5], count=0.9))
    expected = np.zeros((184, 184))
    opacity = [np.minimum(np.minimum(i := np.arange(n) + 0.5, n - i) / (184 / 40), 1) for n in (32, 52)]
    expected[76:108, 66:118] = 255 * np.minimum.outer(*opacity)
    np.testing.assert_allclose(scene.image, expected[..., None].repeat(3, 2), atol=1)
    assert scene.visible.tolist() == [[False] * 5, [True] * 5]


def test_joints_in_the_outer_half_of_the_soft_border_are_not_occluded(sticks: Callable[..., Path]) -> None:
    """The pasted region begins at y 76; joints are occluded from the middle of the border, y 78.3, on."""
    path = wide_people(sticks, 2)
    size = 40 / 184
    pasted = composer(load_keypoints(path), "composed", min_scale=size, max_scale=size)
    inner = 184 * (1 - 0.75 * size)  # pixels that the center of a person can move
    for y, is_occluded in ((68.2, False), (68.4, True)):  # of the lower joints of the first person, 10 below its center
        first = [0, 0, 0.5, 0.5, 0.5, 0.5 + (y - 92) / inner]
        scene = pasted.scene(1, draws_of(first, [0, 0, 0.5, 0.5, 0.5, 0.5], count=0.9))
        assert scene.visible[0].tolist() == [True, True, not is_occluded, not is_occluded, True]


def test_affine_map_and_its_inverse_give_the_same_points() -> None:
    transform = Affine(scale=0.7, degrees=33, flipped=True, origin=(4, 5), target=(20, 9))
    points = np.random.default_rng(0).uniform(-20, 20, (7, 2))
    np.testing.assert_allclose(transform.inverse(transform(points)), points, atol=1e-12)
    np.testing.assert_allclose(transform([[4, 5]]), [[20, 9]])


def test_image_cache_shrinks_large_images_and_keeps_as_many_as_fit(people: KeypointSet) -> None:
    cache = ImageCache(people, max_side=60, capacity=60 * 48 * 3 * 2)
    assert cache.size(0) == (48, 60) and cache.scale_factor(0).tolist() == [0.5, 0.5]
    first = [cache.pixels(i) for i in range(4)]
    assert [cache.pixels(i) is first[i] for i in range(4)] == [True, True, False, False]
    assert np.array_equal(cache.pixels(3), first[3])


def test_thumbnails_of_the_image_cache_are_means_of_blocks(people: KeypointSet) -> None:
    """12 by 12 cells of a 48x60 image: 4 columns by 5 rows each."""
    cache = ImageCache(people, max_side=60, capacity=10**6)
    means = (
        cache.pixels(0)
        .reshape(THUMBNAIL_SIZE, 60 // THUMBNAIL_SIZE, THUMBNAIL_SIZE, 48 // THUMBNAIL_SIZE, 3)
        .mean((1, 3))
    )
    np.testing.assert_allclose(np.asarray(cache.thumbnail(0), dtype=float), means, atol=1.01)


def test_keypoint_files_of_both_splits_are_found_or_one_is_split(sticks: Callable[..., Path]) -> None:
    single = sticks(10)
    train, test = load_people(single)
    assert (len(train), len(test)) == (8, 2) and "evaluated on 2 of 10 images" in train.notes[0]
    assert not {p.path for p in train.images} & {p.path for p in test.images}
    again, _ = load_people(single.parent)
    assert [p.path for p in again.images] == [p.path for p in train.images]
    both = sticks(6, where="both/person_keypoints_train.json")
    sticks(3, where="both/person_keypoints_val.json")
    train, test = load_people(both.parent)
    assert (len(train), len(test), train.notes) == (6, 3, ())
    train, test = load_people(both.parent, val_fraction=0.5)
    assert (len(train), len(test)) == (3, 3) and "val_fraction=0.5" in train.notes[0]
    with pytest.raises(DataError, match="no such file or folder"):
        load_people("nowhere")
    with pytest.raises(DataError, match="no person_keypoints file"):
        load_people(both.parent / "images")
    with pytest.raises(DataError, match="one image is too few"):
        load_people(sticks(1, where="one/person_keypoints.json"))


def test_folders_of_coco_are_recognized(sticks: Callable[..., Path]) -> None:
    for split in ("train2017", "val2017"):
        path = sticks(3, where=f"coco/annotations/person_keypoints_{split}.json")
        (path.parent / "images").rename(path.parent.parent / split)
    train, test = load_people(path.parent.parent)
    assert train.open(0).size == test.open(2).size == (96, 120)


def test_scenes_of_real_photographs_have_visible_keypoints_and_ignored_regions(shared: Path) -> None:
    """Scenes composed of single athletes, and parts of photographs with crowds."""
    athletes = load_keypoints(shared / "lspet" / "person_keypoints_val.json")
    batch = scenes(athletes, batch_size=16).get(0, 3)
    assert batch.images.shape == (16, 3, 184, 184) and batch.visible.any(2).sum() > 16 and batch.loss_mask.all()
    photographs = load_keypoints(shared / "coco-mini" / "person_keypoints.json")
    source = scenes(photographs, "photographs", batch_size=12, min_scale=0.3, max_scale=0.66)
    batches = [source.get(0, index) for index in range(source.steps)]
    assert all(batch.visible.any(2).any(1).all() for batch in batches)
    assert not all(batch.loss_mask.all() for batch in batches)
