"""Keypoint annotations: numbers and segmentations of real files, saving and loading, everything that is refused."""

import json
import math
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_masks
from scipy.ndimage import binary_dilation

from firstsight.data.keypoints.coco import decode_rle, segmentation_to_mask
from firstsight.data.keypoints.keypoint_set import KeypointSet, convert_skeleton, load_keypoints, save_keypoints
from firstsight.errors import DataError
from firstsight.pose.skeleton import COCO_17, LSP_14, OPENPOSE_18, Skeleton

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools

STICK: dict[str, Any] = {
    "id": 1, "name": "person", "keypoints": ["head", "hip", "foot"], "skeleton": [[1, 2], [2, 3]],
}  # fmt: skip
WIDTH, HEIGHT = 20, 12


def person(number: int, *, image: int = 1, **changes: Any) -> dict[str, Any]:
    """Return an annotation; a change to None leaves the field out."""
    record = {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": [2, 3, 8, 6], "area": 30.5,
        "keypoints": [4, 3, 2, 4.25, 6, 1, 0, 0, 0],
    } | changes  # fmt: skip
    return {key: value for key, value in record.items() if value is not None}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a small set: images 1 and 2, people 7 and 8, with changes."""

    def make(*people: dict[str, Any], where: str = "set/people.json", **changes: Any) -> Path:
        path = tmp_path / where
        folder = path.parent / "images"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("a.png", "b.png"):
            Image.new("RGB", (WIDTH, HEIGHT), "gray").save(folder / name)
        images = [
            {"id": 2, "file_name": "b.png", "width": WIDTH, "height": HEIGHT},
            {"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT},
        ]
        content = {
            "images": images, "annotations": people or (person(7), person(8, image=2)), "categories": [STICK],
        } | changes  # fmt: skip
        path.write_text(json.dumps(content))
        return path

    return make


def assert_same(one: KeypointSet, other: KeypointSet) -> None:
    """Assert that all fields are equal, and data types too."""
    for field in fields(KeypointSet):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b, field.name


def coco_runs(outline: Any, height: int, width: int) -> Any:
    """Return a ``segmentation`` as pycocotools encodes it: run lengths as a string."""
    runs = coco_masks.frPyObjects(outline, height, width)
    return coco_masks.merge(runs) if isinstance(outline, list) else runs


# Real files


def test_coco_keypoints_are_loaded(shared: Path) -> None:
    people = load_keypoints(shared / "coco-mini/person_keypoints.json")
    assert people.skeleton is COCO_17
    assert (len(people), people.name, people.notes) == (80, "person_keypoints", ())
    assert people.keypoints.shape == (172, 17, 3) and people.keypoints.dtype == np.float32
    assert (people.boxes.shape, people.boxes.dtype, people.areas.dtype) == ((172, 4), np.float32, np.float64)
    assert people.crowd.sum() == 5 and not people.keypoints[people.crowd].any()
    numbers = [image.id for image in people.images]
    assert numbers == sorted(numbers)
    raw = json.loads((shared / "coco-mini/person_keypoints.json").read_text())
    for record in raw["annotations"]:
        (i,) = np.flatnonzero(people.ids == record["id"])
        assert people.keypoints[i].ravel().tolist() == record["keypoints"]
        assert (people.keypoints[i, :, 2] > 0).sum() == record["num_keypoints"]
        assert people.images[people.image_index[i]].id == record["image_id"]
        assert people.areas[i] == record["area"] and people.segmentations[i] == record["segmentation"]
    assert sorted(i for index in range(80) for i in people.people_in(index)) == list(range(172))
    assert people.open(0).size == (people.images[0].width, people.images[0].height)


def test_lsp_keypoints_are_loaded(shared: Path) -> None:
    people = load_keypoints(shared / "lspet/person_keypoints_val.json")
    assert people.skeleton is LSP_14
    assert len(people) == len(people.ids) == 998
    assert not people.ignore_mask(0).any()
    assert people.keypoints[0, 0].tolist() == [np.float32(49.78), np.float32(18.92), 2]


def test_segmentation_masks_are_those_of_pycocotools(shared: Path) -> None:
    people = load_keypoints(shared / "coco-mini/person_keypoints.json")
    drawn = more = 0
    for outline, box, index in zip(people.segmentations, people.boxes.tolist(), people.image_index, strict=True):
        size = height, width = people.images[index].height, people.images[index].width
        runs = coco_runs(outline, height, width)
        theirs = coco_masks.decode(runs).astype(bool)
        np.testing.assert_array_equal(decode_rle(runs["counts"].decode(), size=size), theirs)
        mine = segmentation_to_mask(outline, box=box, size=size)
        if isinstance(outline, dict):
            assert mine.sum() == coco_masks.area(runs)
            np.testing.assert_array_equal(mine, theirs)
        else:
            assert not (theirs & ~binary_dilation(mine, np.ones((3, 3)))).any()
            drawn, more = drawn + mine.sum(), more + (mine & ~theirs).sum()
    assert more < 0.02 * drawn  # Pillow also fills the pixels under the border


def test_ignored_regions_are_crowds_and_people_without_keypoints(shared: Path) -> None:
    people = load_keypoints(shared / "coco-mini/person_keypoints.json")
    left_out = people.crowd | ~(people.keypoints[..., 2] > 0).any(axis=1)
    for index, image in enumerate(people.images):
        mask = people.ignore_mask(index)
        assert mask.shape == (image.height, image.width) and mask.dtype == bool
        segmentations = [people.segmentations[i] for i in people.people_in(index) if left_out[i]]
        runs = [coco_runs(outline, *mask.shape) for outline in segmentations]
        theirs = coco_masks.decode(coco_masks.merge(runs)).astype(bool) if runs else np.zeros_like(mask)
        assert mask.any() == bool(runs)
        assert not (theirs & ~binary_dilation(mask, np.ones((3, 3)))).any()
        masks = [
            segmentation_to_mask(people.segmentations[i], box=people.boxes[i].tolist(), size=mask.shape)
            for i in people.people_in(index)
            if left_out[i]
        ]
        np.testing.assert_array_equal(mask, np.any([np.zeros_like(mask), *masks], axis=0))


@pytest.mark.parametrize("file", ["coco-mini/person_keypoints.json", "lspet/person_keypoints_val.json"])
def test_saved_keypoints_are_loaded_again(shared: Path, tmp_path: Path, file: str) -> None:
    people = load_keypoints(shared / file)
    folder = save_keypoints(people, tmp_path / "person_keypoints.json")
    assert folder == (shared / file).parent / "images"
    assert_same(load_keypoints(tmp_path / "person_keypoints.json", folder), people)
    for annotation in json.loads((tmp_path / "person_keypoints.json").read_text())["annotations"]:
        assert annotation["num_keypoints"] == sum(flag > 0 for flag in annotation["keypoints"][2::3])
    openpose = convert_skeleton(replace(people, name="other", notes=("a fifth",)), OPENPOSE_18)
    save_keypoints(openpose, tmp_path / "openpose.json")
    assert_same(load_keypoints(tmp_path / "openpose.json", str(folder)), openpose)


# A small set


def test_small_set_is_loaded_in_the_order_of_its_annotations(write: Callable[..., Path]) -> None:
    people = load_keypoints(write(person(9, image=2), person(7), person(3, image=2, keypoints=None, area=None)))
    assert [image.path.name for image in people.images] == ["a.png", "b.png"]
    assert people.ids.tolist() == [9, 7, 3] and people.image_index.tolist() == [1, 0, 1]
    assert people.people_in(1).tolist() == [0, 2]
    assert people.keypoints[1].tolist() == [[4, 3, 2], [4.25, 6, 1], [0, 0, 0]] and not people.keypoints[2].any()
    assert people.areas.tolist() == [30.5, 30.5, 48]
    assert people.notes == ("1 of 3 people have no 'area': using the area of the box",)
    expected = np.zeros((HEIGHT, WIDTH), dtype=bool)
    expected[3:9, 2:10] = True  # the box of the one without joints
    drawn = people.ignore_mask(1)
    assert drawn[expected].all() and drawn.sum() <= 9 * 7 and not people.ignore_mask(0).any()


def test_id_of_the_category_is_kept(write: Callable[..., Path], tmp_path: Path) -> None:
    people = load_keypoints(write(person(7, category_id=5), categories=[STICK | {"id": 5}]))
    assert people.category_id == 5
    folder = save_keypoints(people, tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text())["categories"][0]["id"] == 5
    back = load_keypoints(tmp_path / "again.json", folder)
    assert back.category_id == 5 and back.ids.tolist() == [7]


def test_segmentation_is_saved_only_if_there_is_one(write: Callable[..., Path], tmp_path: Path) -> None:
    outline = [[2, 3, 10, 3, 10, 9, 2, 9]]
    people = load_keypoints(write(person(7), person(8, segmentation=outline)))
    folder = save_keypoints(people, tmp_path / "again.json")
    without, with_outline = json.loads((tmp_path / "again.json").read_text())["annotations"]
    assert "segmentation" not in without and with_outline["segmentation"] == outline
    assert load_keypoints(tmp_path / "again.json", folder).segmentations == (None, outline)


def test_crowd_is_ignored_even_with_keypoints(write: Callable[..., Path]) -> None:
    runs = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT + 2, 3, HEIGHT * (WIDTH - 1) - 5]}
    people = load_keypoints(write(person(7), person(8, iscrowd=1, segmentation=runs)))
    assert np.argwhere(people.ignore_mask(0)).tolist() == [[2, 1], [3, 1], [4, 1]]


def test_selected_images_keep_their_people(write: Callable[..., Path]) -> None:
    people = load_keypoints(write(person(9, image=2), person(7), person(3, image=2)))
    last = people.select([1])
    assert len(last) == 1 and last.images == people.images[1:]
    assert last.ids.tolist() == [9, 3] and last.image_index.tolist() == [0, 0] and last.image_index.dtype == np.int64
    assert_same(people.select(np.array([1, 0, 1])), people)  # each once, in the set's order
    assert (len(people.select([])), people.select([]).keypoints.shape) == (0, (0, 3, 3))
    with pytest.raises(IndexError):
        people.select([2])


def test_images_are_found_by_the_annotations_or_in_a_given_folder(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write()
    moved = path.parent / "images" / path.name
    moved.write_bytes(path.read_bytes())  # next to the images
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_bytes(path.read_bytes())
    people = load_keypoints(path)
    for other in (load_keypoints(moved), load_keypoints(elsewhere, path.parent / "images")):
        assert other.images == people.images
    content = json.loads(path.read_text())
    for image in content["images"]:
        image["file_name"] = f"images/{image['file_name']}"  # relative to the annotations' own folder
    path.write_text(json.dumps(content))
    assert load_keypoints(path).images == people.images
    assert save_keypoints(people, path) == path.parent / "images"
    assert_same(load_keypoints(path), people)


def test_skeleton_is_that_of_the_category_or_a_given_one_of_the_same_joints(write: Callable[..., Path]) -> None:
    own = load_keypoints(write()).skeleton
    assert (own.joints, own.limbs) == (("head", "hip", "foot"), ((0, 1), (1, 2)))
    reordered = Skeleton.from_category(STICK | {"keypoints": ["foot", "hip", "head"]})
    people = load_keypoints(write(), skeleton=reordered)
    assert people.skeleton is reordered
    assert people.keypoints[0].tolist() == [[0, 0, 0], [4.25, 6, 1], [4, 3, 2]]
    bare = {"id": 1, "name": "person", "keypoints": ["head", "hip", "foot"]}  # no limbs, no need of them
    assert load_keypoints(write(categories=[bare]), skeleton=own).skeleton is own
    dog = {"id": 5, "name": "dog", "keypoints": ["tail", "nose"], "skeleton": [[1, 2]]}
    both = load_keypoints(write(person(7), person(7, category_id=5, keypoints=[1]), categories=[dog, STICK]))
    assert both.ids.tolist() == [7] and both.skeleton == own


def test_keypoints_outside_the_image_are_not_labeled(write: Callable[..., Path]) -> None:
    joints = [WIDTH + 1, -1, 2, WIDTH + 1.5, 3, 2, 4, -1.5, 1]
    people = load_keypoints(write(person(7, keypoints=joints)))
    assert people.keypoints[0, :, 2].tolist() == [2, 0, 0]
    assert people.notes == ("2 joints are more than a pixel outside of the image: treated as not labeled",)
    unlabeled = load_keypoints(write(person(7, keypoints=[4, 3, 2, -9, -9, 0, 0, 0, 0])))
    assert unlabeled.notes == ()


# Other joints


def test_neck_is_the_midpoint_of_the_shoulders(write: Callable[..., Path]) -> None:
    names = ["left_shoulder", "right_shoulder", "left_hip"]
    category = STICK | {"keypoints": names, "skeleton": [[1, 2], [1, 3]]}
    target = Skeleton.from_category(
        STICK | {"keypoints": ["head", "neck", "right_shoulder", "left_hip"], "skeleton": [[1, 2], [2, 3], [3, 4]]}
    )
    people = load_keypoints(
        write(
            person(1, keypoints=[2, 3, 2, 8, 4, 1, 5, 9, 2]),
            person(2, keypoints=[2, 3, 2, 8, 4, 0, 0, 0, 0]),
            person(3, keypoints=[2, 3, 2, 3, 3, 2, 0, 0, 0]),
            categories=[category],
        )
    )
    converted = convert_skeleton(people, target)
    assert converted.skeleton is target and converted.keypoints.dtype == np.float32
    assert converted.keypoints[0].tolist() == [[0, 0, 0], [5, 3.5, 1], [8, 4, 1], [5, 9, 2]]
    assert converted.keypoints[1].tolist() == [[0, 0, 0], [0, 0, 0], [8, 4, 0], [0, 0, 0]]
    assert converted.keypoints[2, 1].tolist() == [2.5, 3, 2]
    assert_same(replace(converted, skeleton=people.skeleton, keypoints=people.keypoints), people)


def test_openpose_skeleton_of_coco_and_lsp_people(shared: Path) -> None:
    coco = load_keypoints(shared / "coco-mini/person_keypoints.json")
    converted = convert_skeleton(coco, OPENPOSE_18)
    for joint, name in enumerate(OPENPOSE_18.joints):
        if name != "neck":
            np.testing.assert_array_equal(converted.keypoints[:, joint], coco.keypoints[:, COCO_17.joints.index(name)])
    both = (coco.keypoints[:, 5:7, 2] > 0).all(axis=1)
    np.testing.assert_array_equal(converted.keypoints[:, 1, 2] > 0, both)
    assert_same(convert_skeleton(converted, COCO_17), coco)
    lsp = load_keypoints(shared / "lspet/person_keypoints_val.json")
    converted = convert_skeleton(lsp, OPENPOSE_18)  # a labeled neck is kept; the face was never labeled
    np.testing.assert_array_equal(converted.keypoints[:, 1], lsp.keypoints[:, LSP_14.joints.index("neck")])
    assert not converted.keypoints[:, OPENPOSE_18.joints.index("nose")].any()


def test_skeletons_without_a_common_joint_are_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"^people: skeletons person \(head, hip, foot\) and coco-17 \(nose, .*common$"):
        convert_skeleton(load_keypoints(write()), COCO_17)


# Segmentations


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 99))
def test_run_lengths_are_decoded_as_pycocotools_encodes_them(height: int, width: int, share: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    counts = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    np.testing.assert_array_equal(decode_rle(counts, size=mask.shape), mask)
    column = mask.T.ravel()
    edges = np.flatnonzero(np.diff(column, prepend=False))
    runs = np.diff(np.concatenate([[0], edges, [len(column)]])).tolist()
    np.testing.assert_array_equal(decode_rle(runs, size=mask.shape), mask)


def test_long_run_lengths_are_decoded() -> None:
    mask = np.zeros((1000, 2000), dtype=np.uint8, order="F")
    mask[900:, 1500:] = 1  # numbers of five digits, and negative differences
    np.testing.assert_array_equal(decode_rle(coco_masks.encode(mask)["counts"].decode(), size=mask.shape), mask)


def test_polygon_of_two_corners_adds_nothing_to_a_mask() -> None:
    square = [2, 3, 10, 3, 10, 9, 2, 9]
    one, both = (
        segmentation_to_mask(polygons, box=[0, 0, 1, 1], size=(12, 20))
        for polygons in ([square], [[0, 0, 9, 9], square])
    )
    np.testing.assert_array_equal(both, one)


@pytest.mark.parametrize(
    ("outline", "words"),
    [
        (
            {"size": [HEIGHT, WIDTH], "counts": [1, 2]},
            "run lengths do not match an image of 12 rows and 20 columns",
        ),
        ({"size": [WIDTH, HEIGHT], "counts": [HEIGHT * WIDTH]}, "run lengths do not match"),
        ({"size": [HEIGHT, WIDTH], "counts": [-1, HEIGHT * WIDTH + 1]}, "run lengths do not match"),
        ({"size": [HEIGHT, WIDTH], "counts": "`"}, "run lengths do not match"),
        ({"size": [HEIGHT, WIDTH], "counts": ""}, "run lengths do not match"),
        ({"size": [HEIGHT, WIDTH], "counts": "é~!" * 20}, "run lengths do not match"),
        ({"size": [HEIGHT, WIDTH]}, "run lengths must be a list of numbers; got None"),
        ([[1, 2, 3, 4, 5, 6, 7]], "a polygon of its segmentation must be pairs of x and y; got 7 numbers"),
        ([[1, 2, 3, 4, 5, 1e300]], "a polygon of its segmentation contains 1e.300"),
        ([5], "a polygon of its segmentation must be a list of numbers; got 5"),
    ],
)
def test_impossible_segmentation_is_refused(write: Callable[..., Path], outline: Any, words: str) -> None:
    people = load_keypoints(write(person(7), person(8, iscrowd=1, keypoints=None, segmentation=outline)))
    with pytest.raises(DataError, match=f"^people: annotation 8: .*{words}"):
        people.ignore_mask(0)


# What is refused


def image(**changes: Any) -> dict[str, Any]:
    return {"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT} | changes


def joints(*values: Any) -> dict[str, Any]:
    return person(7, keypoints=list(values))


ENOUGH = person(6)
DOG = STICK | {"id": 2, "name": "dog"}


@pytest.mark.parametrize(
    ("people", "changes", "words"),
    [
        ([joints(math.nan, 1, 2, 0, 0, 0, 0, 0, 0)], {}, r"annotations\[0\].keypoints\[0\]: NaN is not a number"),
        ([joints(1, -math.inf, 2, 0, 0, 0, 0, 0, 0)], {}, r"\[0\].keypoints\[1\]: -Infinity is not a number"),
        ([joints(1, 10**400, 2, 0, 0, 0, 0, 0, 0)], {}, r"annotations\[0\].keypoints\[1\]: number out of range"),
        ([joints(None, 1, 2, 0, 0, 0, 0, 0, 0)], {}, r"annotations\[0\].keypoints\[0\]: expected a number, got null"),
        ([joints(1, 1, 2, 0, 0, 0)], {}, "annotation 7: .*, x, y, v of 3 joints, must be 9 numbers; got 6 .0, 0"),
        ([joints(1, 1, 3, 0, 0, 0, 0, 0, 0)], {}, r"annotation 7: v of a joint must be 0, 1 or 2 .*; got \[3.0, 0.0"),
        ([person(7), person(7)], {}, "the annotation id 7 is not unique; give each annotation a different id$"),
        ([ENOUGH, person(7, id="x")], {}, "annotation 2 of 2 has the id 'x'; expected an integer"),
        ([person(7, image=3)], {}, "annotation 7 is in image 3, which is not among 'images'"),
        ([person(7, image_id=[])], {}, r"annotations\[0\].image_id: expected an integer or text or null, got \[\]"),
        ([person(7, bbox=[1, 1, -2, 2])], {}, "annotation 7: width, height and area must not be negative; got box"),
        ([person(7, area=-1)], {}, r"annotations\[0\].area: expected a number >= 0.*, got -1"),
        ([person(7, bbox=[1, 1, math.nan, 2])], {}, r"annotations\[0\].bbox\[2\]: NaN is not a number in JSON"),
        ([person(7, bbox=[1, 1, 2])], {}, "annotation 7: 'bbox' must be 4 numbers; got 3"),
        ([person(7, bbox=None)], {}, "annotation 7: 'bbox' must be a list of numbers; got None"),
        ([person(7, area=-math.inf)], {}, r"annotations\[0\].area: -Infinity is not a number in JSON; write a finite"),
        ([person(7, segmentation="x")], {}, r"annotations\[0\].segmentation: expected .*, got .x"),
        ([person(7, keypoints=None), joints(4, 3, 0, 0, 0, 0, 0, 0, 0) | {"id": 8}], {},
         "none of the 2 people has a labeled joint .a joint is labeled if its v is 1 or 2"),
        ([joints(90, 3, 2, 0, 0, 0, 0, 0, 0)], {}, "none of the 1 people has a labeled joint; 1 joints are more than"),
        ([person(7, iscrowd=1)], {}, "none of the 1 people has a labeled joint"),
        ([], {"annotations": []}, "none of the 0 people"),
        ([], {"annotations": {}}, "annotations: expected a list, got {}"),
        ([], {"images": [1]}, r"images\[0\]: expected an object, got 1 .expected a JSON file of COCO keypoints"),
        ([], {"images": [image(), image()]}, "the image id 1 is not unique"),
        ([], {"images": [image(id=None)]}, r"images\[0\].id: expected an integer or text, got null"),
        ([], {"images": [image(file_name="../b.png")]}, "image 1: file_name '../b.png' points outside .*; refused"),
        ([], {"images": [image(file_name="x/../../b.png")]}, "points outside the image folder; refused"),
        ([], {"images": [image(file_name="/etc/passwd")]}, "file_name '/etc/passwd' points outside"),
        ([], {"images": [image(file_name="..\\b.png")]}, "points outside"),
        ([], {"images": [image(file_name="C:\\b.png")]}, "points outside"),
        ([], {"images": [image(file_name="./")]}, "image 1: 'file_name' must be a path relative to the image folder"),
        ([], {"images": [image(file_name=None)]}, r"images\[0\].file_name: expected text, got null"),
        ([], {"images": [image(width=0)]}, r"images\[0\].width: expected an integer >= 1, got 0"),
        ([], {"images": [image(width="20")]}, r"images\[0\].width: expected an integer, got .20"),
        ([], {"images": [image(width=10**9)]}, "image 1: 1000000000x12 pixels; the limit is 100 million .set F"),
        ([], {"images": [image(file_name="no.png"), image(id=2, file_name="none.png")]},
         r"2 of 2 images are missing, the first /.*set/images/no.png .if they are in another folder, pass it as"),
        ([], {"images": [image(file_name="a\0.png")]}, "1 of 1 images are missing"),
        ([], {"images": [image(file_name="a" * 4000)]}, "1 of 1 images are missing"),
        ([], {"categories": [STICK | {"name": "cat"}, DOG]}, "several categories .* .'cat', 'dog'., and not exactly"),
        ([], {"categories": [STICK, STICK]}, "several categories .* .'person', 'person'., and not exactly one"),
        ([], {"categories": [{"id": 1, "name": "person"}]},
         "no category lists its joints in 'keypoints' .COCO's person_keypoints files have them."),
        ([], {"categories": [STICK | {"keypoints": [1]}]},
         r"categories\[0\].keypoints\[0\]: expected text, got 1"),
        ([], {"categories": [STICK | {"skeleton": [[1, 2]]}]}, "no limb leads to foot"),
    ],
)  # fmt: skip
def test_impossible_annotations_are_refused(
    write: Callable[..., Path], people: list[dict[str, Any]], changes: dict[str, Any], words: str
) -> None:
    path = write(*people, **changes)
    with pytest.raises(DataError, match=f"^{path}: .*{words}") as error:
        load_keypoints(path)
    assert "\n" not in str(error.value)


def test_file_that_is_no_coco_annotation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.json: No such file or directory \(expected a JSON file of COCO"):
        load_keypoints(tmp_path / "none.json")
    with pytest.raises(DataError, match="Is a directory"):
        load_keypoints(tmp_path)
    path = tmp_path / "set.json"
    for content in (b"", b"{", b"\xff\xd8\xff", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"set.json: .* \(expected a JSON file of COCO keypoints\)"):
            load_keypoints(path)
    path.write_text("[]")
    with pytest.raises(DataError, match=r"set.json: expected an object, got a list"):
        load_keypoints(path)


def test_skeleton_with_other_joints_is_refused(write: Callable[..., Path]) -> None:
    words = (
        r"its joints are not those of skeleton lsp-14 \(only in the file: foot, head, hip; only in the skeleton:"
        r" head_top, .*convert_skeleton"
    )
    with pytest.raises(DataError, match=words):
        load_keypoints(write(), skeleton=LSP_14)


def test_image_whose_size_changed_or_that_is_gone_is_refused(write: Callable[..., Path]) -> None:
    path = write()
    people = load_keypoints(path)
    Image.new("RGB", (HEIGHT, WIDTH)).save(people.images[0].path)
    with pytest.raises(DataError, match=r"a.png: is 12x20 pixels, but the annotations say 20x12"):
        people.open(0)
    people.images[1].path.unlink()
    with pytest.raises(DataError, match=r"b.png: No such file"):
        people.open(1)


def test_arrays_of_other_lengths_are_refused(write: Callable[..., Path]) -> None:
    people = load_keypoints(write())
    with pytest.raises(
        DataError, match=r"^people: 2 people with 3 joints need keypoints of shape \(2, 3, 3\) and 2 rows"
    ):
        replace(people, keypoints=people.keypoints[:, :2])
    with pytest.raises(DataError, match=r"got .* and \[2, 1, 2, 2, 2\]"):
        replace(people, areas=people.areas[:1])


def test_saving_in_a_folder_that_does_not_exist_is_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x.json: cannot be written"):
        save_keypoints(load_keypoints(write()), tmp_path / "no" / "x.json")
