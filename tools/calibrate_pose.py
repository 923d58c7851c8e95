"""Fit the conversion of raw scores of people to probabilities, and choose the minimum score.

    python tools/calibrate_pose.py WEIGHTS DATA.json [--images FOLDER] [--partly] [--balance] [--height H] [--write]

Detections in photographs with labeled people are compared with these people: a detection is right if its OKS with a
person is at least 0.3 or, for people of whom only the box is known, its box overlaps theirs (IoU 0.3). Detections of
people whose joints are all uncertain, and of crowds, are not counted. With --partly, where only some of the people are
labeled, other detections in photographs with people are not counted either; wrong ones are then those in photographs
without people. With --balance, photographs without people count as much as those with people. --write stores the
result in the card of the weights file. Use data that no final figure is taken on.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from firstsight import load
from firstsight.data.keypoints.keypoint_set import KeypointSet, convert_skeleton, expand_boxes_to_joints, load_keypoints
from firstsight.pose.oks import object_keypoint_similarity
from firstsight.pose.parts import Pose
from firstsight.pose.score import ScoreCalibration, fit_calibration
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
from firstsight.weights.io import read_weights, write_weights
from firstsight.weights.resolve import resolve

MIN_OKS, MIN_IOU = 0.3, 0.3
RAW = ScoreCalibration(coefficient=1.0, intercept=0.0, min_score=0.0)
"""Calibration with which the odds of a score, score / (1 - score), are the raw score."""
PERCENTILES = (0.3, 0.5, 0.7, 0.9)
Bools = NDArray[np.bool_]


def main() -> None:
    """Detect people in all photographs, fit the calibration, print and store it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="weights of a bottom-up network")
    parser.add_argument("data", type=Path, help="JSON file of COCO keypoints")
    parser.add_argument("--images", type=Path, help="folder of its images")
    parser.add_argument("--partly", action="store_true", help="not all people are labeled")
    parser.add_argument("--height", type=int, help="height that photographs are resized to")
    parser.add_argument("--limit", type=int, help="use this many photographs, evenly spaced")
    parser.add_argument("--balance", action="store_true", help="weigh photographs with and without people equally")
    parser.add_argument("--min-precision", type=float, default=0.5, help="of the people from the minimum score on")
    parser.add_argument("--write", action="store_true", help="store the result in the card")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    people = load_keypoints(arguments.data, arguments.images)
    if arguments.limit:
        people = people.select(np.arange(arguments.limit) * len(people) // arguments.limit)
    path = resolve(arguments.weights)
    calibration = calibrate(
        path,
        people,
        height=arguments.height,
        partly=arguments.partly,
        balance=arguments.balance,
        min_precision=arguments.min_precision,
    )
    if arguments.write:
        store(path, calibration)
        print(f"written: {path}")


def calibrate(
    path: Path, people: KeypointSet, *, height: int | None, partly: bool, balance: bool, min_precision: float
) -> ScoreCalibration:
    """Detect people in all photographs, return the fitted calibration, and print how good it is."""
    network = load(path).network
    estimator = PoseEstimator(replace(network, calibration=RAW), height=height)
    people = convert_skeleton(people, network.skeleton)
    raw, right, in_empty = [], [], []
    for index in range(len(people)):
        poses = estimator(people.images[index].path)
        known, is_right = compare(poses, people, index, partly=partly)
        scores = np.array([pose.score for pose in poses])
        raw += (scores / np.maximum(1 - scores, 1e-12))[known].tolist()
        right += is_right[known].tolist()
        in_empty += [not len(people.people_in(index))] * int(known.sum())
    num_empty = sum(not len(people.people_in(index)) for index in range(len(people)))
    weight = (len(people) - num_empty) / num_empty if balance and num_empty else 1.0
    weights = np.where(in_empty, weight, 1.0)
    calibration = fit_calibration(raw, right, weights=weights, min_precision=min_precision)
    report(calibration, np.array(raw), np.array(right), np.array(in_empty), people)
    return calibration


def store(path: Path, calibration: ScoreCalibration) -> None:
    """Write a calibration to the card of a weights file."""
    weights = read_weights(path)
    card = weights.card | {"score_calibration": calibration.to_card()}
    write_weights(path, weights.tensors, json.dumps(card, sort_keys=True))


def compare(poses: list[Pose], people: KeypointSet, index: int, *, partly: bool) -> tuple[Bools, Bools]:
    """Return which detections (D,) count, and which of them are right, each person being found once."""
    rows = people.people_in(index)
    count = len(poses)
    if not len(rows):
        return np.ones(count, bool), np.zeros(count, bool)
    keypoints, boxes = people.keypoints[rows].astype(float), expand_boxes_to_joints(people)[rows]
    has_joints = (keypoints[..., 2] > 0).any(1) & ~people.crowd[rows]
    has_uncertain = (keypoints[..., 2] < 0).any(1)
    poses_xy = np.array([pose.keypoints for pose in poses]).reshape(count, len(people.skeleton), 3)
    truth = keypoints.copy()
    truth[..., :2] -= 0.5
    oks = object_keypoint_similarity(
        poses_xy, truth, areas=np.maximum(people.areas[rows], 1), boxes=boxes, sigmas=people.skeleton.sigmas
    )
    overlap = np.array([[iou(pose.box, box) for box in boxes] for pose in poses]).reshape(count, len(rows))
    only_box = ~has_joints & ~has_uncertain & ~people.crowd[rows]
    matches = np.where(only_box, overlap >= MIN_IOU, (oks >= MIN_OKS) & has_joints)
    is_right, is_known = np.zeros(count, bool), np.ones(count, bool)
    found: set[int] = set()
    for pose in sorted(range(count), key=lambda number: -poses[number].score):
        free = [person for person in np.flatnonzero(matches[pose]) if person not in found]
        if free:
            best = max(free, key=lambda person: oks[pose, person] + overlap[pose, person])
            found.add(int(best))
            is_right[pose] = True
        elif partly or (overlap[pose] >= MIN_IOU)[~has_joints].any() or (oks[pose, ~has_joints] > MIN_OKS).any():
            is_known[pose] = False
    return is_known, is_right


def iou(a: tuple[float, ...], b: NDArray[np.float64]) -> float:
    """Return the intersection over union of two boxes x, y, width, height."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    intersection = max(width, 0) * max(height, 0)
    return float(intersection / max(a[2] * a[3] + b[2] * b[3] - intersection, 1e-9))


def report(
    calibration: ScoreCalibration,
    raw: NDArray[np.float64],
    right: Bools,
    in_empty: Bools,
    people: KeypointSet,
) -> None:
    """Print the calibration, how well it is calibrated, and what several minimum scores would return."""
    scores = calibration(raw)
    empty = sum(not len(people.people_in(index)) for index in range(len(people)))
    print(
        f"{len(people):,} photographs, {empty:,} of them without people: {len(raw):,} detections, {right.sum():,} right"
    )
    print(f"calibration: {calibration.to_card()}")
    for low, high in ((0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.01)):
        inside = (scores >= low) & (scores < high)
        if inside.any():
            share, mean = right[inside].mean(), scores[inside].mean()
            print(f"  scores {low:.1f} to {high:.1f}: n = {inside.sum()}, mean {mean:.2f}, right {share:.2f}")
    for minimum in sorted({*(round(0.1 * i, 1) for i in range(10)), round(calibration.min_score, 3)}):
        kept = scores >= minimum
        print(
            f"  min_score {minimum:.3f}: {kept.sum()} people, {right[kept].mean() if kept.any() else 0:.1%} right,"
            f" {right[kept].sum() / max(right.sum(), 1):.1%} of the right ones, {(kept & in_empty).sum()} in empty ones"
        )


if __name__ == "__main__":
    main()
