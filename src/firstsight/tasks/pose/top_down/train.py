"""The top-down pose task: joints of one person in each crop against the labelled ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from firstsight.data.keypoints.crops import CropBatch, Crops
from firstsight.engine.task import History, ReportFigure, ResultSummary
from firstsight.models.pose.top_down import TopDown
from firstsight.pose.parts import Pose
from firstsight.optim.config import OptimizerConfig
from firstsight.tasks.pose.ema_task import EmaTask
from firstsight.tasks.pose.top_down.evaluate import CropPredictions, TopDownEvaluator, crop_input
from firstsight.weights.io import make_card

EXAMPLES = 8
COLUMNS = 4
SIDE = 256


class TopDownTask(EmaTask):
    """Train a network that looks at one person at a time; measured on people it has not seen. A `Task`.

    Parameters
    ----------
    net : TopDown
        With its head.
    batches : Crops
        Training crops.
    measure : TopDownEvaluator
        What to measure on.
    ema : float
        How much of the average is kept at every update; 0 for no average.
    restart : float
        The learning rate after the early epochs of ``batches``, as a share of that before.
    card : Mapping[str, Any]
        Entries of the card: model, head, sigma, stacks; see `create_top_down`.
    """

    monitor = "loss"

    def __init__(
        self, net: TopDown, batches: Crops, measure: TopDownEvaluator, *, optimizer_config: OptimizerConfig, ema: float,
        restart: float, card: Mapping[str, Any], about: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self.batches, self.measure = batches, measure
        self._size = batches.size  # of the crops at hand
        self.skeleton, self.head = batches.people.skeleton, net
        self._card, self.about = dict(card), dict(about)
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

    def train_step(self, batch: CropBatch) -> dict[str, Tensor]:
        """Forward, backward, update; the loss per person."""
        self._size = (batch.images.shape[2], batch.images.shape[3])
        with self.accelerator.autocast():
            answers = self.models["net"](crop_input(batch.images, self.batches.dtype))
        loss = batch.mean(self.head.losses(answers, batch.keypoints, batch.visible))
        self.update(loss, batch)
        return {"loss": loss.detach()}

    def evaluate(self) -> dict[str, float]:
        """See `TopDownEvaluator`; on crops as large as the last ones were. All of it on every process."""
        try:
            with torch.no_grad(), self.accelerator.autocast():
                return self.measure(self._product(), size=self._size)
        finally:
            self.restore_train_mode()

    def _product(self) -> TopDown:
        net = self.product_net()
        assert isinstance(net, TopDown)
        return net

    def epoch_artifacts(self, epoch: int) -> Mapping[str, bytes]:
        """Nothing."""
        return {}

    def warnings(self, lines: History) -> list[str]:
        """Nothing."""
        return []

    def figures(self, lines: History) -> list[ReportFigure]:
        """Curves; correct keypoints joint by joint; people it has not seen: some, the best, and the worst."""
        from firstsight import plots

        with torch.no_grad():
            found = self.measure.answers(self._product())
        self.restore_train_mode()
        pictures = [
            ReportFigure("Learning curves", plots.top_down_curves(lines), "Training crops are turned and resized.")
        ]
        if self.measure.torso:
            shares = np.linspace(0.02, 0.5, 25)
            per_joint = np.stack([self.measure.pck(found, threshold=float(share)).per_joint for share in shares])
            pictures.append(
                ReportFigure(
                    "Correct keypoints", plots.pck_by_joint(shares, per_joint, self.skeleton.joints),
                    "How many joints lie within a share of the torso of where they are.",
                )
            )  # fmt: skip
        errors = self.measure.errors(found)
        sides = found.boxes[:, 2:].max(1)
        swapped = self.measure.swap_rate(found)
        pictures.append(
            ReportFigure(
                "Sides and sizes", plots.swaps_and_errors(swapped, sides, errors),
                "How often a joint was put where that of the other side is; how far joints lie from where they are.",
            )
        )  # fmt: skip
        order = np.argsort(errors, kind="stable")
        order = order[np.isfinite(errors[order])]
        some = np.arange(min(EXAMPLES, len(errors))) * len(errors) // max(1, min(EXAMPLES, len(errors)))
        for title, chosen, caption in (
            ("Answers", some, f"{len(some)} of {self.measure.about}, which it has not seen; not chosen."),
            ("Best", order[:EXAMPLES], "The smallest mean distances, in units of the box."),
            ("Worst", order[::-1][:EXAMPLES], "The greatest."),
        ):
            if len(chosen):
                pictures.append(ReportFigure(title, plots.scene_grid(self._drawn(found, chosen), COLUMNS), caption))
        return pictures

    def _drawn(self, found: CropPredictions, chosen: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """(N, 3, `SIDE`, `SIDE`): whole pictures, fitted into a square, with the person found over them."""
        from firstsight import plots

        sheets, people = [], self.batches.people
        for place in chosen:
            image = self.measure.crops.people.open(int(self.measure.crops.people.image_index[found.people[place]]))
            scale = SIDE / max(image.size)
            wide, high = (max(1, round(side * scale)) for side in image.size)
            large = image.convert("RGB").resize((wide, high), Image.Resampling.BICUBIC)
            keypoints = found.keypoints[place].copy()
            keypoints[:, :2] = (keypoints[:, :2] + 0.5) * (wide / image.width, high / image.height) - 0.5
            low, high_corner = keypoints[:, :2].min(0).tolist(), keypoints[:, :2].max(0).tolist()
            box = (low[0], low[1], high_corner[0] - low[0], high_corner[1] - low[1])
            sheet = Image.new("RGB", (SIDE, SIDE), (255, 255, 255))
            sheet.paste(plots.draw_people(large, [Pose(keypoints, 1.0, box)], people.skeleton), (0, 0))
            sheets.append(np.asarray(sheet).transpose(2, 0, 1))
        return np.stack(sheets)

    def summarize_result(self, metrics: Mapping[str, float]) -> ResultSummary:
        """Correct keypoints and average precision."""
        names = (
            ("pck", "correct keypoints, PCK@0.2 of the torso"), ("pck_box", "PCK@0.1 of the box"),
            ("ap", "average precision"),
        )  # fmt: skip
        figures = [(title, f"{metrics[name]:.1%}") for name, title in names if name in metrics]
        figures += [("measured on", self.measure.about), ("test loss", f"{metrics['loss']:.2f}")]
        first = f"PCK@0.2 {metrics['pck']:.1%}" if "pck" in metrics else f"AP {metrics.get('ap', 0):.1%}"
        return ResultSummary(f"{first} on {self.measure.about}", figures, ["firstsight pose PICTURE.jpg --model {run}"])

    def card(self, metrics: Mapping[str, float]) -> dict[str, str]:
        """The network's card, to stand in the weights file of the product."""
        about = {**self.about, "metrics": dict(metrics), "measured_on": self.measure.about}
        card = make_card(
            "top-down", skeleton=self.skeleton.to_category(), size=list(self.batches.size), about=about, **self._card
        )
        return {self.export_model: card}
