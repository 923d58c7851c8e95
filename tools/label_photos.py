"""Label the people in photographs with a trained bottom-up network (the teacher), as COCO keypoints.

    python tools/label_photos.py OUT --teacher human-pose-estimation-0001.xml \
        [--people FOLDER] [--acting FILE] [--lsp FOLDER] [--empty FOLDER] [--part I/N]

Step 1 runs the teacher on every photograph, averaged over two scales and the horizontal flip, and appends the result to
``OUT/teacher-*.jsonl``; photographs that are already in such a file are left out, so a killed run continues. With
--part, several processes share the work. Step 2, when all are labeled, writes ``OUT/person_keypoints_train.json`` and
``OUT/person_keypoints_val.json``, with links to the photographs in ``OUT/images``.

A joint is labeled if the teacher is confident of it. A joint that it is not confident of has v = -1, so that training
ignores the cells around it. Photographs of --empty are known to show no people and are
not run through the teacher. For --lsp, the labels made by people replace those of the teacher, which adds the face. One
photograph in 20 (by the hash of its name) is held out for validation.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from firstsight import load
from firstsight.pose.skeleton import COCO_17, OPENPOSE_18
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator

MIN_JOINT_SCORE = 0.3
"""Heatmap value from which a joint is labeled; below it is uncertain."""
MIN_PERSON_SCORE = 0.4
"""Mean heatmap value of the joints from which a person is labeled; below all joints are uncertain."""
MIN_LABELED_JOINTS = 4
"""Number of labeled joints from which a person is labeled."""
LSP_PART = 2
"""One training photograph of Leeds Sports Pose in this many is used, so that everyday scenes are the majority."""
SUFFIXES = (".webp", ".jpg", ".jpeg", ".png")
VAL_PART = 20
"""One photograph in this many is held out."""
Floats = NDArray[np.float64]


def main() -> None:
    """Label the photographs; write the annotations when all are labeled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--teacher", required=True, help="weights of the teacher, with OpenPose's 18 keypoints")
    parser.add_argument("--people", type=Path, help="folder of photographs of people")
    parser.add_argument("--acting", type=Path, help="COCO file with a box and 17 keypoints of one person each")
    parser.add_argument("--lsp", type=Path, help="folder of Leeds Sports Pose Extended as COCO keypoints")
    parser.add_argument("--empty", type=Path, help="folder of photographs without people")
    parser.add_argument("--part", default="0/1", help="label the I-th of N parts, as in 0/2")
    parser.add_argument("--bfloat16", action="store_true", help="run the teacher in bfloat16")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.part.split("/"))
    link_images(arguments)
    files = sorted(path for path in (arguments.out / "images").glob("*/") for path in find_images(path))
    names = [path.relative_to(arguments.out / "images").as_posix() for path in files]
    results = read_results(arguments.out)
    todo = [name for name in names if name not in results and not name.startswith("empty/")]
    if todo:
        run_teacher(arguments, [name for name in todo if int(digest(name), 16) % parts == part], part)
        results = read_results(arguments.out)
        todo = [name for name in todo if name not in results]
    if todo:
        print(f"{len(todo):,} photographs are not labeled yet")
        return
    write_annotations(arguments, names, results)


def link_images(arguments: argparse.Namespace) -> None:
    """Link the folders of photographs in ``OUT/images``."""
    folder = arguments.out / "images"
    folder.mkdir(parents=True, exist_ok=True)
    lsp = arguments.lsp / "images" if arguments.lsp else None
    for name, source in (("people", arguments.people), ("lsp", lsp), ("empty", arguments.empty)):
        link = folder / name
        if source and not link.is_symlink():
            link.symlink_to(source.resolve())


def find_images(folder: Path) -> Iterator[Path]:
    """Yield the photographs in a folder and its subfolders."""
    for path in folder.iterdir():
        if path.is_dir():
            yield from find_images(path)
        elif path.suffix.lower() in SUFFIXES:
            yield path


def digest(name: str) -> str:
    """Return the SHA-256 of a name."""
    return hashlib.sha256(name.encode()).hexdigest()


def read_results(out: Path) -> dict[str, dict[str, Any]]:
    """Return the teacher's results by photograph; an incomplete last line of a killed run is ignored."""
    results = {}
    for file in sorted(out.glob("teacher-*.jsonl")):
        for line in file.read_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            results[record["image"]] = record
    return results


