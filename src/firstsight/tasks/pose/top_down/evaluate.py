"""Evaluation of top-down networks in labeled boxes: PCK, average precision, swapped sides."""

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
MIN_SCORE = 0.2
"""The score of a person is the mean over the joints whose score is above this value (Xiao 2018)."""


def crop_input(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Convert crops to the input of a top-down network.

    Parameters
    ----------
    images : Tensor
        (N, 3, H, W) RGB crops with values in [0, 255].
    dtype : torch.dtype
        Data type of the result.

    Returns
    -------
    Tensor
        (N, 3, H, W) BGR crops with values (pixel - 128) / 256, in channels_last format.
    """
    inputs = torch.empty(images.shape, dtype=dtype, device=images.device, memory_format=torch.channels_last)
    offset = torch.tensor(-0.5, dtype=dtype, device=images.device)
    for channel in range(3):
        torch.add(offset, images[:, 2 - channel], alpha=1 / 256, out=inputs[:, channel])
    return inputs


@dataclass(frozen=True)
class CropPredictions:
    """Predicted and labeled keypoints of P people, in pixels of their images, pixel centers at integers.

    Attributes
    ----------
    keypoints : NDArray[np.float64]
        (P, K, 3) predicted x, y, score.
    truths : NDArray[np.float64]
        (P, K, 3) labeled x, y, v.
    boxes : NDArray[np.float64]
        (P, 4) labeled boxes: x, y, width, height.
    loss : float
        Mean loss per person.
    people : NDArray[np.int64]
        (P,) indices of the people in the set.
    """

    keypoints: NDArray[np.float64]
    truths: NDArray[np.float64]
    boxes: NDArray[np.float64]
    loss: float
    people: NDArray[np.int64]

    @property
    def sides(self) -> NDArray[np.float64]:
        """(P,) longer side of each box."""
        longer: NDArray[np.float64] = self.boxes[:, 2:].max(1)
        return longer


class TopDownEvaluator:
    """Evaluator of a top-down network in the labeled boxes of people that it was not trained on.

    Parameters
    ----------
    crops : Crops
        Crops of these people.
    max_samples : int
        Maximum number of people.
    flip_test : bool
        Average the predictions for the crop and its horizontal flip.
    refine : Refine
        Subpixel refinement, see `firstsight.models.pose.heads.locate_peaks`.

    Attributes
    ----------
    num_samples : int
        Number of people.
    description : str
        Description of the people, for the report.
    has_torso : bool
        The skeleton has a torso, which PCK needs.
    """

    def __init__(self, crops: Crops, *, max_samples: int, flip_test: bool = True, refine: Refine = "dark") -> None:
        self.crops = crops
        self.skeleton = crops.people.skeleton
        self.flip_test = flip_test
        self.refine = refine
        self.num_samples = min(max_samples, crops.samples)
        self.description = f"{self.num_samples:,} people in their labeled boxes"
        self.has_torso = any(set(ends) <= set(self.skeleton.joints) for ends in TORSO_DIAGONALS)
        samples = np.arange(self.num_samples) * crops.samples // self.num_samples
        self._chunks = np.array_split(samples, -(-self.num_samples // BATCH))

    def __call__(self, net: TopDown, *, size: tuple[int, int] | None = None) -> dict[str, float]:
        """Compute the metrics of a network.

        Parameters
        ----------
        net : TopDown
            Network in eval mode.
        size : tuple[int, int] | None
            (height, width) of the crops; None for that of ``crops``.

        Returns
        -------
        dict[str, float]
            "loss" per person; "pck": percentage of correct keypoints at 0.2 of the torso, if the skeleton has a torso;
            "pck_box": the same at 0.1 of the longer side of the box; COCO's "ap" and "ap50". All but the loss are in
            [0, 1].
        """
        predictions = self.predict(net, size=size)
        metrics = {"loss": predictions.loss, "pck_box": self.pck(predictions, norm_by_box=True).mean}
        if self.has_torso:
            metrics["pck"] = self.pck(predictions).mean
        metrics |= self.average_precision(predictions)
        return {name: value for name, value in metrics.items() if not np.isnan(value)}

    def predict(self, net: TopDown, *, size: tuple[int, int] | None = None) -> CropPredictions:
        """Predict the keypoints of all people.

        Parameters
        ----------
        net : TopDown
            Network in eval mode.
        size : tuple[int, int] | None
            (height, width) of the crops; None for that of ``crops``.
        """
        keypoints, chunks, total_loss = [], [], 0.0
        flip = self.skeleton.flip if self.flip_test else None
        for samples in self._chunks:
            batch = self.crops.get_unaugmented(samples, size=size)
            images = crop_input(batch.images, self.crops.dtype)
            total_loss += float(net.losses(net(images), batch.keypoints, batch.visible).double().sum())
            keypoints.append(to_image_pixels(net.joints(images, flip=flip, refine=self.refine), batch))
            chunks.append(batch.people)
        people = np.concatenate(chunks)
        truths = self.crops.people.keypoints[people].astype(np.float64)
        truths[..., :2] -= 0.5
        boxes = self.crops.people.boxes[people].astype(np.float64)
        return CropPredictions(np.concatenate(keypoints), truths, boxes, total_loss / len(people), people)

    def pck(self, predictions: CropPredictions, *, threshold: float | None = None, norm_by_box: bool = False) -> Pck:
        """Compute the percentage of correct keypoints.

        Parameters
        ----------
        predictions : CropPredictions
            Predicted and labeled keypoints.
        threshold : float | None
            Largest distance of a correct keypoint, as a fraction of the torso or of the longer side of the box; None
            for 0.2 of the torso or 0.1 of the box.
        norm_by_box : bool
            Divide distances by the longer side of the box instead of the torso.
        """
        fraction = threshold if threshold is not None else 0.1 if norm_by_box else 0.2
        xy = np.maximum(predictions.keypoints[..., :2], 0)  # `pck` takes negative coordinates as not detected
        if norm_by_box:
            boxes = predictions.boxes
            return pck(xy, predictions.truths, self.skeleton, threshold=fraction, norm="box", boxes=boxes)
        return pck(xy, predictions.truths, self.skeleton, threshold=fraction)

    def swap_rate(self, predictions: CropPredictions, *, threshold: float = 0.1) -> dict[str, float]:
        """Return how often left and right are swapped, for each pair of joints.

        A joint is swapped if it is predicted near the joint of the other side and not near its own. Only pairs with two
        labeled joints count.

        Parameters
        ----------
        predictions : CropPredictions
            Predicted and labeled keypoints.
        threshold : float
            Distance below which joints are near, as a fraction of the longer side of the box.

        Returns
        -------
        dict[str, float]
            Fraction in [0, 1] by the name of the joint without its side; nan if no pair is labeled.
        """
        radius = threshold * predictions.sides[:, None]
        rates = {}
        for pair in self.skeleton.flip_pairs:
            is_labeled = (predictions.truths[:, pair, 2] > 0).all(1)
            xy, truth = predictions.keypoints[:, pair, :2], predictions.truths[:, pair, :2]
            is_near, is_near_other = (
                np.hypot(*np.moveaxis(xy - target, -1, 0)) <= radius for target in (truth, truth[:, ::-1])
            )
            is_swapped = (is_near_other & ~is_near)[is_labeled]
            name = self.skeleton.joints[pair[0]].removeprefix("left_").removeprefix("right_")
            rates[name] = float(is_swapped.mean()) if len(is_swapped) else float("nan")
        return rates

    def mean_errors(self, predictions: CropPredictions) -> NDArray[np.float64]:
        """Return the mean distance of each person's labeled joints.

        Parameters
        ----------
        predictions : CropPredictions
            Predicted and labeled keypoints.

        Returns
        -------
        NDArray[np.float64]
            (P,) fraction of the longer side of the box; nan if no joint is labeled.
        """
        is_labeled = predictions.truths[..., 2] > 0
        distances = np.hypot(*np.moveaxis(predictions.keypoints[..., :2] - predictions.truths[..., :2], -1, 0))
        means = (distances * is_labeled).sum(1) / np.where(is_labeled.any(1), is_labeled.sum(1), np.nan)
        errors: NDArray[np.float64] = means / np.maximum(predictions.sides, 1)
        return errors

    def average_precision(self, predictions: CropPredictions) -> dict[str, float]:
        """Compute COCO's "ap" and "ap50", in [0, 1].

        Parameters
        ----------
        predictions : CropPredictions
            Predicted and labeled keypoints.
        """
        people, truths, detections = self.crops.people, [], []
        image_index = people.image_index[predictions.people]
        for image in np.unique(image_index):
            rows = np.flatnonzero(image_index == image)
            keypoints = predictions.keypoints[rows]
            truths.append(
                GroundTruth(
                    keypoints=predictions.truths[rows],
                    areas=people.areas[predictions.people[rows]].astype(np.float64),
                    boxes=predictions.boxes[rows],
                    crowd=np.zeros(len(rows), bool),
                )
            )
            detections.append(Detections(keypoints=keypoints, scores=person_scores(keypoints)))
        precision = average_precision(truths, detections, self.skeleton.sigmas)
        return {"ap": max(precision.ap, 0.0), "ap50": max(precision.ap50, 0.0)}


def to_image_pixels(joints: Tensor, batch: CropBatch) -> NDArray[np.float64]:
    """Convert joints from pixels of crops to pixels of their images.

    Parameters
    ----------
    joints : Tensor
        (N, K, 3) x, y, score in the crops.
    batch : CropBatch
        The crops.
    """
    joints = joints.double().cpu()
    return torch.cat([transform_points(joints[..., :2], inverse(batch.matrices)), joints[..., 2:]], 2).numpy()


def person_scores(keypoints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the score of each person: the mean score of the joints above `MIN_SCORE`, 0 without any.

    Parameters
    ----------
    keypoints : NDArray[np.float64]
        (N, K, 3) x, y, score.

    Returns
    -------
    NDArray[np.float64]
        (N,) scores.
    """
    scores = keypoints[..., 2]
    is_confident = scores > MIN_SCORE
    means: NDArray[np.float64] = (scores * is_confident).sum(1) / np.maximum(is_confident.sum(1), 1)
    return means
