"""Labels of the tools that label photographs: which joints of a teacher are labeled, uncertain, or those of people."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from firstsight.data.keypoints.keypoint_set import load_keypoints
from firstsight.pose.skeleton import OPENPOSE_18

TOOLS = Path(__file__).parents[2] / "tools"
NOSE, NECK = OPENPOSE_18.joints.index("nose"), OPENPOSE_18.joints.index("neck")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """Return ``tools/label_photos.py``."""
    spec = importlib.util.spec_from_file_location("label_photos", TOOLS / "label_photos.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def teacher_person(score: float = 0.8) -> np.ndarray:
    """Return 18 joints in a column of 170 pixels, x, y, score."""
    return np.column_stack([np.full(18, 50.0), np.arange(18) * 10.0 + 5, np.full(18, score)])


def test_joints_of_a_confident_person_are_labeled_and_weak_ones_uncertain(tool: ModuleType) -> None:
    person = teacher_person()
    person[3, 2], person[4] = 0.2, -1
    keypoints = tool.label(person)
    assert keypoints[3, 2] == -1 and keypoints[4].tolist() == [0, 0, 0]
    assert (np.delete(keypoints[:, 2], [3, 4]) == 2).all()


def test_weak_people_are_uncertain(tool: ModuleType) -> None:
    assert (tool.label(teacher_person(0.35))[:, 2] == -1).all()
    few = teacher_person()
    few[3:] = -1
    assert (tool.label(few)[:3, 2] == -1).all() and not tool.label(few)[3:].any()


def test_labels_of_people_replace_those_of_the_teacher(tool: ModuleType) -> None:
    """The human labels lack the nose, which is the teacher's; another person of the teacher is kept."""
    teacher, other = tool.label(teacher_person()), tool.label(teacher_person() + np.array([100, 0, 0]))
    human = teacher + np.array([3, 0, 0])
    human[NOSE] = 0
    merged, kept = tool.merge_human([tool.Person(teacher), tool.Person(other)], human)
    assert merged.keypoints[NOSE].tolist() == teacher[NOSE].tolist()
    assert np.array_equal(np.delete(merged.keypoints, NOSE, 0), np.delete(human, NOSE, 0))
    assert np.array_equal(kept.keypoints, other)


def test_two_detectors_that_agree_label_a_joint_and_contradictions_are_uncertain(tool: ModuleType) -> None:
    person = teacher_person()
    person[5, 2], person[7] = 0.1, -1
    detected = tool.label(teacher_person())
    detected[NECK] = 0  # COCO has no neck
    detected[5, :2] += 4
    detected[6, :2] += 60
    (merged,) = tool.merge_acting([tool.Person(tool.label(person))], np.array([40.0, 0, 20, 180]), detected)
    assert merged.keypoints[5].tolist() == [52, 57, 2]  # the mean of both
    assert merged.keypoints[6, 2] == -1 and merged.keypoints[7, 2] == -1
    assert merged.keypoints[NECK].tolist() == [50, 15, 2] and merged.box.tolist() == [40, 0, 20, 180]


def test_a_person_that_only_the_other_detector_has_is_uncertain(tool: ModuleType) -> None:
    detected = tool.label(teacher_person())
    far = tool.Person(tool.label(teacher_person() + np.array([500, 0, 0])))
    merged = tool.merge_acting([far], np.array([40.0, 0, 20, 180]), detected)
    assert len(merged) == 2 and (merged[1].keypoints[:, 2] == -1).all()


def test_annotations_are_read_back(tool: ModuleType, tmp_path: Path) -> None:

    (tmp_path / "images").mkdir()
    Image.new("RGB", (100, 200)).save(tmp_path / "images/a.png")
    person = teacher_person()
    person[3, 2] = 0.1
    entries = [
        tool.Person(tool.label(person)).annotation(1, 7, (100, 200)),
        tool.Person(tool.stray(2, 30.0, 40.0, 0.15)).annotation(2, 7, (100, 200)),
    ]
    content = {
        "images": [{"id": 7, "file_name": "a.png", "width": 100, "height": 200}],
        "annotations": entries,
        "categories": [{"id": 1, **OPENPOSE_18.to_category()}],
    }
    (tmp_path / "people.json").write_text(json.dumps(content))
    people = load_keypoints(tmp_path / "people.json")
    assert people.skeleton == OPENPOSE_18
    assert (people.keypoints[..., 2] > 0).sum(1).tolist() == [17, 0]
    assert (people.keypoints[..., 2] < 0).sum(1).tolist() == [1, 1]
    assert people.boxes[0].tolist() == [33, 0, 34, 192]
