"""Scenes of whole photographs: keypoints follow the pixels, tiles, photographs without people, uncertain joints."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from firstsight.data.keypoints.keypoint_set import KeypointSet, convert_skeleton, load_keypoints
from firstsight.data.keypoints.mosaic import MAX_ZOOM, MIN_COVER, MosaicComposer
from firstsight.data.keypoints.scenes import Scenes
from firstsight.pose.skeleton import COCO_17, LSP_14, OPENPOSE_18

COLOR = (250, 40, 40)


@pytest.fixture
def people(tmp_path: Path) -> KeypointSet:
    """Six photographs: four with a person whose visible joints are red disks on gray, two without people."""
    rng = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    (tmp_path / "images").mkdir()
    for number in range(6):
        width, height = (200, 160) if number % 2 else (150, 190)
        image = Image.new("RGB", (width, height), (90, 110, 100))
        if number < 4:
            xy = rng.uniform((40, 40), (width - 40, height - 40), (14, 2))
            v = np.full(14, 2)
            v[:2] = -1, 0
            draw = ImageDraw.Draw(image)
            for x, y in xy[2:]:
                draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=COLOR)
            keypoints = np.column_stack([xy + 0.5, v])
            annotations.append(
                {
                    "id": number + 1,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [*xy.min(0), *np.ptp(xy, axis=0)],
                    "area": 4000,
                    "keypoints": keypoints.ravel().tolist(),
                }
            )
        image.save(tmp_path / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, **LSP_14.to_category()}],
    }
    (tmp_path / "people.json").write_text(json.dumps(content))
    return load_keypoints(tmp_path / "people.json")


def scenes(people: KeypointSet, **changes: Any) -> Scenes:
    options = {"batch_size": 4, "epochs": 3, "seed": 1, "side": 128, "min_scale": 0.5, "max_scale": 1.2, "rotate": 20.0}
    return Scenes(people, "mosaics", **options | changes)


def test_scenes_are_pure_functions_of_seed_epoch_and_sample(people: KeypointSet) -> None:
    one, other = scenes(people), scenes(people, batch_size=3)
    assert one.samples == 6  # photographs without people are used
    for sample in range(6):
        assert np.array_equal(one.scene(1, sample).image, other.scene(1, sample).image)
    assert not np.array_equal(one.scene(0, 2).image, one.scene(1, 2).image)
    assert not np.array_equal(one.scene(0, 2).image, scenes(people, seed=2).scene(0, 2).image)


def test_visible_joints_are_on_their_pixels(people: KeypointSet) -> None:
    """The pixel at a joint is reddest within the disk, whatever the rotation, flip, scale and tile."""
    batches, checked = scenes(people), 0
    for epoch in range(3):
        for sample in range(6):
            scene = batches.scene(epoch, sample)
            for xy in scene.keypoints[scene.visible]:
                x, y = np.clip(np.rint(xy).astype(int), 0, 127)
                red, green, blue = scene.image[y, x].astype(int)
                assert red > green + 60 and red > blue + 60, (epoch, sample, xy)
                checked += 1
    assert checked > 150


def test_joints_outside_of_their_tile_are_not_visible(people: KeypointSet) -> None:
    batches = scenes(people)
    composer = batches._get_composer(128)
    assert isinstance(composer, MosaicComposer)
    kinds = set()
    for epoch in range(3):
        for sample in range(6):
            draws = np.random.default_rng([epoch, sample]).uniform(size=composer.num_draws)
            tiles = composer._tiles(draws)
            kinds.add(len(tiles))
            area = sum((right - left) * (bottom - top) for left, top, right, bottom in tiles)
            assert area == 128**2 and all(corner % 8 == 0 for tile in tiles for corner in tile)
            scene = composer.scene(sample, draws)
            shown = scene.keypoints[scene.visible | scene.uncertain]
            assert ((shown >= -0.5) & (shown < 127.5)).all()
    assert kinds == {1, 4}


def test_uncertain_joints_are_marked_and_not_visible(people: KeypointSet) -> None:
    batch = scenes(people, rotate=0.0).get(0, 0)
    assert batch.uncertain.any() and not (batch.uncertain & batch.visible).any()
    joints = set(torch.nonzero(batch.uncertain)[:, 2].tolist())
    assert joints <= {0, LSP_14.flip[0]}


def test_photographs_cover_most_of_the_scene_and_are_not_enlarged_too_much(people: KeypointSet) -> None:
    composer = scenes(people)._get_composer(128)
    assert isinstance(composer, MosaicComposer)
    for seed in range(40):
        draws = np.random.default_rng(seed).uniform(size=10)
        transform = composer._place(seed % 6, (0, 0, 128, 128), draws)
        width, height = composer.cache.size(seed % 6)
        cover = max(128 / width, 128 / height)
        assert MIN_COVER * cover - 1e-9 <= transform.scale <= max(MAX_ZOOM, MIN_COVER * cover) + 1e-9
        if transform.scale >= cover:  # then no part of the scene is outside of the photograph, apart from the rotation
            corners = replace(transform, degrees=0).inverse([(0, 0), (128, 128)])
            assert corners.min() >= -1e-6
            assert corners[:, 0].max() <= width + 1e-6 and corners[:, 1].max() <= height + 1e-6


def test_photographs_without_people_alone_can_be_used(people: KeypointSet) -> None:
    empty = people.select([4, 5])
    assert scenes(empty).get(0, 0).keypoints.shape[:2] == (2, 0)


def test_neck_of_uncertain_shoulders_is_uncertain(people: KeypointSet) -> None:
    keypoints = np.zeros((4, 17, 3), np.float32)
    left, right = COCO_17.joints.index("left_shoulder"), COCO_17.joints.index("right_shoulder")
    keypoints[:, left], keypoints[:, right] = (10, 20, 2), (30, 20, 2)
    keypoints[1, left, 2] = -1
    keypoints[2, left] = 0
    coco = replace(people, skeleton=COCO_17, keypoints=keypoints)
    neck = convert_skeleton(coco, OPENPOSE_18).keypoints[:, OPENPOSE_18.joints.index("neck")]
    assert neck.tolist() == [[20, 20, 2], [20, 20, -1], [0, 0, 0], [20, 20, 2]]
