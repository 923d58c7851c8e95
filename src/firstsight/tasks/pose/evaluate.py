"""A pose network measured on people in pictures: COCO's ten numbers, similarity, correct keypoints."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstsight.data.keypoints.keypoint_set import KeypointSet, boxes_with_joints
from firstsight.errors import DataError, UsageError
from firstsight.metrics.average_precision import Detections, GroundTruth, average_precision
from firstsight.metrics.pck import DIAGONALS, pck, poses_of_people
from firstsight.pose.decode import Method
from firstsight.pose.oks import object_keypoint_similarity
from firstsight.pose.skeleton import Skeleton
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator, PoseResult, coco_results
from firstsight.tasks.pose.provenance import people_for
from firstsight.tasks.pose.top_down.estimate import Estimator, TopDownEstimator, estimator_for
from firstsight.weights.pose import PoseNetwork
from firstsight.weights.top_down import TopDownNetwork

NAMED = 4
"""So many of the pictures that cannot be used are named."""


@dataclass(frozen=True)
class PoseMeasured:
    """A pose network measured.

    Parameters
    ----------
    metrics : Mapping[str, float | None]
        COCO's ten numbers as `Precision` has them; ``oks``, the mean similarity of people to their poses, 0 where they
        have none; ``pck``, the percentage of correct keypoints at 0.2 of the torso. In [0, 1]; None where there is
        nothing to measure.
    joints : Mapping[str, tuple[float | None, int]]
        For each joint of the data the share that is correct (None where none is labelled), and how many there are.
    n : int
        Pictures; people : those to be found, which have a labelled joint and are no crowd.
    seconds : float
        For a picture, from the file to its people.
    results : list[dict[str, Any]]
        The people that were found, as COCO's keypoint results.
    skeleton : str
        Of the data. model, height, method : what found them.
    """

    metrics: Mapping[str, float | None]
    joints: Mapping[str, tuple[float | None, int]]
    n: int
    people: int
    seconds: float
    results: list[dict[str, Any]]
    model: str
    data: str
    skeleton: str
    height: int
    method: str
    notes: tuple[str, ...]


@dataclass
class _Seen:
    """Picture by picture: who is there, who was found; seconds; and sentences about those that cannot be used."""

    truths: list[GroundTruth] = field(default_factory=list)
    found: list[Detections] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    refused: list[str] = field(default_factory=list)


def evaluate_pose(
    model: str | Path | PoseNetwork | TopDownNetwork, data: str | Path | None = None, *,
    images: str | Path | None = None, height: int | None = None, method: Method | None = None,
    scales: Sequence[float] = (1.0,), flip: bool = False, detector: PoseEstimator | None = None,
    limit: int | None = None, strict: bool = False, notify: Callable[[str], None] = lambda line: None,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> PoseMeasured:  # fmt: skip
    """Measure a pose network as COCO does (see `average_precision`), and by the percentage of correct keypoints.

    People found are brought into the data's joints by name; joints that the network lacks are not found. For correct
    keypoints, a picture of one person is measured by its surest pose; among several, people have the poses that are
    theirs at a similarity of 0.5 (`poses_of_people`), and miss every joint without one.

    Parameters
    ----------
    model, height, method, scales, flip, detector
        As of `estimator_for`. A network that looks at one person at a time is shown people in their labelled boxes, or
        with a detector where that finds them.
    data, images : str | Path | None
        As of `people_to_measure`; if None, the pictures that were held out of the network's training.
    limit : int | None
        Measure on so many pictures, those with the lowest ids.
    strict : bool
        Refuse data with a picture that cannot be used, instead of leaving it out.
    notify : Callable[[str], None]
        Called with a line for what was not as usual with the weights.
    progress : Callable[[Sequence[int]], Iterable[int]]
        Goes through the pictures' numbers, as to draw a bar.

    Raises
    ------
    UsageError
        No data are named, and those of the training are not at hand; or an impossible setting.
    DataError
        The data cannot be used, or have no joint in common with the network.
    WeightsError
        The weights cannot be used.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1; got {limit}")
    estimator = estimator_for(
        model, height=height, method=method, scales=scales, flip=flip, detector=detector, notify=notify
    )
    network, labelled = estimator.network, isinstance(estimator, TopDownEstimator) and detector is None
    people = people_for(network.source, network.card, data, images)
    notes = [*people.notes, *_about_joints(network.skeleton, people)]
    if labelled:
        notes.append("people are looked at in their labelled boxes")
    if limit is not None and limit < len(people):
        notes.append(f"measured on the first {limit:,} of {len(people):,} pictures")
        people = people.select(range(limit))
    boxes = boxes_with_joints(people) if labelled else None
    seen = _look(estimator, people, boxes, progress, strict=strict)
    if seen.refused:
        more = f"; and {len(seen.refused) - NAMED} more" if len(seen.refused) > NAMED else ""
        named = "; ".join(seen.refused[:NAMED])
        notes.append(f"{len(seen.refused)} of {len(people)} pictures cannot be used and are left out ({named}{more})")
    keypoints, truths, similarity = _together(seen, people.skeleton)
    precision = average_precision(seen.truths, seen.found, people.skeleton.sigmas)
    metrics: dict[str, float | None] = {name: None if value < 0 else value for name, value in vars(precision).items()}
    metrics["oks"] = float(similarity.mean()) if len(similarity) else None
    correct, joints, about = _correct(keypoints, truths, people.skeleton)
    if not len(similarity):
        about = ["in these pictures nobody is labelled, so there is nothing to measure"]
    return PoseMeasured(
        metrics=metrics | {"pck": correct}, joints=joints, n=len(seen.truths), people=len(similarity),
        seconds=seen.seconds / len(seen.truths), results=seen.results, model=network.name, data=people.name,
        skeleton=people.skeleton.name, height=estimator.height, method=estimator.method, notes=(*notes, *about),
    )  # fmt: skip