def run_teacher(arguments: argparse.Namespace, names: list[str], part: int) -> None:
    """Run the teacher on photographs, and append people and unassigned peaks of each to a file."""
    torch.set_num_threads(1)
    network = load(arguments.teacher).network
    wide = PoseEstimator(network, height=256, scales=(1.0, 1.4375), flip=True)
    small = PoseEstimator(network, height=256, flip=True)  # athletes of about 180 pixels, already enlarged
    with (arguments.out / f"teacher-{part}.jsonl").open("a") as file:
        file.write("\n")  # ends an incomplete line
        for number, name in enumerate(names):
            estimator = small if name.startswith("lsp/") else wide
            with torch.autocast("cpu", torch.bfloat16, enabled=arguments.bfloat16):
                result = estimator.infer(arguments.out / "images" / name)
            people = result.decoded.people
            peaks, size = result.decoded.peaks, result.image.size
            xy = result.letterbox.cells_to_image(peaks.xy)
            points = np.concatenate([xy, peaks.scores[:, None]], 1).round(3)
            used = set(people.joints.ravel().tolist())
            kinds = np.repeat(np.arange(len(OPENPOSE_18)), np.diff(peaks.offsets))
            record = {
                "image": name,
                "size": size,
                "people": [[points[i].tolist() if i >= 0 else [-1] * 3 for i in person] for person in people.joints],
                "scores": people.scores.round(3).tolist(),
                "peaks": [[int(kinds[i]), *points[i].tolist()] for i in range(len(points)) if i not in used],
            }
            file.write(json.dumps(record) + "\n")
            file.flush()
            if number % 100 == 0:
                print(f"{number:,} of {len(names):,}", flush=True)


def write_annotations(arguments: argparse.Namespace, names: list[str], results: dict[str, dict[str, Any]]) -> None:
    """Write the COCO files for training and validation."""
    human = read_lsp(arguments.lsp) if arguments.lsp else {}
    acting = read_acting(arguments.acting) if arguments.acting else {}
    images: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}
    annotations: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}
    number = 0
    for image_id, name in enumerate(names, 1):
        split = "val" if int(digest(name)[:8], 16) % VAL_PART == 0 else "train"
        split = human[name][0] if name in human else split
        if name in human and split == "train" and int(digest(name)[8:16], 16) % LSP_PART:
            continue
        record = results.get(name) or {"size": image_size(arguments.out / "images" / name), "people": [], "peaks": []}
        width, height = record["size"]
        images[split].append({"id": image_id, "file_name": name, "width": width, "height": height})
        people = [Person(label(np.array(person, float))) for person in record["people"]]
        if name in human:
            people = merge_human(people, human[name][1])
        if name in acting:
            people = merge_acting(people, *acting[name])
        people += [Person(stray(*peak)) for peak in record["peaks"]]
        for person in people:
            if person.box is None and not person.keypoints[:, 2].any():
                continue
            number += 1
            annotations[split].append(person.annotation(number, image_id, (width, height)))
    category = {"id": 1, **OPENPOSE_18.to_category()}
    for split, records in images.items():
        content = {
            "info": {"set_name": f"photographs labeled by {Path(arguments.teacher).stem}", "notes": []},
            "images": records,
            "annotations": annotations[split],
            "categories": [category],
        }
        (arguments.out / f"person_keypoints_{split}.json").write_text(json.dumps(content))
        certain = sum(each["num_keypoints"] > 0 for each in annotations[split])
        print(f"{split}: {len(records):,} photographs, {certain:,} labeled people")


@dataclass
class Person:
    """Keypoints (K, 3) x, y, v of a person, and the box (4,) x, y, width, height if people labeled it."""

    keypoints: Floats
    box: Floats | None = None

    @property
    def size(self) -> float:
        """Longer side of the box around the known joints, in pixels."""
        known = self.keypoints[:, 2] != 0
        return float(np.ptp(self.keypoints[known, :2], axis=0).max()) if known.any() else 0.0

    def distance(self, other: Floats) -> float:
        """Return the median distance to the joints (K, 3) of a person that both know; infinity if there is none."""
        both = (self.keypoints[:, 2] != 0) & (other[:, 2] != 0)
        distances = np.linalg.norm(self.keypoints[both, :2] - other[both, :2], axis=1)
        return float(np.median(distances)) if both.any() else float("inf")

    def annotation(self, number: int, image_id: int, size: tuple[int, int]) -> dict[str, Any]:
        """Return a COCO annotation; without a labeled box, it has that of all joints, expanded by a tenth."""
        xy = self.keypoints[self.keypoints[:, 2] != 0, :2]
        if self.box is not None:
            xy = np.concatenate([xy, [self.box[:2], self.box[:2] + self.box[2:]]])
        low, high = xy.min(0), xy.max(0)
        if self.box is None:
            margin = 0.1 * max(*(high - low), 1)
            low, high = low - margin, high + margin
        low, high = np.maximum(low, 0), np.minimum(high, size)
        high = np.maximum(high, low + 1)
        return {
            "id": number,
            "image_id": image_id,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": [*low.round(2).tolist(), *(high - low).round(2).tolist()],
            "area": round(float(np.prod(high - low)), 1),
            "num_keypoints": int((self.keypoints[:, 2] > 0).sum()),
            "keypoints": self.keypoints.round(2).ravel().tolist(),
        }


