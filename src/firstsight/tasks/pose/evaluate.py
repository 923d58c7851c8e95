"""Evaluation of pose networks: COCO average precision, object keypoint similarity, percentage of correct keypoints."""

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstsight.arguments import expand_user, ignore, iterate
from firstsight.atomic_io import replace_file
from firstsight.data.keypoints.keypoint_set import KeypointSet, expand_boxes_to_joints
from firstsight.data.keypoints.unusable import describe_unusable
from firstsight.errors import DataError, UsageError
from firstsight.metrics.average_precision import Detections, GroundTruth, average_precision
from firstsight.metrics.pck import TORSO_DIAGONALS, match_poses, pck
from firstsight.pose.decode import Method
from firstsight.pose.oks import object_keypoint_similarity
from firstsight.pose.skeleton import Skeleton
from firstsight.tasks.evaluation import Evaluation, MetricRow
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator, coco_results
from firstsight.tasks.pose.estimator import Estimator, PoseModel, make_estimator
from firstsight.tasks.pose.provenance import load_test_people
from firstsight.tasks.pose.result import PoseResult
from firstsight.tasks.pose.top_down.estimate import TopDownEstimator
from firstsight.text import one_line

METRICS = {
    "ap": ("AP", "average precision, mean over OKS thresholds .50 to .95"),
    "ap50": ("AP50", "at OKS .50"),
    "ap75": ("AP75", "at OKS .75"),
    "ap_medium": ("AP medium", "of people of 32 x 32 to 96 x 96 pixels"),
    "ap_large": ("AP large", "of larger people"),
    "ar": ("AR", "average recall, mean over OKS thresholds .50 to .95"),
    "ar50": ("AR50", "at OKS .50"),
    "ar75": ("AR75", "at OKS .75"),
    "ar_medium": ("AR medium", "of people of 32 x 32 to 96 x 96 pixels"),
    "ar_large": ("AR large", "of larger people"),
    "oks": ("OKS", "mean object keypoint similarity of people and their poses"),
    "pck": ("PCK@0.2", "fraction of keypoints within 0.2 of the torso diagonal"),
}
"""Label and description of each metric."""


