"""Evaluation of pose networks on photographs: average precision, and people where there are none.

    python benchmarks/photographs.py WEIGHTS [WEIGHTS ...] --coco FILE.json [--lsp FILE.json] [--height H] [--flip]

For each of the weights, prints AP, AP50 and PCK@0.2 on --coco, a file of COCO keypoints; a top-down network gets the
labeled boxes. For a bottom-up network also the number of people that are drawn at the default minimum score and without
one, in the photographs of --coco without annotations and in the others; and on --lsp, a file of COCO keypoints with one
person in each photograph, in how many of 300 exactly one person is drawn. No figure may be used to choose settings.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight import load
from firstsight.data.keypoints.keypoint_set import KeypointSet, load_keypoints
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
from firstsight.tasks.pose.evaluate import evaluate_pose

LSP_IMAGES = 300


def main() -> None:
    """Evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+", help="names of weights, files or run directories")
    parser.add_argument(
        "--coco", type=Path, required=True, help="COCO keypoints of photographs with and without people"
    )
    parser.add_argument("--lsp", type=Path, help="COCO keypoints of photographs with one person each")
    parser.add_argument("--height", type=int, help="height that photographs are resized to (bottom-up)")
    parser.add_argument(
        "--flip",
        action=argparse.BooleanOptionalAction,
        help="average with the flipped photograph (default: yes for top-down, no for bottom-up networks)",
    )
    arguments = parser.parse_args()
    for name in arguments.weights:
        estimator = load(name)
        height = arguments.height if estimator.task == "bottom-up" else None
        result = evaluate_pose(estimator, arguments.coco, height=height, flip=arguments.flip)
        ap, ap50, pck = (result.metrics[key] or 0.0 for key in ("ap", "ap50", "pck"))
        flip = estimator.task == "top-down" if arguments.flip is None else arguments.flip
        boxes = "" if estimator.task == "bottom-up" else ", labeled boxes"
        print(
            f"{name} on {result.data}: AP {ap:.3f}, AP50 {ap50:.3f}, PCK@0.2 {pck:.3f}; {result.n} photographs,"
            f" {result.people} people, height {result.height}, {'flip' if flip else 'no flip'}{boxes}"
        )
        if isinstance(estimator, PoseEstimator):
            counting = PoseEstimator(estimator.network, height=height, flip=flip)
            print(f"  {describe(count_people(counting, load_keypoints(arguments.coco)))}")
            if arguments.lsp is not None:
                singles = count_singles(counting, load_keypoints(arguments.lsp))
                print(f"  {arguments.lsp.name}: {describe_singles(singles)}")


class Counts(NamedTuple):
    """People that are drawn at the minimum score, and that are found without one, in two groups of photographs."""

    min_score: float
    num_empty: int
    drawn_in_empty: int
    found_in_empty: int
    num_others: int
    drawn_in_others: int
    found_in_others: int


def count_people(estimator: PoseEstimator, people: KeypointSet) -> Counts:
    """Count the people that are found in photographs with and without annotations."""
    minimum, scores = estimator.min_score, scores_of(estimator, people)
    is_empty = np.array([not len(people.people_in(index)) for index in range(len(people))])
    counts: list[int] = []
    for rows in (np.flatnonzero(is_empty), np.flatnonzero(~is_empty)):
        everyone = np.concatenate([np.zeros(0), *(scores[row] for row in rows)])
        counts += [len(rows), int((everyone >= minimum).sum()), len(everyone)]
    return Counts(minimum, *counts)


def describe(counts: Counts) -> str:
    """Return the counts in words."""
    return (
        f"at the minimum score {counts.min_score:.2f}, {counts.drawn_in_empty} people are drawn in"
        f" {counts.num_empty} photographs without people ({counts.found_in_empty} without a minimum), and"
        f" {counts.drawn_in_others} of {counts.found_in_others} in {counts.num_others} photographs with people"
    )


def count_singles(estimator: PoseEstimator, people: KeypointSet) -> NDArray[np.int64]:
    """Return the number of people drawn in each of 300 photographs, evenly spaced, of one person each."""
    count = min(LSP_IMAGES, len(people))
    people = people.select(np.arange(count) * len(people) // count)
    return np.array([(each >= estimator.min_score).sum() for each in scores_of(estimator, people)])


def describe_singles(counts: NDArray[np.int64]) -> str:
    """Return the shares of photographs with one person, none and several in words."""
    return (
        f"exactly one person in {(counts == 1).mean():.1%} of {len(counts)} photographs of one person, none in"
        f" {(counts == 0).mean():.1%}, several in {(counts > 1).mean():.1%}"
    )


def scores_of(estimator: PoseEstimator, people: KeypointSet) -> list[NDArray[np.float64]]:
    """Return the scores of the people that are found in each photograph, without a minimum score."""
    everyone = PoseEstimator(estimator.network, height=estimator.height, flip=estimator.flip, min_score=0.0)
    return [np.array(everyone.infer(image.path).scores) for image in people.images]


if __name__ == "__main__":
    main()
