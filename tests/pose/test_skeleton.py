"""Skeletons, from COCO categories and back."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstsight.errors import DataError
from firstsight.pose.skeleton import COCO_17, LSP_14, OPENPOSE_18, SKELETONS, Skeleton, _make_skeleton, order_limbs

STICK: dict[str, Any] = {
    "name": "stick",
    "keypoints": ["head", "left_hand", "right_hand", "hip", "foot"],
    "skeleton": [[4, 5], [1, 2], [1, 3], [1, 4], [2, 4]],
}


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_built_in_skeletons_are_symmetric_and_survive_a_round_trip(skeleton: Skeleton) -> None:
    assert [skeleton.flip[joint] for joint in skeleton.flip] == list(range(len(skeleton)))
    assert {skeleton.joints[a].replace("left", "right") for a, b in skeleton.flip_pairs} == {
        skeleton.joints[b] for a, b in skeleton.flip_pairs
    }
    again = Skeleton.from_category(json.loads(json.dumps(skeleton.to_category())))
    assert replace(again, paf_channels=skeleton.paf_channels) == skeleton
    assert sorted(skeleton.paf_channels) == list(range(0, 2 * len(skeleton.limbs), 2))


def test_openpose_joints_limbs_and_sigmas_are_the_published_ones() -> None:
    to_coco = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
    assert OPENPOSE_18.indices_in(COCO_17) == to_coco
    assert OPENPOSE_18.extra_limbs == ((2, 16), (5, 17))
    expected = [0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89]
    assert [10 * sigma for sigma in COCO_17.sigmas] == pytest.approx(expected)  # as in COCO's own evaluation


def test_categories_of_coco_and_lsp_files_give_the_built_in_skeletons(shared: Path) -> None:
    for path, expected in (
        ("coco-mini/person_keypoints.json", COCO_17),
        ("lspet/person_keypoints_val.json", LSP_14),
    ):
        result = Skeleton.from_category(json.loads((shared / path).read_text())["categories"][0])
        assert result.joints == expected.joints
        assert result.sigmas == expected.sigmas
        assert result.flip_pairs == expected.flip_pairs
    assert {frozenset(limb) for limb in COCO_17.limbs} == {
        frozenset((a - 1, b - 1))
        for a, b in json.loads((shared / "coco-mini/person_keypoints.json").read_text())["categories"][0]["skeleton"]
    }


def test_a_custom_skeleton_gets_sorted_limbs_flip_pairs_and_sigmas() -> None:
    """Limbs come in any order and direction; they are sorted into a tree, and those that close a cycle come last."""
    stick = Skeleton.from_category(STICK)
    assert stick.limbs == ((3, 4), (3, 0), (0, 1), (0, 2), (1, 3)) and stick.extra_limbs == ((1, 3),)
    assert stick.flip == (0, 2, 1, 3, 4)
    assert stick.sigmas == (0.079, 0.067, 0.067, 0.107, 0.067)
    assert order_limbs([(0, 1), (2, 3), (1, 2)]) == ((0, 1), (1, 2), (2, 3))


def test_name_of_a_skeleton_is_that_of_its_category_or_skeleton() -> None:
    assert Skeleton.from_category(STICK).name == "stick"
    assert Skeleton.from_category(STICK | {"skeleton_name": "five"}).name == "five"
    assert Skeleton.from_category({key: STICK[key] for key in ("keypoints", "skeleton")}).name == "skeleton"


def test_built_in_skeletons_have_their_names_limbs_flip_pairs_and_sigmas() -> None:
    assert {name: skeleton.name for name, skeleton in SKELETONS.items()} == {
        name: name for name in ("coco-17", "openpose-18", "lsp-14")
    }
    for ordered, limbs in ((False, ((1, 0), (0, 2))), (True, ((1, 0), (0, 2)))):
        pairs = [(1, 0), (2, 0)] if ordered else limbs
        skeleton = _make_skeleton("three", "nose left_eye right_eye", pairs, (2, 0), order=ordered)
        assert skeleton == Skeleton(
            name="three",
            joints=("nose", "left_eye", "right_eye"),
            limbs=limbs,
            flip_pairs=((1, 2),),
            sigmas=(0.026, 0.025, 0.025),
            paf_channels=(2, 0),
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": None}, "category 'stick': it must have 'keypoints', a list of names"),
        ({"skeleton": [[1, 2, 3]]}, r"skeleton\[0\]: expected a list of length 2, got \[1,2,3\]"),
        ({"skeleton": [[1, 2], [1, 3], [4, 5]]}, "must lead from a joint that earlier limbs reach"),
        ({"skeleton": [[1, 2], [1, 3], [1, 4]]}, "no limb leads to foot"),
        ({"skeleton": [[1, 2], [1, 3], [1, 4], [4, 9]]}, r"limb 4 is \(3, 8\).* two different joints from 0 to 4"),
        ({"keypoints": ["head", "head", "a", "b", "c"]}, "joint names must be unique, but 'head' is repeated"),
        ({"flip_pairs": [[2, 3], [3, 4]]}, "each joint from 0 to 4 may be in one of flip_pairs only"),
        ({"sigmas": [0.1]}, "got 1 sigmas for 5 joints"),
        ({"sigmas": [0.1, 0.1, 0.1, 0.1, 3]}, "sigmas must be between 0 and 1, got"),
        ({"sigmas": ["x"]}, r"sigmas\[0\]: expected a number, got .x"),
    ],
)
def test_impossible_categories_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Skeleton.from_category(STICK | change)


def test_channels_must_be_a_permutation() -> None:
    with pytest.raises(DataError, match=r"paf_channels must be a permutation of \[0, 2, 4"):
        replace(LSP_14, paf_channels=(1, *LSP_14.paf_channels[1:]))