@dataclass(frozen=True, kw_only=True, repr=False)
class PoseEvaluation(Evaluation):
    """Metrics of a pose network.

    Attributes
    ----------
    metrics : Mapping[str, float | None]
        Metrics of COCO, see `average_precision`; "oks": mean similarity of people and their poses, 0 for people
        without a pose; "pck": percentage of correct keypoints at 0.2 of the torso. In [0, 1]; None if no person is
        labeled.
    n : int
        Number of images.
    model : str
        Name of the weights.
    data : str
        Name of the data set.
    notes : tuple[str, ...]
        Facts that a reader of the result must know.
    joints : Mapping[str, tuple[float | None, int]]
        PCK (None if the keypoint is never labeled) and number of labels of each keypoint.
    people : int
        Number of people with a labeled keypoint who are not part of a crowd.
    seconds : float
        Mean time per image in seconds, from file to poses.
    results : list[dict[str, Any]]
        Predictions as COCO keypoint results.
    skeleton : str
        Skeleton of the data.
    height : int
        Height in pixels that images were resized to.
    method : str
        Decoding method.
    """

    joints: Mapping[str, tuple[float | None, int]]
    people: int
    seconds: float
    results: list[dict[str, Any]]
    skeleton: str
    height: int
    method: str

    def headline(self) -> str:
        """Return the result in one line."""
        return f"{self.model} on {self.data}: {self.n:,} images, {self.people:,} people"

    def rows(self) -> list[MetricRow]:
        """Return the rows of the table of metrics."""
        if not self.people:
            return []
        rows = [MetricRow(label, _percent(self.metrics[name]), text) for name, (label, text) in METRICS.items()]
        joints = [
            MetricRow(f"PCK@0.2 {name}", _percent(value), f"n = {n:,}") for name, (value, n) in self.joints.items()
        ]
        return rows + joints

    def details(self) -> list[str]:
        """Return lines printed below the table."""
        return [f"{self.seconds:.2f} s per image at a height of {self.height} pixels, {self.method}"]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data for JSON, without the predictions."""
        return {
            "metrics": dict(self.metrics),
            "joints": {name: {"pck": value, "n": count} for name, (value, count) in self.joints.items()},
            "n": self.n,
            "people": self.people,
            "model": self.model,
            "data": self.data,
            "skeleton": self.skeleton,
            "height": self.height,
            "method": self.method,
            "seconds_per_image": round(self.seconds, 4),
            "notes": list(self.notes),
        }


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


@dataclass
class _Predictions:
    """Ground truth and detections of every image, time, and a message for every unusable image."""

    truths: list[GroundTruth] = field(default_factory=list)
    detections: list[Detections] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    refused: list[str] = field(default_factory=list)


def evaluate_pose(
    model: PoseModel,
    data: str | Path | None = None,
    *,
    strict: bool = False,
    notify: Callable[[str], None] = ignore,
    progress: Callable[[Sequence[int]], Iterable[int]] = iterate,
    images: str | Path | None = None,
    height: int | None = None,
    method: Method | None = None,
    scales: Sequence[float] | str | None = None,
    flip: bool | None = None,
    detector: PoseEstimator | str | Path | None = None,
    limit: int | None = None,
    results: str | Path | None = None,
) -> PoseEvaluation:
    """Evaluate a pose network with the metrics of COCO (see `average_precision`) and PCK.

    Predictions are converted to the keypoints of the data by name; keypoints that the network lacks count as missed.
    People of any score count, also those below the minimum score of the weights.
    For PCK, a person alone in an image is matched with the most confident pose. Among several, people are matched with
    poses at an OKS of at least 0.5 (`match_poses`); all keypoints of an unmatched person are missed.

    Parameters
    ----------
    model : PoseModel
        See `make_estimator`. A top-down network gets the labeled boxes, or those of the detector.
    data : str | Path | None
        JSON file of COCO keypoints or its folder; None for the images that training held out.
    strict : bool
        Refuse data with unusable images instead of leaving them out.
    notify : Callable[[str], None]
        Called with a line for everything unusual in the weights.
    progress : Callable[[Sequence[int]], Iterable[int]]
        Iterates over the image numbers, for a progress bar.
    images : str | Path | None
        Folder of the images of the JSON file.
    height : int | None
        See `make_estimator`.
    method : Method | None
        See `make_estimator`.
    scales : Sequence[float] | str | None
        See `make_estimator`; also as text, "0.5,1,1.5".
    flip : bool | None
        See `make_estimator`.
    detector : PoseEstimator | str | Path | None
        See `make_estimator`.
    limit : int | None
        Evaluate only this many images, those with the lowest ids.
    results : str | Path | None
        Write the predictions to this .json file as COCO keypoint results.

    Raises
    ------
    UsageError
        If no data are given and those of the training were not found, or an option is impossible.
    DataError
        If the data cannot be used, or have no keypoint in common with the network.
    WeightsError
        If the weights cannot be used.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"`limit` must be at least 1; got {limit}")
    target = check_results_file(results)
    parsed = parse_scales(scales) if isinstance(scales, str) else tuple(scales or (1.0,))
    estimator = make_estimator(
        model, height=height, method=method, scales=parsed, flip=flip, detector=detector, notify=notify
    )
    estimator = _return_all_people(estimator)
    people = load_test_people(estimator.source, estimator.card, data, images)
    notes = [*people.notes, *_missing_joints(estimator.skeleton, people)]
    use_labeled_boxes = isinstance(estimator, TopDownEstimator) and estimator.detector is None
    if use_labeled_boxes:
        notes.append("people are cropped by their labeled boxes")
    if limit is not None and limit < len(people):
        notes = [note for note in notes if not note.startswith("measured on ")]
        notes.append(f"evaluated on the first {limit:,} of {len(people):,} images")
        people = people.select(range(limit))
    boxes = expand_boxes_to_joints(people) if use_labeled_boxes else None
    predictions = _predict(estimator, people, boxes, progress, strict=strict)
    if predictions.refused:
        notes = [note for note in notes if not note.startswith("measured on ")]
        notes.append(describe_unusable(predictions.refused, len(people)))
    if target is not None:
        replace_file(target, json.dumps(predictions.results).encode())
    return _summarize(predictions, estimator, people, notes)


