"""Annotations, skeletons and boxes that do not fit their schemas."""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firstsight.data.keypoints.keypoint_set import load_keypoints
from firstsight.errors import DataError
from firstsight.pose.skeleton import COCO_17, Skeleton
from firstsight.tasks.pose.boxes import read_boxes, select_boxes, validate_boxes

VALUES = [None, True, -1, 10**400, 1e308, "", "²", "x" * 3000, [], {}, [[1, 2], ["<b>", 3], ""] * 90, "a\nb", -0.5, "7"]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def mutated(document: Any, rng: random.Random) -> Any:
    """Return a copy in which one value is another one or is missing."""
    *path, last = rng.choice([place for place in places(document) if place])
    result = copy.deepcopy(document)
    parent = result
    for key in path:
        parent = parent[key]
    if isinstance(parent, dict) and rng.random() < 0.2:
        del parent[last]
    else:
        parent[last] = rng.choice(VALUES)
    return result


def is_sentence(error: DataError) -> bool:
    return "\n" not in str(error) and len(str(error)) <= 300


def test_mutated_annotations_are_read_or_refused_in_one_sentence(sticks: Callable[..., Path]) -> None:
    path = sticks(2)
    document = json.loads(path.read_text())
    rng = random.Random(5)
    for _ in range(100):
        path.write_text(json.dumps(mutated(document, rng)))
        try:
            people = load_keypoints(path)
            assert np.isfinite(people.areas).all() and np.isfinite(people.keypoints).all()
            people.ignore_mask(0)
        except DataError as error:
            assert is_sentence(error)


def test_mutated_skeletons_are_read_or_refused_in_one_sentence() -> None:
    rng = random.Random(6)
    for _ in range(400):
        try:
            skeleton = Skeleton.from_category(mutated(COCO_17.to_category(), rng))
            assert len(skeleton.sigmas) == len(skeleton) >= 2
        except DataError as error:
            assert is_sentence(error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": [[1, 2]] * 500}, r"^category: name: expected text, got \[\[1,2\],\["),
        ({"name": "x" * 500}, "text of length <= 200"),
        ({"keypoints": ["x" * 150, "y" * 150], "skeleton": [[1, 3]], "sigmas": None}, "limb 1 is"),
        ({"skeleton": [[1, 2**70]]}, "category 'person': "),
        ({"skeleton": [[1, 2]] * 3000}, "length <= 2000"),
        ({"sigmas": [10**400]}, "category 'person': "),
        ({"sigmas": {1: object()}}, "category 'person': "),
    ],
)
def test_impossible_skeletons_have_short_messages(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        Skeleton.from_category(COCO_17.to_category() | change)
    assert is_sentence(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[1, 1, 1" + "0" * 400 + ", 5]]", r"\[0\]\[2\]: number out of range"),
        ("[[1, 1, 1e300, 5]]", r"\[0\]\[2\]: expected a number <= 1"),
        ("[[1, 2, 3]]", r"\[0\]: expected a list of length 4, got \[1,2,3\]"),
        ("[[1, 2, 3, true]]", r"\[0\]\[3\]: expected a number, got true"),
        (
            "[[1, 1, 5, 5], [1, NaN, 5, 5]]",
            r"\[1\]\[1\]: NaN is not a number in JSON; write a finite number or null; e",
        ),
        ('{"a.png": [], "b.png": [[1, 1, Infinity, 5]]}', r"b.png\[0\]\[2\]: Infinity is not a number in JSON"),
        ("[[nan, 1, 5, 5]]", r"\[0\]\[0\]: nan is not a number in JSON"),
        ('{"a.png": 3}', "expected a list, got"),
        ("[" * 100_000, "expected a list of boxes"),
        ("[" + ",".join(["[1,1,1,1]"] * 10_001) + "]", "length <= 10000"),
        ("", "not valid JSON"),
    ],
)
def test_impossible_boxes_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(content)
    with pytest.raises(DataError, match=f"boxes.json: .*{message}") as error:
        read_boxes(path)
    assert is_sentence(error.value) and "[x, y, width, height]" in str(error.value)


def test_boxes_are_read_by_name_or_for_one_image(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_text('{"a.png": [[1, 2, 3.5, 4]], "b.png": []}')
    assert select_boxes(read_boxes(path), "folder/a.png").tolist() == [[1, 2, 3.5, 4]]
    assert select_boxes(read_boxes(path), "b.png").shape == (0, 4)
    path.write_text("[[1, 2, 3.5, 4]]")
    assert select_boxes(read_boxes(path), "any.png").tolist() == [[1, 2, 3.5, 4]]
    for boxes in ([["x", 1, 2, 3]], [[1, 2, 3]], [[10**400, 1, 2, 3]]):
        with pytest.raises(DataError, match=r"^`boxes` must be a list with 4 numbers for each person"):
            validate_boxes(boxes, (10, 10), "a.png")


@pytest.mark.parametrize("area", [0, 0.0, None])
def test_people_without_an_area_get_that_of_their_box(sticks: Callable[..., Path], area: float | None) -> None:
    people = load_keypoints(sticks(3, area=area))
    np.testing.assert_allclose(people.areas, people.boxes[:, 2].astype(float) * people.boxes[:, 3], rtol=1e-5)
    assert people.notes == ("3 of 3 people have no 'area': using the area of the box",)


def test_people_without_any_size_are_noted(sticks: Callable[..., Path]) -> None:
    people = load_keypoints(sticks(2, area=0, bbox=[5, 5, 0, 0]))
    assert "2 of 2 people have joints, but a box of no size: no pose can match them" in people.notes


def test_ids_as_text_are_numbers(sticks: Callable[..., Path]) -> None:
    path = sticks(2)
    expected = load_keypoints(path)
    content = json.loads(path.read_text())
    for image in content["images"]:
        image["id"] = f"00{image['id']}"
    content["categories"][0]["id"] = "1"
    content["annotations"][0]["image_id"] = "1"
    content["annotations"][1]["id"] = "2"
    path.write_text(json.dumps(content))
    people = load_keypoints(path)
    assert [image.id for image in people.images] == [image.id for image in expected.images]
    assert (people.ids.tolist(), people.image_index.tolist()) == (expected.ids.tolist(), [0, 1])
    for text in ("a7", "²", "-", "9" * 30):
        content["images"][0]["id"] = text
        path.write_text(json.dumps(content))
        with pytest.raises(DataError, match=r"image 1 of 2 has the id .*; expected an integer"):
            load_keypoints(path)


@pytest.mark.parametrize(("count", "is_noted"), [(5, False), (0, True), (17, True), (None, False)])
def test_contradicting_counts_are_noted(sticks: Callable[..., Path], count: int | None, is_noted: bool) -> None:
    notes = load_keypoints(sticks(2, num_keypoints=count)).notes
    assert any("2 of 2 people have a 'num_keypoints' that differs" in note for note in notes) == is_noted
