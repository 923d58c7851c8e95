"""The pose task: heatmaps and part affinity fields of every stage against those drawn from labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from firstsight.data.keypoints.scenes import SceneBatch, Scenes
from firstsight.engine.task import History, ReportFigure, ResultSummary
from firstsight.pose.targets import heatmap_targets, paf_targets
from firstsight.optim.config import OptimizerConfig
from firstsight.tasks.pose.ema_task import EmaTask
from firstsight.tasks.pose.bottom_up.evaluate import BottomUpEvaluator, People, network_input, twice
from firstsight.tasks.pose.bottom_up.network import card_fields
from firstsight.weights.io import make_card

COLUMNS = 4
QUIET = 10
"""After so many measured epochs somebody must have been found."""


class BottomUpTask(EmaTask):
    """Train a bottom-up network; measured on scenes and photographs of people it has not seen. A `Task`.

    Parameters
    ----------
    net : nn.Module
        (N, 3, S, S) to heatmaps and fields of every stage.
    batches : Scenes
        Training scenes.
    measure : BottomUpEvaluator
        What to measure on.
    ema : float
        How much of the average is kept at every update; 0 for no average.
    sigma : float
        Standard deviation of a joint's bump, in pixels of the scene.
    paf_weight : float
        Of the fields' loss beside that of the heatmaps.
    foreground : float
        A cell of a joint's heatmap counts 1 + foreground x (what is wanted there), one of a field 1 + foreground x (the
        wanted vector's length): most are empty, and an answer of zeros is never far off.
    restart : float
        The learning rate after the early epochs of ``batches``, as a share of that before.
    model, stages, height
        For the card: the network's name, its refinement stages, and the height that pictures are to be given to it in.
    """

    monitor = "loss"

    def __init__(
        self,
        net: nn.Module,
        batches: Scenes,
        measure: BottomUpEvaluator,
        *,
        optimizer_config: OptimizerConfig,
        ema: float,
        sigma: float,
        paf_weight: float,
        foreground: float,
        restart: float,
        model: str,
        stages: int,
        height: int,
        about: Mapping[str, Any],
    ) -> None:
        self.batches, self.measure = batches, measure
        self.skeleton = batches.people.skeleton
        self.sigma, self.paf_weight, self.foreground = sigma, paf_weight, foreground
        self.model, self.stages, self.height, self.about = model, stages, height, dict(about)
        self._side = batches.side  # of the scenes at hand
        super().__init__(
            net,
            device=batches.device,
            dtype=batches.dtype,
            optimizer_config=optimizer_config,
            ema=ema,
            steps=batches.steps,
            early_epochs=batches.low_res_epochs,
            restart=restart,
        )

    def train_step(self, batch: SceneBatch) -> dict[str, Tensor]:
        """Forward, backward, update; the loss over all stages, and the two parts of the last one's."""
        self._side = batch.images.shape[2]
        with self.accelerator.autocast():
            maps = self.models["net"](network_input(batch.images, self.batches.dtype))
        losses, (heatmaps, pafs) = self.losses(maps, batch)
        loss = batch.mean(losses)
        self.update(loss, batch)
        return {
            "loss": loss.detach(), "heatmaps": batch.mean(heatmaps.detach()), "pafs": batch.mean(pafs.detach()),
        }  # fmt: skip

    def losses(self, maps: list[tuple[Tensor, Tensor]], batch: SceneBatch) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Of every sample, (N,): half the squared error summed over cells that count, over all stages; then the parts
        of the last stage, heatmaps and fields.
        """
        cells = tuple(batch.loss_mask.shape[1:])
        size, stride = (cells[0], cells[1]), self.batches.stride
        wanted = (
            heatmap_targets(batch.keypoints, batch.visible, size=size, stride=stride, sigma=self.sigma),
            paf_targets(batch.keypoints, batch.visible, self.skeleton, size=size, stride=stride),
        )
        weights = [batch.loss_mask[:, None].to(wanted[0])] * 2
        if self.foreground:
            lengths = wanted[1].unflatten(1, (-1, 2)).norm(dim=2).repeat_interleave(2, dim=1)
            joints = torch.cat([wanted[0][:, :-1], torch.zeros_like(wanted[0][:, :1])], 1)
            weights = [w * (1 + self.foreground * there) for w, there in zip(weights, (joints, lengths), strict=True)]

        def half_squares(found: Tensor, which: int) -> Tensor:
            wide = found if found.dtype == torch.float64 else found.float()
            return ((wide - wanted[which]).square() * weights[which]).flatten(1).sum(1) / 2

        parts = [(half_squares(stage[0], 0), half_squares(stage[1], 1)) for stage in maps]
        whole = torch.stack([heatmaps + self.paf_weight * pafs for heatmaps, pafs in parts]).sum(0)
        return whole, parts[-1]

    def evaluate(self) -> dict[str, float]:
        """See `BottomUpEvaluator`; and the loss per sample, on the same scenes; of the side that the last ones had.

        All of it on every process.
        """
        try:
            with torch.no_grad(), self.accelerator.autocast():
                return self.measure(self.product_net(), self.losses, side=self._side)
        finally:
            self.restore_train_mode()

    def epoch_artifacts(self, epoch: int) -> Mapping[str, bytes]:
        """Nothing."""
        return {}

    def warnings(self, lines: History) -> list[str]:
        """If nobody is found although the training has gone on for long."""
        measured = [line["test/ap50"] for line in lines if "test/ap50" in line]
        if len(measured) >= QUIET and max(measured) <= 0:
            return [f"nobody was found in {len(measured)} measured epochs; a smaller --lr or more epochs may help"]
        return []

    def figures(self, lines: History) -> list[ReportFigure]:
        """Curves, and scenes with what the network answers."""
        from firstsight import plots

        images, found, there = self.measure.shown(self.product_net())
        self.restore_train_mode()
        caption = f"{len(images)} of the {self.measure.about}, which it has not seen; not chosen."
        return [
            ReportFigure(
                "Learning curves", plots.pose_curves(lines),
                "Training scenes are measured while the network still changes.",
            ),
            ReportFigure("Answers", plots.scene_grid(self._drawn(images, found), COLUMNS), caption),
            ReportFigure("Labels", plots.scene_grid(self._drawn(images, there), COLUMNS), "Of the same pictures."),
        ]  # fmt: skip

    def _drawn(self, images: NDArray[np.uint8], people: People) -> NDArray[np.uint8]:
        """(N, 3, 2 S, 2 S): enlarged, with people over them."""
        from firstsight import plots

        side = 2 * images.shape[-1]
        drawn = []
        for image, poses in zip(images, people, strict=True):
            large = Image.fromarray(image.transpose(1, 2, 0)).resize((side, side), Image.Resampling.BICUBIC)
            drawn.append(plots.draw_people(large, [twice(pose) for pose in poses], self.skeleton))
        return np.stack([np.asarray(image).transpose(2, 0, 1) for image in drawn])

    def summarize_result(self, metrics: Mapping[str, float]) -> ResultSummary:
        """Average precision, recall; correct keypoints where they were measured."""
        figures = [
            ("average precision", f"{metrics['ap']:.1%}"),
            ("at a similarity of 0.5", f"{metrics['ap50']:.1%}"),
            ("average recall", f"{metrics['ar']:.1%}"),
            ("measured on", f"{self.measure.about}"),
        ]
        headline = f"AP {metrics['ap']:.1%} on {self.measure.about}"
        if "pck" in metrics:
            figures.append(("correct keypoints, PCK@0.2", f"{metrics['pck']:.1%}"))
            headline += f", PCK@0.2 {metrics['pck']:.1%}"
        figures.append(("test loss", f"{metrics['loss']:.2f}"))
        return ResultSummary(
            headline, figures, ["firstsight evaluate {run}", "firstsight pose PICTURE.jpg --model {run}"]
        )

    def card(self, metrics: Mapping[str, float]) -> dict[str, str]:
        """The network's card, to stand in the weights file of the product."""
        about = {**self.about, "metrics": dict(metrics), "measured_on": self.measure.about}
        fields = card_fields(skeleton=self.skeleton, stages=self.stages, height=self.height)
        card = make_card("pose", model=self.model, about=about, **fields)
        return {self.export_model: card}
