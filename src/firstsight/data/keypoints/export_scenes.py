"""Scenes as files: PNG pictures and COCO keypoint annotations, for whoever reads those."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from firstsight.data.keypoints.coco import KeypointPicture
from firstsight.data.keypoints.keypoint_set import KeypointSet, save_keypoints
from firstsight.data.keypoints.scenes import Scenes

LEAST_JOINTS = 3
"""Who shows fewer joints is not labelled: a pose is not made of fewer."""


def write_scenes(scenes: Scenes, folder: str | Path, *, ids: Sequence[int] | None = None, epoch: int = 0) -> Path:
    """Write scenes as they are made for training: ``images/`` and ``person_keypoints.json``.

    Parameters
    ----------
    folder : str | Path
        Is made if it is not there; files of the same names are replaced.
    ids : Sequence[int] | None
        Samples to write; all if None. epoch : in which they are made.

    Returns
    -------
    Path
        The annotations' file. Joints that are not visible are not labelled; places run from 0 to the side, as COCO has
        it.
    """
    images = Path(folder) / "images"
    images.mkdir(parents=True, exist_ok=True)
    pictures, keypoints, boxes, areas, picture = [], [], [], [], []
    for index, sample in enumerate(range(scenes.samples) if ids is None else ids):
        scene = scenes.scene(epoch, sample)
        file = images / f"{sample:06d}.png"
        Image.fromarray(scene.image).save(file)
        pictures.append(KeypointPicture(sample + 1, file, scenes.side, scenes.side))
        enough = scene.visible.sum(1, keepdims=True) >= LEAST_JOINTS
        labelled = (scene.visible & enough)[..., None]
        keypoints.append(np.where(labelled, np.concatenate([scene.keypoints + 0.5, 2.0 * labelled], 2), 0.0))
        boxes.append(scene.boxes + np.array([0.5, 0.5, 0.0, 0.0]))
        areas.append(scene.areas)
        picture += [index] * len(scene.areas)
    people = scenes.people
    made = KeypointSet(
        skeleton=people.skeleton, pictures=tuple(pictures), keypoints=np.concatenate(keypoints).astype(np.float32),
        boxes=np.concatenate(boxes).astype(np.float32), areas=np.concatenate(areas).astype(np.float64),
        crowd=np.zeros(len(picture), dtype=bool), picture=np.array(picture, dtype=np.int64),
        ids=np.arange(1, len(picture) + 1), segmentations=(None,) * len(picture), name=f"scenes of {people.name}",
        notes=people.notes,
    )  # fmt: skip
    path = Path(folder) / "person_keypoints.json"
    save_keypoints(made, path)
    return path