def image_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of an image file."""
    with Image.open(path) as image:
        return image.size


def label(person: Floats) -> Floats:
    """Return the keypoints (K, 3) x, y, v of a person that the teacher found with scores (K, 3) x, y, score."""
    found = person[:, 2] >= 0
    sure = person[:, 2] >= MIN_JOINT_SCORE
    if sure.sum() < MIN_LABELED_JOINTS or person[found, 2].mean() < MIN_PERSON_SCORE:
        sure[:] = False
    keypoints = np.where(found[:, None], person, 0)
    keypoints[:, 2] = np.where(sure, 2, np.where(found, -1, 0))
    return keypoints


def stray(joint: int, x: float, y: float, score: float) -> Floats:
    """Return the keypoints of a peak that the teacher assigned to no person, as an uncertain joint."""
    keypoints = np.zeros((len(OPENPOSE_18), 3))
    keypoints[joint] = x, y, -1
    return keypoints


def read_lsp(folder: Path) -> dict[str, tuple[str, Floats]]:
    """Return the split and the keypoints (K, 3) of every photograph, by name, as OpenPose's joints."""
    people = {}
    for split in ("train", "val"):
        content = json.loads((folder / f"person_keypoints_{split}.json").read_text())
        joints = content["categories"][0]["keypoints"]
        names = {image["id"]: f"lsp/{image['file_name']}" for image in content["images"]}
        for record in content["annotations"]:
            source = np.array(record["keypoints"], float).reshape(-1, 3)
            keypoints = np.zeros((len(OPENPOSE_18), 3))
            for index, joint in enumerate(OPENPOSE_18.joints):
                if joint in joints and joint != "neck":
                    keypoints[index] = source[joints.index(joint)]
            shoulders = source[[joints.index("left_shoulder"), joints.index("right_shoulder")]]
            if shoulders[:, 2].all():
                keypoints[OPENPOSE_18.joints.index("neck")] = [*shoulders[:, :2].mean(0), 2]
            people[names[record["image_id"]]] = split, keypoints
    return people


def merge_human(people: list[Person], human: Floats) -> list[Person]:
    """Return the teacher's people with the joints (K, 3) that people labeled of one of them.

    The joints that they did not label are those of the teacher.
    """
    labeled = Person(human.copy())
    limit = 0.2 * labeled.size
    for person in people:
        if person.distance(human) < limit:
            missing = labeled.keypoints[:, 2] == 0
            labeled.keypoints[missing] = person.keypoints[missing]
    return [labeled, *(person for person in people if person.distance(human) >= limit)]


def read_acting(file: Path) -> dict[str, tuple[Floats, Floats]]:
    """Return the box (4,) and the keypoints (K, 3) of the acting person of every photograph, by name."""
    content = json.loads(file.read_text())
    names = {image["id"]: f"people/{image['file_name']}" for image in content["images"]}
    joints = content["categories"][0]["keypoints"]
    assert set(joints) == set(COCO_17.joints)
    people = {}
    for record in content["annotations"]:
        source = np.array(record["keypoints"], float).reshape(-1, 3)
        keypoints = np.zeros((len(OPENPOSE_18), 3))
        for index, joint in enumerate(OPENPOSE_18.joints):
            if joint != "neck":
                keypoints[index] = source[joints.index(joint)]
        people[names[record["image_id"]]] = np.array(record["bbox"], float), keypoints
    return people


def merge_acting(people: list[Person], box: Floats, detected: Floats) -> list[Person]:
    """Return the teacher's people with the box and the joints of the acting person, which another detector found.

    Where both agree, an uncertain joint is labeled, at the mean position. Where they contradict each other, a joint is
    uncertain. A joint that only the other detector has is uncertain, because it also returns joints that are hidden.
    """
    size = max(box[2:])
    best = min(people, key=lambda person: person.distance(detected), default=None)
    if best is None or best.distance(detected) > 0.2 * size:
        unsure = detected.copy()
        unsure[:, 2] = -np.sign(unsure[:, 2])
        return [*people, Person(unsure, box)]
    best.box = box
    ours, theirs = best.keypoints, detected
    gap = np.linalg.norm(ours[:, :2] - theirs[:, :2], axis=1)
    both = (ours[:, 2] != 0) & (theirs[:, 2] != 0)
    agree = both & (gap < 0.05 * size)
    ours[agree & (ours[:, 2] < 0), :2] = (ours[:, :2] + theirs[:, :2])[agree & (ours[:, 2] < 0)] / 2
    ours[agree, 2] = 2
    ours[both & (gap > 0.15 * size), 2] = -1
    only_theirs = (ours[:, 2] == 0) & (theirs[:, 2] != 0)
    ours[only_theirs] = theirs[only_theirs]
    ours[only_theirs, 2] = -1
    return people


if __name__ == "__main__":
    main()