def _about_joints(skeleton: Skeleton, people: KeypointSet) -> list[str]:
    """What the network does not know; nothing in common is refused."""
    lacking = [name for name in people.skeleton.joints if name not in skeleton.joints]
    if len(lacking) == len(people.skeleton):
        here, there = (f"{each.name} ({', '.join(each.joints)})" for each in (people.skeleton, skeleton))
        raise DataError(f"{people.name}: its skeleton {here} and the network's {there} have no joint in common")
    return [f"the network does not know {', '.join(lacking)}: counted as not found"] if lacking else []


def _look(
    estimator: Estimator, people: KeypointSet, boxes: NDArray[np.float64] | None,
    progress: Callable[[Sequence[int]], Iterable[int]], *, strict: bool,
) -> _Seen:  # fmt: skip
    """Find people in every picture, told as COCO's results, and measured as they are told; with ``boxes`` in these."""
    seen, skeleton = _Seen(), people.skeleton
    wanted = (people.keypoints[..., 2] > 0).any(1) & ~people.crowd
    for index in progress(range(len(people))):
        picture, start = people.pictures[index], perf_counter()
        try:
            image, here = people.open(index), people.people(index)
            if isinstance(estimator, TopDownEstimator):
                some = None if boxes is None else boxes[here[wanted[here]]]
                steps: PoseResult = estimator.steps(image, name=picture.path, boxes=some)
            else:
                steps = estimator.steps(image, name=picture.path)
        except DataError as error:
            if strict:
                raise
            seen.refused.append(str(error))
            continue
        seen.seconds += perf_counter() - start
        results = coco_results(
            steps, estimator.skeleton, image_id=picture.id, joints=skeleton, category_id=people.category_id
        )
        keypoints = np.array([result["keypoints"] for result in results], np.float64)
        scores = np.array([result["score"] for result in results], np.float64)
        seen.results += results
        seen.found.append(Detections(keypoints=keypoints.reshape(-1, len(skeleton), 3), scores=scores))
        seen.truths.append(truth_of(people, index))
    if not seen.truths:
        raise DataError(f"{people.name}: none of its {len(people)} pictures can be used; {seen.refused[0]}")
    return seen


def truth_of(people: KeypointSet, index: int) -> GroundTruth:
    """The people of a picture, their numbers as the file has them, without the rounding to single precision."""
    here = people.people(index)
    keypoints, boxes = (array[here].astype(str).astype(np.float64) for array in (people.keypoints, people.boxes))
    return GroundTruth(keypoints=keypoints, areas=people.areas[here], boxes=boxes, crowd=people.crowd[here])


def _together(seen: _Seen, skeleton: Skeleton) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of all people to be found: the joints of their poses (N, K, 2), nan where not found; (N, K, 3) where they are;
    the similarity (N,).
    """
    places, truths, reached = [np.empty((0, len(skeleton), 2))], [np.empty((0, len(skeleton), 3))], [np.empty(0)]
    for truth, found in zip(seen.truths, seen.found, strict=True):
        wanted = ~truth.crowd & (truth.keypoints[..., 2] > 0).any(1)
        poses, similarity = poses_of_people(truth, found, skeleton.sigmas)
        if len(wanted) == wanted.sum() == 1 and len(found.scores):
            poses = np.argmax(found.scores, keepdims=True)
            similarity = object_keypoint_similarity(
                found.keypoints[poses], truth.keypoints, areas=truth.areas, boxes=truth.boxes, sigmas=skeleton.sigmas
            )[0]
        none = np.zeros((1, len(skeleton), 3))
        own = np.concatenate([found.keypoints, none])[poses]  # -1 is the last
        xy = np.maximum(own[..., :2], 0)  # what is left of the picture is at its edge: below 0 is not found
        places.append(np.where(own[..., 2:] > 0, xy, np.nan)[wanted])
        truths.append(truth.keypoints[wanted])
        reached.append(similarity[wanted])
    return np.concatenate(places), np.concatenate(truths), np.concatenate(reached)


def _correct(
    keypoints: NDArray[Any], truths: NDArray[Any], skeleton: Skeleton
) -> tuple[float | None, dict[str, tuple[float | None, int]], list[str]]:
    """Correct keypoints, over all and of each joint; and what must be said about them."""
    if not any(set(ends) <= set(skeleton.joints) for ends in DIAGONALS):
        return None, {}, [f"{skeleton.name} has no shoulders and hips: no percentage of correct keypoints"]
    shares = pck(keypoints, truths, skeleton)
    rows = zip(skeleton.joints, shares.per_joint.tolist(), shares.counts.tolist(), strict=True)
    joints = {name: (share if count else None, count) for name, share, count in rows}
    about = [f"{shares.left_out:,} of {len(truths):,} people have no labelled torso: left out of PCK"]
    return shares.mean if shares.joints else None, joints, about * (shares.left_out > 0)
