"""Export of scenes as PNG images and COCO keypoint annotations."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from firstsight.atomic_io import replacing
from firstsight.data.keypoints.coco import KeypointImage
from firstsight.data.keypoints.keypoint_set import KeypointSet, save_keypoints
from firstsight.data.keypoints.scenes import Scenes

MIN_JOINTS = 3
"""People with fewer visible joints are not labeled: poses have at least as many joints."""


def write_scenes(scenes: Scenes, folder: str | Path, *, ids: Sequence[int] | None = None, epoch: int = 0) -> Path:
    """Write training scenes as ``images/`` and ``person_keypoints.json``.

    Joints that are not visible are not labeled. Coordinates run from 0 to the side, as in COCO.

    Parameters
    ----------
    scenes : Scenes
        Source of the scenes.
    folder : str | Path
        Folder to write to. It is created if necessary, and files of the same names are replaced.
    ids : Sequence[int] | None
        Samples to write. None means all.
    epoch : int
        Epoch of the scenes.

    Returns
    -------
    Path
        The annotation file.
    """
    image_folder = Path(folder) / "images"
    image_folder.mkdir(parents=True, exist_ok=True)
    images, keypoints, boxes, areas, image_index = [], [], [], [], []
    for index, sample in enumerate(range(scenes.samples) if ids is None else ids):
        scene = scenes.scene(epoch, sample)
        file = image_folder / f"{sample:06d}.png"
        with replacing(file) as temporary:
            Image.fromarray(scene.image).save(temporary, "PNG")
        images.append(KeypointImage(sample + 1, file, scenes.side, scenes.side))
        has_enough = scene.visible.sum(1, keepdims=True) >= MIN_JOINTS
        is_labeled = (scene.visible & has_enough)[..., None]
        keypoints.append(np.where(is_labeled, np.concatenate([scene.keypoints + 0.5, 2.0 * is_labeled], 2), 0.0))
        boxes.append(scene.boxes + np.array([0.5, 0.5, 0.0, 0.0]))
        areas.append(scene.areas)
        image_index += [index] * len(scene.areas)
    people = scenes.people
    exported = KeypointSet(
        skeleton=people.skeleton,
        images=tuple(images),
        keypoints=np.concatenate(keypoints).astype(np.float32),
        boxes=np.concatenate(boxes).astype(np.float32),
        areas=np.concatenate(areas).astype(np.float64),
        crowd=np.zeros(len(image_index), dtype=bool),
        image_index=np.array(image_index, dtype=np.int64),
        ids=np.arange(1, len(image_index) + 1),
        segmentations=(None,) * len(image_index),
        name=f"scenes of {people.name}",
        notes=people.notes,
    )
    path = Path(folder) / "person_keypoints.json"
    save_keypoints(exported, path)
    return path