def _return_all_people(estimator: Estimator) -> Estimator:
    """Return the estimator without its minimum score, which average precision does not need."""
    everyone = copy.copy(estimator)
    if isinstance(everyone, PoseEstimator):
        everyone.min_score = 0.0
    elif everyone.detector is not None:
        everyone.detector = copy.copy(everyone.detector)
        everyone.detector.min_score = 0.0
    return everyone


def check_results_file(path: str | Path | None) -> Path | None:
    """Return the path of a results file after checking that it can be written.

    Parameters
    ----------
    path : str | Path | None
        .json file to write; None for no file.

    Raises
    ------
    UsageError
        If it is not a .json file, or its folder does not exist.
    """
    if path is None:
        return None
    target = expand_user(path)
    if target.suffix.lower() != ".json":
        raise UsageError(f"`results` must be a .json file; got {target}")
    if not target.parent.is_dir():
        raise UsageError(f"`results={target}`: the folder {target.parent} does not exist")
    return target


def parse_scales(text: str) -> tuple[float, ...]:
    """Return the numbers of a text such as "0.5,1,1.5".

    Raises
    ------
    UsageError
        If they are not numbers.

    Examples
    --------
    >>> parse_scales("0.5,1")
    (0.5, 1.0)
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"`scales` must be numbers separated by commas, as in 0.5,1,1.5; got {one_line(text, 60)}"
        ) from None


def _is_target(truth: GroundTruth) -> NDArray[np.bool_]:
    """Return which people (P,) count: those with a labeled keypoint who are not part of a crowd."""
    is_labeled: NDArray[np.bool_] = np.any(truth.keypoints[..., 2] > 0, axis=1)
    return ~truth.crowd & is_labeled


def _summarize(
    predictions: _Predictions, estimator: Estimator, people: KeypointSet, notes: Sequence[str]
) -> PoseEvaluation:
    """Return the metrics of the predictions."""
    metrics, joints, more_notes = _metrics(predictions, people.skeleton)
    n = len(predictions.truths)
    return PoseEvaluation(
        metrics=metrics,
        joints=joints,
        n=n,
        people=sum(int(_is_target(truth).sum()) for truth in predictions.truths),
        seconds=predictions.seconds / n,
        results=predictions.results,
        model=estimator.network.name,
        data=people.name,
        skeleton=people.skeleton.name,
        height=estimator.height,
        method=estimator.method,
        notes=(*notes, *more_notes),
    )


def _metrics(
    predictions: _Predictions, skeleton: Skeleton
) -> tuple[dict[str, float | None], dict[str, tuple[float | None, int]], list[str]]:
    """Return the metrics, PCK of every keypoint, and notes."""
    keypoints, truths, similarity = _match(predictions, skeleton)
    precision = average_precision(predictions.truths, predictions.detections, skeleton.sigmas)
    metrics: dict[str, float | None] = {name: None if value < 0 else value for name, value in vars(precision).items()}
    metrics["oks"] = float(similarity.mean()) if len(similarity) else None
    metrics["pck"], joints, notes = _pck(keypoints, truths, skeleton)
    if not len(similarity):
        notes = ["no person is labeled in these images, so there is nothing to measure"]
    return metrics, joints, notes


def _missing_joints(skeleton: Skeleton, people: KeypointSet) -> list[str]:
    """Return a note on keypoints of the data that the network lacks.

    Raises
    ------
    DataError
        If they have no keypoint in common.
    """
    missing = [name for name in people.skeleton.joints if name not in skeleton.joints]
    if len(missing) == len(people.skeleton):
        data, network = (f"{each.name} ({', '.join(each.joints)})" for each in (people.skeleton, skeleton))
        raise DataError(f"{people.name}: its skeleton {data} and the network's {network} have no keypoint in common")
    return [f"the network has no {', '.join(missing)}: these keypoints count as missed"] if missing else []


def _predict(
    estimator: Estimator,
    people: KeypointSet,
    boxes: NDArray[np.float64] | None,
    progress: Callable[[Sequence[int]], Iterable[int]],
    *,
    strict: bool,
) -> _Predictions:
    """Return the predictions for every image, rounded as COCO keypoint results; ``boxes`` (P, 4) are for top-down."""
    predictions, skeleton = _Predictions(), people.skeleton
    is_target = (people.keypoints[..., 2] > 0).any(1) & ~people.crowd
    for index in progress(range(len(people))):
        record = people.images[index]
        start = perf_counter()
        try:
            image = people.open(index)
            if isinstance(estimator, TopDownEstimator):
                ids = people.people_in(index)
                people_boxes = None if boxes is None else boxes[ids[is_target[ids]]]
                result: PoseResult = estimator.infer(image, name=record.path, boxes=people_boxes)
            else:
                result = estimator.infer(image, name=record.path)
        except DataError as error:
            if strict:
                raise
            predictions.refused.append(str(error))
            continue
        predictions.seconds += perf_counter() - start
        entries = coco_results(
            result, estimator.skeleton, image_id=record.id, joints=skeleton, category_id=people.category_id
        )
        keypoints = np.array([entry["keypoints"] for entry in entries], np.float64).reshape(-1, len(skeleton), 3)
        scores = np.array([entry["score"] for entry in entries], np.float64)
        predictions.results += entries
        predictions.detections.append(Detections(keypoints=keypoints, scores=scores))
        predictions.truths.append(ground_truth(people, index))
    if not predictions.truths:
        reason = f"none of its {len(people)} images can be used; {predictions.refused[0]}"
        raise DataError(f"{people.name}: {reason}")
    return predictions


def ground_truth(people: KeypointSet, index: int) -> GroundTruth:
    """Return the labeled people of an image; float32 coordinates are converted to the decimal numbers of the file.

    Parameters
    ----------
    people : KeypointSet
        The set.
    index : int
        Index of the image.
    """
    ids = people.people_in(index)
    keypoints, boxes = (array[ids].astype(str).astype(np.float64) for array in (people.keypoints, people.boxes))
    return GroundTruth(keypoints=keypoints, areas=people.areas[ids], boxes=boxes, crowd=people.crowd[ids])


def _match(predictions: _Predictions, skeleton: Skeleton) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Match people with poses.

    Returns
    -------
    tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
        Predicted keypoints (N, K, 2), nan where missed; true keypoints (N, K, 3); OKS (N,).
    """
    predicted = [np.empty((0, len(skeleton), 2))]
    truths = [np.empty((0, len(skeleton), 3))]
    similarities = [np.empty(0)]
    for truth, detections in zip(predictions.truths, predictions.detections, strict=True):
        is_target = _is_target(truth)
        poses, similarity = match_poses(truth, detections, skeleton.sigmas)
        if len(is_target) == is_target.sum() == 1 and len(detections.scores):
            poses = np.argmax(detections.scores, keepdims=True)
            similarity = object_keypoint_similarity(
                detections.keypoints[poses],
                truth.keypoints,
                areas=truth.areas,
                boxes=truth.boxes,
                sigmas=skeleton.sigmas,
            )[0]
        no_pose = np.zeros((1, len(skeleton), 3))
        matched = np.concatenate([detections.keypoints, no_pose])[poses]  # index -1, no match, selects `no_pose`
        xy = np.maximum(matched[..., :2], 0)  # a keypoint left of the image is at its edge; below 0 means missed
        predicted.append(np.where(matched[..., 2:] > 0, xy, np.nan)[is_target])
        truths.append(truth.keypoints[is_target])
        similarities.append(similarity[is_target])
    return np.concatenate(predicted), np.concatenate(truths), np.concatenate(similarities)


def _pck(
    keypoints: NDArray[Any], truths: NDArray[Any], skeleton: Skeleton
) -> tuple[float | None, dict[str, tuple[float | None, int]], list[str]]:
    """Return PCK, PCK and count of every keypoint, and notes."""
    if not any(set(ends) <= set(skeleton.joints) for ends in TORSO_DIAGONALS):
        return None, {}, [f"{skeleton.name} has no shoulders and hips: PCK is not defined"]
    result = pck(keypoints, truths, skeleton)
    rows = zip(skeleton.joints, result.per_joint.tolist(), result.counts.tolist(), strict=True)
    joints = {name: (value if count else None, count) for name, value, count in rows}
    note = f"{result.num_skipped:,} of {len(truths):,} people have no labeled torso: left out of PCK"
    return result.mean if result.num_joints else None, joints, [note] if result.num_skipped else []
