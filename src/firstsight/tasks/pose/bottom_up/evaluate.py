"""Evaluation of bottom-up networks during training: average precision on scenes, PCK on photographs of one person."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from firstsight.data.keypoints.scenes import SceneBatch, Scenes
from firstsight.metrics.average_precision import Detections, GroundTruth, average_precision
from firstsight.metrics.pck import TORSO_DIAGONALS, pck
from firstsight.pose.decode import decode
from firstsight.pose.parts import MIN_JOINTS, Pose, bounding_box

BATCH = 16
EXAMPLES = 8
"""Number of scenes in the figures of the report."""

People = list[list[Pose]]
"""Poses in each image, in its pixels, pixel centers at integers."""
Maps = list[Tensor]
"""Heatmaps and part affinity fields, in turn, of every stage."""
Losses = Callable[[Maps, SceneBatch], tuple[Tensor, tuple[Tensor, Tensor]]]
"""`BottomUpTask.losses`."""


def network_input(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Convert images to the input of a pose network.

    Parameters
    ----------
    images : Tensor
        (N, 3, H, W) uint8 RGB images.
    dtype : torch.dtype
        Data type of the result.

    Returns
    -------
    Tensor
        (N, 3, H, W) BGR images with values (pixel - 128) / 256, in channels_last format.
    """
    inputs = (images.flip(1).to(dtype) - 128) / 256
    return inputs.contiguous(memory_format=torch.channels_last)


