"""Measuring a bottom-up network: people it finds in scenes, and the joints of one person in photographs."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from firstsight.data.keypoints.scenes import SceneBatch, Scenes
from firstsight.metrics.average_precision import Detections, GroundTruth, average_precision
from firstsight.metrics.pck import TORSO_DIAGONALS, pck
from firstsight.pose.decode import decode
from firstsight.pose.parts import MIN_JOINTS, Pose

BATCH = 16
EXAMPLES = 8
"""Scenes that are drawn in the report."""

People = list[list[Pose]]
"""In each picture, in its pixels, pixel centres at integers."""
Maps = list[tuple[Tensor, Tensor]]
Losses = Callable[[Maps, SceneBatch], tuple[Tensor, tuple[Tensor, Tensor]]]


def network_input(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """(N, 3, S, S) uint8 red, green, blue to blue, green, red in [-0.5, 0.5): (pixel - 128) / 256."""
    inputs = (images.flip(1).to(dtype) - 128) / 256
    return inputs.contiguous(memory_format=torch.channels_last)


class BottomUpEvaluator:
    """What a network finds, against what is there.

    Parameters
    ----------
    scenes : Scenes
        Of people that it has not seen. Composed ones are measured as they are in epoch 0; photographs as whole
        pictures, fitted into the square.
    most : int
        Scenes to measure on, and photographs for the percentage of correct keypoints.
    """

    def __init__(self, scenes: Scenes, *, most: int) -> None:
        self.scenes, self.most = scenes, min(most, scenes.samples)
        self.skeleton = scenes.people.skeleton
        joints = set(self.skeleton.joints)
        self.single = scenes.kind == "composed" and any(set(ends) <= joints for ends in TORSO_DIAGONALS)
        kind = "composed scenes" if scenes.kind == "composed" else "photographs"
        self.about = f"{self.most:,} {kind}"
        spread = np.arange(self.most) * scenes.samples // self.most
        self._parts = np.array_split(spread, -(-self.most // BATCH))

    def __call__(self, net: nn.Module, losses: Losses, *, side: int | None = None) -> dict[str, float]:
        """Numbers of a network in eval mode.

        Parameters
        ----------
        side : int | None
            Of scenes and photographs in pixels, if another than that of ``scenes``.

        Returns
        -------
        dict[str, float]
            "loss" per scene, in COCO's terms "ap", "ap50", "ap75", "ar", in [0, 1]; in sets of one person a picture
            whose skeleton has a torso "pck": the percentage of correct keypoints at 0.2 of the torso, of the surest
            person.
        """
        truths: list[GroundTruth] = []
        found: list[Detections] = []
        total = 0.0
        for part in self._parts:
            batch = self._scenes(part, side)
            maps, poses = self._answers(net, batch)
            total += float(losses(maps, batch)[0].double().sum())
            truths += [self._truth(batch, i) for i in range(len(part))]
            found += [self._found(people) for people in poses]
        precision = average_precision(truths, found, self.skeleton.sigmas)
        measured = {
            "loss": total / self.most, "ap": max(precision.ap, 0.0), "ap50": max(precision.ap50, 0.0),
            "ap75": max(precision.ap75, 0.0), "ar": max(precision.ar, 0.0),
        }  # fmt: skip
        share = self._correct(net, side) if self.single else float("nan")
        return measured | ({} if np.isnan(share) else {"pck": share})

    def shown(self, net: nn.Module) -> tuple[NDArray[np.uint8], People, People]:
        """Some scenes (N, 3, S, S), the people found in each, and those that are there."""
        batch = self._scenes(np.concatenate(self._parts)[:EXAMPLES])
        with torch.no_grad():
            _, found = self._answers(net, batch)
        places, visible = batch.keypoints.cpu().double().numpy(), batch.visible.cpu().numpy()
        there = [
            [_seen(xy, seen) for xy, seen in zip(*scene, strict=True) if seen.any()]
            for scene in zip(places, visible, strict=True)
        ]
        return batch.images.cpu().numpy(), found, there

    def _scenes(self, ids: NDArray[np.int64], side: int | None = None) -> SceneBatch:
        make = self.scenes.get_letterboxed if self.scenes.kind == "photographs" else partial(self.scenes.get_samples, 0)
        return make(ids, side=side)

    def _answers(self, net: nn.Module, batch: SceneBatch) -> tuple[Maps, People]:
        """Maps of all stages, and the poses of each scene."""
        maps: Maps = net(network_input(batch.images, self.scenes.dtype))
        heatmaps, pafs = (last.float().cpu() for last in maps[-1])
        poses = [decode(*both, self.skeleton) for both in zip(heatmaps, pafs, strict=True)]
        return maps, [[self._in_pixels(pose) for pose in people] for people in poses]

    def _in_pixels(self, pose: Pose) -> Pose:
        """The centre of cell i is at stride i + (stride - 1) / 2."""
        stride, keypoints = self.scenes.stride, pose.keypoints.copy()
        there = keypoints[:, 2] >= 0
        keypoints[there, :2] = keypoints[there, :2] * stride + (stride - 1) / 2
        x, y, width, height = (stride * value for value in pose.box)
        return Pose(keypoints, pose.score, (x + (stride - 1) / 2, y + (stride - 1) / 2, width, height))

    def _found(self, poses: Sequence[Pose]) -> Detections:
        keypoints = np.array([pose.keypoints for pose in poses]).reshape(len(poses), len(self.skeleton), 3)
        keypoints[keypoints[..., 2] < 0] = 0
        return Detections(keypoints=keypoints, scores=np.array([pose.score for pose in poses], np.float64))

    def _truth(self, batch: SceneBatch, index: int) -> GroundTruth:
        """Of people with fewer visible joints than a pose has no joint is labelled: they need not be found."""
        xy, boxes, areas = (
            values[index].cpu().double().numpy() for values in (batch.keypoints, batch.boxes, batch.areas)
        )
        there = boxes[:, 2] > 0  # the others fill up the batch
        seen = batch.visible[index].cpu().numpy()
        v = np.where(seen & (seen.sum(1, keepdims=True) >= MIN_JOINTS), 2.0, 0.0)
        people = np.concatenate([xy, v[..., None]], -1)[there]
        return GroundTruth(keypoints=people, areas=areas[there], boxes=boxes[there], crowd=np.zeros(there.sum(), bool))

    def _correct(self, net: nn.Module, side: int | None) -> float:
        """Percentage of correct keypoints at 0.2 of the torso, on whole photographs; nan where there is no torso."""
        answers, truths = [], []
        for part in self._parts:
            batch = self.scenes.get_letterboxed(part, side=side)
            _, poses = self._answers(net, batch)
            for index, people in enumerate(poses):
                best = max(people, key=lambda pose: pose.score, default=None)
                answers.append(np.full((len(self.skeleton), 2), -1.0) if best is None else best.keypoints[:, :2])
                v = 2.0 * batch.visible[index, 0, :, None].cpu().double().numpy()
                truths.append(np.concatenate([batch.keypoints[index, 0].cpu().double().numpy(), v], 1))
        return pck(np.array(answers), np.array(truths), self.skeleton).mean


def _seen(xy: NDArray[np.float64], seen: NDArray[np.bool_]) -> Pose:
    """A person as the labels have it."""
    low, high = xy[seen].min(0).tolist(), xy[seen].max(0).tolist()
    keypoints = np.where(seen[:, None], np.concatenate([xy, np.ones((len(xy), 1))], 1), -1.0)
    return Pose(keypoints, float(seen.sum()), (low[0], low[1], high[0] - low[0], high[1] - low[1]))


def twice(pose: Pose) -> Pose:
    """In a picture of twice the size."""
    keypoints = pose.keypoints.copy()
    there = keypoints[:, 2] >= 0
    keypoints[there, :2] = keypoints[there, :2] * 2 + 0.5
    x, y, width, height = pose.box
    return Pose(keypoints, pose.score, (2 * x + 0.5, 2 * y + 0.5, 2 * width, 2 * height))
