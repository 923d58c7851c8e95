"""Measuring a network that looks at one person at a time: joints in photographs of people whose boxes are given."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstsight.data.keypoints.crop import inverse, transform_points
from firstsight.data.keypoints.crops import CropBatch, Crops
from firstsight.metrics.average_precision import Detections, GroundTruth, average_precision
from firstsight.metrics.pck import TORSO_DIAGONALS, Pck, pck
from firstsight.models.pose.heads import Refine
from firstsight.models.pose.top_down import TopDown

BATCH = 64
SURE = 0.2
"""A person's score is the mean of the scores of joints above this (Xiao 2018)."""


def crop_input(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """(N, 3, H, W) in [0, 255], red, green, blue, to blue, green, red, (pixel - 128) / 256."""
    made = torch.empty(images.shape, dtype=dtype, device=images.device, memory_format=torch.channels_last)
    half = torch.tensor(-0.5, dtype=dtype, device=images.device)
    for channel in range(3):
        torch.add(half, images[:, 2 - channel], alpha=1 / 256, out=made[:, channel])
    return made


@dataclass(frozen=True)
class CropPredictions:
    """What a network found of people, and what is there; in pixels of their pictures, pixel centres at integers.

    Parameters
    ----------
    keypoints : NDArray[np.float64]
        (P, K, 3) x, y, score. truths : (P, K, 3) x, y, v. boxes : (P, 4).
    loss : float
        A person.
    people : NDArray[np.int64]
        (P,) their numbers in the set.
    """

    keypoints: NDArray[np.float64]
    truths: NDArray[np.float64]
    boxes: NDArray[np.float64]
    loss: float
    people: NDArray[np.int64]


class TopDownEvaluator:
    """What a network finds in boxes as they are labelled, against what is there.

    Parameters
    ----------
    crops : Crops
        Of people that it has not seen.
    most : int
        People to measure on.
    flip_test : bool
        Show the mirror images too, and average. refine : see `peaks`.
    """

    def __init__(self, crops: Crops, *, most: int, flip_test: bool = True, refine: Refine = "dark") -> None:
        self.crops, self.most = crops, min(most, crops.samples)
        self.skeleton = crops.people.skeleton
        self.flip_test, self.refine = flip_test, refine
        self.torso = any(set(ends) <= set(self.skeleton.joints) for ends in TORSO_DIAGONALS)
        self.about = f"{self.most:,} people in their labelled boxes"
        spread = np.arange(self.most) * crops.samples // self.most
        self._parts = np.array_split(spread, -(-self.most // BATCH))

    def __call__(self, net: TopDown, *, size: tuple[int, int] | None = None) -> dict[str, float]:
        """Numbers of a network in eval mode, on crops of its input's size, or of another.

        Returns
        -------
        dict[str, float]
            "loss" per person; "pck", the percentage of correct keypoints at 0.2 of the torso, where the skeleton has
            one; "pck_box", at 0.1 of the larger side of the box; "ap" and "ap50" in COCO's terms. In [0, 1] but for the
            loss.
        """
        found = self.answers(net, size=size)
        metrics = {"loss": found.loss, "pck_box": self.pck(found, box=True).mean}
        if self.torso:
            metrics["pck"] = self.pck(found).mean
        metrics |= self._precision(found)
        return {name: value for name, value in metrics.items() if not np.isnan(value)}

    def answers(self, net: TopDown, *, size: tuple[int, int] | None = None) -> CropPredictions:
        """Of all people that are measured on."""
        keypoints, people, total = [], [], 0.0
        for part in self._parts:
            batch = self.crops.get_unaugmented(part, size=size)
            images = crop_input(batch.images, self.crops.dtype)
            total += float(net.losses(net(images), batch.keypoints, batch.visible).double().sum())
            flip = self.skeleton.flip if self.flip_test else None
            keypoints.append(placed(net.joints(images, flip=flip, refine=self.refine), batch))
            people.append(batch.people)
        who = np.concatenate(people)
        truths = self.crops.people.keypoints[who].astype(np.float64)
        truths[..., :2] -= 0.5
        boxes = self.crops.people.boxes[who].astype(np.float64)
        return CropPredictions(np.concatenate(keypoints), truths, boxes, total / len(who), who)

    def pck(self, found: CropPredictions, *, threshold: float | None = None, box: bool = False) -> Pck:
        """Correct keypoints at a share of the torso (0.2 if not given), or of the larger side of the box (0.1)."""
        share = threshold if threshold is not None else 0.1 if box else 0.2
        places = np.maximum(found.keypoints[..., :2], 0)  # a joint beside the picture was found all the same
        if box:
            return pck(places, found.truths, self.skeleton, threshold=share, norm="box", boxes=found.boxes)
        return pck(places, found.truths, self.skeleton, threshold=share)

    def swap_rate(self, found: CropPredictions, *, threshold: float = 0.1) -> dict[str, float]:
        """For each pair of joints how often one was put where the other is: nearer than a share of the box's larger
        side to that, and not to its own. Of joints whose other is labelled too; nan without any.
        """
        reach = threshold * found.boxes[:, 2:].max(1, keepdims=True)
        shares = {}
        for pair in self.skeleton.flip_pairs:
            both = (found.truths[:, pair, 2] > 0).all(1)
            places, own = found.keypoints[:, pair, :2], found.truths[:, pair, :2]
            own_near, other_near = (
                np.hypot(*np.moveaxis(places - there, -1, 0)) <= reach for there in (own, own[:, ::-1])
            )
            wrong = (other_near & ~own_near)[both]
            name = self.skeleton.joints[pair[0]].removeprefix("left_").removeprefix("right_")
            shares[name] = float(wrong.mean()) if len(wrong) else float("nan")
        return shares

    def errors(self, found: CropPredictions) -> NDArray[np.float64]:
        """(P,) mean distance of labelled joints, as a share of the box's larger side; nan without any."""
        known = found.truths[..., 2] > 0
        apart = np.hypot(*np.moveaxis(found.keypoints[..., :2] - found.truths[..., :2], -1, 0))
        mean = (apart * known).sum(1) / np.where(known.any(1), known.sum(1), np.nan)
        shares: NDArray[np.float64] = mean / np.maximum(found.boxes[:, 2:].max(1), 1)
        return shares

    def _precision(self, found: CropPredictions) -> dict[str, float]:
        people, truths, answers = self.crops.people, [], []
        pictures = people.image_index[found.people]
        for picture in np.unique(pictures):
            chosen = np.flatnonzero(pictures == picture)
            who = found.people[chosen]
            truths.append(
                GroundTruth(
                    keypoints=found.truths[chosen], areas=people.areas[who].astype(np.float64),
                    boxes=found.boxes[chosen], crowd=np.zeros(len(chosen), bool),
                )
            )  # fmt: skip
            answers.append(Detections(keypoints=found.keypoints[chosen], scores=person_scores(found.keypoints[chosen])))
        precision = average_precision(truths, answers, self.skeleton.sigmas)
        return {"ap": max(precision.ap, 0.0), "ap50": max(precision.ap50, 0.0)}


def placed(joints: Tensor, batch: CropBatch) -> NDArray[np.float64]:
    """Joints (N, K, 3) of crops, in pixels of their pictures."""
    own = joints.double().cpu()
    return torch.cat([transform_points(own[..., :2], inverse(batch.matrices)), own[..., 2:]], 2).numpy()


def person_scores(keypoints: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) of keypoints (N, K, 3): the mean score of joints that are sure, 0 where none is."""
    scores, sure = keypoints[..., 2], keypoints[..., 2] > SURE
    total: NDArray[np.float64] = (scores * sure).sum(1) / np.maximum(sure.sum(1), 1)
    return total