class BottomUpEvaluator:
    """Evaluator of a bottom-up network on people that it was not trained on.

    Parameters
    ----------
    scenes : Scenes
        Scenes of these people. Composed scenes are those of epoch 0. Photographs are not cropped but fitted into the
        square.
    max_samples : int
        Maximum number of scenes, and of photographs for PCK.

    Attributes
    ----------
    num_samples : int
        Number of scenes.
    description : str
        Description of the scenes, for the report.
    """

    def __init__(self, scenes: Scenes, *, max_samples: int) -> None:
        self.scenes = scenes
        self.skeleton = scenes.people.skeleton
        self.num_samples = min(max_samples, scenes.samples)
        self.description = f"{self.num_samples:,} {'composed scenes' if scenes.kind == 'composed' else 'photographs'}"
        joints = set(self.skeleton.joints)
        self._has_pck = scenes.kind == "composed" and any(set(ends) <= joints for ends in TORSO_DIAGONALS)
        samples = np.arange(self.num_samples) * scenes.samples // self.num_samples
        self._chunks = np.array_split(samples, -(-self.num_samples // BATCH))

    def __call__(self, net: nn.Module, losses: Losses, *, side: int | None = None) -> dict[str, float]:
        """Compute the metrics of a network.

        Parameters
        ----------
        net : nn.Module
            Network in eval mode.
        losses : Losses
            Computes the loss of every scene.
        side : int | None
            Side of the scenes and photographs in pixels; None for that of ``scenes``.

        Returns
        -------
        dict[str, float]
            "loss" per scene; COCO's "ap", "ap50", "ap75" and "ar" in [0, 1]. For composed scenes whose skeleton has a
            torso also "pck": percentage of correct keypoints at 0.2 of the torso, in [0, 1], of the pose with the
            highest score in each whole photograph.
        """
        truths: list[GroundTruth] = []
        detections: list[Detections] = []
        total_loss = 0.0
        for samples in self._chunks:
            batch = self._get_scenes(samples, side)
            maps, poses = self._predict(net, batch)
            total_loss += float(losses(maps, batch)[0].double().sum())
            truths += [self._ground_truth(batch, i) for i in range(len(samples))]
            detections += [self._to_detections(people) for people in poses]
        precision = average_precision(truths, detections, self.skeleton.sigmas)
        metrics = {"loss": total_loss / self.num_samples}
        metrics |= {name: max(getattr(precision, name), 0.0) for name in ("ap", "ap50", "ap75", "ar")}
        if self._has_pck:
            correct = self._pck(net, side)
            metrics |= {} if np.isnan(correct) else {"pck": correct}
        return metrics

    def predict_examples(self, net: nn.Module) -> tuple[NDArray[np.uint8], People, People]:
        """Return `EXAMPLES` scenes (N, 3, S, S), the predicted poses in each, and the ground truth.

        Parameters
        ----------
        net : nn.Module
            Network in eval mode.
        """
        batch = self._get_scenes(np.concatenate(self._chunks)[:EXAMPLES])
        with torch.no_grad():
            _, predictions = self._predict(net, batch)
        scenes = zip(batch.keypoints.cpu().double().numpy(), batch.visible.cpu().numpy(), strict=True)
        truths = [[_visible_pose(xy, v) for xy, v in zip(*scene, strict=True) if v.any()] for scene in scenes]
        return batch.images.cpu().numpy(), predictions, truths

    def _get_scenes(self, samples: NDArray[np.int64], side: int | None = None) -> SceneBatch:
        if self.scenes.kind == "photographs":
            return self.scenes.get_letterboxed(samples, side=side)
        return self.scenes.get_samples(0, samples, side=side)

    def _predict(self, net: nn.Module, batch: SceneBatch) -> tuple[Maps, People]:
        """Return the maps of all stages, and the poses in each scene."""
        maps: Maps = net(network_input(batch.images, self.scenes.dtype))
        heatmaps, pafs = (last.float().cpu() for last in maps[-2:])
        poses = [decode(*both, self.skeleton) for both in zip(heatmaps, pafs, strict=True)]
        return maps, [[enlarge_pose(pose, self.scenes.stride) for pose in people] for people in poses]

    def _to_detections(self, poses: Sequence[Pose]) -> Detections:
        keypoints = np.array([pose.keypoints for pose in poses]).reshape(len(poses), len(self.skeleton), 3)
        keypoints[keypoints[..., 2] < 0] = 0
        return Detections(keypoints=keypoints, scores=np.array([pose.score for pose in poses], np.float64))

    def _ground_truth(self, batch: SceneBatch, index: int) -> GroundTruth:
        """Return the people of a scene; those with fewer than `MIN_JOINTS` visible joints are ignored (v = 0)."""
        xy, boxes, areas = (
            values[index].cpu().double().numpy() for values in (batch.keypoints, batch.boxes, batch.areas)
        )
        is_person = boxes[:, 2] > 0  # the other rows pad the batch
        visible = batch.visible[index].cpu().numpy()
        v = np.where(visible & (visible.sum(1, keepdims=True) >= MIN_JOINTS), 2.0, 0.0)
        keypoints = np.concatenate([xy, v[..., None]], -1)[is_person]
        crowd = np.zeros(is_person.sum(), bool)
        return GroundTruth(keypoints=keypoints, areas=areas[is_person], boxes=boxes[is_person], crowd=crowd)

    def _pck(self, net: nn.Module, side: int | None) -> float:
        """Return PCK at 0.2 of the torso on whole photographs of one person; nan if no torso is labeled."""
        predictions, truths = [], []
        for samples in self._chunks:
            batch = self.scenes.get_letterboxed(samples, side=side)
            _, poses = self._predict(net, batch)
            for index, people in enumerate(poses):
                best = max(people, key=lambda pose: pose.score, default=None)
                predictions.append(np.full((len(self.skeleton), 2), -1.0) if best is None else best.keypoints[:, :2])
                v = 2.0 * batch.visible[index, 0, :, None].cpu().double().numpy()
                truths.append(np.concatenate([batch.keypoints[index, 0].cpu().double().numpy(), v], 1))
        return pck(np.array(predictions), np.array(truths), self.skeleton).mean


def _visible_pose(xy: NDArray[np.float64], visible: NDArray[np.bool_]) -> Pose:
    """Return the labeled pose of a person: positions (K, 2) of the joints, and which of them (K,) are visible."""
    keypoints = np.where(visible[:, None], np.concatenate([xy, np.ones((len(xy), 1))], 1), -1.0)
    return Pose(keypoints, float(visible.sum()), bounding_box(keypoints))


def enlarge_pose(pose: Pose, factor: int) -> Pose:
    """Return a pose in an image that is enlarged by a factor; the center of pixel i is at factor (i + 1/2) - 1/2.

    Parameters
    ----------
    pose : Pose
        Pose in the original image, or in the maps of a network.
    factor : int
        Factor of the width and of the height; the stride of the network for maps.
    """
    keypoints = pose.keypoints.copy()
    is_detected = keypoints[:, 2] >= 0
    keypoints[is_detected, :2] = keypoints[is_detected, :2] * factor + (factor - 1) / 2
    return Pose(keypoints, pose.score, bounding_box(keypoints))
