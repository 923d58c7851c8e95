"""Evaluation of pose networks on photographs: average precision, and people where there are none.

    python benchmarks/photographs.py WEIGHTS [WEIGHTS ...] --coco FILE.json [--lsp FILE.json] [--height H] [--flip]

For each of the weights, prints AP, AP50 and PCK@0.2 on --coco, a file of COCO keypoints; a top-down network gets the
labeled boxes. For a bottom-up network also the number of people that are drawn at the default minimum score and without
one, in the photographs of --coco without annotations and in the others; and on --lsp, a file of COCO keypoints with one
person in each photograph, in how many of 300 exactly one person is drawn. No figure may be used to choose settings.
"""

import argparse
from pathlib import Path

import numpy as np

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
    parser.add_argument("--flip", action="store_true", help="average with the flipped photograph")
    arguments = parser.parse_args()
    for name in arguments.weights:
        estimator = load(name)
        height = arguments.height if estimator.task == "bottom-up" else None
        result = evaluate_pose(estimator, arguments.coco, height=height, flip=arguments.flip)
        ap, ap50, pck = (result.metrics[key] or 0.0 for key in ("ap", "ap50", "pck"))
        boxes = "" if estimator.task == "bottom-up" else ", labeled boxes"
        print(
            f"{name} on {result.data}: AP {ap:.3f}, AP50 {ap50:.3f}, PCK@0.2 {pck:.3f}; {result.n} photographs,"
            f" {result.people} people, height {result.height}, {'flip' if arguments.flip else 'no flip'}{boxes}"
        )
        if isinstance(estimator, PoseEstimator):
            count_people(PoseEstimator(estimator.network, height=height, flip=arguments.flip), arguments)


def count_people(estimator: PoseEstimator, arguments: argparse.Namespace) -> None:
    """Print how many people are drawn in photographs with and without people, and with one person."""
    minimum = estimator.min_score
    estimator.min_score = 0.0
    people = load_keypoints(arguments.coco)
    is_empty = np.array([not len(people.people_in(index)) for index in range(len(people))])
    scores = scores_of(estimator, people)
    for title, rows in (("without people", np.flatnonzero(is_empty)), ("with people", np.flatnonzero(~is_empty))):
        everyone = np.concatenate([scores[row] for row in rows]) if len(rows) else np.zeros(0)
        print(
            f"  {len(rows)} photographs {title}: {(everyone >= minimum).sum()} people drawn at the minimum score"
            f" {minimum:.2f}, {len(everyone)} without one"
        )
    if arguments.lsp is None:
        return
    lsp = load_keypoints(arguments.lsp)
    lsp = lsp.select(np.arange(min(LSP_IMAGES, len(lsp))) * len(lsp) // min(LSP_IMAGES, len(lsp)))
    counts = np.array([(each >= minimum).sum() for each in scores_of(estimator, lsp)])
    print(
        f"  {len(lsp)} photographs of {arguments.lsp.name}: exactly one person in {(counts == 1).mean():.1%},"
        f" none in {(counts == 0).mean():.1%}, several in {(counts > 1).mean():.1%}"
    )


def scores_of(estimator: PoseEstimator, people: KeypointSet) -> list[np.ndarray]:
    """Return the scores of the people that are found in each photograph."""
    return [np.array(estimator.infer(image.path).scores) for image in people.images]


if __name__ == "__main__":
    main()
