"""Composed scenes written to disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from firstsight.data.keypoints.export_scenes import MIN_JOINTS, write_scenes
from firstsight.data.keypoints.keypoint_set import load_keypoints
from firstsight.data.keypoints.scenes import Scenes
from firstsight.data.keypoints.splits import load_people


def test_written_scenes_are_loaded_as_they_were_composed(sticks: Callable[..., Path], tmp_path: Path) -> None:
    _, people = load_people(sticks())
    scenes = Scenes(people, "composed", batch_size=2, epochs=1, seed=3, side=64, max_people=3)
    ids = list(range(min(5, scenes.samples)))
    read = load_keypoints(write_scenes(scenes, tmp_path / "written", ids=ids, epoch=2))
    assert len(read) == len(ids) and read.skeleton == people.skeleton
    hidden = 0
    for index, sample in enumerate(ids):
        scene, rows = scenes.scene(2, sample), read.people_in(index)
        np.testing.assert_array_equal(np.asarray(Image.open(read.images[index].path)), scene.image)
        visible = scene.visible & (scene.visible.sum(1, keepdims=True) >= MIN_JOINTS)
        hidden += (~visible).sum()
        np.testing.assert_array_equal(read.keypoints[rows][..., 2] > 0, visible)
        np.testing.assert_allclose(read.keypoints[rows][visible][:, :2], scene.keypoints[visible] + 0.5, atol=1e-4)
        np.testing.assert_allclose(read.areas[rows], scene.areas, rtol=1e-6)
        np.testing.assert_allclose(read.boxes[rows][:, 2:], scene.boxes[:, 2:], rtol=1e-5)
    assert hidden, "no keypoint is occluded or outside: the rule is not tested"
