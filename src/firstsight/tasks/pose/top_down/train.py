"""Training of top-down pose networks: the joints of one person in each crop."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from firstsight.data.keypoints.crops import CropBatch, Crops
from firstsight.engine.task import History, ReportFigure, ResultSummary
from firstsight.models.pose.top_down import TopDown
from firstsight.optim.config import OptimizerConfig
from firstsight.pose.parts import Pose, bounding_box
from firstsight.tasks.pose.ema_task import EmaTask
from firstsight.tasks.pose.top_down.evaluate import CropPredictions, TopDownEvaluator, crop_input

EXAMPLES = 8
"""Number of people in each figure of examples."""
COLUMNS = 4
SIDE = 256
"""Side of an example in pixels."""


class TopDownTask(EmaTask[TopDown]):
    """Training of a top-down network, evaluated on people that it was not trained on. A `Task`.

    Parameters
    ----------
    net : TopDown
        Network with its head.
    batches : Crops
        Training crops.
    evaluator : TopDownEvaluator
        Evaluator with the test crops.
    optimizer_config : OptimizerConfig
        See `EmaTask`.
    ema_decay : float
        See `EmaTask`.
    lr_restart : float
        See `EmaTask`.
    card : Mapping[str, Any]
        Entries of the card: model, head, sigma, stacks; see `create_top_down`.
    about : Mapping[str, Any]
        See `EmaTask`.
    """

    card_kind = "top-down"

    def __init__(
        self,
        net: TopDown,
        batches: Crops,
        evaluator: TopDownEvaluator,
        *,
        optimizer_config: OptimizerConfig,
        ema_decay: float,
        lr_restart: float,
        card: Mapping[str, Any],
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
        self._net = net
        self._card = dict(card)
        self._size = batches.size  # of the last training batch

    def train_step(self, batch: CropBatch) -> dict[str, Tensor]:
        """Train on one batch. Return the loss per person."""
        self._size = (batch.images.shape[2], batch.images.shape[3])
        with self.accelerator.autocast():
            outputs = self.models["net"](crop_input(batch.images, self.batches.dtype))
        loss = batch.mean(self._net.losses(outputs, batch.keypoints, batch.visible))
        self.update(loss, batch)
        return {"loss": loss.detach()}

    def evaluate_net(self, net: TopDown) -> dict[str, float]:
        """Return the metrics of `TopDownEvaluator`, on crops of the size of the last training batch."""
        return self.evaluator(net, size=self._size)

    def figures(self, history: History) -> list[ReportFigure]:
        """Return learning curves, PCK by joint, swapped sides and errors, and people with their predictions."""
        from firstsight import plots

        with torch.no_grad():
            predictions = self.evaluator.predict(self.exported_net())
        self.restore_train_mode()
        caption = "Training crops are augmented, so the training loss may be above the test loss."
        figures = [ReportFigure("Learning curves", plots.top_down_curves(history), caption)]
        if self.evaluator.has_torso:
            thresholds = np.linspace(0.02, 0.5, 25)
            pcks = [self.evaluator.pck(predictions, threshold=float(threshold)).per_joint for threshold in thresholds]
            figure = plots.pck_by_joint(thresholds, np.stack(pcks), self.skeleton.joints)
            caption = "Percentage of joints whose error is at most a fraction of the torso."
            figures.append(ReportFigure("Correct keypoints", figure, caption))
        errors = self.evaluator.mean_errors(predictions)
        figure = plots.swaps_and_errors(self.evaluator.swap_rate(predictions), predictions.sides, errors)
        caption = "How often a joint is predicted at the joint of the other side, and the mean error of each person."
        figures.append(ReportFigure("Swaps and errors", figure, caption))
        return figures + self._example_figures(predictions, errors)

    def _example_figures(self, predictions: CropPredictions, errors: NDArray[np.float64]) -> list[ReportFigure]:
        """Return figures of people with their predictions: evenly spaced ones, the best and the worst."""
        from firstsight import plots

        n = min(EXAMPLES, len(errors))
        samples = np.arange(n) * len(errors) // max(1, n)
        order = np.argsort(errors, kind="stable")
        order = order[np.isfinite(errors[order])]
        groups = (
            ("Predictions", samples, f"{n} of {self.test_set}, not selected by their result."),
            ("Best predictions", order[:EXAMPLES], "Smallest mean errors, relative to the box."),
            ("Worst predictions", order[::-1][:EXAMPLES], "Largest mean errors, relative to the box."),
        )
        return [
            ReportFigure(title, plots.scene_grid(self._draw(predictions, rows), COLUMNS), caption)
            for title, rows, caption in groups
            if len(rows)
        ]

    def _draw(self, predictions: CropPredictions, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return images (N, 3, `SIDE`, `SIDE`): whole images of people on white, with the predicted poses."""
        from firstsight import plots

        people = self.evaluator.crops.people
        drawn = []
        for row in rows:
            image = people.open(int(people.image_index[predictions.people[row]]))
            scale = SIDE / max(image.size)
            width, height = (max(1, round(side * scale)) for side in image.size)
            resized = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
            keypoints = predictions.keypoints[row].copy()
            keypoints[:, :2] = (keypoints[:, :2] + 0.5) * (width / image.width, height / image.height) - 0.5
            pose = Pose(keypoints, 1.0, bounding_box(keypoints))
            square = Image.new("RGB", (SIDE, SIDE), (255, 255, 255))
            square.paste(plots.draw_people(resized, [pose], self.skeleton), (0, 0))
            drawn.append(np.asarray(square).transpose(2, 0, 1))
        return np.stack(drawn)

    def summarize_result(self, metrics: Mapping[str, float]) -> ResultSummary:
        """Summarize PCK and average precision."""
        labels = {
            "pck": "correct keypoints, PCK@0.2 of the torso",
            "pck_box": "PCK@0.1 of the box",
            "ap": "average precision",
        }
        rows = [(label, f"{metrics[name]:.1%}") for name, label in labels.items() if name in metrics]
        rows += [("evaluated on", self.test_set), ("test loss", f"{metrics['loss']:.2f}")]
        score = f"PCK@0.2 {metrics['pck']:.1%}" if "pck" in metrics else f"AP {metrics.get('ap', 0):.1%}"
        return ResultSummary(f"{score} on {self.test_set}", rows, ["firstsight pose IMAGE.jpg --model {run}"])

    def card_fields(self) -> dict[str, Any]:
        """Return the entries of the card."""
        return {"skeleton": self.skeleton.to_category(), "size": list(self.batches.size), **self._card}
