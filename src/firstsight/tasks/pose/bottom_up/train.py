"""Training of bottom-up pose networks: heatmaps and part affinity fields of every stage."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from firstsight.data.keypoints.scenes import SceneBatch, Scenes
from firstsight.engine.task import History, ReportFigure, ResultSummary
from firstsight.optim.config import OptimizerConfig
from firstsight.pose.targets import Align, heatmap_targets, paf_targets
from firstsight.tasks.pose.bottom_up.evaluate import BottomUpEvaluator, Maps, People, enlarge_pose, network_input
from firstsight.tasks.pose.bottom_up.network import card_fields
from firstsight.tasks.pose.ema_task import EmaTask

COLUMNS = 4
MIN_EVALUATIONS = 10
"""Number of evaluations without a detection after which the user is warned."""


class BottomUpTask(EmaTask[nn.Module]):
    """Training of a bottom-up network, evaluated on people that it was not trained on. A `Task`.

    Parameters
    ----------
    net : nn.Module
        (N, 3, S, S) images to heatmaps and part affinity fields, in turn, of every stage.
    batches : Scenes
        Training scenes.
    evaluator : BottomUpEvaluator
        Evaluator with the test scenes.
    optimizer_config : OptimizerConfig
        See `EmaTask`.
    ema_decay : float
        See `EmaTask`.
    lr_restart : float
        See `EmaTask`.
    sigma : float
        Standard deviation of the Gaussians in the target heatmaps, in pixels of the scene.
    paf_weight : float
        Weight of the loss of the part affinity fields relative to that of the heatmaps.
    foreground_weight : float
        Additional weight w of cells with a keypoint or a limb. A cell of a joint's heatmap weighs 1 + w times its
        target, and a cell of a field 1 + w times the length of its target vector. Most cells are empty, so the loss of
        a network that predicts only zeros is low otherwise.
    align : Align
        Position of limbs relative to the cells of the target fields, see `paf_targets`.
    model : str
        Name of the network, for the card.
    stages : int
        Number of refinement stages, for the card.
    height : int
        Height in pixels that images are resized to, for the card.
    about : Mapping[str, Any]
        See `EmaTask`.
    """

    card_kind = "pose"

    def __init__(
        self,
        net: nn.Module,
        batches: Scenes,
        evaluator: BottomUpEvaluator,
        *,
        optimizer_config: OptimizerConfig,
        ema_decay: float,
        lr_restart: float,
        sigma: float,
        paf_weight: float,
        foreground_weight: float,
        align: Align,
        model: str,
        stages: int,
        height: int,
        about: Mapping[str, Any],
    ) -> None:
        super().__init__(
            net,
            batches,
            optimizer_config=optimizer_config,
            ema_decay=ema_decay,
            lr_restart=lr_restart,
            test_set=evaluator.description,
            about=about,
        )
        self.batches = batches
        self.evaluator = evaluator
        self.sigma = sigma
        self.paf_weight = paf_weight
        self.foreground_weight = foreground_weight
        self.align: Align = align
        self.model = model
        self.stages = stages
        self.height = height
        self._side = batches.side  # of the last training batch

    def train_step(self, batch: SceneBatch) -> dict[str, Tensor]:
        """Train on one batch. Return the loss, and its two parts at the last stage."""
        self._side = batch.images.shape[2]
        with self.accelerator.autocast():
            maps = self.models["net"](network_input(batch.images, self.batches.dtype))
        losses, (heatmap_losses, paf_losses) = self.losses(maps, batch)
        loss = batch.mean(losses)
        self.update(loss, batch)
        return {
            "loss": loss.detach(),
            "heatmaps": batch.mean(heatmap_losses.detach()),
            "pafs": batch.mean(paf_losses.detach()),
        }

    def losses(self, maps: Maps, batch: SceneBatch) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Compute the loss of every scene: half the squared error, summed over unmasked cells, channels and stages.

        Parameters
        ----------
        maps : Maps
            Heatmaps (N, K + 1, h, w) and part affinity fields (N, 2L, h, w), in turn, of every stage.
        batch : SceneBatch
            The scenes, with their labels and loss masks.

        Returns
        -------
        tuple[Tensor, tuple[Tensor, Tensor]]
            Losses (N,), and the parts of the last stage for heatmaps (N,) and fields (N,).
        """
        heatmaps, pafs = self.targets(batch)
        heatmap_weights = paf_weights = batch.loss_mask[:, None].to(heatmaps)  # (N, 1, h, w)
        if batch.uncertain.any():
            heatmap_mask, paf_mask = self._uncertain_masks(batch, pafs)
            heatmap_weights, paf_weights = heatmap_weights * heatmap_mask, paf_weights * paf_mask
        if self.foreground_weight:
            joints = torch.cat([heatmaps[:, :-1], torch.zeros_like(heatmaps[:, :1])], 1)  # the background weighs 1
            lengths = pafs.unflatten(1, (-1, 2)).norm(dim=2).repeat_interleave(2, dim=1)
            heatmap_weights = heatmap_weights * (1 + self.foreground_weight * joints)
            paf_weights = paf_weights * (1 + self.foreground_weight * lengths)
        stages = [
            (
                _half_squared_errors(stage_heatmaps, heatmaps, heatmap_weights),
                _half_squared_errors(stage_pafs, pafs, paf_weights),
            )
            for stage_heatmaps, stage_pafs in zip(maps[::2], maps[1::2], strict=True)
        ]
        losses = torch.stack([of_heatmaps + self.paf_weight * of_pafs for of_heatmaps, of_pafs in stages]).sum(0)
        return losses, stages[-1]

    def targets(self, batch: SceneBatch) -> tuple[Tensor, Tensor]:
        """Return the target heatmaps (N, K + 1, h, w) and part affinity fields (N, 2L, h, w) of the labeled joints."""
        height, width = batch.loss_mask.shape[1:]
        size, stride = (height, width), self.batches.stride
        heatmaps = heatmap_targets(batch.keypoints, batch.visible, size=size, stride=stride, sigma=self.sigma)
        return heatmaps, self._paf_targets(batch, batch.visible)

    def _paf_targets(self, batch: SceneBatch, joints: Tensor) -> Tensor:
        """Return the target fields (N, 2L, h, w) of the limbs between ``joints``, a mask (N, P, K)."""
        height, width = batch.loss_mask.shape[1:]
        return paf_targets(
            batch.keypoints,
            joints,
            self.skeleton,
            size=(height, width),
            stride=self.batches.stride,
            align=self.align,
        )

    def _uncertain_masks(self, batch: SceneBatch, pafs: Tensor) -> tuple[Tensor, Tensor]:
        """Return masks of the heatmaps (N, K + 1, h, w) and fields (N, 2L, h, w) that are 0 around uncertain joints.

        The heatmap of an uncertain joint and the background are 0 where its Gaussian would be, and a field where the
        limb of an uncertain joint would be. ``pafs`` are the fields of the certain limbs.
        """
        height, width = batch.loss_mask.shape[1:]
        heatmaps = heatmap_targets(
            batch.keypoints, batch.uncertain, size=(height, width), stride=self.batches.stride, sigma=self.sigma
        )
        joints = heatmaps[:, :-1] <= 0
        heatmap_mask = torch.cat([joints, joints.all(1, keepdim=True)], 1)
        with_uncertain = self._paf_targets(batch, batch.visible | batch.uncertain)
        changed = (with_uncertain != pafs).unflatten(1, (-1, 2)).any(2)
        return heatmap_mask, ~changed.repeat_interleave(2, dim=1)

    def evaluate_net(self, net: nn.Module) -> dict[str, float]:
        """Return the metrics of `BottomUpEvaluator`, on scenes of the size of the last training batch."""
        return self.evaluator(net, self.losses, side=self._side)

    def warnings(self, history: History) -> list[str]:
        """Return a warning if no person was detected in many evaluations."""
        ap50 = [metrics["test/ap50"] for metrics in history if "test/ap50" in metrics]
        if len(ap50) >= MIN_EVALUATIONS and max(ap50) <= 0:
            return [f"no person was detected in {len(ap50)} evaluations; a smaller `lr` or more `epochs` may help"]
        return []

    def figures(self, history: History) -> list[ReportFigure]:
        """Return learning curves, and test scenes with predictions and with ground truth."""
        from firstsight import plots

        images, predictions, truths = self.evaluator.predict_examples(self.exported_net())
        self.restore_train_mode()
        caption = f"{len(images)} of the {self.evaluator.description}, not selected by their result."
        return [
            ReportFigure(
                "Learning curves",
                plots.pose_curves(history),
                "The loss on training scenes is measured during the epoch, while the network changes.",
            ),
            ReportFigure("Predictions", plots.scene_grid(self._draw(images, predictions), COLUMNS), caption),
            ReportFigure("Ground truth", plots.scene_grid(self._draw(images, truths), COLUMNS), "The same scenes."),
        ]

    def _draw(self, images: NDArray[np.uint8], people: People) -> NDArray[np.uint8]:
        """Return images (N, 3, 2 S, 2 S): images (N, 3, S, S) enlarged, with poses drawn over them."""
        from firstsight import plots

        side = 2 * images.shape[-1]
        drawn = []
        for image, poses in zip(images, people, strict=True):
            enlarged = Image.fromarray(image.transpose(1, 2, 0)).resize((side, side), Image.Resampling.BICUBIC)
            drawn.append(plots.draw_people(enlarged, [enlarge_pose(pose, 2) for pose in poses], self.skeleton))
        return np.stack([np.asarray(image).transpose(2, 0, 1) for image in drawn])

    def summarize_result(self, metrics: Mapping[str, float]) -> ResultSummary:
        """Summarize average precision, average recall and, if it was measured, PCK."""
        headline = f"AP {metrics['ap']:.1%} on {self.test_set}"
        rows = [
            ("average precision", f"{metrics['ap']:.1%}"),
            ("average precision at OKS 0.5", f"{metrics['ap50']:.1%}"),
            ("average recall", f"{metrics['ar']:.1%}"),
            ("evaluated on", self.test_set),
        ]
        if "pck" in metrics:
            headline += f", PCK@0.2 {metrics['pck']:.1%}"
            rows.append(("correct keypoints, PCK@0.2", f"{metrics['pck']:.1%}"))
        rows.append(("test loss", f"{metrics['loss']:.2f}"))
        commands = ["firstsight evaluate {run}", "firstsight pose IMAGE.jpg --model {run}"]
        return ResultSummary(headline, rows, commands)

    def card_fields(self) -> dict[str, Any]:
        """Return the entries of the card."""
        fields = card_fields(skeleton=self.skeleton, stages=self.stages, height=self.height)
        return {"model": self.model, **fields}


def _half_squared_errors(maps: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return half the weighted squared error of each sample (N,), in single precision at least."""
    maps = maps if maps.dtype == torch.float64 else maps.float()
    return ((maps - targets).square() * weights).flatten(1).sum(1) / 2
